"""One SQLite file: opened, checked, its transactions, and its errors in words.

All that is SQLite's own stands in this file; the rest of the store speaks SQL that any database of
SQLAlchemy understands.
"""

from __future__ import annotations

import re
import sqlite3
import zlib
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, event, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from flakegate.backends.store import schema
from flakegate.backends.store.address import sqlite_path
from flakegate.backends.store.backup import back_up
from flakegate.backends.store.migrations import create, migrate
from flakegate.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

PATIENCE = (
    10.0  # seconds to wait for another process; a transaction of ours takes a few milliseconds
)

_NUMBER = re.compile(r"[1-9][0-9]{0,5}")  # of a schema
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
    ("no such table", "the file is damaged: a table is missing", _REBUILD),
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

    def __init__(
        self,
        place: str,
        connect: Callable[[], sqlite3.Connection],
        prepare: Callable[[Connection], None] | None = None,
        version: int = schema.VERSION,
    ) -> None:
        """connect: opens the file, or a database in memory, once for each transaction.

        prepare: makes one in memory what a store has to be; after that nothing may write to it.
        version: of the schema that the file has.
        """
        self.place = place
        self.version = version
        self._connect = connect
        self._prepare = prepare
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
    def watching(self) -> Iterator[Callable[[], object]]:
        """Gives a function whose answer is another one once anybody has written to the file.

        It may be called from any thread, by one at a time. Raises BackendError.
        """
        with closing(self._connect()) as connection:

            def look() -> object:
                try:
                    return connection.execute("PRAGMA data_version").fetchone()
                except sqlite3.Error as error:
                    raise _explained(str(error), self.place) from error

            yield look

    def compact(self) -> None:
        """Makes the file as small as its content, or leaves it as it was. Raises BackendError."""
        try:
            with closing(self._connect()) as connection:
                connection.execute("VACUUM")
        except sqlite3.Error as error:
            raise _explained(str(error), self.place) from error

    @contextmanager
    def trying(self) -> Iterator[Connection]:
        """One transaction on a copy in memory, which is gone afterwards. Raises BackendError."""
        in_memory = self._prepare is not None
        connect = self._connect if in_memory else lambda: _copy(self._connect())
        copy = Database(self.place, connect, self._prepare)
        with copy._transaction("BEGIN", frozen=False) as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str, *, frozen: bool = True) -> Iterator[Connection]:
        """frozen: nothing may write to what stands only in memory."""
        try:
            engine = self._engine.execution_options(begin=begin)
            with engine.begin() as connection:
                if self._prepare is not None:
                    self._prepare(connection)
                if self._prepare is not None and frozen:
                    connection.exec_driver_sql("PRAGMA query_only = ON")
                yield connection
        except DBAPIError as error:
            raise _explained(str(error.orig), self.place) from error
        except zlib.error as error:
            raise _explained("malformed", self.place) from error


def open_database(
    url: str,
    *,
    write: bool,
    patience: float = PATIENCE,
    warn: Callable[[str], None] = lambda _: None,
) -> Database:
    """Opens `sqlite:///relative.db` or `sqlite:////absolute.db`, and checks that it is a store.

    write: makes the file where there is none, and migrates an older one, with a backup beside it;
    else a missing file is an empty store, and an older one is migrated in memory, at each reading.
    patience: seconds to wait for a lock. warn: is told, in a line, that a store was migrated.
    Raises UsageError for other URLs, BackendError for files that are no store, or of a newer
    flakegate, or cannot be used.
    """
    path = sqlite_path(url)
    place = str(path)
    try:
        if path.is_dir():
            raise BackendError(f"{place}: this is a folder", tip="name a file in it with --store")
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.exists() or path.stat().st_size == 0:
            return Database(place, _memory, create)
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
    if version == schema.VERSION:
        return database
    if write:
        told = _upgraded(database, path)
        if told is not None:
            warn(told)
        return database
    if version is None:
        return Database(place, _memory, create)
    connect = partial(_connect, uri, write=False, patience=patience)
    return Database(place, lambda: _copy(connect()), migrate, version)


def _upgraded(database: Database, path: Path) -> str | None:
    """Creates or migrates the store, all or nothing; what to tell of it, None if nothing is."""
    with database.writing() as connection:
        before = _version(connection, database.place)
        if before is None:
            create(connection)
            return None
        if before == schema.VERSION:  # another process was quicker
            return None
        # A file that cannot be written says so now, and needs no backup.
        connection.execute(schema.meta.update().values(value=schema.meta.c.value))
        backup = _backed_up(database, path, before)
        migrate(connection)
    return (
        f"{database.place} was migrated from schema {before} to {schema.VERSION}; "
        f"as it was before, it is in {backup}"
    )


def _backed_up(database: Database, path: Path, version: int) -> Path:
    """Where the copy is. The write lock is held: what is read here is what will be migrated."""
    try:
        with database.reading() as connection:
            _version(connection, database.place)  # begins to read
            source = connection.connection.driver_connection
            assert isinstance(source, sqlite3.Connection)  # noqa: S101 - _connect made it
            return back_up(source, path, version)
    except (OSError, sqlite3.Error) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise BackendError(
            f"{path}: its schema {version} has to be migrated, and a backup of it cannot be written"
            f" beside it ({why}); it is as it was",
            tip="free some space, or make its folder writable, then run this again",
        ) from error


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()["begin"])


def _connect(uri: str, *, write: bool, patience: float) -> sqlite3.Connection:
    # isolation_level None: the module begins no transaction of its own; _begin does.
    # No connection is used by two threads at once, but one that watches by several in turn.
    connection = sqlite3.connect(
        uri, uri=True, timeout=patience, isolation_level=None, check_same_thread=False
    )
    if not write:
        connection.execute("PRAGMA query_only = ON")
    return connection


def _memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def _copy(source: sqlite3.Connection) -> sqlite3.Connection:
    """What it is connected to, in memory; closes it."""
    with closing(source):
        # Begin to read with the usual patience: `backup` waits for a lock without end.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        copy = _memory()
        source.backup(copy)
    return copy


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
    if found.get("application") != schema.APPLICATION or not _NUMBER.fullmatch(version):
        raise BackendError(
            f"{place}: a SQLite database, but not one of flakegate",
            tip="name another file with --store or FLAKEGATE_STORE; this one is as it was",
        )
    if int(version) > schema.VERSION:
        raise BackendError(
            f"{place}: written by a newer version of flakegate (its schema is {version}, "
            f"this one knows {schema.VERSION})",
            tip="use the newer flakegate everywhere; the file is as it was",
        )
    return int(version)


def _explained(words: str, place: str) -> BackendError:
    for fragment, message, tip in _ERRORS:
        if fragment in words:
            return BackendError(f"{place}: {message}", tip=tip)
    return BackendError(f"{place}: SQLite says: {words}", tip=_REBUILD)
