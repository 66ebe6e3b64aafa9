"""Files that a command writes for others: whole, or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flakegate.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(path: Path, data: bytes, what: str) -> None:
    """Writes beside, then renames: no reader and no full disk ever meets half of the file.

    Its folders are made. What is no regular file (`/dev/stdout`, a pipe) is written to as it is; a
    link stays one. what: what the file is, for messages. Raises UsageError where it cannot be
    written; the file is then as it was before.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            _replace(path.resolve(), data)
    except OSError as error:
        raise UsageError(
            f"cannot write {what} {path}: {error.strerror}",
            tip="check that its folder may be written to, and that there is room",
        ) from None


def _replace(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
