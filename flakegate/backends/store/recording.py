"""Writes one run into the store, and what it shows about its tests."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from flakegate.backends.store import bitmap, evidence
from flakegate.backends.store.detection import is_crowded, is_outage
from flakegate.backends.store.finding import find
from flakegate.backends.store.numbering import made_repository_row, places
from flakegate.backends.store.schema import latest, manifests, new_row, nonpass, runs
from flakegate.junit import Outcome
from flakegate.record import digest, encode_attempts

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flakegate.backends.store.numbering import Places
    from flakegate.record import RunRecord, TestRecord


_PASSED = (Outcome.PASSED,)
_SKIPPED = (Outcome.SKIPPED,)

_BEFORE = select(runs.c.digest, runs.c.infra).where(runs.c.key == bindparam("key"))
_MANIFEST = select(manifests.c.id).where(manifests.c.hash == bindparam("hash"))
_LATEST = select(latest).where(latest.c.test.in_(bindparam("tests", expanding=True)))
_NEWER = latest.update().where(latest.c.test == bindparam("row"))


class Fate(str, Enum):
    """What became of one run."""

    NEW = "new"
    KNOWN = "known"
    OLD = "too old"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """infra: it was taken for an outage. reason: why it was refused, and the remedy.

    detected: ids of the tests that it made flaky, or flaky again. withdrawn: of those that without
    it seemed to be flaky.
    """

    key: str
    fate: Fate
    infra: bool = False
    reason: str | None = None
    detected: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What became of each run, in the order they were given."""

    runs: tuple[RecordedRun, ...]

    def of(self, fate: Fate) -> tuple[RecordedRun, ...]:
        """Those with this fate."""
        return tuple(run for run in self.runs if run.fate is fate)


def record_run(
    connection: Connection,
    record: RunRecord,
    *,
    known: Places,
    oldest: float = -math.inf,
    newest: float = math.inf,
) -> RecordedRun:
    """Records one run, once.

    known: what is known of its repository's tests so far; grows. oldest, newest: the times that a
    run can be of, in seconds since the epoch; others are left out, or refused.
    """
    content = digest(record)
    before = connection.execute(_BEFORE, {"key": record.key}).first()
    if before is not None:
        return _again(record.key, same=before.digest == content, infra=before.infra)
    if record.at < oldest:
        return RecordedRun(key=record.key, fate=Fate.OLD)
    if record.at > newest:
        reason = (
            f"{record.key} is from the future, more than a day ahead of this machine's clock; set "
            "the clock right here or where it ran (or FLAKEGATE_TIME), and record it again"
        )
        return RecordedRun(key=record.key, fate=Fate.REFUSED, reason=reason)
    repository = made_repository_row(connection, record.repository)
    tests_of = places(connection, repository, record, known)
    ran = dict(tests_of)
    failed: dict[int, TestRecord] = {}
    for (test, _), each in zip(tests_of, record.results, strict=True):
        if each.attempts == _SKIPPED:
            del ran[test]
        elif each.attempts != _PASSED and each.failed:
            failed[test] = each
    infra = is_outage(len(failed), len(ran))
    values = {"repository": repository, "digest": content, "infra": infra}
    values["manifest"] = _manifest(connection, bitmap.pack(list(ran.values())))
    values |= {"n_failed": len(failed), "n_total": len(ran)}
    run = _add_run(connection, record, values, failed)
    if infra:
        return RecordedRun(key=record.key, fate=Fate.NEW, infra=True)
    _keep_latest(connection, record, failed)
    new = evidence.NewRun(
        id=run,
        repository=repository,
        at=record.at,
        commit=record.commit,
        leg=record.leg,
        is_base=record.is_default and not record.queued and not record.fork,
        is_own=not record.is_default,
        ran=ran,
        failed=() if is_crowded(len(failed), len(ran)) else failed.keys(),
    )
    found = find(connection, new, record.pipeline)
    return RecordedRun(
        key=record.key, fate=Fate.NEW, detected=found.detected, withdrawn=found.withdrawn
    )


def _again(key: str, *, same: bool, infra: bool) -> RecordedRun:
    if same:
        return RecordedRun(key=key, fate=Fate.KNOWN, infra=infra)
    reason = (
        f"{key} is recorded already, with other results; if these are of another part of the same "
        "job, give each part a FLAKEGATE_SHARD of its own"
    )
    return RecordedRun(key=key, fate=Fate.REFUSED, infra=infra, reason=reason)


def _add_run(
    connection: Connection,
    record: RunRecord,
    values: dict[str, object],
    failed: dict[int, TestRecord],
) -> int:
    """The row of the run. values: what its columns hold that are not the record's own."""
    values |= {
        "key": record.key,
        "pipeline": record.pipeline,
        "leg": record.leg,
        "commit_sha": record.commit,
        "branch": record.branch,
        "pull_request": record.pull_request,
        "is_default": record.is_default,
        "queued": record.queued,
        "fork": record.fork,
        "at": record.at,
    }
    run = new_row(connection, runs, values)
    if failed:
        connection.execute(
            nonpass.insert(),
            [
                {"run": run, "test": test, "attempts": encode_attempts(each.attempts)}
                for test, each in sorted(failed.items())
            ],
        )
    return run


def _manifest(connection: Connection, bits: bytes) -> int:
    content = hashlib.sha256(bits).digest()[:16]
    row = connection.execute(_MANIFEST, {"hash": content}).scalar_one_or_none()
    if row is not None:
        return int(row)
    return new_row(connection, manifests, {"hash": content, "bits": bitmap.compress(bits)})


def _keep_latest(connection: Connection, record: RunRecord, failed: dict[int, TestRecord]) -> None:
    """Keeps when and where each test last failed; words and duration of the last that had any.

    Not a fork's words: a rule may ask for them.
    """
    if not failed:
        return
    before = {row.test: row for row in connection.execute(_LATEST, {"tests": list(failed)})}
    new, newer = [], []
    for test, each in sorted(failed.items()):
        row = before.get(test)
        duration, message = (None, None) if record.fork else (each.duration, each.message)
        if row is not None:
            duration = row.duration if duration is None else duration
            message = message or row.message
        values = {"at": record.at, "branch": record.branch}
        values |= {"duration": duration, "message": message}
        if row is None:
            new.append({"test": test, **values})
        elif (row.at, row.branch or "") <= (record.at, record.branch or ""):
            newer.append({"row": test, **values})
    if new:
        connection.execute(latest.insert(), new)
    if newer:
        connection.execute(_NEWER, newer)
