"""A copy of a store beside it, whole or not at all, that never takes the place of another copy."""

from __future__ import annotations

import filecmp
import shutil
import sqlite3
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def back_up(source: sqlite3.Connection, path: Path, version: int) -> Path:
    """Copies the store at `path`; the copy's path, such as `history.db.schema-1.backup`.

    Where another copy has that name this one is numbered (`history.db.schema-1.backup-2`): nobody
    can tell which of them holds more. One of the same content is left as it is, so that a migration
    which fails again and again does not fill the disk.

    source: has begun to read the store, or this waits for a lock without end. Another connection of
    the caller holds the write lock, so that no two processes do this at once. Raises OSError and
    sqlite3.Error, with nothing left behind.
    """
    name = f"{path.name}.schema-{version}.backup"
    part = path.with_name(f"{name}.part")
    try:
        part.unlink(missing_ok=True)  # of a process that was killed
        part.touch(mode=0o600)
        with closing(sqlite3.connect(part)) as target:
            source.backup(target)
        shutil.copymode(path, part)
        names = (name if number == 1 else f"{name}-{number}" for number in count(1))
        places = (path.with_name(each) for each in names)
        backup = next(
            each for each in places if not each.exists() or filecmp.cmp(part, each, shallow=False)
        )
        if not backup.exists():
            part.rename(backup)
    finally:
        part.unlink(missing_ok=True)
    return backup
