"""Shards on disk: finds them, and reads one at a time, but never more than a shard may hold."""

from __future__ import annotations

import io
import os
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flakegate.errors import EvidenceError, UsageError
from flakegate.record import decode_shard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flakegate.record import RunRecord

SUFFIX = "*.json.gz"
MAX_BYTES = 64 * 1024 * 1024  # compressed; what it may inflate to is bounded as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A shard that was whole when it was looked at, without its results: thousands fit in memory.

    at, repository: as in RunRecord. Shards are in order by time, as the store records runs.
    """

    path: Path
    key: str
    repository: str
    at: float

    @property
    def order(self) -> tuple[float, str]:
        """What the store sorts by."""
        return (self.at, self.key)


def find(paths: Iterable[str]) -> list[Path]:
    """The files at these paths and below these folders, sorted. Raises UsageError where is none."""
    found: set[Path] = set()
    for path in map(Path, paths):
        shards = sorted(path.rglob(SUFFIX)) if os.path.isdir(path) else [path]  # noqa: PTH112 - a long name is no error
        if not shards or not os.path.exists(path):  # noqa: PTH110 - nor here
            raise UsageError(
                f"{path}: no shard there",
                tip="`flakegate record --shard-out FILE` writes them; name them *.json.gz",
            )
        found.update(shards)
    return sorted(found)


def look(path: Path) -> Shard:
    """Reads a shard to see that it is whole, and when and where its run was. Raises as `read`."""
    run = read(path)
    return Shard(path=path, key=run.key, repository=run.repository, at=run.at)


def read(path: Path) -> RunRecord:
    """The run in this file. Raises EvidenceError where it is no whole shard."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # to open a pipe would wait for somebody to write
            raise _unusable(path, "it is not a regular file")
        if about.st_size > MAX_BYTES:
            raise _unusable(path, f"it is larger than {MAX_BYTES >> 20} MiB")
        with path.open("rb") as file:
            return decode_shard(file.read(MAX_BYTES), str(path))
    except OSError as error:
        raise _unusable(path, f"it cannot be read: {error.strerror}") from None


def in_archive(data: bytes, name: str) -> bytes:
    """The one shard in an archive (zip), as a forge sends an artifact. name: for messages.

    Nothing is unpacked to the disk, so the names in it do not matter. Raises EvidenceError.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = [each for each in archive.infolist() if each.filename.endswith(SUFFIX[1:])]
            if len(found) != 1:
                raise EvidenceError(
                    f"{name}: {len(found)} shards of flakegate in it",
                    tip="an artifact named flakegate-… holds one; give others another name",
                )
            if found[0].file_size > MAX_BYTES:
                raise _unusable(name, f"it is larger than {MAX_BYTES >> 20} MiB")
            with archive.open(found[0]) as file:
                return file.read(MAX_BYTES)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError):
        raise _unusable(name, "it is no whole archive") from None


def _unusable(path: Path | str, why: str) -> EvidenceError:
    return EvidenceError(
        f"{path}: not a whole shard of flakegate: {why}",
        tip="`flakegate record --shard-out FILE` writes shards; fetch or make this one again",
    )
