"""Tests, issues and transitions for the tests of follow-ups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flakegate.error_tracking.issue import Issue
from flakegate.model import FlakyTest, State, Transition
from flakegate.policy.load import load

if TYPE_CHECKING:
    from flakegate.policy.rules import Policy

NOW = 1_795_176_000.0
DAY = 86_400.0
DANA = "87cb11a0-278c-440a-99fe-701223c80296"
EVE = "c1726a66-1f64-11ee-b338-da7ad0900002"


def flaky(name: str = "test_pay", **given: Any) -> FlakyTest:
    """A flaky test of the service shop that failed for a timeout."""
    fields: dict[str, Any] = {
        "id": f"id-{name}",
        "module": "",
        "suite": "tests.test_shop",
        "name": name,
        "state": State.ACTIVE,
        "services": ("shop",),
        "codeowners": ("@org/payments",),
        "error_message": "TimeoutError: no answer in 7 s",
        "source_file": "tests/test_shop.py",
    }
    return FlakyTest(**(fields | given))


def an_issue(name: str = "1", **given: Any) -> Issue:
    """An issue of that service with that error."""
    fields: dict[str, Any] = {
        "id": f"c1726a66-0000-0000-0000-{name:0>12}",
        "state": "OPEN",
        "service": "shop",
        "error_type": "TimeoutError",
        "error_message": "no answer in 5 s",
        "file_path": "shop/net.py",
        "function_name": "fetch",
    }
    return Issue(**(fields | given))


def move(test: FlakyTest, rule: str = "noisy", to: State = State.QUARANTINED) -> Transition:
    """What a rule decides for the test."""
    return Transition(
        test_id=test.id,
        fqn=test.fqn,
        from_state=test.state,
        to_state=to,
        rule=rule,
        reason="failure_rate 50%",
    )


def policy(settings: str = "{}", owners: str = f'{{"@org/payments": {DANA}}}') -> Policy:
    """With a rule `noisy` that has these settings in `error_tracking`, and a plain one."""
    text = (
        f"version: 1\nowners: {owners}\nrules:\n"
        f"  - {{id: noisy, to: quarantined, when: broken, error_tracking: {settings}}}\n"
        "  - {id: plain, to: fixed, when: broken}\n"
    )
    found = load(text.encode(), "p").policy
    assert found is not None, text
    return found
