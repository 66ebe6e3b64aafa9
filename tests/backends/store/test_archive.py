"""The outside of an export: the same rows the same bytes, and whatever is not whole is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from flakegate.backends.store.archive import MAX_LINE, Archive, Table, pack

if TYPE_CHECKING:
    from collections.abc import Callable

TABLES: tuple[tuple[Table, list[tuple[Any, ...]]], ...] = (
    (Table(name="a", columns=("id", "text")), [(1, "ä\n\x1b"), (2, None)]),
    (Table(name="b", columns=("bits",)), [(b"\0\xff",), (1.5,), (True,)]),
    (Table(name="c", columns=("none",)), []),
)


def packed(schema: int = 2) -> bytes:
    return b"".join(pack(schema, TABLES))


def reading(data: bytes) -> Callable[[int], bytes]:
    return io.BytesIO(data).read


def content(data: bytes) -> tuple[int, list[Any]]:
    archive = Archive(reading(data))
    return archive.schema, [
        each if isinstance(each, Table) else json.loads(each) for each in archive
    ]


def refusal(data: bytes) -> str:
    with pytest.raises(ValueError, match=r"\w") as raised:
        content(data)
    assert type(raised.value) is ValueError, "in words, not in Python's"
    return str(raised.value)


def lines(*given: object) -> bytes:
    """An export of these lines; what is no bytes is written as JSON."""
    return zipped(*given, closing(*given))


def zipped(*given: object) -> bytes:
    return gzip.compress(b"".join(map(written, given)))


def closing(*given: object, **rows: int) -> dict[str, Any]:
    said = b"".join(map(written, given))
    return {"rows": rows, "sha256": hashlib.sha256(said).hexdigest()}


def written(line: object) -> bytes:
    return line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"


FIRST = {"flakegate_store": 1, "schema": 2}
HEAD = {"table": "a", "columns": ["id"]}


def test_what_is_packed_is_read_and_again_the_same_bytes() -> None:
    schema, rows = content(packed(7))
    assert schema == 7
    assert rows == [
        TABLES[0][0], [1, "ä\n\x1b"], [2, None],
        TABLES[1][0], ["AP8="], [1.5], [True],
        TABLES[2][0],
    ]  # fmt: skip
    assert packed() == packed()


def test_its_last_line_can_be_checked_with_other_tools() -> None:
    *before, last = gzip.decompress(packed()).splitlines(keepends=True)
    assert json.loads(last) == {
        "rows": {"a": 2, "b": 3, "c": 0},
        "sha256": hashlib.sha256(b"".join(before)).hexdigest(),
    }


def test_cut_short_anywhere_it_is_refused() -> None:
    data = packed()
    for end in range(len(data)):
        assert "cut short" in refusal(data[:end]), end
    whole = gzip.decompress(data)
    for end in range(len(whole)):
        assert refusal(gzip.compress(whole[:end])), end


def test_altered_anywhere_it_is_refused() -> None:
    """Bits of gzip's own header that say nothing may change; of what it holds, none."""
    data, held = packed(), content(packed())
    for at in range(len(data)):
        for bit in (1, 8, 128):
            altered = bytearray(data)
            altered[at] ^= bit
            try:
                assert content(bytes(altered)) == held
                assert at < 10
            except ValueError:
                pass


def test_a_line_altered_left_out_or_moved_is_refused() -> None:
    whole = gzip.decompress(packed()).splitlines(keepends=True)
    for at in range(1, len(whole) - 1):
        less = whole[:at] + whole[at + 1 :]
        assert refusal(gzip.compress(b"".join(less))), at
        twice = [*whole[:at], whole[at], *whole[at:]]
        assert refusal(gzip.compress(b"".join(twice))), at
    whole[1], whole[2] = whole[2], whole[1]
    assert "belongs to no table" in refusal(gzip.compress(b"".join(whole)))


def test_one_value_altered_below_the_compression_is_refused() -> None:
    whole = gzip.decompress(packed())
    assert b"[1.5]" in whole
    assert "was altered" in refusal(gzip.compress(whole.replace(b"[1.5]", b"[2.5]")))
    assert "was altered" in refusal(gzip.compress(whole.replace(b'"schema":2', b'"schema":1')))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cut short"),
        (b"<testsuite/>", "not gzip"),
        (b"SQLite format 3\0" + bytes(99), "a store itself"),
        (zlib.compress(b"{}"), "not gzip"),
        (gzip.compress(b""), "first line"),
        (zipped(b'{"flakegate_shard":1}'), "is a shard"),
        (zipped(["flakegate_store", 1]), "first line"),
        (zipped({"flakegate_store": "1", "schema": 2}), "first line"),
        (zipped({"flakegate_store": 1, "schema": True}), "first line"),
        (zipped({"flakegate_store": 2, "schema": 2}), "format 2; this flakegate reads format 1"),
        (packed() + b"x", "follows its end"),
        (packed() + packed(), "follows its end"),
        (lines(FIRST, [1]), "belongs to no table"),
        (lines(FIRST, HEAD, HEAD), "'a' twice"),
        (lines(FIRST, {"table": "a"}), "no columns"),
        (lines(FIRST, {"table": 1, "columns": []}), "no columns"),
        (lines(FIRST, b"\n"), "neither a row nor the last one"),
        (lines(FIRST, b"\xff\n"), "neither a row nor the last one"),
        (lines(FIRST, b"[" * 100_000 + b"\n"), "belongs to no table"),
        (lines(FIRST, b'{"rows":' * 100_000 + b"\n"), "neither a row nor the last one"),
        (zipped(FIRST, HEAD, [1], closing(FIRST, HEAD, [1], a=2)), "was altered"),
        (zipped(FIRST, closing(FIRST), FIRST), "follows its last line"),
        (zipped(FIRST, closing(FIRST), b"x"), "cut short"),
        (zipped(FIRST, HEAD, [1]), "cut short"),
    ],
)
def test_what_is_no_export_is_refused_in_words(data: bytes, says: str) -> None:
    assert says in refusal(data)


def test_a_line_without_end_is_refused_early() -> None:
    bomb = gzip.compress(b"[" + b" " * (4 * MAX_LINE))
    taken = 0
    file = io.BytesIO(bomb)

    def read(size: int) -> bytes:
        nonlocal taken
        taken += size
        return file.read(min(size, 64))

    with pytest.raises(ValueError, match="a line of more than"):
        Archive(read)
    assert file.tell() < len(bomb) / 2


def test_it_inflates_to_no_more_than_is_allowed() -> None:
    rows = [[1]] * 100_000
    bomb = lines(FIRST, HEAD, *rows)
    with pytest.raises(ValueError, match="inflates to more than 100,000 bytes"):
        list(Archive(reading(bomb), most=100_000))


def test_it_may_come_in_pieces_of_any_size() -> None:
    dice = random.Random(1)  # noqa: S311 - no secret
    rows = [(number, f"{dice.random()}") for number in range(20_000)]
    data = b"".join(pack(2, [(TABLES[0][0], rows)]))
    file = io.BytesIO(data)
    archive = Archive(lambda _: file.read(dice.randrange(1, 700)))
    read = [json.loads(each) for each in archive if isinstance(each, bytes)]
    assert read == [list(row) for row in rows]
