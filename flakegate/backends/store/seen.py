"""Which runs a store holds, so that nobody fetches them again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from flakegate.backends.store.numbering import repository_row
from flakegate.backends.store.schema import runs

if TYPE_CHECKING:
    from flakegate.backends.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A recorded run: key, pipeline and leg as in CIContext; when it ran, in epoch seconds."""

    key: str
    pipeline: str
    leg: str
    at: float


def seen(store: Store) -> list[Seen]:
    """The runs of the store's repository, the newest first."""
    with store.database.reading() as connection:
        rows = connection.execute(
            select(runs.c.key, runs.c.pipeline, runs.c.leg, runs.c.at)
            .where(runs.c.repository == repository_row(connection, store.repository))
            .order_by(runs.c.at.desc(), runs.c.key)
        )
        return [Seen(key=row.key, pipeline=row.pipeline, leg=row.leg, at=row.at) for row in rows]
