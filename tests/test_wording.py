from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate import wording
from flakegate.junit import Problem
from flakegate.model import State, StateCause
from tests.summaries import DAY, NOW, RETRY, TOTAL, UPLOAD, case, failure, flaky

if TYPE_CHECKING:
    from flakegate.gate import Failure

REASONS = (
    *("quarantined", "disabled", "not-flaky", "active", "fixed", "exempt", "changed"),
    *("change-unknown", "attempted-fix", "ambiguous", "expired", "too-young", "unavailable"),
)
PROBLEMS = (
    *("no-report", "stale", "empty", "truncated", "not-junit", "suite-error", "missing-failures"),
    *("too-few-tests", "killed", "exit-code", "no-failure"),
)
COMMANDS = {"run", "plan", "apply", "gate", "check", "list", "record", "set", "collect", "explain"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0 %"),
        (0.04, "< 0.1 %"),
        (0.1, "0.1 %"),
        (4.96, "5 %"),
        (9.94, "9.9 %"),
        (9.96, "10 %"),
        (27.4, "27 %"),
        (99.4, "99 %"),
        (99.6, "> 99 %"),
        (100.0, "100 %"),
    ],
)
def test_percent(value: float, expected: str) -> None:
    assert wording.percent(value) == expected


@given(st.floats(0, 100))
def test_a_percentage_is_never_rounded_to_none_or_all(value: float) -> None:
    assert (wording.percent(value) == "0 %") is (value == 0)
    assert (wording.percent(value) == "100 %") is (value == 100)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0 tests"), (1, "1 test"), (2, "2 tests"), (1_204, "1,204 tests")],
)
def test_count(number: int, expected: str) -> None:
    assert wording.count(number, "test") == expected


def test_dates_are_short_and_tell_another_year() -> None:
    assert wording.day(NOW, NOW) == "30 Nov"
    assert wording.day(NOW - 29 * DAY, NOW) == "1 Nov"
    assert wording.day(NOW + 40 * DAY, NOW) == "9 Jan 2027"


@pytest.mark.parametrize(
    ("classname", "name", "file", "line", "title", "place"),
    [
        ("a.test_b", "test_c", "a/test_b.py", 3, "test_c", "a/test_b.py:3"),
        ("a.test_b.C.D", "test_c", "a/test_b.py", None, "C::D::test_c", "a/test_b.py"),
        ("a.test_bc", "test_c", "a/test_b.py", None, "test_c", "a/test_b.py"),
        ("a.test_b", "test_c[x]", None, None, "test_c[x]", "a.test_b"),
        ("com.acme.CartTest", "total", None, None, "total", "com.acme.CartTest"),
        ("cart adds", "cart adds", None, None, "cart adds", ""),
        ("cart", "adds", "src/cart.test.js", 0, "adds", "src/cart.test.js:0"),
        ("c", None, None, None, "(a case without a name)", "c"),
        (None, " ", None, None, "(a case without a name)", "pytest"),
        ("a.b.C", "t", "a\\b.py", None, "C::t", "a\\b.py"),
    ],
)
def test_name_and_place(  # noqa: PLR0913, PLR0917 - a row of the table above
    classname: str | None,
    name: str | None,
    file: str | None,
    line: int | None,
    title: str,
    place: str,
) -> None:
    which = case(name, classname=classname, file=file, line=line)
    assert (wording.title(which), wording.place(which)) == (title, place)


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (None, "quarantined"),
        (StateCause(at=0, rule="noisy"), "quarantined by rule noisy"),
        (StateCause(at=0, rule="noisy", reason="26 %"), "quarantined by rule noisy"),
        (StateCause(at=0, actor="dana"), "quarantined by dana"),
        (StateCause(at=0, actor="dana", reason="slow"), "quarantined by dana: “slow”"),
        (StateCause(at=0, reason="slow"), "quarantined: “slow”"),
    ],
)
def test_cause(cause: StateCause | None, expected: str) -> None:
    assert wording.cause(flaky("t", cause=cause)) == expected


def test_figures_say_only_what_is_known() -> None:
    assert wording.figures(flaky("t")) == "27 % of 211 runs"
    assert wording.figures(flaky("t", runs=None)) == "27 %"
    assert wording.figures(flaky("t", failure_rate=None)) == ""
    assert wording.figures(None) == ""


