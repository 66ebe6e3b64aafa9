"""All that a store holds, of all repositories, as one export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from flakegate.backends.store import archive, schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy
    from sqlalchemy import Connection

    from flakegate.backends.base import Progress

OWN = ("application", "schema")  # in `meta`: what the file that is imported into says itself
_FETCHED = 1_000  # rows at once
_EVERY = 10_000  # rows after which progress is told


def export(connection: Connection, progress: Progress) -> Iterator[bytes]:
    """The export, piece by piece, in memory that does not grow with the store.

    progress: is told how many rows are written, and of how many.
    """
    tables = tuple(schema.METADATA.tables.values())  # in the order of schema.py
    counts = (select(func.count()).select_from(content(each).subquery()) for each in tables)
    total = sum(connection.execute(count).scalar_one() for count in counts)
    streamed = connection.execution_options(yield_per=_FETCHED)
    done = 0

    def rows(table: sqlalchemy.Table) -> Iterator[tuple[Any, ...]]:
        nonlocal done
        for batch in streamed.execute(content(table)).partitions():
            yield from map(tuple, batch)
            before, done = done, done + len(batch)
            if before // _EVERY < done // _EVERY:
                progress(done, total)

    yield from archive.pack(schema.VERSION, ((_head(each), rows(each)) for each in tables))


def _head(table: sqlalchemy.Table) -> archive.Table:
    # SQLAlchemy's names are texts of a type of its own.
    return archive.Table(name=str(table.name), columns=tuple(map(str, table.columns.keys())))


def content(table: sqlalchemy.Table) -> sqlalchemy.Select[Any]:
    """The rows of a table that are content of the store, in the order of its primary key."""
    found = select(table).order_by(*table.primary_key)
    return found.where(schema.meta.c.name.not_in(OWN)) if table is schema.meta else found
