from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flakegate.apply import Applied
from flakegate.errors import BackendError
from flakegate.gate import Totals
from flakegate.summary import answer, steps
from tests.summaries import MAIN, MOVES, PLAN, QUIET, RACE, RETRY, TOTAL, UPLOAD, verdict


def passed(**counts: int) -> Any:
    found = verdict("pass")
    totals = Totals(**({"tests": 0, "passed": 0, "failures": 0, "errors": 0, "skipped": 0,
                        "flaky": 0, "reruns": 0, "reports": 1} | counts))  # fmt: skip
    return replace(found, totals=totals)


def error() -> BackendError:
    return BackendError("gone")


UNAVAILABLE = replace(TOTAL, reason="unavailable")


@pytest.mark.parametrize(
    ("given", "mark", "title", "line"),
    [
        ({"verdict": passed(tests=1, passed=1)}, "✅", "1 test passed", "passed: 1 test"),
        ({"verdict": passed(tests=2, passed=2)}, "✅", "All 2 tests passed", "passed: 2 tests"),
        (
            {"verdict": passed(tests=3, passed=2, skipped=1)},
            "✅", "2 tests passed, 1 skipped", "passed: 2 tests, 1 skipped",
        ),
        (
            {"verdict": verdict("pass", RETRY)},
            "✅", "Nothing blocks: 1 flaky failure excused", "passed: 1 flaky failure excused",
        ),
        (
            {"verdict": verdict("block", TOTAL, RETRY)},
            "❌", "1 failure blocks this merge", "blocked: 1 failure is not excused",
        ),
        (
            {"verdict": verdict("block", TOTAL, UPLOAD)},
            "❌", "2 failures block this merge", "blocked: 2 failures are not excused",
        ),
        (
            {"verdict": verdict("block", TOTAL), "context": MAIN},
            "❌", "1 failure is not excused", "blocked: 1 failure is not excused",
        ),
        (
            {"verdict": verdict("block", TOTAL), "observe": True},
            "⚠️", "1 failure would block, but the gate only observes",
            "observed: 1 failure would block",
        ),
        (
            {"verdict": verdict("block", UNAVAILABLE)},
            "⚠️", "Cannot judge 1 failure: the list of flaky tests is unavailable",
            "unavailable: 1 failure cannot be judged",
        ),
        (
            {"verdict": verdict("block", UNAVAILABLE, TOTAL)},
            "❌", "2 failures block this merge", "blocked: 2 failures are not excused",
        ),
        (
            {"verdict": verdict("incomplete", TOTAL), "observe": True},
            "⚠️", "Cannot judge this run: the evidence is incomplete", "incomplete evidence",
        ),
        (
            {"verdict": verdict("pass", RACE), "plan": PLAN, "exit_code": 0},
            "✅", "Nothing blocks: 1 flaky failure excused", "passed: 1 flaky failure excused",
        ),
        ({"plan": PLAN}, "✅", "3 state changes planned", "planned: 3 state changes"),
        (
            {"plan": replace(PLAN, transitions=())},
            "✅", "Nothing to change for 38 flaky tests", "nothing to change for 38 flaky tests",
        ),
        (
            {"plan": PLAN, "applied": Applied(done=MOVES[:1])},
            "✅", "1 state change applied", "applied: 1 state change",
        ),
        (
            {"plan": PLAN, "applied": Applied(done=MOVES[:2], unknown=((MOVES[2], "?"),))},
            "⚠️", "2 of 3 state changes applied", "partially applied: 2 of 3 state changes",
        ),
        (
            {"plan": PLAN, "applied": Applied(not_sent=MOVES, error=error())},
            "❌", "None of 3 state changes applied", "none of 3 state changes applied",
        ),
        (
            {"plan": replace(PLAN, transitions=(), held=MOVES)},
            "⛔", "A limit of the policy holds back 3 state changes",
            "stopped: a limit holds back 3 state changes",
        ),
        (
            {"plan": replace(PLAN, transitions=MOVES[:1], held=MOVES[1:])},
            "⛔", "A limit of the policy holds back 2 state changes; 1 state change planned",
            "stopped: a limit holds back 2 state changes; 1 state change planned",
        ),
    ],
)  # fmt: skip
def test_the_answer(given: dict[str, Any], mark: str, title: str, line: str) -> None:
    found = answer(replace(QUIET, **given))
    assert (found.mark, found.title, found.line) == (mark, title, line)


def test_every_change_that_is_not_certain_is_told_once() -> None:
    applied = Applied(
        done=MOVES[:1], unknown=((MOVES[1], "504"),), not_sent=MOVES[2:], error=error()
    )
    told = replace(QUIET, plan=PLAN, applied=applied).trouble
    assert told == ((MOVES[1], "perhaps made: 504"), (MOVES[2], "gone"))


def test_nothing_is_to_do_where_all_is_well() -> None:
    assert steps(replace(QUIET, verdict=verdict("pass", RETRY))) == ()
    assert steps(replace(QUIET, plan=PLAN, applied=Applied(done=MOVES))) == ()


def test_a_plan_that_can_be_applied_names_the_command() -> None:
    assert [step.command for step in steps(replace(QUIET, plan=PLAN))] == ["flakegate apply"]
    assert steps(replace(QUIET, plan=PLAN, not_applied="a fork")) == ()
    assert steps(replace(QUIET, plan=PLAN, verdict=verdict("pass"))) == ()


def test_many_failures_at_once_look_like_an_outage() -> None:
    few, many = (verdict("block", *[TOTAL] * number) for number in (100, 200))
    assert len(steps(replace(QUIET, verdict=few))) == 1
    assert "one cause" in steps(replace(QUIET, verdict=many))[0].text


def test_incomplete_evidence_is_what_to_look_at_first() -> None:
    assert steps(replace(QUIET, verdict=verdict("incomplete", TOTAL))) == ()
