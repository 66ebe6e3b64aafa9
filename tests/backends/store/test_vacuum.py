"""A store made small: what leaves, what stays, and what happens where it cannot be written."""

from __future__ import annotations

import os
import resource
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from flakegate.backends.store.database import Database, open_database
from flakegate.backends.store.vacuum import Counts, rehearse, vacuum
from flakegate.errors import BackendError
from flakegate.model import State
from tests.backends.store.build import DAY, NOW, flaky, move, open_store, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEEP = 30 * DAY


def opened(folder: Path, *, write: bool = True) -> Database:
    return open_database(f"sqlite:///{folder / 'history.db'}", write=write, patience=0.05)


def filled(folder: Path) -> Path:
    """Forty runs of long ago, after which `a` and `b` are flaky and `a` quarantined; and a new one.

    Of `gone` nothing but these runs knows, and it passed.
    """
    store = open_store(folder, now=NOW - 60 * DAY)
    names = {f"steady_{number}": "p" for number in range(50)}
    old = [run(n, NOW - 62 * DAY + n, a="fp", gone="p", **names) for n in range(1, 40)]
    store.record([*old, run(40, NOW - 61 * DAY, a="p", b="fp", **names)])
    assert store.update([move("a", State.ACTIVE, State.QUARANTINED)])[0].ok
    open_store(folder, now=NOW - DAY).record([run(50, NOW - DAY, a="p", b="fp", **names)])
    return folder / "history.db"


def states(folder: Path) -> dict[str, tuple[State, float | None]]:
    found = flaky(open_store(folder, write=False))
    return {name: (test.state, test.state_since) for name, test in found.items()}


def test_old_runs_leave_the_file_is_smaller_and_every_state_stays(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE ballast AS SELECT randomblob(100000) AS bytes")
        connection.execute("DROP TABLE ballast")
        connection.commit()
    before, size = states(tmp_path), path.stat().st_size
    left = vacuum(opened(tmp_path), now=NOW, keep=KEEP)
    assert left == Counts(runs=40, failures=40, tests=1)
    assert path.stat().st_size < size - 90_000
    assert states(tmp_path) == before
    assert set(before) == {"a", "b"}
    assert vacuum(opened(tmp_path), now=NOW, keep=KEEP) == Counts(runs=0, failures=0, tests=0)
    assert [each.name for each in tmp_path.iterdir()] == ["history.db"]


def test_a_rehearsal_says_the_same_and_changes_no_byte(tmp_path: Path) -> None:
    path = filled(tmp_path)
    before = path.read_bytes()
    said = rehearse(opened(tmp_path, write=False), now=NOW, keep=KEEP)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["history.db"]
    assert said == vacuum(opened(tmp_path), now=NOW, keep=KEEP)


def test_nothing_is_rehearsed_where_there_is_no_store(tmp_path: Path) -> None:
    nothing = Counts(runs=0, failures=0, tests=0)
    assert rehearse(opened(tmp_path, write=False), now=NOW, keep=KEEP) == nothing
    assert list(tmp_path.iterdir()) == []


def test_the_number_of_a_run_is_kept(tmp_path: Path) -> None:
    """VACUUM gives rows without a number of their own new ones; ours all have one."""
    filled(tmp_path)
    query = "SELECT id, key FROM runs ORDER BY id"
    with closing(sqlite3.connect(tmp_path / "history.db")) as connection:
        last = connection.execute(query).fetchall()[-1]
    vacuum(opened(tmp_path), now=NOW, keep=KEEP)
    with closing(sqlite3.connect(tmp_path / "history.db")) as connection:
        assert connection.execute(query).fetchall() == [last]


def test_a_lock_is_waited_for_and_then_named(tmp_path: Path) -> None:
    path = filled(tmp_path)
    database, before = opened(tmp_path), path.read_bytes()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BackendError, match="another process holds its lock") as raised:
            vacuum(database, now=NOW, keep=KEEP)
        other.execute("ROLLBACK")
    assert raised.value.tip
    assert path.read_bytes() == before


def test_a_lock_that_comes_between_is_told_with_what_was_done(tmp_path: Path) -> None:
    path = filled(tmp_path)
    before = states(tmp_path)
    database = opened(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:

        def hold(*_: object) -> None:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM runs").fetchone()

        class Held(Database):
            def compact(self) -> None:
                hold()
                super().compact()

        held = Held(database.place, lambda: sqlite3.connect(path, 0.05, isolation_level=None))
        with pytest.raises(BackendError, match=r"lock \(40 old runs have left; the file is as"):
            vacuum(held, now=NOW, keep=KEEP)
    assert states(tmp_path) == before


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_it_as_it_was(tmp_path: Path) -> None:
    path = filled(tmp_path)
    database, before = opened(tmp_path), path.read_bytes()
    with full_disk(1_000), pytest.raises(BackendError, match=r"disk") as raised:
        vacuum(database, now=NOW, keep=KEEP)
    assert raised.value.tip
    assert path.read_bytes() == before
    assert set(states(tmp_path)) == {"a", "b"}


def test_a_file_that_may_not_be_written_is_as_it_was(tmp_path: Path) -> None:
    path = filled(tmp_path)
    before = path.read_bytes()
    uri = f"{path.as_uri()}?mode=ro"
    database = Database(str(path), lambda: sqlite3.connect(uri, uri=True, isolation_level=None))
    with pytest.raises(BackendError, match="read-only") as raised:
        vacuum(database, now=NOW, keep=KEEP)
    assert raised.value.tip
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["history.db"]  # noqa: PTH208 - names are all that is asked
