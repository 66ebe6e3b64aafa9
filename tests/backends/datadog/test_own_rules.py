"""Datadog's own policies, from the wire to rules in the words of the policy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.backends.datadog.own_rules import decode, encode
from flakegate.errors import BackendError
from flakegate.model import State
from flakegate.policy.conditions import parse

ACTIVE, QUARANTINED, DISABLED, FIXED = State
WEEK = 604_800
FLAKE_ON_MAIN = 'last_flaked_age == 0s and last_flaked_branch in ["main"]'
OTHERS = r'["a\"b", "c"]'


def answer(**blocks: object) -> bytes:
    attributes = {"repository_id": "github.com/acme/shop", **blocks}
    kind = "test_optimization_flaky_tests_management_policies"
    return json.dumps({"data": {"id": "1", "type": kind, "attributes": attributes}}).encode()


def told(**blocks: object) -> dict[str, tuple[str, str]]:
    """By id: where from and to, and when."""
    return {
        own.id: (
            f"{' '.join(sorted(own.from_states))} > {own.to}",
            f"{own.when}" + (f" ({own.note})" if own.note else ""),
        )
        for own in decode(answer(**blocks), "POST /policies")
    }


FIXED_RULE = ("active quarantined > fixed", "last_flaked_age >= 30d and not broken")


def test_the_request() -> None:
    assert json.loads(encode("github.com/acme/shop")) == {
        "data": {
            "type": "test_optimization_get_flaky_tests_management_policies_request",
            "attributes": {"repository_id": "github.com/acme/shop"},
        }
    }


def test_every_rule_that_there_is() -> None:
    rate = {"enabled": True, "threshold": 0.29, "min_runs": 10, "branches": ["main", "release"]}
    branch = {
        "enabled": True,
        "branches": ["main"],
        "excluded_branches": ['a"b', "c"],
        "excluded_test_services": ["shop", None],
    }
    quarantined = {
        "enabled": True,
        "auto_quarantine_rule": {"enabled": True, "window_seconds": 2 * WEEK},
        "branch_rule": branch,
        "failure_rate_rule": rate,
    }
    disabled = {
        "enabled": True,
        "auto_disable_rule": {"enabled": True, "window_seconds": 5400, "status": "quarantined"},
        "branch_rule": {"enabled": True},
        "failure_rate_rule": {"enabled": True, "threshold": 1, "status": "active"},
    }
    assert told(quarantined=quarantined, disabled=disabled, attempt_to_fix={"retries": 3}) == {
        "quarantine.failure_rate": (
            "active > quarantined",
            "failure_rate >= 29% (of runs on main, release, with at least 10 runs)",
        ),
        "quarantine.branch_flake": (
            "active > quarantined",
            f'{FLAKE_ON_MAIN} and last_flaked_branch not in {OTHERS} and not services has "shop"',
        ),
        "quarantine.days_active": ("active > quarantined", "state_age >= 14d"),
        "disable.failure_rate": ("active > disabled", "failure_rate >= 100%"),
        "disable.branch_flake": ("active quarantined > disabled", "last_flaked_age == 0s"),
        "disable.days_active": ("quarantined > disabled", "state_age >= 90m"),
        "fixed": FIXED_RULE,
    }


@pytest.mark.parametrize(
    ("block", "is_on"),
    [
        ({"enabled": True, "failure_rate_rule": {"enabled": True, "threshold": 0.5}}, True),
        ({"failure_rate_rule": {"enabled": True, "threshold": 0.5}}, True),
        ({"enabled": None, "failure_rate_rule": {"enabled": True, "threshold": 0.5}}, True),
        ({"enabled": False, "failure_rate_rule": {"enabled": True, "threshold": 0.5}}, False),
        ({"enabled": True, "failure_rate_rule": {"enabled": False, "threshold": 0.5}}, False),
        ({"enabled": True, "failure_rate_rule": {"threshold": 0.5}}, False),
        ({"enabled": True, "failure_rate_rule": None}, False),
        ({"enabled": True}, False),
        ({}, False),
        (None, False),
    ],
)
def test_what_is_switched_off_is_no_rule(block: object, is_on: bool) -> None:
    assert list(told(quarantined=block)) == ["quarantine.failure_rate"] * is_on + ["fixed"]


@pytest.mark.parametrize(
    ("threshold", "shown"),
    [
        (0.2, "20%"),
        (0.005, "0.5%"),
        (0.07, "7%"),
        (1.0, "100%"),
        (0, "0%"),
        (None, "0% (Datadog does not tell its bound)"),
        (20, "0% (Datadog does not tell its bound)"),
        (-0.1, "0% (Datadog does not tell its bound)"),
    ],
)
def test_a_threshold_is_a_share_there_and_a_percentage_here(
    threshold: float | None, shown: str
) -> None:
    rule = {"enabled": True, "threshold": threshold}
    found = told(quarantined={"enabled": True, "failure_rate_rule": rule})
    assert found["quarantine.failure_rate"][1] == f"failure_rate >= {shown}"


def test_what_the_answer_leaves_open() -> None:
    block = {
        "enabled": True,
        "status": "quarantined",
        "auto_disable_rule": {"enabled": True, "status": "on_hold"},
        "branch_rule": {"enabled": True, "branches": "main", "excluded_test_services": []},
        "failure_rate_rule": {"enabled": True, "threshold": 0.5, "new": {"key": 1}},
        "lunar_rule": {"enabled": True},
    }
    assert told(disabled=block) == {
        "disable.failure_rate": ("quarantined > disabled", "failure_rate >= 50%"),
        "disable.branch_flake": (
            "quarantined > disabled",
            FLAKE_ON_MAIN,
        ),
        "disable.days_active": (
            "active quarantined > disabled",
            "state_age >= 0s (Datadog does not tell its bound)",
        ),
        "fixed": FIXED_RULE,
    }


@pytest.mark.parametrize("body", [b'{"data": null}', b'{"data": {"attributes": null}}'])
def test_without_policies_there_is_what_nobody_can_turn_off(body: bytes) -> None:
    (only,) = decode(body, "POST /policies")
    assert (only.id, only.optional) == ("fixed", False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"7",
        b"{}",
        b'{"data": []}',
        answer(quarantined=7),
        b'{"data": {"attr',
    ],
)
def test_an_answer_without_policies_names_the_request(body: bytes) -> None:
    with pytest.raises(BackendError, match=r"^POST /policies: the answer is not what Datadog"):
        decode(body, "POST /policies")


@given(st.lists(st.text(min_size=1), min_size=1), st.floats(0, 1), st.floats(0, 1e12))
def test_whatever_a_branch_is_called_the_rule_is_a_condition_of_the_policy(
    branches: list[str], threshold: float, window: float
) -> None:
    block: dict[str, Any] = {
        "enabled": True,
        "branch_rule": {"enabled": True, "branches": branches},
        "failure_rate_rule": {"enabled": True, "threshold": threshold},
        "auto_quarantine_rule": {"enabled": True, "window_seconds": window},
    }
    rules = decode(answer(quarantined=block), "POST /policies")
    assert len(rules) == 4
    assert parse(str(rules[1].when)) == rules[1].when
