"""The figures of the week without what a regression or an outage added to them.

A regression that was mended leaves failures behind that look like a rate, and so does a service
that was down for an hour, in all tests that need it. The figures count both, since they must agree
with what anybody counts; but a test may leave the gate only for what is left without them.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from flakegate.backends.store import bitmap
from flakegate.backends.store.detection import is_crowded
from flakegate.backends.store.figures import counted, rate, within
from flakegate.backends.store.schema import flaky, manifests, nonpass, runs
from flakegate.model import Steady

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from flakegate.model import FlakyTest

# Failures in a row are a regression if a test that fails as often as this one does otherwise would
# show a row of their length in fewer than one of twenty weeks. Two in a row prove nothing. Asked is
# each leg by itself, since in a matrix the failures of each leg would make those of the others look
# usual; and the commits, since a test can be in another shard every time.
CHANCE = 0.05
SHORTEST = 3

# Where much is flaky, much fails together every day: it is an outage only beside what is usual.
UNUSUAL = 2.0


class Run(NamedTuple):
    """A run of the week. counted: by the failure rate. crowded: unusually many tests failed.

    branch: what is not merged yet; "" for the default branch and its queue.
    """

    id: int
    leg: str
    branch: str
    commit: str | None
    pipeline: str
    manifest: int
    counted: bool
    crowded: bool


@dataclass(slots=True)
class Line:
    """What came one after the other, oldest first: the runs of a leg, or commits with theirs.

    places: of each run, by its id.
    """

    steps: list[list[Run]] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)

    def add(self, run: Run, place: int | None = None) -> int:
        """As the next step, or as part of an earlier one; where it is."""
        if place is None:
            place = len(self.steps)
            self.steps.append([])
        self.steps[place].append(run)
        self.places[run.id] = place
        return place


class Failed(NamedTuple):
    """A run in which one test failed. passed: it passed in it as well, on a retry."""

    run: int
    passed: bool


def steady(
    connection: Connection,
    repository: int | None,
    tests: Mapping[int, tuple[int, FlakyTest]],
    *,
    now: float,
    rate_from: str,
) -> dict[int, Steady]:
    """Of these flaky tests (by row; each with its place in the bitmaps), FlakyTest.steady.

    now: seconds since the epoch. rate_from: which runs the failure rate counts, see Week.
    """
    week = _week(connection, repository, now, counted(rate_from))
    bits = _bits(connection, repository, now)
    by_id = {run.id: run for run in week}
    lines = _lines(week)
    found = {}
    for row, failed in _failed(connection, repository, now).items():
        if row not in tests:
            continue
        number, test = tests[row]
        regression = _regressions(lines, failed, _ran(bits, number))
        outage = {each.run for each in failed if by_id[each.run].crowded}
        if regression or outage:
            found[row] = _without(test, [by_id[each.run] for each in failed], regression, outage)
    return found


def is_regression(length: int, *, failures: int, runs: int) -> bool:
    """Whether so many failures in a row, of all these in all these runs, are more than chance.

    The rate outside of the row is smoothed, because a few passes do not make it zero.
    """
    if length < SHORTEST:
        return False
    otherwise = (failures - length + 1) / (runs - length + 2)
    return runs * otherwise**length < CHANCE


def _regressions(
    lines: Iterable[Line], failed: Sequence[Failed], ran: Callable[[Run], bool]
) -> set[int]:
    """The runs (ids) of all rows of failures that are a regression. ran: as in `in_a_row`."""
    found: set[int] = set()
    for line in lines:
        here = {each.run for each in failed if each.run in line.places}
        broke = {each.run for each in failed if not each.passed} & here
        rows = [row for row in in_a_row(line, broke, ran) if len(row) >= SHORTEST]
        if not rows:
            continue
        failures = len({line.places[run] for run in here})
        runs = sum(any(map(ran, step)) for step in line.steps)
        for row in rows:
            if is_regression(len(row), failures=failures, runs=runs):
                found.update(run.id for step in row for run in step if run.id in broke)
    return found


def in_a_row(
    line: Line, broke: Collection[int], ran: Callable[[Run], bool]
) -> Iterator[list[list[Run]]]:
    """The steps of the line in which the test failed one after the other, row by row.

    broke: the runs (ids) of the line in which it failed, and did not pass on a retry. ran: whether
    it did in a run. A step in which it did not neither makes a row longer nor ends it; one in which
    it passed, if only in one of its runs, ends it.
    """
    row: list[list[Run]] = []
    before = 0
    for place in sorted({line.places[run] for run in broke}):
        since = (run for step in line.steps[before + 1 : place] for run in step)
        if row and any(map(ran, since)):
            yield row
            row = []
        step = line.steps[place]
        if any(run.id not in broke and ran(run) for run in step):
            if row:
                yield row
            row = []
        else:
            row.append(step)
        before = place
    if row:
        yield row


def _ran(bits: Mapping[int, int], number: int) -> Callable[[Run], bool]:
    return lambda run: bool(bits[run.manifest] >> number & 1)


def _without(
    test: FlakyTest, failed: Sequence[Run], regression: Collection[int], outage: Collection[int]
) -> Steady:
    aside = {*regression, *outage}
    fewer = sum(run.counted for run in failed if run.id in aside)
    failures, ran = (test.failures or 0) - fewer, (test.runs or 0) - fewer
    return Steady(
        runs=ran,
        failures=failures,
        failure_rate=rate(failures, ran),
        failed_pipelines=len({run.pipeline for run in failed if run.id not in aside}),
        in_a_row=len(regression),
        together=len(outage),
    )


def _lines(week: Iterable[Run]) -> list[Line]:
    """The counted runs leg by leg, and commit by commit, without those that an outage filled.

    Where branches count as well they are put one after the other once more: what is broken on one
    of them passes meanwhile on the others.
    """
    runs = [run for run in week if run.counted and not run.crowded]
    if not any(run.branch for run in runs):
        return _in_this_order(runs)
    by_branch = sorted(runs, key=lambda run: run.branch)
    return [*_in_this_order(runs), *_in_this_order(by_branch)]


def _in_this_order(runs: Iterable[Run]) -> list[Line]:
    legs: dict[str, Line] = defaultdict(Line)
    commits = Line()
    places: dict[str, int] = {}
    for run in runs:
        legs[run.leg].add(run)
        name = run.commit or f"of run {run.id}"
        places[name] = commits.add(run, places.get(name))
    return [*legs.values(), commits]


def _week(
    connection: Connection, repository: int | None, now: float, counts: ColumnElement[bool]
) -> list[Run]:
    """Oldest first."""
    query = (
        select(
            runs.c.id, runs.c.leg, runs.c.branch, runs.c.is_default, runs.c.commit_sha,
            runs.c.pipeline, runs.c.manifest,
            counts.label("counted"), runs.c.n_failed, runs.c.n_total,
        )
        .where(within(repository, now))
        .order_by(runs.c.at, runs.c.id)
    )  # fmt: skip
    rows = connection.execute(query).all()
    usual = statistics.median_low([row.n_failed for row in rows]) if rows else 0
    return [
        Run(
            id=row.id,
            leg=row.leg,
            branch="" if row.is_default else row.branch or "",
            commit=row.commit_sha,
            pipeline=row.pipeline,
            manifest=row.manifest,
            counted=bool(row.counted),
            crowded=is_crowded(row.n_failed, row.n_total) and row.n_failed > UNUSUAL * usual,
        )
        for row in rows
    ]


def _failed(
    connection: Connection, repository: int | None, now: float
) -> Mapping[int, list[Failed]]:
    """The failures of the week, by flaky test."""
    query = (
        select(nonpass.c.test, nonpass.c.run, nonpass.c.attempts)
        .join(runs, runs.c.id == nonpass.c.run)
        .join(flaky, flaky.c.test == nonpass.c.test)
        .where(within(repository, now))
    )
    found: dict[int, list[Failed]] = defaultdict(list)
    for test, run, attempts in connection.execute(query):
        found[test].append(Failed(run=run, passed="p" in attempts))
    return found


def _bits(connection: Connection, repository: int | None, now: float) -> dict[int, int]:
    """The manifests of the week, each as one number whose bits are the tests that ran."""
    used = select(runs.c.manifest).where(within(repository, now))
    query = select(manifests.c.id, manifests.c.bits).where(manifests.c.id.in_(used))
    return {
        row.id: int.from_bytes(bitmap.expand(row.bits), "little")
        for row in connection.execute(query)
    }
