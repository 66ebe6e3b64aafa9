"""What an export looks like: gzip around lines of JSON.

The first line says what it is, and of which schema. Then comes table after table: a line with the
names of its columns, and a line for each row, its values in that order (bytes as base64). The last
line has the number of rows of each table and the SHA-256 of all lines before it, so that an export
that was cut short or altered is refused. The same rows make the same bytes.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Rows = Iterable[tuple[Any, ...]]

FORMAT = 1
MAX_LINE = 16 * 1024 * 1024  # bytes
MAX_INFLATED = 4 * 1024 * 1024 * 1024  # bytes; a line for each of a hundred million failures

_GZIP = 31  # zlib's word for a gzip wrapper with the largest window
_PIECE = 64 * 1024  # bytes that are read, and at most four times as many inflated, at once


class _First(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    flakegate_store: int
    schema: int


class _Last(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rows: dict[str, int]
    sha256: str


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    table: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The beginning of a table in an export."""

    name: str
    columns: tuple[str, ...]


def pack(schema: int, tables: Iterable[tuple[Table, Rows]]) -> Iterator[bytes]:
    """The export of these tables, piece by piece."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, _GZIP)
    for line in _lines(schema, tables):
        if piece := deflater.compress(line):
            yield piece
    yield deflater.flush()


def _lines(schema: int, tables: Iterable[tuple[Table, Rows]]) -> Iterator[bytes]:
    digest = hashlib.sha256()
    counts: dict[str, int] = {}

    def line(value: object) -> bytes:
        written = msgspec.json.encode(value) + b"\n"
        digest.update(written)
        return written

    yield line(_First(flakegate_store=FORMAT, schema=schema))
    for table, rows in tables:
        yield line(_Head(table=table.name, columns=table.columns))
        counts[table.name] = 0
        for row in rows:
            yield line(row)
            counts[table.name] += 1
    yield line(_Last(rows=counts, sha256=digest.hexdigest()))


class Archive:
    """An export that is being read. schema: the version that its tables are of.

    Whatever an export of ours cannot hold is a ValueError, in words.
    """

    def __init__(self, read: Callable[[int], bytes], most: int = MAX_INFLATED) -> None:
        """Reads the first line.

        read: at most so many more bytes of the file, b"" at its end. most: bytes that it may
        inflate to.
        """
        self._lines = _inflated_lines(read, most)
        first = next(self._lines, b"")
        self._digest = hashlib.sha256(first)
        said = _decoded(first, _First, "its first line is not that of an export")
        if said.flakegate_store != FORMAT:
            raise ValueError(
                f"it is of format {said.flakegate_store}; this flakegate reads format {FORMAT}"
            )
        self.schema = said.schema

    def __iter__(self) -> Iterator[Table | bytes]:
        """The beginning of each table, and after it each of its rows, as JSON.

        At the end all of it has been proven whole; before that nothing has.
        """
        counts: dict[str, int] = {}
        table: str | None = None
        for line in self._lines:
            if line.startswith(b"["):
                if table is None:
                    raise ValueError("it has a row that belongs to no table")
                counts[table] += 1
                yield line
            elif line.startswith(b'{"table"'):
                head = _decoded(line, _Head, "a table of it has no name or no columns")
                if head.table in counts:
                    raise ValueError(f"it has the table {head.table!a} twice")
                table = head.table
                counts[table] = 0
                yield Table(name=table, columns=head.columns)
            else:
                self._close(line, counts)
                return
            self._digest.update(line)
        raise ValueError("it is cut short")

    def _close(self, line: bytes, counts: dict[str, int]) -> None:
        last = _decoded(line, _Last, "it has a line that is neither a row nor the last one")
        if last.sha256 != self._digest.hexdigest() or last.rows != counts:
            raise ValueError("its digest is another: it was altered")
        if next(self._lines, None) is not None:
            raise ValueError("something follows its last line")


def _decoded(line: bytes, kind: Any, otherwise: str) -> Any:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ValueError(otherwise) from None


def _inflated_lines(read: Callable[[int], bytes], most: int) -> Iterator[bytes]:
    """Each line with its end, in bounded memory."""
    begun = bytearray()
    for piece in _inflated(read, most):
        *ends, rest = piece.split(b"\n")
        for end in ends:
            yield bytes(begun + end + b"\n")
            begun.clear()
        begun += rest
        if len(begun) > MAX_LINE:
            raise ValueError(f"it has a line of more than {MAX_LINE:,} bytes")
    if begun.startswith(b'{"flakegate_shard"'):
        raise ValueError("it is a shard: `flakegate collect` folds it in")
    if begun:
        raise ValueError("it is cut short")


def _inflated(read: Callable[[int], bytes], most: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(_GZIP)
    total = 0
    data = read(_PIECE)
    if data.startswith(b"SQLite format 3\0"):
        raise ValueError("it is a store itself: name it with --store")
    while data:
        try:
            piece = inflater.decompress(data, 4 * _PIECE)
        except zlib.error:
            raise ValueError("it is not gzip, or was altered") from None
        total += len(piece)
        if total > most:
            raise ValueError(f"it inflates to more than {most:,} bytes")
        yield piece
        if inflater.unused_data or (inflater.eof and read(1)):
            raise ValueError("something follows its end")
        data = inflater.unconsumed_tail or read(_PIECE)
    if not inflater.eof:
        raise ValueError("it is cut short")
