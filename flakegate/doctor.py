"""What a report would tell on a bad day: which of its cases the gate could match if they failed.

Every case is taken for one that failed, at its last attempt. So what keeps a failure from being
excused because of how the report is written shows on a day on which all is green.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flakegate.change import place_of
from flakegate.identity import identify
from flakegate.junit import Outcome
from flakegate.matching.frameworks import framework_of
from flakegate.matching.resolve import seek
from flakegate.model import FlakyTest, State
from flakegate.policy.rules import ReportSettings
from flakegate.results import SHARED, UNTOLD, Result, fold
from flakegate.wording import title

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from flakegate.junit import Case, Report

MOST_REASONS = 10  # of one report
_SHARED = (
    "several cases of the report have its names; give each a name of its own, or, if they are"
    " attempts of one test in several reports, say so with reports[].attempts"
)
# What is known of a test that only its report tells of.
_NOBODY = FlakyTest(id="", module="", suite="", name="", state=State.ACTIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What is the matter with some tests, in words with the remedy. example: the name of one."""

    tests: int
    why: str
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What one report would tell. framework: None if it cannot be told.

    tests: how many it has, each with all of its attempts. matchable: how many of them could be
    matched exactly, if they failed. refused: why the others could not; without_file: why it is not
    known which file some are in, so that any change may be to them. Both with the most tests first.
    """

    report: str
    framework: str | None
    guessed: bool
    tests: int
    matchable: int
    refused: tuple[Reason, ...]
    without_file: tuple[Reason, ...]


def diagnose(report: Report, *, by_identity: bool, roots: tuple[str, ...] = ()) -> Diagnosis:
    """What a report would tell a backend. by_identity: see `Backend`. roots: see `Checkout`."""
    wrote = framework_of(report)
    # That it is a guess is told once, and not with each of its reasons.
    sure = replace(report.settings or ReportSettings(paths=""), framework=wrote.framework)
    bad = replace(report, cases=tuple(_all_failing(report)), problems=(), settings=sure)
    folded = fold([bad])
    results = [each for each in folded if each.outcome.failing]
    whys = _refusals(results) if by_identity else _untold(bad, folded, roots)
    refused = [(why, each) for why, each in zip(whys, results, strict=True) if why]
    placed = ((place_of(_NOBODY, each.case, bad).untold, each) for each in results)
    return Diagnosis(
        report=report.path,
        framework=wrote.framework,
        guessed=wrote.guessed,
        tests=len(results),
        matchable=len(results) - len(refused),
        refused=_counted(refused),
        without_file=_counted((why, each) for why, each in placed if why),
    )


def _all_failing(report: Report) -> Iterator[Case]:
    """Its cases, the last of each test failing: what comes before it may be its attempts.

    Those look passed where pytest wrote them, and failed where Gradle did.
    """
    before = Outcome.FAILURE if report.writer == "gradle" else Outcome.PASSED
    names = [identify(case, report.base_dir) for case in report.cases]
    last = {name: at for at, name in enumerate(names)}
    for at, (name, case) in enumerate(zip(names, report.cases, strict=True)):
        failing = case.outcome if case.outcome.failing else Outcome.FAILURE
        yield replace(case, outcome=failing if last[name] == at else before, earlier=())


def _refusals(results: Iterable[Result]) -> list[str | None]:
    return [_in_words(each.ambiguous) for each in results]


def _in_words(why: str | None) -> str | None:
    """Without what stands before it everywhere, and with the remedy where names are shared."""
    return _SHARED if why == SHARED else why and why.removeprefix(f"{UNTOLD}: ")


def _untold(report: Report, results: Sequence[Result], roots: tuple[str, ...]) -> list[str | None]:
    """Why each failing result cannot be matched by what its framework writes; None if it can."""
    whys: list[str | None] = []
    for sought in seek([report], results, roots):
        doubts = [each.doubt for each in sought.candidates]
        why = sought.refusal or (doubts[0] if doubts and None not in doubts else None)
        whys.append(_in_words(why))
    return whys


def _counted(found: Iterable[tuple[str, Result]]) -> tuple[Reason, ...]:
    """By remedy, which stands behind the last semicolon: what comes before names one test."""
    tests: Counter[str] = Counter()
    first: dict[str, tuple[str, Result]] = {}
    for why, result in found:
        remedy = why.rpartition("; ")[2]
        tests[remedy] += 1
        first.setdefault(remedy, (why, result))
    return tuple(
        Reason(tests=many, why=first[remedy][0], example=title(first[remedy][1].case))
        for remedy, many in tests.most_common(MOST_REASONS)
    )