def test_an_old_state_is_told_in_days() -> None:
    young, old = flaky("t"), flaky("t", state_since=NOW - 30 * DAY)
    assert wording.since(young, NOW) == "21 Nov"
    assert wording.since(old, NOW) == "31 Oct (30 days)"
    assert wording.since(flaky("t", state_since=None), NOW) == ""
    assert wording.until(old, 45 * DAY, NOW) == "15 Dec"
    assert wording.until(old, None, NOW) == ""
    assert wording.until(old, 1e12, NOW) == ""  # beyond all calendars
    assert wording.excuse(old, 45 * DAY, NOW) == (
        "quarantined by rule noisy since 31 Oct (30 days), until 15 Dec"
    )


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_its_advice(reason: str) -> None:
    blocked = replace(UPLOAD, reason=reason, decision="blocked")
    steps = wording.about_failures([blocked], keeps_history=True)
    assert len(steps) == (2 if reason == "active" else 1)
    assert_names_only_commands_that_exist(steps)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_problem_has_its_advice(problem: str) -> None:
    found = Problem(report=None, problem=problem, detail="")
    steps = wording.about_evidence([found, found])
    assert len(steps) == 1
    assert_names_only_commands_that_exist(steps)


def assert_names_only_commands_that_exist(steps: tuple[wording.Step, ...]) -> None:
    for step in steps:
        named = set(re.findall(r"flakegate (\w+)", f"{step.text} {step.command}"))
        assert named <= COMMANDS


def test_the_same_advice_is_given_once() -> None:
    problems = [Problem(report="r", problem=code, detail="") for code in ("killed", "truncated")]
    assert len(wording.about_evidence(problems)) == 1
    assert len(wording.about_failures([TOTAL, TOTAL], keeps_history=False)) == 1


def test_a_pass_is_promised_to_be_recorded_only_where_it_is() -> None:
    for keeps in (True, False):
        (step,) = wording.about_failures([TOTAL], keeps_history=keeps)
        assert ("records" in step.text) is keeps


def about_active(*suites: str) -> str:
    failures: list[Failure] = [
        failure(case("t"), "active", flaky("t", State.ACTIVE, suite=suite)) for suite in suites
    ]
    step, why = wording.about_failures(failures, keeps_history=True)
    assert why.command.startswith("flakegate explain ")
    return step.command


def test_a_command_names_the_tests() -> None:
    assert about_active("a", "a", "b") == "flakegate set a.t b.t quarantined --reason …"
    assert about_active("a" * 200) == "flakegate set 5f2at quarantined --reason …"
    many = about_active(*(f"suite{number}" for number in range(50)))
    assert many == "flakegate set TEST… quarantined --reason …"


def test_the_first_of_several_is_explained() -> None:
    failures = [
        failure(case("t"), "active", flaky("t", State.ACTIVE, suite=suite))
        for suite in ("a b", "c")
    ]
    _, why = wording.about_failures(failures, keeps_history=True)
    assert why.command == "flakegate explain 'a b.t'"


@given(st.text(min_size=1, max_size=60))
def test_a_command_can_be_pasted_into_a_shell(suite: str) -> None:
    words = shlex.split(about_active(suite))
    assert len(words) == 6
    assert words[2] in {f"{suite}.t", "5f2at"}


@pytest.mark.parametrize(
    ("report", "detail", "expected"),
    [
        ("a.xml", "a.xml:3:4: it ends", ("a.xml:3:4", "it ends")),
        ("a.xml", "a.xml: it ends", ("a.xml", "it ends")),
        ("a.xml", "a.xml it ends", ("a.xml", "it ends")),
        ("a.xml", "it ends", ("a.xml", "it ends")),
        ("a.xml", "b.xml:3:4: it ends", ("a.xml", "b.xml:3:4: it ends")),
        ("a(.xml", "a(.xml:3: it\nends", ("a(.xml:3", "it\nends")),
        (None, "it was killed", ("", "it was killed")),
        ("", "it was killed", ("", "it was killed")),
    ],
)
def test_located(report: str | None, detail: str, expected: tuple[str, str]) -> None:
    assert wording.located(Problem(report=report, problem="x", detail=detail)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ""), ("not known", "Not known."), ("Done!", "Done!"), (" a. ", "A.")],
)
def test_sentence(text: str, expected: str) -> None:
    assert wording.sentence(text) == expected


def test_clip() -> None:
    assert wording.clip("12345", 5) == "12345"
    assert wording.clip("123456", 5) == "1234…"


def test_an_excused_failure_needs_no_advice() -> None:
    assert RETRY.decision == "excused"
    assert wording.about_failures([], keeps_history=True) == ()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_951, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_900_000, "1.9 MB"),
        (5_000_000_000_000, "5,000 GB"),
    ],
)
def test_size(number: int, expected: str) -> None:
    assert wording.size(number) == expected
