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

# Failures in a row are a regression if a test that fails as often as this one does otherwise in
# the same leg would show a row of their length in fewer than one of twenty weeks. Two in a row
# prove nothing. Other legs are left aside: most likely they have the same regression, and the
# failures of each would make those of the others look usual.
CHANCE = 0.05
SHORTEST = 3

# Where much is flaky, much fails together every day: it is an outage only beside what is usual.
UNUSUAL = 2.0


class Run(NamedTuple):
    """A run of the week. counted: by the failure rate. crowded: unusually many tests failed."""

    id: int
    leg: str
    pipeline: str
    manifest: int
    counted: bool
    crowded: bool


@dataclass(slots=True)
class Leg:
    """The runs of one leg, oldest first, and the place of each by its id."""

    runs: list[Run] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)

    def add(self, run: Run) -> None:
        """The next one."""
        self.places[run.id] = len(self.runs)
        self.runs.append(run)


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
    legs = _legs(week)
    found = {}
    for row, failed in _failed(connection, repository, now).items():
        if row not in tests:
            continue
        number, test = tests[row]
        regression = _regressions(legs, failed, _ran(bits, number))
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
    legs: Mapping[str, Leg], failed: Sequence[Failed], ran: Callable[[Run], bool]
) -> set[int]:
    """The runs (ids) of all rows of failures that are a regression. ran: as in `in_a_row`."""
    found: set[int] = set()
    for leg in legs.values():
        here = [each for each in failed if each.run in leg.places]
        rows = [row for row in in_a_row(leg, here, ran) if len(row) >= SHORTEST]
        runs = sum(map(ran, leg.runs)) if rows else 0
        for row in rows:
            if is_regression(len(row), failures=len(here), runs=runs):
                found.update(row)
    return found


def in_a_row(leg: Leg, failed: Iterable[Failed], ran: Callable[[Run], bool]) -> Iterator[list[int]]:
    """The runs (ids) of this leg in which the test failed one after the other, row by row.

    failed: those of this leg in which it did. ran: whether the test did in a run. A run in which it
    did not neither makes a row longer nor ends it; one in which it passed, if only on a retry, ends
    it.
    """
    row: list[int] = []
    before = 0
    for place in sorted(leg.places[each.run] for each in failed if not each.passed):
        if row and any(map(ran, leg.runs[before + 1 : place])):
            yield row
            row = []
        row.append(leg.runs[place].id)
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


def _legs(week: Iterable[Run]) -> dict[str, Leg]:
    """The counted runs of each leg, without those that an outage filled with failures."""
    legs: dict[str, Leg] = defaultdict(Leg)
    for run in week:
        if run.counted and not run.crowded:
            legs[run.leg].add(run)
    return legs


def _week(
    connection: Connection, repository: int | None, now: float, counts: ColumnElement[bool]
) -> list[Run]:
    """Oldest first."""
    query = (
        select(
            runs.c.id, runs.c.leg, runs.c.pipeline, runs.c.manifest,
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
