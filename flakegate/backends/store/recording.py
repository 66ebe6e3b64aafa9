"""Writes one run into the store, and what it shows about its tests."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select

from flakegate.backends.store import bitmap, evidence, states
from flakegate.backends.store.detection import detect, is_outage
from flakegate.backends.store.schema import (
    flaky,
    latest,
    manifests,
    nonpass,
    repositories,
    runs,
    state_log,
    tests,
)
from flakegate.identity import test_id
from flakegate.junit import Outcome
from flakegate.model import State
from flakegate.record import digest, encode_attempts

if TYPE_CHECKING:
    from collections import defaultdict
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from flakegate.model import Identity
    from flakegate.record import RunRecord, TestRecord

    # Of each repository the tests known so far: their row, and their number in the bitmaps.
    Known = defaultdict[str, dict[Identity, tuple[int, int]]]

CHUNK = 500  # values in one IN (…)
_SKIPPED = (Outcome.SKIPPED,)


class Fate(str, Enum):
    """What became of one run."""

    NEW = "new"
    KNOWN = "known"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """infra: it was taken for an outage. reason: why it was refused, and the remedy.

    detected: ids of the tests that it made flaky, or flaky again.
    """

    key: str
    fate: Fate
    infra: bool = False
    reason: str | None = None
    detected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What became of each run, in the order they were given."""

    runs: tuple[RecordedRun, ...]

    def of(self, fate: Fate) -> tuple[RecordedRun, ...]:
        """Those with this fate."""
        return tuple(run for run in self.runs if run.fate is fate)


def record_run(
    connection: Connection, record: RunRecord, *, pipeline: str | None, known: Known
) -> RecordedRun:
    """Records one run, once. pipeline: the CI run that does so. known: grows by its tests."""
    content = digest(record)
    before = connection.execute(
        select(runs.c.digest, runs.c.infra).where(runs.c.key == record.key)
    ).first()
    if before is not None:
        return _again(record.key, same=before.digest == content, infra=before.infra)
    repository = repository_row(connection, record.repository)
    if repository is None:
        added = repositories.insert().values(name=record.repository)
        repository = _new_id(connection.execute(added).inserted_primary_key)
    tests_of = _tests(connection, repository, record, known[record.repository])
    ran = dict(tests_of[each.identity] for each in record.results if each.attempts != _SKIPPED)
    failed = {tests_of[each.identity][0]: each for each in record.results if each.failed}
    infra = is_outage(len(failed), len(ran))
    added = runs.insert().values(
        repository=repository,
        key=record.key,
        digest=content,
        pipeline=record.pipeline,
        leg=record.leg,
        commit_sha=record.commit,
        branch=record.branch,
        pull_request=record.pull_request,
        is_default=record.is_default,
        queued=record.queued,
        fork=record.fork,
        at=record.at,
        n_failed=len(failed),
        n_total=len(ran),
        infra=infra,
        manifest=_manifest(connection, bitmap.pack(list(ran.values()))),
    )
    run = _new_id(connection.execute(added).inserted_primary_key)
    if failed:
        connection.execute(
            nonpass.insert(),
            [
                {"run": run, "test": test, "attempts": encode_attempts(each.attempts)}
                for test, each in sorted(failed.items())
            ],
        )
    if infra:
        return RecordedRun(key=record.key, fate=Fate.NEW, infra=True)
    _keep_latest(connection, record, failed)
    new = evidence.NewRun(
        repository=repository,
        at=record.at,
        commit=record.commit,
        leg=record.leg,
        is_base=record.is_default and not record.queued and not record.fork,
        ran=ran,
        failed=failed.keys(),
    )
    detected = _detect(connection, new, pipeline)
    return RecordedRun(key=record.key, fate=Fate.NEW, detected=detected)


def repository_row(connection: Connection, name: str) -> int | None:
    """The row of a repository, None if nothing of it was recorded."""
    return connection.execute(
        select(repositories.c.id).where(repositories.c.name == name)
    ).scalar_one_or_none()


def _again(key: str, *, same: bool, infra: bool) -> RecordedRun:
    if same:
        return RecordedRun(key=key, fate=Fate.KNOWN, infra=infra)
    reason = (
        f"{key} is recorded already, with other results; if these are of another part of the same "
        "job, give each part a FLAKEGATE_SHARD of its own"
    )
    return RecordedRun(key=key, fate=Fate.REFUSED, infra=infra, reason=reason)


def _new_id(key: Sequence[int] | None) -> int:
    assert key is not None  # noqa: S101 - an INSERT of one row always gives its key
    return key[0]


