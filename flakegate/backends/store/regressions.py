"""Which flaky tests the newest commits of the default branch broke: for the regression guard."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import not_, select

from flakegate.backends.store import bitmap
from flakegate.backends.store.schema import flaky, manifests, nonpass, runs
from flakegate.model import MOST_COMMITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection

_BASE = (
    runs.c.is_default
    & not_(runs.c.queued)
    & not_(runs.c.fork)
    & not_(runs.c.infra)
    & runs.c.commit_sha.is_not(None)
)


@dataclass(slots=True, kw_only=True)
class _Commit:
    """A commit of the default branch. runs: id to manifest."""

    name: str
    runs: dict[int, int] = field(default_factory=dict)


def failing_commits(
    connection: Connection, repository: int | None, numbers: Mapping[int, int]
) -> dict[int, tuple[str, ...]]:
    """Of these flaky tests (row to number), FlakyTest.failing_commits; absent: none fails.

    A commit fails a test if the test ran there and never passed, in any job. Outages, merge queues
    and forks are left out. Commits are in the order in which they were first run, so that running
    an old one again does not make it the newest.
    """
    failed = _failed(connection, repository)
    open_ = {numbers[test]: test for test in failed if test in numbers}
    found: dict[int, tuple[str, ...]] = {}
    if not open_:
        return found
    undecided = sum(1 << number for number in open_)
    bits = _bits(connection, repository)
    for commit in _newest_first(connection, repository):
        ran = 0
        for manifest in commit.runs.values():
            ran |= bits[manifest]
        for number in _numbers(ran & undecided):
            test = open_[number]
            passed = any(
                bits[manifest] >> number & 1 and run not in failed[test]
                for run, manifest in commit.runs.items()
            )
            if not passed:
                found[test] = (*found.get(test, ()), commit.name)
            if passed or len(found[test]) == MOST_COMMITS:
                undecided &= ~(1 << number)
        if not undecided:
            break
    return found


def _failed(connection: Connection, repository: int | None) -> Mapping[int, set[int]]:
    """The runs of the default branch in which each flaky test failed and did not pass."""
    query = (
        select(nonpass.c.test, nonpass.c.run)
        .join(flaky, flaky.c.test == nonpass.c.test)
        .join(runs, runs.c.id == nonpass.c.run)
        .where(runs.c.repository == repository, _BASE, nonpass.c.attempts.not_like("%p%"))
    )
    failed: dict[int, set[int]] = defaultdict(set)
    for test, run in connection.execute(query):
        failed[test].add(run)
    return failed


def _newest_first(connection: Connection, repository: int | None) -> list[_Commit]:
    query = (
        select(runs.c.id, runs.c.commit_sha, runs.c.manifest)
        .where(runs.c.repository == repository, _BASE)
        .order_by(runs.c.at, runs.c.key)
    )
    commits: dict[str, _Commit] = {}
    for run, name, manifest in connection.execute(query):
        commits.setdefault(name, _Commit(name=name)).runs[run] = manifest
    return list(reversed(commits.values()))


def _bits(connection: Connection, repository: int | None) -> dict[int, int]:
    """The manifests of these runs, each as one number whose bits are the tests that ran."""
    used = select(runs.c.manifest).where(runs.c.repository == repository, _BASE)
    query = select(manifests.c.id, manifests.c.bits).where(manifests.c.id.in_(used))
    return {
        row.id: int.from_bytes(bitmap.expand(row.bits), "little")
        for row in connection.execute(query)
    }


def _numbers(bits: int) -> Iterator[int]:
    """The places of the bits that are set."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
