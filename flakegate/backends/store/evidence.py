"""What detection looks at: of each test, the recorded runs that can decide whether it is flaky.

Passes are not stored one by one, so only those are fetched that can matter: of the same commit and
leg, and of the default branch where a failure on several branches asks how their base was.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, not_, select

from flakegate.backends.store import bitmap
from flakegate.backends.store.detection import (
    WINDOW,
    Seen,
    is_base,
    is_broken,
    is_crowded,
    may_spread,
)
from flakegate.backends.store.schema import manifests, nonpass, runs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import ColumnElement, Connection

    from flakegate.backends.store.schema import AnyRow

_RUN = (
    runs.c.id,
    runs.c.at,
    runs.c.commit_sha,
    runs.c.leg,
    runs.c.branch,
    runs.c.pull_request,
    runs.c.is_default,
    runs.c.queued,
    runs.c.fork,
    runs.c.n_failed,
    runs.c.n_total,
)
_NEVER_PASSED = nonpass.c.attempts.not_like("%p%")
_IS_BASE = runs.c.is_default & not_(runs.c.queued) & not_(runs.c.fork)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """The run that was just recorded, and is no outage. Fields as in RunRecord.

    is_own: it tests what is not merged yet. ran: the tests that ran in it, row to number. failed:
    the rows of those that failed; empty where so many did that it proves nothing of any.
    """

    id: int
    repository: int
    at: float
    commit: str | None
    leg: str
    is_base: bool
    is_own: bool
    ran: Mapping[int, int]
    failed: Collection[int]


def comes_late(connection: Connection, run: NewRun) -> bool:
    """Whether a run of the same time or a later one was recorded before it."""
    later = runs.c.repository == run.repository, runs.c.at >= run.at, runs.c.id != run.id
    return connection.execute(select(runs.c.id).where(*later).limit(1)).first() is not None


def concerned(connection: Connection, run: NewRun, *, late: bool) -> set[int]:
    """The tests that this run may show to be flaky: it, or one that it is compared with, failed."""
    found = set(run.failed)
    failed = (
        select(nonpass.c.test)
        .distinct()
        .join(runs, runs.c.id == nonpass.c.run)
        .where(runs.c.repository == run.repository, not_(runs.c.infra))
    )
    if run.commit is not None:
        again = failed.where(runs.c.commit_sha == run.commit, runs.c.leg == run.leg)
        found |= run.ran.keys() & set(connection.execute(again).scalars())
    if run.is_base and late:
        # Failures after it may turn out to be shared with their base, or not to be.
        later = failed.where(runs.c.at >= run.at, not_(runs.c.is_default))
        found |= run.ran.keys() & set(connection.execute(later).scalars())
    return found


def gather(
    connection: Connection, run: NewRun, concerned: Collection[int]
) -> dict[int, list[Seen]]:
    """The evidence that this run, the latest, completes, by test. The rest was judged before."""
    seen: dict[int, list[Seen]] = defaultdict(list)
    numbers = {test: run.ran[test] for test in concerned}
    if run.commit is None:
        _add_failures(connection, seen, numbers, runs.c.id == run.id)
    else:
        same = (runs.c.commit_sha == run.commit) & (runs.c.leg == run.leg)
        same &= runs.c.repository == run.repository
        _add_failures(connection, seen, numbers, same)
        _add_passes(connection, seen, numbers, same)
    if not run.is_own:
        return seen
    numbers = {test: numbers[test] for test in _may_complete_a_spread(connection, run, numbers)}
    _add_failures(connection, seen, numbers, _since(run))
    spread = {test: number for test, number in numbers.items() if may_spread(seen[test])}
    if spread:
        _add_bases(connection, seen, spread, run)
    return seen


def gather_all(
    connection: Connection, run: NewRun, concerned: Collection[int]
) -> dict[int, list[Seen]]:
    """All that is recorded of these tests and can be evidence, from the first run to the last."""
    seen: dict[int, list[Seen]] = defaultdict(list)
    numbers = {test: run.ran[test] for test in concerned}
    here = runs.c.repository == run.repository
    _add_failures(connection, seen, numbers, here)
    failed = select(runs.c.commit_sha).join(nonpass, nonpass.c.run == runs.c.id)
    commits = failed.where(here, nonpass.c.test.in_(list(numbers)), not_(runs.c.infra))
    _add_passes(connection, seen, numbers, here & runs.c.commit_sha.in_(commits))
    spread = {
        test: number
        for test, number in numbers.items()
        if may_spread(seen[test]) and any(map(is_base, seen[test]))
    }
    _add_passes(connection, seen, spread, here & _IS_BASE)
    return seen


def _since(run: NewRun) -> ColumnElement[bool]:
    """The failures in the window that ends with this run."""
    recent = (runs.c.repository == run.repository) & (runs.c.at >= run.at - WINDOW)
    # Rows of `nonpass` are found by test and run: this spares a look at every older run.
    oldest = select(func.min(runs.c.id)).where(recent).scalar_subquery()
    return recent & (nonpass.c.run >= oldest)


def _may_complete_a_spread(
    connection: Connection, run: NewRun, numbers: Mapping[int, int]
) -> Collection[int]:
    """The tests of which this run is a new piece of evidence, not only a broken base once more.

    This is for speed alone, but for much of it: a test that is broken for weeks fails in every run,
    and would have all of them fetched for each.
    """
    failed = {test: number for test, number in numbers.items() if test in run.failed}
    before = _since(run) & (runs.c.at <= run.at) & _IS_BASE
    seen: dict[int, list[Seen]] = defaultdict(list)
    _add_latest_broken(connection, seen, failed, before)
    if seen:
        first = min(one.at for broken in seen.values() for one in broken)
        suspects = {test: failed[test] for test in seen}
        here = (runs.c.repository == run.repository) & _IS_BASE
        after = here & (runs.c.at > first) & (runs.c.at <= run.at)
        _add_passes(connection, seen, suspects, after)
    return [test for test in failed if not is_broken(seen[test])]


def _add_bases(
    connection: Connection, seen: dict[int, list[Seen]], numbers: Mapping[int, int], run: NewRun
) -> None:
    """How the default branch was: in the window, and, leg by leg, broken since before or not."""
    start = run.at - 2 * WINDOW  # the oldest failure in the window asks for a window before it
    base = _IS_BASE & (runs.c.repository == run.repository)
    before: dict[int, list[Seen]] = defaultdict(list)
    _add_latest_broken(connection, before, numbers, base & (runs.c.at < start))
    for test, broken in before.items():
        for one in list(broken):
            mended = (runs.c.leg == one.leg) & (runs.c.at > one.at) & (runs.c.at < start)
            _add_passes(connection, before, {test: numbers[test]}, base & mended)
        seen[test] += broken
    _add_failures(connection, seen, numbers, base & (runs.c.at >= start) & not_(_since(run)))
    # Where the default branch never failed the test, nothing depends on when it passed there.
    failed = {test: number for test, number in numbers.items() if any(map(is_base, seen[test]))}
    _add_passes(connection, seen, failed, base & (runs.c.at >= start))


def _add_latest_broken(
    connection: Connection,
    seen: dict[int, list[Seen]],
    numbers: Mapping[int, int],
    where: ColumnElement[bool],
) -> None:
    """Of each test and leg the latest of these runs of the default branch that failed it."""
    broken = (
        select(nonpass.c.test, runs.c.leg, func.max(runs.c.at).label("at"))
        .join(runs, runs.c.id == nonpass.c.run)
        .where(nonpass.c.test.in_(list(numbers)), where, _NEVER_PASSED, not_(runs.c.infra))
        .group_by(nonpass.c.test, runs.c.leg)
    ).subquery()
    latest = (nonpass.c.test == broken.c.test) & (runs.c.leg == broken.c.leg)
    found = (
        select(nonpass.c.test, nonpass.c.attempts, *_RUN)
        .join(runs, runs.c.id == nonpass.c.run)
        .join(broken, latest & (runs.c.at == broken.c.at))
        .where(where, _NEVER_PASSED, not_(runs.c.infra))
    )
    for row in connection.execute(found):
        seen[row.test].append(_seen(row, row.attempts))


def _add_failures(
    connection: Connection,
    seen: dict[int, list[Seen]],
    numbers: Mapping[int, int],
    where: ColumnElement[bool],
) -> None:
    found = (
        select(nonpass.c.test, nonpass.c.attempts, *_RUN)
        .join(runs, runs.c.id == nonpass.c.run)
        .where(nonpass.c.test.in_(list(numbers)), where, not_(runs.c.infra))
    )
    for row in connection.execute(found):
        seen[row.test].append(_seen(row, row.attempts))


def _add_passes(
    connection: Connection,
    seen: dict[int, list[Seen]],
    numbers: Mapping[int, int],
    where: ColumnElement[bool],
) -> None:
    """The runs in which an attempt of these tests (row to number) passed."""
    if not numbers:
        return
    where &= not_(runs.c.infra)
    failures = (
        select(nonpass.c.run, nonpass.c.test)
        .join(runs, runs.c.id == nonpass.c.run)
        .where(nonpass.c.test.in_(list(numbers)), where, _NEVER_PASSED)
    )
    failed = set(connection.execute(failures))
    bitmaps = select(manifests.c.id, manifests.c.bits).where(
        manifests.c.id.in_(select(runs.c.manifest).where(where))
    )
    bits = {row.id: bitmap.expand(row.bits) for row in connection.execute(bitmaps)}
    for row in connection.execute(select(*_RUN, runs.c.manifest).where(where)):
        ran = bits[row.manifest]
        for test, number in numbers.items():
            if bitmap.has(ran, number) and (row.id, test) not in failed:
                seen[test].append(_seen(row, "p"))


def _seen(row: AnyRow, attempts: str) -> Seen:
    return Seen(
        at=row.at,
        failed=not set(attempts).isdisjoint("fe"),
        passed="p" in attempts,
        commit=row.commit_sha,
        leg=row.leg,
        branch=row.branch,
        pull_request=row.pull_request,
        is_default=row.is_default,
        queued=row.queued,
        fork=row.fork,
        crowded=is_crowded(row.n_failed, row.n_total),
    )
