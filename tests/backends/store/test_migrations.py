"""A store of an earlier schema: the same facts in the tables of today, or the file as it was."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine

from flakegate.backends.store import migrations, schema
from flakegate.backends.store.store import Store
from flakegate.errors import BackendError
from flakegate.policy.needs import whole
from tests.backends.store.build import NOW, REPOSITORY, flaky, run
from tests.backends.store.test_database import ROOT, as_nobody, foreign
from tests.backends.store.test_database import shared as shared  # noqa: PLC0414 - a fixture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection

CASES = ROOT / "tests" / "cases" / "store"
VERSIONS = range(1, schema.VERSION + 1)


def old(folder: Path, version: int = 1) -> Path:
    path = folder / "history.db"
    shutil.copyfile(CASES / f"schema-{version}.db", path)
    return path


def opened(path: Path, *, write: bool, told: list[str] | None = None) -> Store:
    return Store.open(
        f"sqlite:///{path}",
        repository=REPOSITORY,
        pipeline=None,
        now=NOW,
        rate_from="default_branch",
        write=write,
        patience=0.05,
        warn=(list[str]() if told is None else told).append,
    )


def said(store: Store) -> list[dict[str, object]]:
    """What a store says of its flaky tests, in the words of `schema-N.json`."""
    names = json.loads((CASES / "schema-1.json").read_text())[0]
    cause = names["cause"]
    return [
        {name: getattr(test, name) for name in names}
        | {"cause": {name: getattr(test.cause, name) for name in cause}}
        for test in store.search(whole())
    ]


def expected(version: int = 1) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((CASES / f"schema-{version}.json").read_text())
    return found


def shape(connection: sqlite3.Connection) -> dict[str, object]:
    """All that a schema lays down, however it is spelt."""

    def asked(pragma: str, of: object) -> list[tuple[object, ...]]:
        return [tuple(row) for row in connection.execute(f"PRAGMA {pragma}('{of}')")]

    found: dict[str, object] = {}
    tables = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
    for table, sql in connection.execute(tables).fetchall():
        indexes = [
            (unique, origin, partial, name if origin == "c" else "", asked("index_xinfo", name))
            for _, name, unique, origin, partial in asked("index_list", table)
        ]
        found[table] = {
            "columns": asked("table_xinfo", table),
            "indexes": sorted(indexes, key=repr),
            "foreign keys": sorted((row[2:] for row in asked("foreign_key_list", table)), key=repr),
            "without rowid": "WITHOUT ROWID" in sql.upper(),
            "checks": "CHECK" in sql.upper(),
        }
    others = "SELECT type, name FROM sqlite_master WHERE type NOT IN ('table', 'index')"
    return found | {"others": connection.execute(others).fetchall()}


def made(make: Callable[[Connection], None]) -> dict[str, object]:
    """The shape of what `make` makes."""
    with create_engine("sqlite://").connect() as connection:
        make(connection)
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        return shape(raw)


def shape_of(path: Path) -> dict[str, object]:
    with closing(sqlite3.connect(path)) as connection:
        return shape(connection)


# The tables


def test_the_last_step_leads_to_the_schema_of_today() -> None:
    assert sorted(migrations.STEPS) == list(VERSIONS)[1:]
    assert made(migrations.create) == made(schema.METADATA.create_all)


@pytest.mark.parametrize("start", VERSIONS)
@pytest.mark.parametrize("end", VERSIONS)
def test_every_way_to_a_version_makes_the_same(start: int, end: int) -> None:
    def by_steps(connection: Connection) -> None:
        migrations.create(connection, start)
        migrations.migrate(connection, end)

    assert made(by_steps) == made(lambda connection: migrations.create(connection, max(start, end)))


def test_the_first_version_is_the_one_that_is_out_there() -> None:
    first = made(lambda connection: migrations.create(connection, 1))
    assert first == shape_of(CASES / "schema-1.db")
    assert first != made(migrations.create), "or the shape tells nothing"


def test_a_migrated_file_and_a_new_one_are_the_same(tmp_path: Path) -> None:
    path = old(tmp_path)
    opened(path, write=True)
    opened(tmp_path / "new.db", write=True)
    assert shape_of(path) == shape_of(tmp_path / "new.db")


# What is in them


def test_reading_an_older_store_writes_nothing(tmp_path: Path) -> None:
    path, told = old(tmp_path), list[str]()
    before = path.read_bytes()
    store = opened(path, write=False, told=told)
    assert said(store) == expected()
    assert store.suite_size() == 14
    assert store.recent_changes(0) == 1
    with pytest.raises(BackendError, match="cannot be written"):
        store.record([run(99, a="p")])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert not told


def test_an_older_store_that_nobody_may_write_is_read(shared: Path) -> None:
    path = old(shared)
    path.chmod(0o444)
    shared.chmod(0o777)
    with as_nobody():
        store = opened(path, write=False)
        assert set(flaky(store)) == {"retried", "shaky", "slow", "t0"}
        with pytest.raises(BackendError, match=r"read-only.*as it was") as raised:
            opened(path, write=True)
    assert raised.value.tip
    assert list(shared.iterdir()) == [path]


def test_writing_to_an_older_store_migrates_it_first(tmp_path: Path) -> None:
    path, told = old(tmp_path), list[str]()
    before = path.read_bytes()
    store = opened(path, write=True, told=told)
    assert said(store) == expected()
    assert said(opened(path, write=False)) == expected()
    backup = tmp_path / "history.db.schema-1.backup"
    (words,) = told
    assert words.startswith(f"{path} was migrated from schema 1 to {schema.VERSION}; ")
    assert words.endswith(str(backup))
    assert sorted(each.name for each in tmp_path.iterdir()) == [path.name, backup.name]
    store.record([run(99, late="fp")])
    assert "late" in flaky(store)
    assert path.read_bytes() != before
    assert said(opened(backup, write=False)) == expected(), "of before, and readable"
    told.clear()
    opened(path, write=True, told=told)
    assert not told, "once"


def test_the_backup_put_back_can_be_migrated_again(tmp_path: Path) -> None:
    path = old(tmp_path)
    opened(path, write=True).record([run(99, late="fp")])
    backup = tmp_path / "history.db.schema-1.backup"
    shutil.copyfile(backup, path)
    assert said(opened(path, write=True)) == expected()
    assert sorted(each.name for each in tmp_path.iterdir()) == [path.name, backup.name]


def test_who_read_before_reads_on_after_another_migrated(tmp_path: Path) -> None:
    path = old(tmp_path)
    reader = opened(path, write=False)
    opened(path, write=True).record([run(99, late="fp")])
    assert "late" in flaky(reader)


def test_an_older_store_with_a_write_ahead_log(tmp_path: Path) -> None:
    path = old(tmp_path)
    foreign(path, "PRAGMA journal_mode = WAL")
    assert said(opened(path, write=False)) == expected()
    assert said(opened(path, write=True)) == expected()
    assert said(opened(tmp_path / "history.db.schema-1.backup", write=False)) == expected()


# What goes wrong

FULL = (
    "CREATE TRIGGER full BEFORE UPDATE ON meta WHEN new.value <> old.value "
    "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
)


def test_a_full_disk_in_the_middle_leaves_all_as_it_was(tmp_path: Path) -> None:
    """The step that says which schema it is now comes last, and fails as on a full disk."""
    path, told = old(tmp_path), list[str]()
    foreign(path, FULL)
    before = path.read_bytes()
    for _ in range(3):
        with pytest.raises(BackendError, match=r"the disk is full; the store is as it was"):
            opened(path, write=True, told=told)
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "history.db", "history.db.schema-1.backup",
    ], "trying again takes no more room"  # fmt: skip
    assert not told
    foreign(path, "DROP TRIGGER full")
    assert said(opened(path, write=True, told=told)) == expected()
    assert told[0].endswith("history.db.schema-1.backup-2"), "it holds something else now"


def test_without_a_backup_nothing_is_migrated(shared: Path) -> None:
    path = old(shared)
    path.chmod(0o666)
    shared.chmod(0o555)
    before = path.read_bytes()
    with as_nobody(), pytest.raises(BackendError, match=r"backup.*denied.*as it was") as raised:
        opened(path, write=True)
    assert "folder" in (raised.value.tip or "")
    assert path.read_bytes() == before
    assert list(shared.iterdir()) == [path]


CRAMPED = """
import resource, sys
from pathlib import Path
from flakegate.errors import BackendError
from tests.backends.store.build import open_store
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))  # no file may grow beyond it
try:
    open_store(Path(sys.argv[1]))
