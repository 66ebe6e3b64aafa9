"""What a recorded run shows of its tests: flaky, flaky since another time, or not flaky after all.

Which tests are flaky, and since when, depends on the recorded runs and not on the order in which
they came. Nearly all come in the order of their times, and then only what the new one adds is
looked at. One that comes late can add, move or take away evidence, so the tests that it concerns
are looked at from their first run on. Only detection's own word is taken back: what a rule or a
person has moved stays in the list, and so does what was found by runs that have left the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, select

from flakegate.backends.store import evidence, states
from flakegate.backends.store.detection import detect, first_shown
from flakegate.backends.store.schema import flaky, state_log, tests
from flakegate.model import DETECTION, State

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from flakegate.backends.store.detection import Flake, Seen
    from flakegate.backends.store.evidence import NewRun
    from flakegate.backends.store.schema import AnyRow

_FLAKY = (
    select(
        flaky,
        state_log.c.at.label("since"),
        state_log.c.reason,
        (state_log.c.from_state.is_(None) & (state_log.c.actor == DETECTION)).label("unmoved"),
    )
    .join(state_log, state_log.c.id == flaky.c.entry)
    .where(flaky.c.test.in_(bindparam("tests", expanding=True)))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Ids of tests, sorted: made flaky or flaky again, and no longer flaky."""

    detected: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()


def find(connection: Connection, run: NewRun, pipeline: str) -> Found:
    """Writes down what this run, which is recorded already, shows. pipeline: its CI run."""
    late = evidence.comes_late(connection, run)
    concerned = evidence.concerned(connection, run, late=late)
    if not concerned:
        return Found()
    known = {row.test: row for row in connection.execute(_FLAKY, {"tests": list(concerned)})}
    concerned -= {test for test, row in known.items() if _is_settled(row, run.at)}
    if not concerned:
        return Found()
    seen = (evidence.gather_all if late else evidence.gather)(connection, run, concerned)
    detected, withdrawn = [], []
    for test in sorted(concerned):
        row = known.get(test)
        shown = _shown(seen[test], row, run.at, late=late)
        if shown is not None:
            if row is None or row.state == State.FIXED.value:
                detected.append(test)
            _write(connection, test, row, shown, pipeline)
        elif late and row is not None and _rested_on(row, seen[test]):
            _withdraw(connection, test)
            withdrawn.append(test)
    return Found(detected=_keys(connection, detected), withdrawn=_keys(connection, withdrawn))


def _is_settled(row: AnyRow, at: float) -> bool:
    """Whether a run of this time can change nothing: the test was known as flaky before it."""
    if row.unmoved:
        return bool(row.since < at)
    known = row.first_flaked_at is not None and row.first_flaked_at <= at
    return known and row.state != State.FIXED.value


def _shown(
    seen: Sequence[Seen], row: AnyRow | None, at: float, *, late: bool
) -> tuple[float, Flake] | None:
    """When these runs show the test to be flaky, and how; of a fixed one only those since then."""
    if late and (row is None or row.state != State.FIXED.value):
        return first_shown(seen)
    fixed_at = row.since if row is not None and row.state == State.FIXED.value else None
    flake = detect(seen, after=fixed_at)
    return (at, flake) if flake else None


def _write(
    connection: Connection,
    test: int,
    row: AnyRow | None,
    shown: tuple[float, Flake],
    pipeline: str,
) -> None:
    """Into the log where it is news, and when the test first flaked."""
    at, flake = shown
    fixed = row is not None and row.state == State.FIXED.value
    moves = row is not None and row.unmoved and (row.since, row.reason) != (at, flake.reason)
    if moves:  # the line that it had stays in the log
        connection.execute(delete(flaky).where(flaky.c.test == test))
    if row is None or fixed or moves:
        states.change(
            connection,
            states.Change(
                test=test,
                from_state=State.FIXED if fixed else None,
                to_state=State.ACTIVE,
                at=at,
                rule=None,
                actor=DETECTION,
                reason=flake.reason,
                pipeline=pipeline,
            ),
        )
    first = None if row is None or row.unmoved else row.first_flaked_at
    if first is None or flake.first.at < first:
        connection.execute(
            flaky.update()
            .where(flaky.c.test == test)
            .values(first_flaked_at=flake.first.at, first_flaked_branch=flake.first.branch)
        )


def _rested_on(row: AnyRow, seen: Sequence[Seen]) -> bool:
    """Whether detection alone put the test there, for runs that are all among these."""
    return row.unmoved and any(run.failed and run.at == row.first_flaked_at for run in seen)


def _withdraw(connection: Connection, test: int) -> None:
    """As if it had never been found: nobody did anything about it yet."""
    connection.execute(delete(flaky).where(flaky.c.test == test))
    connection.execute(delete(state_log).where(state_log.c.test == test))


def _keys(connection: Connection, rows: Collection[int]) -> tuple[str, ...]:
    """The ids of these tests, sorted."""
    if not rows:
        return ()
    keys = select(tests.c.key).where(tests.c.id.in_(rows)).order_by(tests.c.key)
    return tuple(connection.execute(keys).scalars())
