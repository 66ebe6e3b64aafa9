"""Cases, reports and flaky tests for the tests of matching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flakegate.junit import Case, Outcome, Report
from flakegate.matching.candidate import Candidate, Checkout
from flakegate.matching.resolve import Matches, resolve, seek
from flakegate.model import FlakyTest, State
from flakegate.results import Result, fold

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flakegate.matching.candidate import Reading
    from flakegate.policy.rules import ReportSettings

ROOTS = ("/srv/checkout",)
HERE = Checkout(base_dir="", roots=ROOTS)
BELOW = Checkout(base_dir="packages/c", roots=ROOTS)


def case(name: str | None, outcome: Outcome = Outcome.FAILURE, **changes: Any) -> Case:
    """A case with this name and these attributes, and nothing else."""
    attributes: dict[str, Any] = {
        "suite": "s",
        "classname": None,
        "file": None,
        "suite_file": None,
        "line": None,
        "duration": None,
        "message": None,
        "earlier": (),
    }
    return Case(name=name, outcome=outcome, **attributes | changes)


def report(
    *cases: Case,
    settings: ReportSettings | None = None,
    base_dir: str = "",
    path: str = "r.xml",
    title: str | None = None,
    attempts_of: str | None = None,
) -> Report:
    """A report of these cases."""
    return Report(
        path=path,
        base_dir=base_dir,
        attempts_of=attempts_of,
        cases=cases,
        problems=(),
        title=title,
        settings=settings,
    )


def flaky(module: str, suite: str, name: str, source_file: str | None) -> FlakyTest:
    """A flaky test; its id is made of all that tells it from another."""
    return FlakyTest(
        id=repr((module, suite, name, source_file)),
        module=module,
        suite=suite,
        name=name,
        source_file=source_file,
        state=State.QUARANTINED,
    )


def match(reports: Iterable[Report], tests: Iterable[FlakyTest]) -> Matches:
    """All the way."""
    together = tuple(reports)
    results = fold(together)
    return resolve(results, seek(together, results, ROOTS), tests)


def found(reports: Iterable[Report], tests: Iterable[FlakyTest]) -> list[FlakyTest | str | None]:
    """What each failing result is, in their order: a test, nothing, or why it cannot be told."""
    matches = match(reports, tests)
    return [
        matches.known.get(each, each.ambiguous) for each in matches.results if each.outcome.failing
    ]


def own(result: Result) -> object:
    """What tells a result's case from the others of a model: its line."""
    return result.case.line


def names(reading: Reading) -> list[tuple[str | None, str | None, str]]:
    """Module, suite and name of every test that a case is for sure, if it is a flaky one."""
    assert reading.refusal is None, reading.refusal
    return [_names(each) for each in reading.candidates if not each.doubt]


def _names(candidate: Candidate) -> tuple[str | None, str | None, str]:
    return candidate.module, candidate.suite, candidate.name
