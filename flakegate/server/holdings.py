"""What the server has of the store: a listing that is read anew once anybody has written to it."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from flakegate.backends.store import states
from flakegate.backends.store.numbering import in_chunks
from flakegate.backends.store.schema import flaky, meta, repositories, tests
from flakegate.backends.store.store import Store
from flakegate.errors import BackendError
from flakegate.model import DETECTION, EXPIRY, State
from flakegate.server.listed import Listed
from flakegate.server.listing import Listing
from flakegate.wire.flaky_tests import Change, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flakegate.backends.store.database import Database
    from flakegate.backends.store.schema import AnyRow
    from flakegate.wire.flaky_tests import NewState, PolicyId

FRESH = 60.0  # seconds after which figures are worked out again: their 7 days have moved on


class Holdings:
    """One store, shared with whoever else writes to it. All methods raise BackendError.

    clock: seconds since the epoch. rate_from: as in the policy.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float], rate_from: str) -> None:
        self._database = database
        self._clock = clock
        self._rate_from = rate_from
        self._lock = threading.Lock()
        self._watch: tuple[object, ExitStack, Callable[[], object]] | None = None
        self._listing = Listing(tests=())
        self._is_of: tuple[object, object] | None = None
        self._read_at = 0.0

    def listing(self) -> Listing:
        """All flaky tests as they are now."""
        with self._lock:
            version, now = self._version(), self._clock()
            if version != self._is_of or not 0 <= now - self._read_at < FRESH:
                # What is written while this reads makes another version: it is read once more.
                self._listing = self._read(now)
                self._is_of, self._read_at = version, now
            return self._listing

    def check(self) -> None:
        """Raises BackendError where the store cannot be read."""
        with self._database.reading() as connection:
            connection.execute(select(meta.c.value)).all()

    def histories(self, rows: Sequence[int]) -> dict[int, tuple[Change, ...]]:
        """Of these tests every change of their states, newest first."""
        found: dict[int, tuple[Change, ...]] = {}
        with self._database.reading() as connection:
            for some in in_chunks(rows):
                log = states.histories(connection, some)
                found |= {row: tuple(map(_change, entries)) for row, entries in log.items()}
        return found

    def update(self, changes: Sequence[NewState], *, actor: str) -> list[Result]:
        """Makes what can be made, in one transaction; says of each change what came of it."""
        with self._database.writing() as connection:
            rows: dict[str, AnyRow] = {}
            for ids in in_chunks([change.id for change in changes]):
                found = (
                    select(tests.c.key, tests.c.id, flaky.c.state)
                    .join(flaky, flaky.c.test == tests.c.id)
                    .where(tests.c.key.in_(ids))
                )
                rows |= {row.key: row for row in connection.execute(found)}
            now = {key: State(row.state) for key, row in rows.items()}
            results = []
            for change in changes:
                if change.id not in now:
                    error = "there is no flaky test with this id"
                    results.append(Result(id=change.id, success=False, error=error))
                    continue
                if now[change.id] is not change.new_state:
                    states.change(
                        connection,
                        states.Change(
                            test=rows[change.id].id,
                            from_state=now[change.id],
                            to_state=change.new_state,
                            at=self._clock(),
                            rule=None,
                            actor=actor,
                            reason="over the API",
                            pipeline=None,
                        ),
                    )
                    now[change.id] = change.new_state
                results.append(Result(id=change.id, success=True))
        return results

    def close(self) -> None:
        """Gives back what is held open."""
        with self._lock:
            if self._watch is not None:
                self._watch[1].close()
                self._watch = None

    def _version(self) -> tuple[object, object]:
        """Another one once the file was written to, or another file has taken its place."""
        file = self._file()
        if self._watch is None or self._watch[0] != file:
            if self._watch is not None:
                self._watch[1].close()
            stack = ExitStack()
            look = stack.enter_context(self._database.watching())
            self._watch = file, stack, look
        return file, self._watch[2]()

    def _file(self) -> object:
        try:
            found = Path(self._database.place).stat()
        except OSError as error:
            raise BackendError(f"{self._database.place}: {error.strerror}") from None
        return found.st_dev, found.st_ino

    def _read(self, now: float) -> Listing:
        with self._database.reading() as connection:
            names = connection.execute(select(repositories.c.name)).scalars().all()
        listed = []
        for name in names:
            store = Store(
                database=self._database,
                repository=name,
                pipeline=None,
                now=now,
                rate_from=self._rate_from,
            )
            listed += [
                Listed(repository=name.lower(), row=row, test=test)
                for row, test in store.listed().items()
            ]
        return Listing(tests=listed)


def _change(entry: AnyRow) -> Change:
    by_person = entry.rule is None and entry.actor not in {DETECTION, EXPIRY, None}
    policy: PolicyId = "ftm_policy.manual" if by_person else "unknown"
    return Change(status=State(entry.to_state), timestamp=int(entry.at * 1000), policy_id=policy)
