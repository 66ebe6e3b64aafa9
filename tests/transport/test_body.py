"""Bodies that are packed: whole, or not at all."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.transport.body import MOST_BYTES, TooLargeError, unpacked


@given(st.lists(st.binary(max_size=200), max_size=3))
def test_what_was_packed_comes_back(members: list[bytes]) -> None:
    assert unpacked(b"".join(map(gzip.compress, members))) == b"".join(members)


@given(text=st.binary(min_size=1, max_size=200), data=st.data())
def test_no_part_of_it_is_taken_for_the_whole(text: bytes, data: st.DataObject) -> None:
    packed = gzip.compress(text)
    cut = data.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(EOFError):
        unpacked(packed[:cut])


@given(st.binary(min_size=1, max_size=60))
def test_what_is_no_gzip_is_refused(noise: bytes) -> None:
    with pytest.raises((EOFError, zlib.error)):
        unpacked(b"\x00" + noise)


def test_a_changed_byte_is_seen() -> None:
    packed = bytearray(gzip.compress(b"quarantined" * 9))
    packed[-6] ^= 1  # in the checksum
    with pytest.raises(zlib.error):
        unpacked(bytes(packed))


def test_zeros_after_the_end_are_padding_and_anything_else_is_not() -> None:
    assert unpacked(gzip.compress(b"x") + b"\0" * 9) == b"x"
    with pytest.raises(zlib.error):
        unpacked(gzip.compress(b"x") + b"more")


def test_a_bomb_is_not_unpacked() -> None:
    with pytest.raises(TooLargeError):
        unpacked(gzip.compress(b"\0" * (MOST_BYTES + 1)))
    half = gzip.compress(b"\0" * (MOST_BYTES // 2 + 1))
    with pytest.raises(TooLargeError):
        unpacked(half + half)
