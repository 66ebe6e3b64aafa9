"""Files that a command writes for others: whole, or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flakegate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def write_whole(path: Path, data: bytes | Iterable[bytes], what: str) -> None:
    """Writes beside, then renames: no reader and no full disk ever meets half of the file.

    Its folders are made. What is no regular file (`/dev/stdout`, a pipe) is written to as it is; a
    link stays one. data: all of it, or piece by piece. what: what the file is, for messages. Raises
    UsageError where it cannot be written; the file is then as it was before.
    """
    pieces = [data] if isinstance(data, bytes) else data
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                file.writelines(pieces)
        else:
            _replace(path.resolve(), pieces)
    except OSError as error:
        raise UsageError(
            f"cannot write {what} {path}: {error.strerror}",
            tip="check that its folder may be written to, and that there is room",
        ) from None


def _replace(path: Path, pieces: Iterable[bytes]) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with beside.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
