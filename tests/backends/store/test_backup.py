"""A copy beside the store never takes the place of another one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from flakegate.backends.store.backup import back_up

if TYPE_CHECKING:
    from pathlib import Path


def database(path: Path, *rows: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS notes (words TEXT)")
        connection.executemany("INSERT INTO notes VALUES (?)", [(row,) for row in rows])
        connection.commit()
    return path


def words(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row for (row,) in connection.execute("SELECT words FROM notes")]


def backed_up(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as source:
        return back_up(source, path, 3)


def test_it_is_the_same_and_for_the_same_eyes(tmp_path: Path) -> None:
    path = database(tmp_path / "history.db", "first")
    path.chmod(0o640)
    backup = backed_up(path)
    assert backup == tmp_path / "history.db.schema-3.backup"
    assert words(backup) == ["first"]
    assert backup.stat().st_mode & 0o777 == 0o640
    assert len(list(tmp_path.iterdir())) == 2


def test_another_copy_stays(tmp_path: Path) -> None:
    path = database(tmp_path / "history.db", "first")
    backups = [backed_up(path)]
    assert backed_up(path) == backups[0], "the same again is the same copy"
    for more in ("second", "third"):
        database(path, more)
        backups.append(backed_up(path))
        assert backed_up(path) == backups[-1]
    assert [words(each) for each in backups] == [
        ["first"], ["first", "second"], ["first", "second", "third"],
    ]  # fmt: skip
    assert [each.name for each in backups[1:]] == [
        "history.db.schema-3.backup-2", "history.db.schema-3.backup-3",
    ]  # fmt: skip
    assert len(list(tmp_path.iterdir())) == 4


def test_what_a_killed_process_left_is_no_backup(tmp_path: Path) -> None:
    path = database(tmp_path / "history.db", "first")
    (tmp_path / "history.db.schema-3.backup.part").write_bytes(b"half a fi")
    assert words(backed_up(path)) == ["first"]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_of_its_name_stays(tmp_path: Path) -> None:
    path = database(tmp_path / "history.db", "first")
    (tmp_path / "history.db.schema-3.backup").mkdir()
    assert words(backed_up(path)) == ["first"]
    assert len(list(tmp_path.iterdir())) == 3
