"""Saved plans, and clocks that jump: what is of another time or place is refused, and says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.reports import SMALLEST, junit, write
from tests.fake_datadog import KEYS, FakeDatadog, flaky

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Caller, Done

NOON = 1_795_176_000.0  # what FLAKEGATE_TIME says
NAMES = ("a", "b", "c")


@pytest.fixture
def datadog(folder: Path) -> Iterator[FakeDatadog]:
    write(folder, "flakegate.yml", SMALLEST)
    tests = [flaky(name, rate=50.0) for name in NAMES]
    with FakeDatadog(tests=[*tests, flaky("below", rate=1.0)], clock=lambda: NOON) as fake:
        yield fake


@pytest.fixture
def call(flakegate: Caller, datadog: FakeDatadog) -> Caller:
    def run(*arguments: str, **env: str) -> Done:
        return flakegate(*arguments, "--api-url", datadog.url, **{**KEYS, **env})

    return run


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("repository", "github.com/acme/other", "it was made for the repository github.com/acme/o"),
        ("policy_digest", "0" * 64, "flakegate.yml has changed since it was made"),
        ("backend", "store", "it was made for the backend store, and this is datadog"),
        ("at", "2026-11-19T11:59:00Z", "it was made 24 hours ago, and 24 is the most"),
        ("at", "2026-11-20T12:10:00Z", "it was made in the future (2026-11-20T12:10:00Z): check"),
        ("at", "9999-12-31T23:59:59Z", "it was made in the future"),
    ],
)
def test_a_plan_of_another_time_or_place_is_stale(
    call: Caller, datadog: FakeDatadog, key: str, value: str, says: str
) -> None:
    call("plan", "--out", "plan.json")
    plan = json.loads(Path("plan.json").read_text())
    Path("plan.json").write_text(json.dumps({**plan, key: value}))
    done = call("apply", "plan.json")
    assert done.code == 7, done.err
    assert f"the plan plan.json is stale: {says}" in done.err
    assert "nothing was applied" in done.err
    assert datadog.patched == {}
    assert not Path(".flakegate/journal.jsonl").exists()


def test_a_plan_is_as_good_as_its_clock(call: Caller, datadog: FakeDatadog) -> None:
    """The runner's clock may differ by some minutes; a day is a day."""
    call("plan", "--out", "plan.json")
    assert call("apply", "plan.json", FLAKEGATE_TIME="2026-11-19T12:00:00Z").code == 7
    assert call("apply", "plan.json", FLAKEGATE_TIME="2026-11-21T12:00:01Z").code == 7
    assert datadog.patched == {}
    assert call("apply", "plan.json", FLAKEGATE_TIME="2026-11-20T11:56:00Z").code == 0
    assert datadog.patched.keys() == set(NAMES)


def replaced(tree: Any, path: list[int], value: object) -> Any:
    """The tree with another value at a place: `path` counts keys and items."""
    if not isinstance(tree, dict | list) or not tree or not path:
        return value
    keys = sorted(tree) if isinstance(tree, dict) else range(len(tree))
    at = keys[path[0] % len(keys)]
    inner = replaced(tree[at], path[1:], value)
    if isinstance(tree, dict):
        return {**tree, at: inner}
    return [inner if number == at else each for number, each in enumerate(tree)]


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.just([]),
    st.sampled_from(["active", "quarantined", "below", "0001-01-01T00:00:00+23:00",
                     "9999-12-31T23:59:59-23:00", "2026-11-20T12:00:00Z", "\ud800", "\x1b[31m"]),
)  # fmt: skip


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=4), ODD)
def test_a_plan_that_was_tampered_with_does_no_harm(
    call: Caller, datadog: FakeDatadog, folder: Path, path: list[int], value: object
) -> None:
    """It is refused, or does a part of what the policy asks for now; it is never a bug."""
    for test in datadog.tests:
        test["attributes"].update(flaky_state="active", history=[])
    journal = folder / ".flakegate/journal.jsonl"
    journal.unlink(missing_ok=True)
    call("plan", "--out", "plan.json")
    plan = json.loads((folder / "plan.json").read_text())
    done = call("apply", write(folder, "odd.json", json.dumps(replaced(plan, path, value))))
    assert done.code in {0, 2, 5, 7}, done.err
    assert datadog.states["below"] == "active"
    assert set(datadog.states.values()) <= {"active", "quarantined"}
    assert "\x1b" not in done.out + done.err
    if done.code in {2, 7}:
        assert not journal.exists()
        assert "tip: make" in done.err


def test_states_are_read_again_when_a_plan_is_applied(call: Caller, datadog: FakeDatadog) -> None:
    call("plan", "--out", "plan.json")
    datadog.tests[0]["attributes"]["flaky_state"] = "disabled"
    done = call("apply", "plan.json", "--format", "json")
    assert done.code == 5
    document = json.loads(done.out)["applied"]
    assert [each["test_id"] for each in document["failed"]] == ["a"]
    assert [each["test_id"] for each in document["done"]] == ["b", "c"]
    assert datadog.patched.keys() == {"b", "c"}


def test_a_plan_of_the_store_is_not_for_datadog(
    call: Caller, flakegate: Caller, folder: Path, datadog: FakeDatadog
) -> None:
    flakegate(
        "record", write(folder, "r.xml", junit("test_a")), "--repository", "github.com/acme/shop"
    )
    assert flakegate("plan", "--out", "store.json").code == 0
    done = call("apply", "store.json")
    assert done.code == 7
    assert "it was made for the backend store, and this is datadog" in done.err
    assert datadog.patched == {}


# Clocks that jump between calls

LIMITED = SMALLEST + "limits: {max_changes: 4}\n"


def test_a_clock_that_jumps_back_opens_no_limit(
    call: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    write(folder, "flakegate.yml", LIMITED)
    assert call("apply").code == 0
    datadog.tests += [flaky(name, rate=50.0) for name in "de"]
    back = call("apply", FLAKEGATE_TIME="2026-11-01T00:00:00Z")
    assert back.code == 6
    assert "2 planned, 3 in the last 24 hours; `limits.max_changes` allows 4" in back.out
    assert ".flakegate/journal.jsonl holds 3 changes from the future: the clock is or" in back.out
    assert datadog.patched.keys() == set(NAMES)
    assert call("apply", FLAKEGATE_TIME="2026-11-21T12:00:01Z").code == 0


def test_a_clock_that_was_ahead_is_told_until_it_is_past(
    call: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    write(folder, "flakegate.yml", LIMITED)
    assert call("apply", FLAKEGATE_TIME="2027-11-20T12:00:00Z").code == 0
    datadog.tests += [flaky(name, rate=50.0) for name in "de"]
    done = call("apply")
    assert done.code == 6
    assert "correct it, or move the file away" in done.out
    (folder / ".flakegate/journal.jsonl").rename(folder / "old")
    assert call("apply").code == 0


def test_the_order_is_the_journals_and_not_the_clocks(call: Caller) -> None:
    long_ago = "2020-01-01T00:00:00Z"
    assert call("apply").code == 0
    assert call("set", "a", "fixed", "--reason", "x", FLAKEGATE_TIME=long_ago).code == 0
    rows = json.loads(call("undo", "--format", "json").out)["calls"]
    assert [row["at"][:4] for row in rows] == ["2020", "2026"]
    assert json.loads(call("undo", "last", "--format", "json").out)["undone"] == rows[0]
