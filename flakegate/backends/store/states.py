"""The states of flaky tests, and the log of how they came about."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, not_, select

from flakegate.attribution import state_before
from flakegate.backends.store.schema import flaky, new_row, nonpass, runs, state_log, tests
from flakegate.model import DETECTION, EXPIRY, State, StateCause

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from flakegate.backends.store.schema import AnyRow

_EXCUSING = frozenset({State.QUARANTINED.value, State.DISABLED.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One move of one test. test: its row. from_state: None if it was not flaky.

    pipeline: the CI run that makes the change, None if there is none; of a detection, the one whose
    results were recorded. until: when what a person chose is over; None if it has no end.
    """

    test: int
    from_state: State | None
    to_state: State
    at: float
    rule: str | None
    actor: str | None
    reason: str
    pipeline: str | None
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A test's state, and why. since: when it came to it; a later change may have prolonged it."""

    state: State
    since: float
    cause: StateCause


def change(connection: Connection, change: Change) -> None:
    """Writes the log, and makes the test flaky where it was not."""
    newest = connection.execute(select(func.max(runs.c.id))).scalar_one()
    logged = {
        "test": change.test,
        "from_state": change.from_state and change.from_state.value,
        "to_state": change.to_state.value,
        "at": change.at,
        "rule": change.rule,
        "actor": change.actor,
        "reason": change.reason,
        "pipeline": change.pipeline,
        "last_run": newest or 0,
        "until": change.until,
    }
    entry = new_row(connection, state_log, logged)
    values = {"state": change.to_state.value, "entry": entry}
    if change.from_state is None:
        connection.execute(flaky.insert().values(test=change.test, **values))
    else:
        connection.execute(flaky.update().where(flaky.c.test == change.test).values(**values))


def recent_changes(connection: Connection, repository: int | None, *, since: float) -> int:
    """How often rules moved a test into quarantined or disabled after `since`."""
    counted = (
        select(func.count())
        .select_from(state_log)
        .join(tests, tests.c.id == state_log.c.test)
        .where(tests.c.repository == repository, state_log.c.at > since)
        .where(not_(state_log.c.rule.is_(None)), state_log.c.to_state.in_(_EXCUSING))
    )
    return connection.execute(counted).scalar_one()


def standings(connection: Connection, where: Collection[int]) -> dict[int, Standing]:
    """How these tests (rows) stand. Absent: not flaky."""
    found = (
        select(flaky.c.test, *_ENTRY)
        .join(state_log, state_log.c.id == flaky.c.entry)
        .where(flaky.c.test.in_(list(where)))
    )
    rows = {row.test: [row] for row in connection.execute(found)}
    # Only these need to know what came before.
    later = [
        test
        for test, (row,) in rows.items()
        if row.until is not None or row.from_state == row.to_state
    ]
    rows |= histories(connection, later)
    return {test: _standing(entries) for test, entries in rows.items()}


def seen_by(
    connection: Connection, standing: dict[int, Standing], pipeline: str
) -> dict[int, Standing]:
    """How these tests stand for a job of this CI run, which must not excuse itself.

    What a rule set aside after this CI run (any job, any attempt of it) had recorded a failure of
    the test, or the pass that showed it to be flaky, may rest on that very record: it does not
    count, and the state before it does. What people did counts, and so does what ends an excuse.
    What went back to quarantined when a person's date was over counts like a rule's: it may rest
    on one.
    """
    failed = (
        select(nonpass.c.test, func.min(nonpass.c.run))
        .join(runs, runs.c.id == nonpass.c.run)
        .where(nonpass.c.test.in_(list(standing)), runs.c.pipeline == pipeline)
        .group_by(nonpass.c.test)
    )
    showed = (
        select(state_log.c.test, func.min(state_log.c.last_run))
        .where(state_log.c.test.in_(list(standing)), state_log.c.pipeline == pipeline)
        .where(state_log.c.actor == DETECTION)
        .group_by(state_log.c.test)
    )
    own: dict[int, int] = {}
    for test, first in (*connection.execute(failed), *connection.execute(showed)):
        own[test] = min(first, own.get(test, first))
    entries = histories(connection, own)
    innocent = dict(standing)
    for test, first in own.items():
        counting = [
            row
            for row in entries[test]
            if _by_somebody(row) or row.last_run < first or row.to_state not in _EXCUSING
        ]
        if counting:
            innocent[test] = _standing(counting)
        else:
            del innocent[test]
    return innocent


_ENTRY = (
    state_log.c.from_state,
    state_log.c.to_state,
    state_log.c.at,
    state_log.c.rule,
    state_log.c.actor,
    state_log.c.reason,
    state_log.c.until,
)


def histories(connection: Connection, where: Collection[int]) -> dict[int, list[AnyRow]]:
    """What happened to the states of these tests (rows), newest first."""
    entries = (
        select(state_log.c.test, state_log.c.last_run, *_ENTRY)
        .where(state_log.c.test.in_(list(where)))
        .order_by(state_log.c.id.desc())
    )
    found: dict[int, list[AnyRow]] = defaultdict(list)
    for row in connection.execute(entries) if where else ():
        found[row.test].append(row)
    return found


def _by_somebody(row: AnyRow) -> bool:
    return row.rule is None and row.actor != EXPIRY


def _standing(entries: Sequence[AnyRow]) -> Standing:
    """entries: of one test, newest first, as many as tell."""
    row, since = entries[0], entries[0].at
    for entry in entries:
        since = entry.at
        if entry.from_state != row.to_state:
            break
    changes = [
        (each.from_state and State(each.from_state), State(each.to_state), each.until)
        for each in entries
    ]
    cause = StateCause(
        at=row.at,
        rule=row.rule,
        actor=row.actor,
        reason=row.reason,
        first=row.from_state is None and row.actor == DETECTION,
        until=row.until,
        before=state_before(changes),
    )
    return Standing(state=State(row.to_state), since=since, cause=cause)
