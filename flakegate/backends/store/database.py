"""One SQLite file: opened, checked, its transactions, and its errors in words.

All that is SQLite's own stands in this file; the rest of the store speaks SQL that any database of
SQLAlchemy understands.
"""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, event, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from flakegate.backends.store import schema
from flakegate.backends.store.address import sqlite_path
from flakegate.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

PATIENCE = (
    10.0  # seconds to wait for another process; a transaction of ours takes a few milliseconds
)

_AGAIN = "then run this again: what is recorded already is not recorded twice"
_REBUILD = "restore it from the CI cache, or move it away and `flakegate collect` the shards again"
# SQLite's words (sqlite3_errstr), ours, and what to do next. Python 3.10 does not give the codes.
_ERRORS = (
    (
        "is locked",
        "another process holds its lock",
        f"let it finish, {_AGAIN}; let parallel jobs write shards instead (`record --shard-out`)",
    ),
    ("disk is full", "the disk is full; the store is as it was", f"free some space, {_AGAIN}"),
    (
        "readonly database",
        "it cannot be written: the file, its folder or the disk is read-only; it is as it was",
        "make it writable, or name another file with --store",
    ),
    (
        "unable to open",
        "it cannot be opened, or its folder cannot be written",
        "check the permissions of the file and of its folder",
    ),
    (
        "not a database",
        "this file is not a SQLite database",
        "name a store with --store or FLAKEGATE_STORE; a new file is made where there is none",
    ),
    ("malformed", "the file is damaged", _REBUILD),
    ("disk I/O error", "the disk failed to read or write", f"check the disk, {_AGAIN}"),
)


class Database:
    """A checked store file. `place` is its path as given.

    Connections live as long as one transaction: nothing stays locked, open or half-written between
    two stages, and nobody has to close anything.

    The journal is SQLite's rollback journal and not WAL: the file travels through a CI cache as one
    file, and with WAL the latest transactions may stay behind in a `-wal` file beside it. The
    `-journal` file exists only during a transaction (or after a crash in one: the next opening
    rolls it back).
    """

    def __init__(self, place: str, connect: Callable[[], sqlite3.Connection] | None) -> None:
        """connect: opens the file, once for each transaction. None: there is no file to read."""
        self.place = place
        self._absent = connect is None
        connect = connect or (lambda: sqlite3.connect(":memory:", isolation_level=None))
        self._engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
        event.listen(self._engine, "begin", _begin)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that sees one state of the store. Raises BackendError."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, all or nothing, with the write lock from its start. Raises BackendError.

        Taking the lock late would let two writers read the same state and both act on it.
        """
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        try:
            engine = self._engine.execution_options(begin=begin)
            with engine.begin() as connection:
                if self._absent:
                    schema.METADATA.create_all(connection)
                yield connection
        except DBAPIError as error:
            raise _explained(str(error.orig), self.place) from error
        except zlib.error as error:
            raise _explained("malformed", self.place) from error


def open_database(url: str, *, write: bool, patience: float = PATIENCE) -> Database:
    """Opens `sqlite:///relative.db` or `sqlite:////absolute.db`, and checks that it is a store.

    write: makes the file where there is none; else such a file is an empty store, and not made.
    patience: seconds to wait for a lock. Raises UsageError for other URLs, BackendError for files
    that are no store, or of a newer flakegate, or cannot be used.
    """
    path = sqlite_path(url)
    place = str(path)
    try:
        if path.is_dir():
            raise BackendError(f"{place}: this is a folder", tip="name a file in it with --store")
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.exists() or path.stat().st_size == 0:
            return Database(place, None)
    except OSError as error:
        raise BackendError(
            f"{place}: {error.strerror or error}",
            tip="check the path, and the permissions of the folders that lead to it",
        ) from None
    # Reading also asks for `rw`, which falls back to read-only where the file is: a journal that
    # a crash left behind can only be rolled back by who may write.
    uri = f"{path.absolute().as_uri()}?mode={'rwc' if write else 'rw'}"
    database = Database(place, lambda: _connect(uri, write=write, patience=patience))
    with database.reading() as connection:
        version = _version(connection, place)
    if write and version is None:
        with database.writing() as connection:
            if _version(connection, place) is None:  # nobody was quicker
                _create(connection)
    return database if write or version is not None else Database(place, None)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()["begin"])


def _connect(uri: str, *, write: bool, patience: float) -> sqlite3.Connection:
    # isolation_level None: the module begins no transaction of its own; _begin does.
    connection = sqlite3.connect(uri, uri=True, timeout=patience, isolation_level=None)
    if not write:
        connection.execute("PRAGMA query_only = ON")
    return connection


def _create(connection: Connection) -> None:
    schema.METADATA.create_all(connection)
    values = {"application": schema.APPLICATION, "schema": str(schema.VERSION)}
    connection.execute(
        schema.meta.insert(), [{"name": name, "value": value} for name, value in values.items()]
    )


def _version(connection: Connection, place: str) -> int | None:
    """The schema's version; None for a database without any table. Raises BackendError."""
    looked = inspect(connection)
    names = looked.get_table_names()
    if not names:
        return None
    found: dict[str, str] = {}
    if "meta" in names and {"name", "value"} <= {
        each["name"] for each in looked.get_columns("meta")
    }:
        rows = connection.execute(select(schema.meta.c.name, schema.meta.c.value))
        found = {str(name): str(value) for name, value in rows}
    version = found.get("schema", "")
    if found.get("application") != schema.APPLICATION or not version.isdecimal():
        raise BackendError(
            f"{place}: a SQLite database, but not one of flakegate",
            tip="name another file with --store or FLAKEGATE_STORE; this one is as it was",
        )
    if int(version) != schema.VERSION:
        raise BackendError(
            f"{place}: written by another version of flakegate (its schema is {version}, "
            f"this one knows {schema.VERSION})",
            tip="use the newer flakegate everywhere; the file is as it was",
        )
    return int(version)


def _explained(words: str, place: str) -> BackendError:
    for fragment, message, tip in _ERRORS:
        if fragment in words:
            return BackendError(f"{place}: {message}", tip=tip)
    return BackendError(f"{place}: SQLite says: {words}", tip=_REBUILD)