def _tests(
    connection: Connection,
    repository: int,
    record: RunRecord,
    known: dict[Identity, tuple[int, int]],
) -> dict[Identity, tuple[int, int]]:
    """Row and number of every test of this run, those made now that were never seen."""
    missing = {
        test_id(record.repository, each.identity): each.identity
        for each in record.results
        if each.identity not in known
    }
    if not missing:
        return known
    _look_up(connection, missing, known)
    # Sorted, so that writers that run side by side would take their locks in one order.
    new = sorted(key for key, identity in missing.items() if identity not in known)
    if new:
        highest = func.coalesce(func.max(tests.c.number), -1)
        first = (
            1
            + connection.execute(
                select(highest).where(tests.c.repository == repository)
            ).scalar_one()
        )
        connection.execute(
            tests.insert(),
            [
                {
                    "repository": repository,
                    "number": number,
                    "key": key,
                    "module": missing[key].module,
                    "suite": missing[key].suite,
                    "name": missing[key].name,
                    "source_file": missing[key].source_file,
                }
                for number, key in enumerate(new, first)
            ],
        )
        _look_up(connection, {key: missing[key] for key in new}, known)
    return known


def _look_up(
    connection: Connection, wanted: dict[str, Identity], known: dict[Identity, tuple[int, int]]
) -> None:
    for keys in in_chunks(sorted(wanted)):
        found = select(tests.c.key, tests.c.id, tests.c.number).where(tests.c.key.in_(keys))
        for key, row, number in connection.execute(found).tuples():
            known[wanted[key]] = (row, number)


def in_chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Few enough for one IN (…)."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


def _manifest(connection: Connection, bits: bytes) -> int:
    content = hashlib.sha256(bits).digest()[:16]
    found = select(manifests.c.id).where(manifests.c.hash == content)
    if (row := connection.execute(found).scalar_one_or_none()) is not None:
        return int(row)
    added = manifests.insert().values(hash=content, bits=bitmap.compress(bits))
    return _new_id(connection.execute(added).inserted_primary_key)


def _keep_latest(connection: Connection, record: RunRecord, failed: dict[int, TestRecord]) -> None:
    """Keeps when and where each test last failed; words and duration of the last that had any."""
    if not failed:
        return
    found = select(latest).where(latest.c.test.in_(list(failed)))
    before = {row.test: row for row in connection.execute(found)}
    new, newer = [], []
    for test, each in sorted(failed.items()):
        row = before.get(test)
        values = {"at": record.at, "branch": record.branch}
        if row is None:
            new.append({"test": test, **values, "duration": each.duration, "message": each.message})
        elif row.at <= record.at:
            duration = row.duration if each.duration is None else each.duration
            newer.append(
                {
                    "row": test,
                    **values,
                    "duration": duration,
                    "message": each.message or row.message,
                }
            )
    if new:
        connection.execute(latest.insert(), new)
    if newer:
        connection.execute(latest.update().where(latest.c.test == bindparam("row")), newer)


def _detect(connection: Connection, run: evidence.NewRun, pipeline: str | None) -> tuple[str, ...]:
    """Makes tests flaky that this run shows to be; returns their ids."""
    concerned = evidence.concerned(connection, run)
    if not concerned:
        return ()
    rows = (
        select(flaky, state_log.c.at.label("since"))
        .join(state_log, state_log.c.id == flaky.c.entry)
        .where(flaky.c.test.in_(list(concerned)))
    )
    known = {row.test: row for row in connection.execute(rows)}
    for test, row in known.items():
        first = row.first_flaked_at
        # Known already, and from earlier than anything this run can add.
        if row.state != State.FIXED.value and first is not None and first <= run.at:
            concerned.discard(test)
    seen = evidence.gather(connection, run, concerned)
    detected = []
    for test in sorted(concerned):
        old = known.get(test)
        fixed = old is not None and old.state == State.FIXED.value
        flake = detect(seen[test], after=old.since if old is not None and fixed else None)
        if flake is None:
            continue
        if old is None or fixed:
            states.change(
                connection,
                states.Change(
                    test=test,
                    from_state=State.FIXED if fixed else None,
                    to_state=State.ACTIVE,
                    at=run.at,
                    rule=None,
                    actor=states.DETECTION,
                    reason=flake.reason,
                    pipeline=pipeline,
                ),
            )
            detected.append(test)
        if old is None or old.first_flaked_at is None or flake.first.at < old.first_flaked_at:
            connection.execute(
                flaky.update()
                .where(flaky.c.test == test)
                .values(first_flaked_at=flake.first.at, first_flaked_branch=flake.first.branch)
            )
    keys = select(tests.c.key).where(tests.c.id.in_(detected)).order_by(tests.c.key)
    return tuple(connection.execute(keys).scalars())
