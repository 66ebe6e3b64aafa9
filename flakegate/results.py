"""From the cases of reports to one result for each test: attempts merge only where it is proven.

What proves that cases of one test are attempts of it, the last of which counts:

- rerun elements within the case (read in `junit.py`);
- in a report that pytest wrote: cases that look passed, then a failure of the same test.
  pytest-rerunfailures leaves out why an attempt failed. Two such cases without a failure after
  them may also be a test that was asked for twice, and a pass after a failure it never writes;
- in a report that Gradle wrote: failures, then one more of the same class and plain method. Other
  names there may be display names, which several tests can share;
- reports declared as attempts of one another in the policy.

In a report of pytest a failure and an error "failed on teardown" are the two ends of one test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flakegate.identity import identify, refusal
from flakegate.junit import Case, Outcome, Report
from flakegate.reading.needed import GROUPED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flakegate.model import Identity

_TEARDOWN = ('failed on teardown with "', "test teardown failure")
_PLAIN_METHOD = re.compile(r"(?!\d)[\w$]+(?:\(\))?")
_DIGITS = re.compile(r"([0-9]+)")
SHARED = "several cases of the report have its names, and at least one of them failed"
UNTOLD = "which flaky test it is cannot be told"  # because of how the report was written


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One test's result in one report, or in reports that are declared attempts.

    report: the path of the report that `case` came from. case: the decisive one: the last attempt,
    or the call's failure where its teardown failed as well; the teardown's error is then in
    `also`. earlier: proven attempts before, oldest first. ambiguous: why the test cannot be told
    from others, in words; None if it can.
    """

    identity: Identity
    report: str
    case: Case
    outcome: Outcome
    earlier: tuple[Outcome, ...] = ()
    also: tuple[Case, ...] = ()
    ambiguous: str | None = None

    @property
    def flaky(self) -> bool:
        """It failed and then passed in the same run."""
        return self.outcome is Outcome.PASSED and any(one.failing for one in self.earlier)


def fold(reports: Sequence[Report]) -> tuple[Result, ...]:
    """The results of all reports, in their order; declared attempts stand where their first does.

    The same test in different reports stays two results, unless these are declared attempts.
    """
    declared: dict[str, list[Report]] = {}
    for report in reports:
        if report.attempts_of is not None:
            declared.setdefault(report.attempts_of, []).append(report)
    results: list[Result] = []
    for report in reports:
        if report.attempts_of is None:
            results += _one_report(report)
        elif attempts := declared.pop(report.attempts_of, None):
            in_order = sorted(attempts, key=lambda each: _by_name(each.path))
            results += _declared([result for each in in_order for result in _one_report(each)])
    return tuple(results)


def _one_report(report: Report) -> list[Result]:
    tests: dict[Identity, Result] = {}
    repeated: dict[Identity, list[Result]] = {}  # few, so that most tests need no list
    for case in report.cases:
        result = Result(
            identity=identify(case, report.base_dir),
            report=report.path,
            case=case,
            outcome=case.outcome,
            earlier=case.earlier,
            ambiguous=refusal(case, report.writer),
        )
        if (first := tests.setdefault(result.identity, result)) is not result:
            repeated.setdefault(result.identity, [first]).append(result)
    results: list[Result] = []
    for identity, result in tests.items():
        if same := repeated.get(identity):
            results += _same_test(same, report.writer)
        else:
            results.append(result)
    return _without_groups(results)


def _same_test(same: list[Result], writer: str | None) -> list[Result]:
    """One result if these are proven attempts; else what they were, ambiguous if one failed."""
    if not any(each.outcome.failing for each in same):
        return same
    if not any(each.ambiguous for each in same):
        if (merged := _call_and_teardown(same, writer)) is not None:
            return [merged]
        if writer == "gradle" and (merged := _gradle(same)) is not None:
            return [merged]
    return [replace(each, ambiguous=each.ambiguous or SHARED) for each in same]


def _call_and_teardown(same: list[Result], writer: str | None) -> Result | None:
    *before, last = same
    also: tuple[Case, ...] = ()
    if before and before[-1].outcome is Outcome.FAILURE and _is_teardown(last.case):
        also = (last.case,)
        last = before.pop()
    looked_passed = all(each.outcome is Outcome.PASSED and not each.earlier for each in before)
    if last.outcome.failing and looked_passed and (writer == "pytest" or not before):
        return replace(last, earlier=(Outcome.FAILURE,) * len(before) + last.earlier, also=also)
    return None


def _is_teardown(case: Case) -> bool:
    return case.outcome is Outcome.ERROR and (case.message or "").startswith(_TEARDOWN)


def _gradle(same: list[Result]) -> Result | None:
    *before, last = same
    plain = _PLAIN_METHOD.fullmatch(last.identity.name)
    if plain and last.outcome is not Outcome.SKIPPED and all(one.outcome.failing for one in before):
        return replace(last, earlier=tuple(one.outcome for one in before))
    return None


def _without_groups(results: list[Result]) -> list[Result]:
    """Refuses failures that bear the name of a group of tests: vitest reports hooks so."""
    failing = {each.identity.name for each in results if each.outcome.failing}
    if not failing:
        return results
    groups = {
        (each.case.classname, name[: at.start()])
        for each in results
        if " > " in (name := each.identity.name)
        for at in GROUPED.finditer(name)
    }
    return [
        replace(each, ambiguous=each.ambiguous or "a hook of a group of tests failed, not one test")
        if each.outcome.failing and (each.case.classname, each.identity.name) in groups
        else each
        for each in results
    ]


def _declared(results: Iterable[Result]) -> list[Result]:
    """Merges the results of declared attempts, given in the order of the attempts."""
    tests: dict[Identity, list[Result]] = {}
    for result in results:
        tests.setdefault(result.identity, []).append(result)
    merged: list[Result] = []
    for same in tests.values():
        if any(each.ambiguous for each in same):
            merged += same
        elif len({each.report for each in same}) < len(same):
            # Declared are the files: what stands twice in one of them is still two things.
            failing = any(each.outcome.failing for each in same)
            merged += [replace(each, ambiguous=SHARED) for each in same] if failing else same
        else:
            merged.append(_last(same))
    return merged


def _last(attempts: list[Result]) -> Result:
    """The last attempt that ran: a runner that retries what failed reports the rest as skipped."""
    ran = [each for each in attempts if each.outcome is not Outcome.SKIPPED] or attempts[-1:]
    *before, last = ran
    outcomes = (outcome for each in before for outcome in (*each.earlier, each.outcome))
    return replace(last, earlier=(*outcomes, *last.earlier))


def _by_name(path: str) -> list[tuple[int, str]]:
    """Sorts `attempt-10` after `attempt-9`, and `unit-2.xml` after `unit.xml`."""
    stem, _, ending = path.rpartition(".")
    return [
        (int(part), "") if number % 2 else (0, part)
        for number, part in enumerate(_DIGITS.split(path if "/" in ending else stem or path))
    ]
