"""A store without what is too old, and as small as what is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from flakegate.backends.store.retention import drop
from flakegate.backends.store.schema import nonpass, runs, tests
from flakegate.errors import BackendError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from flakegate.backends.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many of each. failures: of a test in a run."""

    runs: int
    failures: int
    tests: int


def vacuum(database: Database, *, now: float, keep: float) -> Counts:
    """Drops the runs that are older than `keep` (seconds), and makes the file smaller.

    now: seconds since the epoch. Raises BackendError, which says how far it came: each of the two
    is done whole or not at all.
    """
    with database.writing() as connection:
        left = _dropped(connection, now=now, keep=keep)
    try:
        database.compact()
    except BackendError as error:
        done = f"{left.runs:,} old runs have left; the file is as large as before"
        raise BackendError(f"{error.message} ({done})", tip=error.tip) from error
    return left


def rehearse(database: Database, *, now: float, keep: float) -> Counts:
    """What `vacuum` would drop, found out on a copy."""
    with database.trying() as connection:
        return _dropped(connection, now=now, keep=keep)


def _dropped(connection: Connection, *, now: float, keep: float) -> Counts:
    before = _held(connection)
    drop(connection, now=now, keep=keep)
    after = _held(connection)
    return Counts(
        runs=before.runs - after.runs,
        failures=before.failures - after.failures,
        tests=before.tests - after.tests,
    )


def _held(connection: Connection) -> Counts:
    def count(table: Table) -> int:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()

    return Counts(runs=count(runs), failures=count(nonpass), tests=count(tests))