except BackendError as error:
    print(error.message)
"""


def test_a_disk_too_full_for_the_backup(tmp_path: Path) -> None:
    path = old(tmp_path)
    before = path.read_bytes()
    words = subprocess.check_output(
        [sys.executable, "-c", CRAMPED, str(tmp_path)], cwd=ROOT, text=True
    )
    assert "a backup of it cannot be written" in words
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path], "no half of a backup"


def test_a_store_that_lacks_a_table_is_damaged(tmp_path: Path) -> None:
    path = old(tmp_path)
    foreign(path, "DROP TABLE flaky", "DROP TABLE state_log")
    before = path.read_bytes()
    for write in (False, True):
        with pytest.raises(BackendError, match="damaged"):
            opened(path, write=write).search(whole())
    assert path.read_bytes() == before


DYING = """
import sys, time
from flakegate.backends.store import migrations
from flakegate.backends.store.database import Database
import sqlite3
connect = lambda: sqlite3.connect(sys.argv[1], isolation_level=None)
with Database(sys.argv[1], connect).writing() as connection:
    connection.exec_driver_sql("PRAGMA cache_size = 1")  # write pages before the commit
    migrations.migrate(connection)
    connection.exec_driver_sql("UPDATE state_log SET until = id, reason = hex(zeroblob(9999))")
    connection.exec_driver_sql("UPDATE latest SET message = hex(zeroblob(9999))")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_process_killed_in_the_middle_of_a_migration(tmp_path: Path) -> None:
    path = old(tmp_path)
    before = path.read_bytes()
    with subprocess.Popen(
        [sys.executable, "-c", DYING, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
    assert path.read_bytes() != before, "pages were written, and must be taken back"
    assert said(opened(path, write=False)) == expected()
    assert path.read_bytes() == before
    assert said(opened(path, write=True)) == expected()


WORKER = """
import sys
from flakegate.backends.store.database import open_database
sys.stdout.write("ready\\n"); sys.stdout.flush()
sys.stdin.readline()
open_database(f"sqlite:///{sys.argv[1]}", write=True, warn=print)
"""


def test_two_processes_at_once_migrate_once(tmp_path: Path) -> None:
    path = old(tmp_path)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", WORKER, str(path)],
                    cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                )
            )
            for _ in range(2)
        ]  # fmt: skip
        for worker in workers:
            assert worker.stdout
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin
            worker.stdin.write("go\n")
            worker.stdin.flush()
        told = [worker.communicate()[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0]
    assert sorted(map(bool, told)) == [False, True]
    assert said(opened(path, write=False)) == expected()
    assert len(list(tmp_path.iterdir())) == 2
