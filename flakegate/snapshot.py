"""A saved list of flaky tests: the document of `list --format json`, written and read back.

Reading is strict. A snapshot excuses failures, so one that is damaged, of another repository, of a
part of the list, or of this very CI run is refused, with what to do about it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from flakegate.errors import BackendError
from flakegate.model import FlakyTest, State, StateCause
from flakegate.policy.fields import FIELDS
from flakegate.times import iso
from flakegate.wording import count, saved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flakegate.ci.context import CIContext

VERSION = 1
MAX_BYTES = 128 << 20
SKEW = 300.0  # seconds by which the clocks of two machines may differ
TIMES = ("first_flaked_at", "last_flaked_at", "state_since")
"""Ages are of the moment, so the document carries the times that they are counted from instead."""
AGES = frozenset({"age", "last_flaked_age", "state_age"})
_COMPUTED = AGES | {"fqn", "broken"}
MAKE_ONE = "`flakegate list --format json > FILE` saves one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The flaky tests of a repository at one moment, in seconds since the epoch.

    backend: the kind of the one that they were read from, "datadog" or "store".
    """

    repository: str
    backend: str
    taken_at: float
    tests: tuple[FlakyTest, ...]


class _Row(msgspec.Struct):
    id: str
    module: str
    suite: str
    name: str
    state: Literal["active", "quarantined", "disabled", "fixed"]
    category: str | None
    source_file: str | None
    error_message: str | None
    first_flaked_branch: str | None
    last_flaked_branch: str | None
    codeowners: list[str] | None
    envs: list[str] | None
    services: list[str] | None
    failure_rate: float | None
    failed_pipelines: int | None
    runs: int | None
    failures: int | None
    lost_time: float | None
    duration: float | None
    impact_score: float | None
    impact_level: str | None
    first_flaked_at: datetime | None
    last_flaked_at: datetime | None
    state_since: datetime | None
    attempt_to_fix_id: str | None
    rule: str | None
    actor: str | None
    reason: str | None
    until: str | None


class _Document(msgspec.Struct):
    repository: str
    backend: Literal["datadog", "store"]
    taken_at: datetime
    complete: bool
    run: str | None
    tests: list[_Row]


def row(test: FlakyTest, now: float) -> dict[str, Any]:
    """Fields named as in `when`: rates in percent, durations in seconds, times ISO 8601."""
    found: dict[str, Any] = {"id": test.id}
    for name in ("module", "suite", "name", "fqn", "state"):
        found[name] = FIELDS[name].get(test, now)
    found |= {
        name: field.get(test, now) for name, field in FIELDS.items() if name not in AGES | {*found}
    }
    times = {name: getattr(test, name) for name in TIMES}
    found |= {name: None if at is None else iso(at) for name, at in times.items()}
    found["attempt_to_fix_id"] = test.attempt_to_fix_id
    found["rule"] = test.cause.rule if test.cause else None
    found["actor"] = test.cause.actor if test.cause else None
    found["reason"] = test.cause.reason if test.cause else None
    found["until"] = test.cause.last_day if test.cause else None
    return found


def document(
    tests: Sequence[FlakyTest], context: CIContext, backend: str, now: float, *, complete: bool
) -> dict[str, Any]:
    """The tests, and what shows whose they are. complete: these are all that the backend has."""
    found: dict[str, Any] = {
        "version": VERSION,
        "repository": context.repository,
        "backend": backend,
        "taken_at": iso(now),
        "complete": complete,
        "run": context.pipeline if context.run_id else None,
    }
    rows = [row(test, now) for test in tests]
    return found | {"digest": _digest(found | {"tests": rows}), "tests": rows}


def parse(content: bytes, context: CIContext, now: float) -> Snapshot:
    """The snapshot, for the repository and the CI run of `context`. now: seconds since the epoch.

    Raises BackendError where it must not be used, in words that go on from its name.
    """
    read = _read(content)
    try:
        found = msgspec.convert(read, _Document)
        tests = tuple(_test(each) for each in found.tests)
    except (ValueError, OverflowError) as error:
        raise BackendError(f"is no snapshot: {error}", tip=MAKE_ONE) from None
    taken_at = found.taken_at.replace(tzinfo=found.taken_at.tzinfo or timezone.utc).timestamp()
    if found.repository != context.repository:
        raise BackendError(
            f"is of {found.repository}, and this is {context.repository}",
            tip="name the snapshot of this repository, or say which it is with --repository",
        )
    if not found.complete:
        raise BackendError("lists a part of the tests", tip="save it without --state and --where")
    if context.run_id and found.run == context.pipeline:
        raise BackendError(
            "was taken in this CI run, which would excuse itself",
            tip="save it in a run of the default branch that is over",
        )
    if taken_at > now + SKEW:
        raise BackendError(f"is of the future: {saved(taken_at, now)}", tip="check the clocks")
    if len({test.id for test in tests}) < len(tests):
        raise BackendError("lists a test twice", tip=MAKE_ONE)
    return Snapshot(
        repository=found.repository, backend=found.backend, taken_at=taken_at, tests=tests
    )


def _read(content: bytes) -> dict[str, Any]:
    """The document as it is written, if it is whole and of a version that is known."""
    if len(content) > MAX_BYTES:
        raise BackendError(f"is larger than {MAX_BYTES >> 20} MiB", tip=MAKE_ONE)
    try:
        read = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise BackendError("is no JSON document, or not all of one", tip=MAKE_ONE) from None
    if not isinstance(read, dict) or read.get("version") != VERSION:
        version = read.get("version") if isinstance(read, dict) else None
        of = "no version" if version is None else f"version {version!a:.20}"
        raise BackendError(f"is no snapshot of version {VERSION}: it has {of}", tip=MAKE_ONE)
    digest = read.pop("digest", None)
    if digest != _digest(read):
        raise BackendError("was changed since it was saved: its digest differs", tip=MAKE_ONE)
    return read


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _digest(rest: dict[str, Any]) -> str:
    """SHA-256 of all but the digest, however it is indented and in whatever order."""
    written = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()


def _test(read: _Row) -> FlakyTest:
    figures: dict[str, Any] = {
        name: tuple(value) if isinstance(value := getattr(read, name), list) else value
        for name in FIELDS
        if name not in _COMPUTED | {"state"}
    }
    figures |= {name: _seconds(getattr(read, name)) for name in TIMES}
    return FlakyTest(
        id=read.id,
        state=State(read.state),
        cause=_cause(read),
        attempt_to_fix_id=read.attempt_to_fix_id,
        **figures,
    )


def _cause(read: _Row) -> StateCause | None:
    if not (read.rule or read.actor or read.reason or read.until):
        return None
    last = None if read.until is None else datetime.fromisoformat(f"{read.until}T00:00:00+00:00")
    return StateCause(
        at=_seconds(read.state_since) or 0.0,
        rule=read.rule,
        actor=read.actor,
        reason=read.reason,
        until=None if last is None else (last + timedelta(days=1)).timestamp(),
    )


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.replace(tzinfo=at.tzinfo or timezone.utc).timestamp()


def too_old(snapshot: Snapshot, now: float, max_age: float) -> str | None:
    """Why it is too old to excuse anything, in words that go on from its name; None if it is not.

    max_age: seconds.
    """
    if now - snapshot.taken_at <= max_age:
        return None
    limit = count(int(max_age / 3_600), "hour")
    return f"was saved {saved(snapshot.taken_at, now)}: gate.snapshot_max_age is {limit}"
