"""Failing results ↔ flaky tests: for each exactly one, none, or a refusal in words.

First `seek` says what each failing result can be; a backend is asked for the flaky tests of those
suites; then `resolve` says which of them each is. Nothing is guessed: a result that could be two
tests, or a test that could be two results of its report, is refused.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flakegate.matching import by_hand
from flakegate.matching.candidate import Checkout, Reading, compare
from flakegate.matching.frameworks import READ, framework_of
from flakegate.reading.needed import in_common
from flakegate.results import SHARED, UNTOLD, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from flakegate.junit import Case, Report
    from flakegate.matching.candidate import Candidate
    from flakegate.model import FlakyTest

    _Names = tuple[str | None, str | None, str]

MAX_NAME = 1_000  # characters of a module, suite or name that a backend is asked about
_UNKNOWN = (
    "its report does not show what wrote it; say so with reports[].framework in the policy"
    " (pytest, jest, mocha, vitest, java or go)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What a failing result can be. at: its place in the results. refusal: why it cannot be told.

    Even where it is refused, `candidates` say what it can be.
    """

    at: int
    candidates: tuple[Candidate, ...] = ()
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """results: as given, those that cannot be told now `ambiguous`. known: the flaky ones."""

    results: tuple[Result, ...]
    known: dict[Result, FlakyTest]


def seek(
    reports: Sequence[Report], results: Sequence[Result], roots: tuple[str, ...] = ()
) -> tuple[Sought, ...]:
    """What each failing result can be, in their order.

    results: `fold(reports)`. roots: see `Checkout`.
    """
    by_path = {report.path: report for report in reports}
    groups: dict[str, list[int]] = defaultdict(list)
    for at, each in enumerate(results):
        groups[by_path[each.report].attempts_of or each.report].append(at)
    sought: list[Sought] = []
    for group in groups.values():
        failing = [at for at in group if results[at].outcome.failing]
        if failing:
            alike = _alike(results, group, failing, by_path)
            readings = _readings(results, alike, by_path, roots)
            holders = _holders(readings)
            sought += [_sought(at, results[at], readings.get(at), holders) for at in failing]
    return tuple(sorted(sought, key=lambda each: each.at))


def _alike(
    results: Sequence[Result],
    group: Sequence[int],
    failing: Sequence[int],
    by_path: Mapping[str, Report],
) -> Sequence[int]:
    """Where the results are that may be the same test as a failing one, and the failing ones."""
    settings = [by_path[path].settings for path in {results[at].report for at in failing}]
    if any(each is not None and each.by_hand for each in settings):
        return group  # a map by hand may leave out or add whatever it likes
    names = {in_common(results[at].case.name) for at in failing}
    return [at for at in group if in_common(results[at].case.name) in names]


def _readings(
    results: Sequence[Result],
    alike: Sequence[int],
    by_path: Mapping[str, Report],
    roots: tuple[str, ...],
) -> dict[int, Reading]:
    """What the results at these places can be; without those of reports of unknown frameworks."""
    readers = {path: _reader(by_path[path], roots) for path in {results[at].report for at in alike}}
    return {at: reader(results[at].case) for at in alike if (reader := readers[results[at].report])}


def _reader(report: Report, roots: tuple[str, ...]) -> Callable[[Case], Reading] | None:
    """How the cases of a report are read; None where its framework cannot be told."""
    checkout = Checkout(base_dir=report.base_dir, roots=roots)
    settings, wrote = report.settings, framework_of(report)
    if settings is not None and settings.by_hand:
        return lambda case: by_hand.read(case, settings, checkout)
    if wrote.framework is None:
        return None
    read = READ[wrote.framework]
    if not wrote.guessed:
        return lambda case: read(case, checkout)
    guess = f" (the report looks like {wrote.framework}'s; if it is not, set reports[].framework)"
    return lambda case: _noted(read(case, checkout), guess)


def _noted(reading: Reading, note: str) -> Reading:
    """The reading, with a note behind all that it cannot say."""
    return Reading(
        candidates=tuple(
            replace(each, doubt=each.doubt + note) if each.doubt else each
            for each in reading.candidates
        ),
        refusal=reading.refusal and reading.refusal + note,
    )


def _holders(readings: Mapping[int, Reading]) -> Counter[_Names]:
    """How many results can be the test of these names."""
    return Counter(
        names for reading in readings.values() for names in set(map(_names, reading.candidates))
    )


def _names(candidate: Candidate) -> _Names:
    return candidate.module, candidate.suite, candidate.name


def _sought(at: int, result: Result, reading: Reading | None, holders: Counter[_Names]) -> Sought:
    if result.ambiguous is not None and result.ambiguous != SHARED:
        return Sought(at=at, refusal=result.ambiguous)
    if reading is None:
        return Sought(at=at, refusal=f"{UNTOLD}: {_UNKNOWN}")
    refusal = reading.refusal and f"{UNTOLD}: {reading.refusal}"
    if any(holders[_names(each)] > 1 for each in reading.candidates):
        refusal = SHARED
    elif any(len(part or "") > MAX_NAME for each in reading.candidates for part in _names(each)):
        refusal = f"{UNTOLD}: its names have more than {MAX_NAME:,} characters"
    return Sought(at=at, candidates=reading.candidates, refusal=refusal)


def resolve(
    results: Sequence[Result], sought: Iterable[Sought], tests: Iterable[FlakyTest]
) -> Matches:
    """Which of the flaky tests each failing result is.

    sought: `seek(…, results)`. tests: at least every flaky test in one of their suites.
    """
    pool = _Pool(tests)
    resolved = list(results)
    known: dict[Result, FlakyTest] = {}
    for each in sought:
        test, refusal = (None, each.refusal) if each.refusal else _which(each.candidates, pool)
        resolved[each.at] = replace(results[each.at], ambiguous=refusal)
        if test is not None:
            known[resolved[each.at]] = test
    return Matches(results=tuple(resolved), known=known)


class _Pool:
    """Flaky tests, found by their names as reporters spell them."""

    def __init__(self, tests: Iterable[FlakyTest]) -> None:
        self._tests = {test.id: test for test in tests}
        self._spelled: dict[Callable[[str], str], dict[str, list[FlakyTest]]] = {}

    def named(self, candidate: Candidate) -> list[FlakyTest]:
        """Those whose name is spelled as that of the candidate."""
        spelled = candidate.spelled
        if spelled not in self._spelled:
            by_name: dict[str, list[FlakyTest]] = defaultdict(list)
            for test in self._tests.values():
                by_name[spelled(test.name)].append(test)
            self._spelled[spelled] = by_name
        return self._spelled[spelled].get(candidate.name, [])


def _which(candidates: Iterable[Candidate], pool: _Pool) -> tuple[FlakyTest | None, str | None]:
    """The one flaky test that this is, if it is one, and why that cannot be told."""
    same: dict[str, FlakyTest] = {}
    for candidate in candidates:
        for test in pool.named(candidate):
            agreement = compare(candidate, test)
            if isinstance(agreement, str):
                return None, f"{UNTOLD}: {agreement}"
            if agreement:
                same[test.id] = test
    if len(same) > 1:
        names = ", ".join(sorted(same))
        return None, f"{UNTOLD}: {len(same)} have its names and file: {names}"
    return next(iter(same.values()), None), None
