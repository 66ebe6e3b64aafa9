"""Files that are no store, disks that fail, processes that die: a clear word, and nothing lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from flakegate.backends.store.address import sqlite_path
from flakegate.backends.store.database import open_database
from flakegate.backends.store.schema import VERSION
from flakegate.backends.store.store import Store
from flakegate.errors import BackendError, UsageError
from flakegate.policy.needs import whole
from tests.backends.store.build import NOW, REPOSITORY, flaky, named, open_store, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

ROOT = Path(__file__).parents[3]
NOBODY = 65_534


def opened(path: Path, *, write: bool = True) -> Store:
    return Store.open(
        f"sqlite:///{path}",
        repository=REPOSITORY,
        pipeline=None,
        now=NOW,
        rate_from="all",
        write=write,
        patience=0.05,
    )


def filled(folder: Path) -> Path:
    open_store(folder).record([run(1, a="fp", b="p")])
    return folder / "history.db"


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may do anything, so the tests of permissions give that up for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own are closed to others."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o700)


# A file that is not there


def test_reading_an_absent_store_finds_nothing_and_makes_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path / "deep" / "history.db", write=False)
    assert store.search(whole()) == []
    assert store.find([named("a")]) == {}
    assert store.recorded() == {}
    assert (store.suite_size(), store.recent_changes(0)) == (0, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_byte_is_an_empty_store(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    path.touch()
    assert opened(path, write=False).suite_size() == 0
    assert path.read_bytes() == b""
    opened(path).record([run(1, a="fp")])
    assert set(flaky(opened(path, write=False))) == {"a"}


def test_writing_makes_the_file_and_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a?b#c%20d.db"
    with pytest.raises(UsageError):
        opened(path)
    path = path.with_name("a#c%20d é.db")
    opened(path).record([run(1, a="fp")])
    assert [each.name for each in path.parent.iterdir()] == [path.name], "one file, nothing beside"
    assert set(flaky(opened(path, write=False))) == {"a"}


def test_reading_changes_no_byte(tmp_path: Path) -> None:
    path = filled(tmp_path)
    before = path.read_bytes()
    assert flaky(opened(path, write=False))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_store_opened_for_reading_refuses_to_write(tmp_path: Path) -> None:
    path = filled(tmp_path)
    before = path.read_bytes()
    with pytest.raises(BackendError, match="cannot be written"):
        opened(path, write=False).record([run(2, a="p")])
    assert path.read_bytes() == before


# URLs


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///history.db", "history.db"),
        ("sqlite:///.flakegate/history.db", ".flakegate/history.db"),
        ("sqlite:////var/lib/history.db", "/var/lib/history.db"),
    ],
)
def test_the_path_in_a_url(url: str, path: str) -> None:
    assert sqlite_path(url) == Path(path)


@pytest.mark.parametrize(
    "url",
    ["", "sqlite://", "sqlite:///", "sqlite:///:memory:", "history.db", "/var/history.db",
     "sqlite:/history.db", "sqlite:///history.db?mode=ro", "sqlite:///a\0b", "mysql://host/db"],
)  # fmt: skip
def test_other_urls_are_refused_with_what_is_supported(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        open_database(url, write=False)
    assert "sqlite:///folder/history.db" in (raised.value.tip or "")


@pytest.mark.parametrize(
    "url",
    ["postgresql://ci:s3cret@db.example/flakes", "s3cret", "ci:s3cret@db", "://s3cret",
     "sqlite:///history.db?key=s3cret", "postgresql+psycopg://ci:s3cret@host"],
)  # fmt: skip
def test_what_may_be_a_password_is_never_repeated(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        open_database(url, write=True)
    assert "s3cret" not in f"{raised.value.message} {raised.value.tip}"
    if url.startswith("postgresql"):
        assert "postgresql" in raised.value.message


# Files that are no store


def foreign(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE notes (id INTEGER)"],
        ["CREATE TABLE meta (name TEXT)"],
        ["CREATE TABLE meta (name TEXT, value TEXT)"],
        [
            "CREATE TABLE meta (name TEXT, value TEXT)",
            "INSERT INTO meta VALUES ('application', 'other'), ('schema', '1')",
        ],
        [
            "CREATE TABLE meta (name TEXT, value TEXT)",
            "INSERT INTO meta VALUES ('application', 'flakegate'), ('schema', NULL)",
        ],
        [
            "CREATE TABLE meta (name TEXT, value TEXT)",
            "INSERT INTO meta VALUES ('application', 'flakegate'), ('schema', '0')",
        ],
        [
            "CREATE TABLE meta (name TEXT, value TEXT)",
            "INSERT INTO meta VALUES ('application', 'flakegate'), ('schema', hex(zeroblob(9999)))",
            "UPDATE meta SET value = replace(value, '0', '9') WHERE name = 'schema'",
        ],
    ],
)
def test_a_database_of_something_else_is_left_alone(
    tmp_path: Path, statements: list[str], write: bool
) -> None:
    path = tmp_path / "history.db"
    foreign(path, *statements)
    before = path.read_bytes()
    with pytest.raises(BackendError, match="not one of flakegate") as raised:
        opened(path, write=write)
    assert str(path) in raised.value.message
    assert raised.value.tip
    assert path.read_bytes() == before


@pytest.mark.parametrize("write", [True, False])
def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path, write: bool) -> None:
    path = filled(tmp_path)
    newer = VERSION + 1
    foreign(path, f"UPDATE meta SET value = '{newer}' WHERE name = 'schema'")  # noqa: S608
    before = path.read_bytes()
    says = f"its schema is {newer}, this one knows {VERSION}"
    with pytest.raises(BackendError, match=says) as raised:
        opened(path, write=write)
    assert "newer flakegate" in (raised.value.tip or "")
    assert path.read_bytes() == before


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize(
    "content", [b"<testsuite/>", b"\x89PNG" * 999, b"SQLite format 3\0" + b"x" * 5_000]
)
def test_a_file_that_is_no_database_is_left_alone(
    tmp_path: Path, content: bytes, write: bool
) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(content)
    with pytest.raises(BackendError, match=r"not a SQLite database|damaged"):
        opened(path, write=write)
    assert path.read_bytes() == content


@pytest.mark.parametrize("write", [True, False])
def test_a_folder_is_no_store(tmp_path: Path, write: bool) -> None:
    with pytest.raises(BackendError, match="this is a folder"):
        opened(tmp_path, write=write)


@pytest.mark.parametrize("write", [True, False])
def test_a_file_where_a_folder_should_be(tmp_path: Path, write: bool) -> None:
    (tmp_path / "file").touch()
    if write:
        with pytest.raises(BackendError) as raised:
            opened(tmp_path / "file" / "history.db")
        assert raised.value.tip
    else:
        assert opened(tmp_path / "file" / "history.db", write=False).suite_size() == 0


def test_a_damaged_store_says_how_to_get_it_back(tmp_path: Path) -> None:
    path = filled(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:8_192] + os.urandom(len(data) - 8_192))
    with pytest.raises(BackendError) as raised:
        opened(path).record([run(2, a="f", b="p")])
    assert "collect" in (raised.value.tip or "")


def test_a_damaged_bitmap_is_a_damaged_store(tmp_path: Path) -> None:
    path = filled(tmp_path)
    foreign(path, "UPDATE manifests SET bits = x'00'")
    with pytest.raises(BackendError, match="damaged"):
        opened(path).suite_size()


# Disks and permissions


def test_a_file_that_may_not_be_read(shared: Path) -> None:
    path = filled(shared)
    path.chmod(0)
    with as_nobody(), pytest.raises(BackendError, match="cannot be opened"):
        opened(path, write=False)


def test_a_folder_that_may_not_be_entered(shared: Path) -> None:
    path = filled(shared)
    shared.chmod(0)
    with as_nobody(), pytest.raises(BackendError, match="denied"):
        opened(path, write=False)


def test_a_folder_that_may_not_be_written(shared: Path) -> None:
    shared.chmod(0o555)
    with as_nobody(), pytest.raises(BackendError, match=r"cannot be opened|denied"):
        opened(shared / "history.db")
    with as_nobody(), pytest.raises(BackendError, match="denied"):
        opened(shared / "deep" / "history.db")


def test_a_read_only_store_can_be_read_and_says_that_it_cannot_be_written(shared: Path) -> None:
    path = filled(shared)
    path.chmod(0o444)
    shared.chmod(0o555)
    before = path.read_bytes()
    with as_nobody():
        assert set(flaky(opened(path, write=False))) == {"a"}
        with pytest.raises(BackendError, match="read-only"):
            opened(path).record([run(2, a="p")])
    assert path.read_bytes() == before


def fill_up(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA max_page_count = 1")
    connection.exec_driver_sql("INSERT INTO meta VALUES ('x', hex(randomblob(100000)))")


def test_a_full_disk_keeps_what_was_recorded(tmp_path: Path) -> None:
    """SQLite's own limit stands in for the disk: it fails with the same error at the same place."""
    path = filled(tmp_path)
    store = opened(path)
    before = path.read_bytes()
    with (
        pytest.raises(BackendError, match="the disk is full") as raised,
        store.database.writing() as connection,
    ):
        fill_up(connection)
    assert "not recorded twice" in (raised.value.tip or "")
    assert path.read_bytes() == before
    assert set(flaky(store)) == {"a"}


