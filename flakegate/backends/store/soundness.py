"""Whether a store could have been written by flakegate: for what comes from elsewhere.

The rest of the store relies on what it wrote itself. Here is what it relies on.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, literal, not_, select

from flakegate.backends.store import bitmap
from flakegate.backends.store.retention import LOOKED
from flakegate.backends.store.schema import (
    METADATA,
    flaky,
    latest,
    manifests,
    meta,
    nonpass,
    repositories,
    runs,
    state_log,
    tests,
)
from flakegate.identity import test_id
from flakegate.model import Identity, State
from flakegate.record import EARLIEST, LATEST, MAX_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement, Connection, Select

MAX_NUMBER = 10_000_000  # of a test: its place in the bitmaps, so that they stay small
_MAX_BITS = MAX_NUMBER // 8 + 1  # bytes
_DIGEST = 32  # bytes

_STATES = [state.value for state in State]
_TIMES = (runs.c.at, latest.c.at, state_log.c.at, state_log.c.until, flaky.c.first_flaked_at)


def fault(connection: Connection) -> str | None:
    """What in this store no flakegate has written, in words; None if there is nothing."""
    for never, words in (*_dangling(), *_values(), *_states(), *_failures()):
        if connection.execute(never.limit(1)).first() is not None:
            return words
    return _looked(connection) or _tests(connection) or _manifests(connection)


def _where(condition: ColumnElement[bool]) -> Select[Any]:
    return select(literal(1)).where(condition)


def _dangling() -> Iterator[tuple[Select[Any], str]]:
    for table in METADATA.sorted_tables:
        if "id" in table.c:
            yield _where(table.c.id < 1), f"a row of {table.name} has a number below 1"
        for key in table.foreign_keys:
            there = exists().where(key.column == key.parent)
            words = (
                f"a row of {table.name} names a row of {key.column.table.name} that is not there"
            )
            yield select(literal(1)).select_from(table).where(~there), words


def _values() -> Iterator[tuple[Select[Any], str]]:
    for column in _TIMES:
        words = f"a time in {column.table.name} is none that a calendar has"
        yield _where(not_(column.between(EARLIEST, LATEST))), words
    for column in (repositories.c.name, tests.c.name, runs.c.key):
        yield _where(column == ""), f"a row of {column.table.name} has no name"
    yield _where(tests.c.number >= MAX_NUMBER), f"a test's number is beyond {MAX_NUMBER:,}"
    yield _where(func.length(runs.c.digest) != _DIGEST), "the digest of a run is none"
    long = func.length(latest.c.message) > MAX_MESSAGE
    yield _where(long), f"a message has more than {MAX_MESSAGE:,} characters"
    yield _where(latest.c.duration < 0), "a duration is below zero"
    yield (
        _where(meta.c.name.not_in(["application", "schema", LOOKED])),
        "`meta` holds what it is not for",
    )


def _states() -> Iterator[tuple[Select[Any], str]]:
    for column in (state_log.c.from_state, state_log.c.to_state, flaky.c.state):
        yield (
            _where(column.not_in(_STATES)),
            f"{column.table.name} names a state that does not exist",
        )
    entry = select(literal(1)).select_from(flaky).join(state_log, state_log.c.id == flaky.c.entry)
    other = (state_log.c.test != flaky.c.test) | (state_log.c.to_state != flaky.c.state)
    yield entry.where(other), "a flaky test has another state than its log says"
    later = select(literal(1)).select_from(flaky).join(state_log, state_log.c.test == flaky.c.test)
    newer = state_log.c.id > flaky.c.entry
    yield later.where(newer), "a flaky test has another state than its log says"
    lost = state_log.c.test.not_in(select(flaky.c.test))
    yield _where(lost), "the log is of a test that is not flaky"
    newest = select(func.coalesce(func.max(runs.c.id), 0)).scalar_subquery()
    yield _where(state_log.c.last_run > newest), "the log names a run that is not there"


def _failures() -> Iterator[tuple[Select[Any], str]]:
    letters = nonpass.c.attempts
    passed = not_(letters.like("%f%")) & not_(letters.like("%e%"))
    yield _where((func.trim(letters, "pfes") != "") | passed), "an outcome does not exist"
    both = (
        select(literal(1))
        .select_from(nonpass)
        .join(runs, runs.c.id == nonpass.c.run)
        .join(tests, tests.c.id == nonpass.c.test)
    )
    words = "a test failed in a run of another repository"
    yield both.where(runs.c.repository != tests.c.repository), words
    counted = select(func.count()).where(nonpass.c.run == runs.c.id).scalar_subquery()
    yield _where(runs.c.n_failed != counted), "a run counts other failures than it has"


def _looked(connection: Connection) -> str | None:
    said = connection.execute(select(meta.c.value).where(meta.c.name == LOOKED)).scalar()
    try:
        sound = said is None or EARLIEST <= float(said) <= LATEST
    except ValueError:
        sound = False
    return None if sound else "a time in meta is none that a calendar has"


def _tests(connection: Connection) -> str | None:
    named = select(tests, repositories.c.name.label("of")).join_from(tests, repositories)
    for row in connection.execute(named):
        identity = Identity(
            module=row.module, suite=row.suite, name=row.name, source_file=row.source_file
        )
        if row.key != test_id(row.of, identity):
            return "the id of a test is not that of its names"
    return None


def _manifests(connection: Connection) -> str | None:
    """The sets of tests that ran hold what runs, tests and failures say."""
    numbers: dict[int, list[int]] = defaultdict(list)
    for repository, number in connection.execute(select(tests.c.repository, tests.c.number)):
        numbers[repository].append(number)
    known = {each: int.from_bytes(bitmap.pack(held), "little") for each, held in numbers.items()}
    for row in connection.execute(select(manifests)):
        bits = _expanded(row.bits)
        if bits is None or hashlib.sha256(bits).digest()[:16] != row.hash:
            return "a set of tests is damaged"
    ran = _Ran(connection)
    of_runs = select(runs.c.manifest, runs.c.repository, runs.c.n_total).distinct()
    for manifest, repository, total in connection.execute(of_runs.order_by(runs.c.manifest)):
        held = int.from_bytes(ran[manifest], "little")
        if held & ~known.get(repository, 0):
            return "a test ran that is not there"
        if held.bit_count() != total:
            return "a run counts other tests than it has"
    failed = (
        select(runs.c.manifest, tests.c.number)
        .select_from(nonpass)
        .join(runs, runs.c.id == nonpass.c.run)
        .join(tests, tests.c.id == nonpass.c.test)
        .distinct()
    )
    for manifest, number in connection.execute(failed.order_by(runs.c.manifest)):
        if not bitmap.has(ran[manifest], number):
            return "a test failed in a run in which it did not run"
    return None


class _Ran:
    """The bitmap of a manifest; the last one is remembered."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last: tuple[int, bytes] = (0, b"")

    def __getitem__(self, manifest: int) -> bytes:
        if self._last[0] != manifest:
            wanted = select(manifests.c.bits).where(manifests.c.id == manifest)
            stored = self._connection.execute(wanted).scalar_one()
            self._last = (manifest, bitmap.expand(stored))
        return self._last[1]


def _expanded(stored: bytes) -> bytes | None:
    """The bitmap; None if it is damaged, or larger than any of ours."""
    inflater = zlib.decompressobj()
    try:
        bits = inflater.decompress(stored, _MAX_BITS + 1)
    except zlib.error:
        return None
    whole = inflater.eof and not inflater.unused_data and len(bits) <= _MAX_BITS
    return bits if whole and not bits.endswith(b"\0") else None
