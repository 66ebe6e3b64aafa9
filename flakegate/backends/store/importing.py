"""An export becomes the content of an empty store, all of it or nothing.

It is first read into a database of its own, which is gone with this call: made with the tables of
the schema that the export is of, taken to the schema of today, and looked at for what no flakegate
writes. Only then is the store touched, in one transaction.
"""

from __future__ import annotations

import sqlite3
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from sqlalchemy import inspect, select
from sqlalchemy.exc import IntegrityError

from flakegate.backends.store import schema
from flakegate.backends.store.archive import Archive, Table
from flakegate.backends.store.database import Database
from flakegate.backends.store.exporting import content
from flakegate.backends.store.migrations import create, migrate
from flakegate.backends.store.soundness import fault
from flakegate.errors import EvidenceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from flakegate.backends.base import Progress

_BATCH = 1_000  # rows that are written at once
_EVERY = 10_000  # rows after which progress is told
_TYPES: dict[str, Any] = {
    "INTEGER": Annotated[int, msgspec.Meta(ge=0, le=2**53)],
    "FLOAT": float,
    "BOOLEAN": bool,
    "BLOB": bytes,
    "VARCHAR": str,
    "TEXT": str,
}
# What a value may be, by the type of its column and whether there may be none.
_KINDS = {(name, False): kind for name, kind in _TYPES.items()}
_KINDS |= {(name, True): kind | None for name, kind in _TYPES.items()}


def import_export(
    read: Callable[[int], bytes],
    name: str,
    target: Callable[[], Database],
    progress: Progress,
) -> Database:
    """Fills the store, and gives it back.

    read: at most so many more bytes of the export, b"" at its end. name: of its file, for messages.
    target: opens the store, once the export is proven. progress: is told how many rows are done,
    and of how many, where that is known. Raises EvidenceError where the export cannot be used,
    UsageError where the store is not empty, BackendError where it cannot be written.
    """
    private = Database(name, lambda: sqlite3.connect("", isolation_level=None))
    with private.writing() as proven:
        try:
            total = _read(Archive(read), proven, progress)
        except ValueError as error:
            raise EvidenceError(
                f"{name}: not a whole export of flakegate: {error}",
                tip="`flakegate store export FILE` writes exports; fetch or make this one again",
            ) from None
        database = target()
        with database.writing() as connection:
            need_empty(connection, database.place)
            _copy(proven, connection, lambda done: progress(done, total))
    return database


def need_empty(connection: Connection, place: str) -> None:
    """Raises UsageError for a store that holds anything."""
    if connection.execute(select(schema.repositories.c.id).limit(1)).first() is not None:
        raise UsageError(
            f"{place}: this store holds something already, and an export only fills an empty one",
            tip="name a new file with --store; "
            "to merge histories, `flakegate collect` their shards",
        )


def _read(archive: Archive, connection: Connection, progress: Progress) -> int:
    """Writes the export into this empty database; how many rows. Raises ValueError, in words."""
    if archive.schema > schema.VERSION:
        raise ValueError(
            f"it was written by a newer version of flakegate (its schema is {archive.schema}, "
            f"this one knows {schema.VERSION})"
        )
    if archive.schema < 1:
        raise ValueError("there is no such schema")
    create(connection, archive.schema)
    total = _fill(connection, archive, progress)
    migrate(connection)
    if found := fault(connection):
        raise ValueError(found)
    return total


def _fill(connection: Connection, archive: Archive, progress: Progress) -> int:
    missing = set(inspect(connection).get_table_names())
    into: _Into | None = None
    total = 0
    for each in archive:
        if isinstance(each, bytes):
            assert into is not None  # noqa: S101 - an archive gives no row before its table
            into.add(each)
            total += 1
            if total % _EVERY == 0:
                progress(total, None)
            continue
        if each.name not in missing:
            raise ValueError(f"its schema has no table {each.name!a}")
        missing.remove(each.name)
        if into is not None:
            into.flush()
        into = _Into(connection, each)
    if into is None or missing:
        raise ValueError(f"the table {min(missing)} is missing")
    into.flush()
    return total


class _Into:
    """Rows on their way into one table."""

    def __init__(self, connection: Connection, table: Table) -> None:
        columns = inspect(connection).get_columns(table.name)
        names = tuple(each["name"] for each in columns)
        if table.columns != names:
            raise ValueError(f"the columns of {table.name} are others")
        kinds = tuple(_KINDS[str(each["type"]), each["nullable"]] for each in columns)
        self._decoder = msgspec.json.Decoder(GenericAlias(tuple, kinds))
        self._connection = connection
        self._name = table.name
        quoted, marks = '", "'.join(names), ", ".join("?" * len(names))
        # Names of the schema that this file was made with, and the export's are the same.
        self._insert = f'INSERT INTO "{table.name}" ("{quoted}") VALUES ({marks})'  # noqa: S608
        self._rows: list[tuple[Any, ...]] = []

    def add(self, line: bytes) -> None:
        try:
            self._rows.append(self._decoder.decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ValueError(f"a row of {self._name} holds what cannot be there") from None
        if len(self._rows) == _BATCH:
            self.flush()

    def flush(self) -> None:
        if not self._rows:
            return
        try:
            self._connection.exec_driver_sql(self._insert, self._rows)
        except IntegrityError:
            raise ValueError(f"a row of {self._name} is there twice") from None
        self._rows = []


def _copy(source: Connection, target: Connection, told: Callable[[int], None]) -> None:
    """Takes over all content, row by row as it is."""
    streamed = source.execution_options(yield_per=_BATCH)
    done = 0
    for table in schema.METADATA.sorted_tables:
        for batch in streamed.execute(content(table)).mappings().partitions():
            target.execute(table.insert(), [dict(row) for row in batch])
            before, done = done, done + len(batch)
            if before // _EVERY < done // _EVERY:
                told(done)