def test_a_batch_that_breaks_in_the_middle_says_how_far_it_came(tmp_path: Path) -> None:
    path = filled(tmp_path)
    foreign(path, "CREATE TRIGGER t BEFORE INSERT ON runs WHEN new.key = '77' "
            "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END")  # fmt: skip
    batch = [replace(run(n, a="p"), key=f"{n:02}") for n in range(99)]
    with pytest.raises(BackendError, match=r"the disk is full.*50 of 99 runs are in the store"):
        opened(path).record(batch)
    foreign(path, "DROP TRIGGER t")
    fates = [one.fate.value for one in opened(path).record(batch).runs]
    assert fates == ["known"] * 50 + ["new"] * 49


# Other processes


@pytest.mark.parametrize("write", [True, False])
def test_a_lock_is_waited_for_and_then_named(tmp_path: Path, write: bool) -> None:
    path = filled(tmp_path)
    before = path.read_bytes()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BackendError, match="another process holds its lock") as raised:
            opened(path, write=write)
        other.execute("ROLLBACK")
    assert "--shard-out" in (raised.value.tip or "")
    assert path.read_bytes() == before


def test_who_reads_does_not_lock_others_out(tmp_path: Path) -> None:
    path = filled(tmp_path)
    reader = opened(path, write=False)
    assert flaky(reader)
    opened(path).record([run(2, a="p", b="fp")])
    assert set(flaky(reader)) == {"a", "b"}


