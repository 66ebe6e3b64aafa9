"""Runs that are older than `store.keep` leave the store; what they made of tests stays.

A run that left must not come back with an old shard, again and again: runs older than `keep` are
not recorded. They leave a day later than that, so that clocks which differ by hours agree.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, not_, select, update

from flakegate.backends.store import bitmap
from flakegate.backends.store.schema import (
    flaky,
    latest,
    manifests,
    meta,
    nonpass,
    runs,
    state_log,
    tests,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

DAY = 86_400.0
KEEP = 90 * DAY  # seconds
LOOKED = "looked_for_old_runs"  # in `meta`: when, in seconds since the epoch
_BATCH = 500  # values in one IN (…)


def drop_daily(connection: Connection, *, now: float, keep: float) -> float:
    """Drops old runs, unless that was done within a day; says when it was done last.

    now: seconds since the epoch. keep: seconds.
    """
    looked = last_look(connection)
    # A clock that was ahead when it looked does not put off the next look for ever.
    if looked is not None and abs(now - looked) < DAY:
        return looked
    drop(connection, now=now, keep=keep)
    return now


def last_look(connection: Connection) -> float | None:
    """When old runs were last looked for, in seconds since the epoch; None if never."""
    said = connection.execute(select(meta.c.value).where(meta.c.name == LOOKED)).scalar()
    return None if said is None else float(said)


def drop(connection: Connection, *, now: float, keep: float) -> int:
    """Drops the runs that are too old, and all that nothing refers to any more; how many runs.

    It counts back from the newest run where that is earlier than `now`: a clock that is wrong must
    not cost the history.
    """
    _stamp(connection, now)
    newest, last = connection.execute(select(func.max(runs.c.at), func.max(runs.c.id))).one()
    if newest is None:
        return 0
    before = min(now, newest) - keep - DAY
    # The last row stays, so that its number is never given again: the log of states counts on it.
    old = select(runs.c.id).where(runs.c.at < before, runs.c.id != last)
    connection.execute(delete(nonpass).where(nonpass.c.run.in_(old)))
    dropped = connection.execute(delete(runs).where(runs.c.at < before, runs.c.id != last)).rowcount
    used = select(runs.c.manifest)
    connection.execute(delete(manifests).where(manifests.c.id.not_in(used)))
    stateful = select(flaky.c.test)
    forgotten = (latest.c.at < before) & latest.c.test.not_in(stateful)
    connection.execute(delete(latest).where(forgotten))
    if dropped:
        _drop_tests(connection)
    return dropped


def _stamp(connection: Connection, now: float) -> None:
    said = {"value": repr(now)}
    if not connection.execute(update(meta).where(meta.c.name == LOOKED), said).rowcount:
        connection.execute(meta.insert(), {"name": LOOKED, **said})


def _drop_tests(connection: Connection) -> None:
    """Drops the tests that ran in no run and have no state: renamed ones, or removed ones.

    Their numbers are free again only above all others, which no bitmap holds by then.
    """
    used: dict[int, int] = defaultdict(int)
    shared = select(runs.c.repository, manifests.c.bits).distinct().join(manifests)
    for repository, bits in connection.execute(shared):
        used[repository] |= int.from_bytes(bitmap.expand(bits), "little")
    held = [select(table.c.test) for table in (flaky, state_log, latest, nonpass)]
    idle = select(tests.c.id, tests.c.repository, tests.c.number).where(
        *(not_(tests.c.id.in_(each)) for each in held)
    )
    ran = {
        repository: union.to_bytes((union.bit_length() + 7) // 8, "little")
        for repository, union in used.items()
    }
    gone = [
        test
        for test, repository, number in connection.execute(idle)
        if not bitmap.has(ran.get(repository, b""), number)
    ]
    for start in range(0, len(gone), _BATCH):
        connection.execute(delete(tests).where(tests.c.id.in_(gone[start : start + _BATCH])))
