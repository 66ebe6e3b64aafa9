"""The figures of the last 7 days, with the meaning of Datadog's fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import case, distinct, func, select, true

from flakegate.backends.store import bitmap
from flakegate.backends.store.detection import WINDOW
from flakegate.backends.store.schema import flaky, latest, manifests, nonpass, runs, tests
from flakegate.model import History

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Connection

    from flakegate.backends.store.schema import AnyRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One test's last 7 days.

    runs, failures: recorded runs in which it ran, and in which an attempt of it failed, of the
    runs that the failure rate counts. failure_rate: percent; None where it did not run.
    failed_pipelines: CI runs with a failure of it, on any branch.
    """

    runs: int
    failures: int
    failure_rate: float | None
    failed_pipelines: int


class Week:
    """The 7 days before `now` (seconds since the epoch) in one repository. Outages are left out.

    rate_from: "default_branch" (and the merge queue before it) or "all".
    """

    def __init__(
        self, connection: Connection, repository: int | None, *, now: float, rate_from: str
    ) -> None:
        counts = counted(rate_from)
        self._ran = bitmap.Count(_manifests(connection, repository, now, counts))
        self._failed = _failures(connection, repository, now, counts)

    def ran(self, number: int) -> int:
        """In how many counted runs the test with this place in the bitmaps ran."""
        return self._ran[number]

    def of(self, test: int, number: int) -> Figures:
        """test: its row; number: its place in the bitmaps."""
        ran = self.ran(number)
        failures, pipelines = self._failed.get(test, (0, 0))
        return Figures(
            runs=ran,
            failures=failures,
            failure_rate=rate(failures, ran),
            failed_pipelines=pipelines,
        )


def counted(rate_from: str) -> ColumnElement[bool]:
    """Which runs the failure rate counts: those of the default branch and its queue, or all."""
    return runs.c.is_default if rate_from == "default_branch" else true()


def history(connection: Connection, row: AnyRow, *, now: float, rate_from: str) -> History:
    """What is recorded of one test (a row of `tests`), flaky or not."""
    week = Week(connection, row.repository, now=now, rate_from=rate_from)
    failures = (
        select(func.count())
        .select_from(nonpass)
        .join(runs, runs.c.id == nonpass.c.run)
        .where(nonpass.c.test == row.id, ~runs.c.infra)
    )
    last = connection.execute(select(latest).where(latest.c.test == row.id)).first()
    return History(
        runs=week.ran(row.number),
        failures=connection.execute(failures).scalar_one(),
        failed_at=last.at if last else None,
        failed_on=last.branch if last else None,
    )


def suite_size(connection: Connection, repository: int | None, *, now: float) -> int:
    """How many tests ran on the default branch within 7 days; if none, how many are known."""
    recent = _manifests(connection, repository, now, runs.c.is_default)
    if recent:
        return bitmap.size(bits for bits, _ in recent)
    known = select(func.count()).select_from(tests).where(tests.c.repository == repository)
    return connection.execute(known).scalar_one()


def within(repository: int | None, now: float) -> ColumnElement[bool]:
    """The runs that the figures are made from, on any branch."""
    return (
        (runs.c.repository == repository)
        & (runs.c.at > now - WINDOW)
        & (runs.c.at <= now)
        & ~runs.c.infra
        & ~runs.c.fork  # what a fork claims must never be the cause of a quarantine
    )


def rate(failures: int, ran: int) -> float | None:
    """Percent; None of no run at all."""
    return 100 * failures / ran if ran else None


def _manifests(
    connection: Connection, repository: int | None, now: float, counted: ColumnElement[bool]
) -> list[tuple[bytes, int]]:
    """The bitmaps of the counted runs, each with the number of runs that share it."""
    shared = (
        select(runs.c.manifest, func.count().label("times"))
        .where(within(repository, now), counted)
        .group_by(runs.c.manifest)
        .subquery()
    )
    found = select(manifests.c.bits, shared.c.times).join(
        shared, shared.c.manifest == manifests.c.id
    )
    return [(bitmap.expand(bits), times) for bits, times in connection.execute(found)]


def _failures(
    connection: Connection, repository: int | None, now: float, counted: ColumnElement[bool]
) -> Mapping[int, tuple[int, int]]:
    """Of each flaky test that failed: counted runs in which it did, and pipelines of any branch."""
    found = (
        select(
            nonpass.c.test,
            # Summing the comparison itself came back wrong from SQLAlchemy.
            func.sum(case((counted, 1), else_=0)),
            func.count(distinct(runs.c.pipeline)),
        )
        .join(runs, runs.c.id == nonpass.c.run)
        .join(flaky, flaky.c.test == nonpass.c.test)
        .where(within(repository, now))
        .group_by(nonpass.c.test)
    )
    return {test: (failures, pipelines) for test, failures, pipelines in connection.execute(found)}