def test_a_store_with_a_write_ahead_log_is_read(tmp_path: Path) -> None:
    path = filled(tmp_path)
    foreign(path, "PRAGMA journal_mode = WAL")
    opened(path).record([run(2, a="p", b="fp")])
    assert set(flaky(opened(path, write=False))) == {"a", "b"}
    assert [each.name for each in tmp_path.iterdir()] == ["history.db"]


DYING = """
import sys, time
from pathlib import Path
from tempfile import TemporaryDirectory
from flakegate.backends.store.recording import record_run
from tests.backends.store.build import open_store, run
store = open_store(Path(sys.argv[1]))
with store.database.writing() as connection:
    connection.exec_driver_sql("PRAGMA cache_size = 1")  # write pages before the commit
    known = {}
    for number in range(2, 40):
        letters = {f"t{number}_{test}": "fp" if test == 0 else "p" for test in range(30)}
        record_run(connection, run(number, **letters), known=known)
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_process_killed_in_the_middle_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    path = filled(tmp_path)
    before = path.read_bytes()
    with subprocess.Popen(
        [sys.executable, "-c", DYING, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
    assert path.read_bytes() != before, "pages were written, and must be taken back"
    assert (tmp_path / "history.db-journal").exists()
    assert set(flaky(opened(path, write=False))) == {"a"}, "who only reads rolls back too"
    assert path.read_bytes() == before
    assert not (tmp_path / "history.db-journal").exists()
    opened(path).record([run(2, a="p", b="fp")])
    assert set(flaky(opened(path))) == {"a", "b"}
