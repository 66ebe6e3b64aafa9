"""The words of a summary: counts, dates, names, reasons, next steps. Nothing is escaped yet."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from flakegate.results import SHARED, UNTOLD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flakegate.gate import Failure
    from flakegate.junit import Case, Problem
    from flakegate.model import FlakyTest

DAY = 86_400.0
STALE = 30 * DAY  # a quarantine this old deserves a word
_LONGEST_COMMAND = 120
_LAST_DAY = 253_402_214_400.0  # 31 December 9999: calendars end there

# What to do about a failure that blocks, by reason code; the most urgent first.
_ABOUT_FAILURES = {
    "unavailable": (
        "Run the job again when the list of flaky tests can be read: without it nothing is excused."
    ),
    "exempt": "Fix what the policy exempts: a failure there is never excused.",
    "changed": "Fix what this change touches, or run the job again.",
    "change-unknown": "Let the job read the change, so that it can tell what was touched.",
    "attempted-fix": "Look again at the fix that this change claims: the test still fails.",
    "fixed": "Look again at what was marked as fixed: it fails again.",
    "quarantined": "Fix it: the policy's `gate.excuse` does not name its state.",
    "disabled": "Fix it: the policy's `gate.excuse` does not name its state.",
    "expired": (
        "Fix or disable what has been quarantined for too long; where somebody's date is over,"
        " `flakegate set` takes a new one."
    ),
    "too-young": "Run the job again: its quarantine is too new to excuse a failure.",
}
_ABOUT_SHARED_NAMES = (
    "Give tests that share a name names of their own, or, where the results are attempts of"
    " one test, say so with `reports: [{paths: …, attempts: true}]` in the policy."
)
_ABOUT_SURROUNDINGS = (
    "Fix what failed around the tests (a hook, a collection, a whole file): it is no flaky test."
)
_ABOUT_REPORTS = (
    "Let the report say what is missing beside it, so that the gate can tell which flaky test it"
    " is; until then fix it, or run the job again."
)
_ABOUT_EVIDENCE = {
    "no-report": (
        "See that the tests ran and where they write their reports, and quote the pattern so that"
        " the shell leaves it alone."
    ),
    "empty": "See why no test ran: a report without a test says nothing.",
    "stale": "Delete the old reports before the tests run.",
    "killed": "Look at the end of the test log; run the job again if the machine was at fault.",
    "truncated": "Look at the end of the test log; run the job again if the machine was at fault.",
    "not-junit": "Name only JUnit reports; other formats have to be converted first.",
    "suite-error": "Fix what failed outside of the tests: set-up, an import, or the collection.",
    "missing-failures": "Look at the test log for the failures that the report only counts.",
    "too-few-tests": "See why tests are missing, or lower `gate.min_tests` in the policy.",
    "exit-code": (
        "Look at the end of the test log; if this exit code only means that tests failed, add it"
        " to `gate.command_exit_codes` in the policy."
    ),
    "no-failure": "Look at the test log: the command failed, though no test did.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something to do next; command: to be typed as it stands, "" where there is none."""

    text: str
    command: str = ""


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 failure`, `1,204 tests`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def day(at: float, now: float) -> str:
    """`12 Dec`, or `12 Dec 2025` in another year than now. UTC."""
    then = datetime.fromtimestamp(at, timezone.utc)
    year = "" if then.year == datetime.fromtimestamp(now, timezone.utc).year else f" {then.year}"
    return f"{then.day} {then:%b}{year}"


def percent(value: float) -> str:
    """`27 %`; below 10 with one digit more: `0.4 %`. Never rounded to none or all."""
    if 0 < value < 0.1:  # noqa: PLR2004 - the least that one digit can show
        return "< 0.1 %"
    if 99.5 <= value < 100:  # noqa: PLR2004 - would be rounded to all
        return "> 99 %"
    text = f"{value:.1f}" if value < 9.95 else f"{value:.0f}"  # noqa: PLR2004 - rounds to 10
    return f"{text.removesuffix('.0')} %"


def size(number: int) -> str:
    """Bytes: `512 bytes`, `41 kB`, `1.9 MB`."""
    if number < 1_000:  # noqa: PLR2004 - of one unit, so many make the next
        return count(number, "byte")
    value, units = number / 1_000, ["GB", "MB", "kB"]
    while value >= 999.5 and len(units) > 1:  # noqa: PLR2004 - would be rounded to the next unit
        value /= 1_000
        units.pop()
    return f"{value:,.{1 if value < 9.95 else 0}f} {units[-1]}"  # noqa: PLR2004 - rounds to 10


def saved(at: float, now: float) -> str:
    """When a snapshot was saved: `20 Nov 11:00 UTC, 3 hours ago`."""
    clock = f"{datetime.fromtimestamp(at, timezone.utc):%H:%M} UTC"
    minutes = int((now - at) // 60)
    if minutes < 1:
        return f"{day(at, now)} {clock}"
    units = ((48 * 60, 24 * 60, "day"), (120, 60, "hour"), (0, 1, "minute"))
    length, unit = next((length, unit) for least, length, unit in units if minutes >= least)
    return f"{day(at, now)} {clock}, {count(minutes // length, unit)} ago"


def clip(text: str, length: int) -> str:
    """At most so many characters; an ellipsis says that there was more."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def title(case: Case) -> str:
    """The test's name as its runner says it: `TestCart::test_total`."""
    name = case.name if case.name and case.name.strip() else "(a case without a name)"
    module = _module(case)
    if module and case.classname and case.classname.startswith(f"{module}."):
        return "::".join([*case.classname[len(module) + 1 :].split("."), name])
    return name


def place(case: Case) -> str:
    """Where to look for it: file and line, else its class or suite; "" where nothing says."""
    file = case.file or case.suite_file
    if file and file.strip():
        return f"{file}:{case.line}" if case.line is not None else file
    named = case.classname or case.suite or ""
    return "" if named == case.name or not named.strip() else named


def _module(case: Case) -> str | None:
    """What a Python file is called in a classname."""
    file = (case.file or "").replace("\\", "/")
    return file.removesuffix(".py").replace("/", ".") if file.endswith(".py") else None


def figures(test: FlakyTest | None) -> str:
    """`27 % of 211 runs`, as far as it is known; else ""."""
    if test is None or test.failure_rate is None:
        return ""
    of = f" of {count(test.runs, 'run')}" if test.runs is not None else ""
    return percent(test.failure_rate) + of


def cause(test: FlakyTest | None) -> str:
    """`quarantined by rule noisy`, `quarantined by dana: “being rewritten”`."""
    if test is None:
        return ""
    if test.cause is None:
        return str(test.state)
    by = f"rule {test.cause.rule}" if test.cause.rule else test.cause.actor
    said = f": “{test.cause.reason}”" if test.cause.reason and not test.cause.rule else ""
    return f"{test.state} by {by}{said}" if by else f"{test.state}{said}"


def state_age(test: FlakyTest | None, now: float) -> float | None:
    """Seconds since the test has its state, None if that is not known."""
    return None if test is None or test.state_since is None else max(0.0, now - test.state_since)


def since(test: FlakyTest | None, now: float) -> str:
    """`12 Dec`, with the number of days once they are many; "" if not known."""
    age = state_age(test, now)
    if age is None:
        return ""
    long = f" ({count(int(age / DAY), 'day')})" if age >= STALE else ""
    return day(now - age, now) + long


def about_failures(failures: Iterable[Failure], *, keeps_history: bool) -> tuple[Step, ...]:
    """What to do about failures that block, one step for each kind of reason.

    keeps_history: whether this call records the results, so that a pass will tell a flaky test.
    """
    blocked = list(failures)
    reasons = {failure.reason for failure in blocked}
    steps = []
    if "not-flaky" in reasons:
        learns = ": a pass on the same commit records the test as flaky" if keeps_history else ""
        steps.append(Step(text=f"Fix it, or run the job again{learns}."))
    if "active" in reasons:
        tests = [each.test for each in blocked if each.reason == "active" and each.test]
        steps += [_about_active(tests), *map(_why_active, tests[:1])]
    unclear = [each.detail for each in blocked if each.reason == "ambiguous"]
    shared = [detail for detail in unclear if SHARED in detail]
    untold = [detail for detail in unclear if UNTOLD in detail]
    steps += [Step(text=_ABOUT_SHARED_NAMES)] if shared else []
    steps += [Step(text=_ABOUT_REPORTS)] if untold else []
    steps += [Step(text=_ABOUT_SURROUNDINGS)] if len(unclear) > len(shared) + len(untold) else []
    return tuple(steps) + _advice(_ABOUT_FAILURES, reasons)


def _why_active(test: FlakyTest) -> Step:
    command = f"flakegate explain {shlex.quote(_nameable(test))}"
    return Step(
        text="What keeps the policy from quarantining it, and by how much:", command=command
    )


def _about_active(tests: list[FlakyTest]) -> Step:
    again = "Run the job again: what is known to be flaky may pass. To excuse it from now on:"
    named = shlex.join(dict.fromkeys(_nameable(test) for test in tests))
    if len(named) > _LONGEST_COMMAND:
        named = "TEST…"
    return Step(text=again, command=f"flakegate set {named} quarantined --reason …")


def _nameable(test: FlakyTest) -> str:
    """What `flakegate set` takes for this test and a person can read; else its id."""
    return test.fqn if test.fqn.isprintable() and len(test.fqn) <= _LONGEST_COMMAND else test.id


def about_evidence(problems: Iterable[Problem]) -> tuple[Step, ...]:
    """What to do about incomplete evidence, each advice once."""
    return _advice(_ABOUT_EVIDENCE, {problem.problem for problem in problems})


def _advice(about: Mapping[str, str], codes: set[str]) -> tuple[Step, ...]:
    texts = dict.fromkeys(text for code, text in about.items() if code in codes)
    return tuple(Step(text=text) for text in texts)


def located(problem: Problem) -> tuple[str, str]:
    """(where, what) of an evidence problem; where is "" if it is not of one report."""
    report, detail = problem.report or "", problem.detail
    located = re.compile(re.escape(report) + r"(?P<at>(?::\d+){0,2}):?\s+(?P<what>.*)", re.DOTALL)
    found = located.fullmatch(detail) if report else None
    return (report + found["at"], found["what"]) if found else (report, detail)


def excuse(test: FlakyTest | None, max_age: float | None, now: float) -> str:
    """All of it in a line: `quarantined by rule noisy since 21 Nov, until 5 Jan 2027`."""
    began, ends = since(test, now), until(test, max_age, now)
    return cause(test) + (f" since {began}" if began else "") + (f", until {ends}" if ends else "")


def until(test: FlakyTest | None, max_age: float | None, now: float) -> str:
    """The last day on which its state excuses a failure; "" where there is none, or not known."""
    age = state_age(test, now)
    ends = [] if age is None or max_age is None else [now - age + max_age]
    if test and test.cause and test.cause.until is not None:
        ends.append(test.cause.until - 1)
    return day(min(ends), now) if ends and min(ends) <= _LAST_DAY else ""


def sentence(text: str) -> str:
    """With a capital and a period."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if not text or text[-1] in ".!?" else ".")
