"""What was not made: text, JSON, summary, journal and the server itself agree on the exact list."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.reports import write
from tests.fake_datadog import KEYS, FakeDatadog, flaky
from tests.faults import HANG_UP, PASS, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Caller, Done

POLICY = """\
version: 1
limits: {max_changes: 200}
rules: [{id: noisy, to: quarantined, when: failure_rate > 20%}]
"""
WANTED = [f"want-{number:03}" for number in range(103)]  # a batch, and three more
MENTIONS_NOBODY = b'{"data":{"attributes":{"has_errors":false,"results":[]}}}'


@pytest.fixture
def datadog(folder: Path) -> Iterator[FakeDatadog]:
    write(folder, "flakegate.yml", POLICY)
    with FakeDatadog(tests=[flaky(test, rate=50.0) for test in WANTED]) as fake:
        yield fake


def apply(flakegate: Caller, datadog: FakeDatadog, timeout: str = "10") -> Done:
    return flakegate(
        "apply",
        "-v",
        "--summary",
        "s.md",
        "--api-url",
        datadog.url,
        **KEYS,
        FLAKEGATE_TIMEOUT=timeout,
    )


def named(text: str) -> set[str]:
    return set(re.findall(r"want-\d{3}", text))


def of_journal(*words: str) -> set[str]:
    lines = Path(".flakegate/journal.jsonl").read_text().splitlines()
    outcomes = [each for line in lines for each in json.loads(line).get("results", ())]
    last = {each["test"]: each["outcome"] for each in outcomes}
    return {test for test, word in last.items() if word in words}


def not_made(datadog: FakeDatadog) -> set[str]:
    return {test for test, state in datadog.states.items() if state == "active"}


def check_everybody_agrees(
    flakegate: Caller, datadog: FakeDatadog, *says: str, timeout: str = "10"
) -> None:
    done = apply(flakegate, datadog, timeout)
    assert done.code == 5, done.out
    left = not_made(datadog)
    failed = [line for line in done.out.splitlines() if line.lstrip().startswith("FAILED")]
    assert named("\n".join(failed)) == left
    summary = Path("s.md").read_text()
    assert named(summary.split("| From → to |")[0]) == left
    assert of_journal("done") == set(WANTED) - left
    assert of_journal("failed", "unknown") <= left
    for word in says:
        assert word in done.out
        assert word in summary.replace("\\", "")
    assert f"{len(WANTED) - len(left)} of {len(WANTED)} state changes" in done.out
    assert "tip: Try again; states are read anew" in done.out
    again(flakegate, datadog)


def again(flakegate: Caller, datadog: FakeDatadog) -> None:
    """The next call, without faults, makes the rest and nothing else; its JSON says so."""
    left = not_made(datadog)
    datadog.scripts, datadog.refuse, datadog.permissions = {}, {}, datadog.permissions | PERMISSIONS
    datadog.requests.clear()
    done = flakegate("apply", "--format", "json", "--api-url", datadog.url, **KEYS)
    assert done.code == 0, done.out + done.err
    assert {each["test_id"] for each in json.loads(done.out)["applied"]["done"]} == left
    assert datadog.patched.keys() == left
    assert not_made(datadog) == set()


PERMISSIONS = {"test_optimization_read", "test_optimization_write"}


def test_a_200_with_errors(flakegate: Caller, datadog: FakeDatadog) -> None:
    datadog.refuse = {"want-007": "locked by support", "want-101": "locked by support"}
    check_everybody_agrees(flakegate, datadog, "locked by support")


def test_ids_that_are_missing_twice(flakegate: Caller, datadog: FakeDatadog) -> None:
    silent = Reply(body=MENTIONS_NOBODY)
    datadog.scripts = {"PATCH": [PASS, silent, silent]}
    check_everybody_agrees(
        flakegate,
        datadog,
        "perhaps made: Datadog's answer does not mention it",
        "lists it as active",
    )


def test_ids_that_are_missing_once_are_made(flakegate: Caller, datadog: FakeDatadog) -> None:
    datadog.scripts = {
        "PATCH": [Reply(body=MENTIONS_NOBODY), PASS, Reply(act=True, body=MENTIONS_NOBODY)]
    }
    assert apply(flakegate, datadog).code == 0
    assert not_made(datadog) == set()
    assert of_journal("done") == set(WANTED)


def test_duplicate_ids(flakegate: Caller, datadog: FakeDatadog) -> None:
    datadog.tests += [flaky("want-000", rate=50.0)]
    rows = [{"id": test, "success": test != "want-102", "error": "no"} for test in WANTED[100:]]
    rows += [{"id": test, "success": True} for test in WANTED[100:]]
    body = json.dumps({"data": {"attributes": {"has_errors": True, "results": rows}}}).encode()
    datadog.scripts = {"PATCH": [PASS, Reply(body=body)]}
    done = apply(flakegate, datadog)
    assert done.code == 5
    assert of_journal("failed") == {"want-102"}
    sent = [
        each["id"]
        for r in datadog.requests
        if r.method == "PATCH"
        for each in r.attributes["tests"]
    ]
    assert sorted(sent) == WANTED


def test_a_403_in_the_middle(flakegate: Caller, datadog: FakeDatadog) -> None:
    datadog.scripts = {"PATCH": [PASS, Reply(status=403)]}
    check_everybody_agrees(flakegate, datadog, "403 Forbidden")


def test_a_403_for_reading_in_the_middle(flakegate: Caller, datadog: FakeDatadog) -> None:
    datadog.scripts = {"POST": [PASS, PASS, PASS, Reply(status=403)]}
    check_everybody_agrees(flakegate, datadog, "403 Forbidden")


def test_a_connection_that_breaks_in_the_middle(flakegate: Caller, datadog: FakeDatadog) -> None:
    datadog.scripts = {"PATCH": [PASS, *[HANG_UP] * 9]}
    check_everybody_agrees(flakegate, datadog, "perhaps made: PATCH", timeout="2")


def test_a_refusal_of_all_there_is_names_the_permission(
    flakegate: Caller, datadog: FakeDatadog
) -> None:
    datadog.tests, datadog.permissions = datadog.tests[:3], {"test_optimization_read"}
    done = apply(flakegate, datadog)
    assert "none of 3 state changes applied (exit 4)" in done.out
    assert "tip: The application key needs test_optimization_write; or check" in done.out
    assert (
        "- The application key needs test_optimization_write; or check" in Path("s.md").read_text()
    )
    told = flakegate("apply", "--format", "json", "--api-url", datadog.url, **KEYS)
    assert "test_optimization_write" in json.loads(told.out)["applied"]["tip"]


def test_a_refusal_at_the_start(flakegate: Caller, datadog: FakeDatadog) -> None:
    datadog.permissions -= {"test_optimization_write"}
    done = apply(flakegate, datadog)
    assert done.code == 4
    assert "none of 103 state changes applied" in done.out
    assert "tip: The application key needs test_optimization_write; or check" in done.out
    assert not_made(datadog) == set(WANTED)
    again(flakegate, datadog)
