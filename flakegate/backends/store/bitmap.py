"""Sets of tests as bitmaps: bit n of byte n // 8 says whether the test with number n ran."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def pack(numbers: Collection[int]) -> bytes:
    """The bitmap of these numbers, without zero bytes at its end."""
    bits = bytearray(max(numbers, default=-1) // 8 + 1)
    for number in numbers:
        bits[number >> 3] |= 1 << (number & 7)
    return bytes(bits)


def compress(bits: bytes) -> bytes:
    """As it is stored."""
    return zlib.compress(bits, 9)


def expand(stored: bytes) -> bytes:
    """The bitmap that `compress` was given. Raises zlib.error if these bytes are damaged."""
    return zlib.decompress(stored)


def has(bits: bytes, number: int) -> bool:
    """Whether the number is in the set."""
    at = number >> 3
    return at < len(bits) and bool(bits[at] >> (number & 7) & 1)


def size(bitmaps: Iterable[bytes]) -> int:
    """How many numbers are in any of these sets."""
    union = 0
    for bits in bitmaps:
        union |= int.from_bytes(bits, "little")
    return union.bit_count()


class Count:
    """How many times each number occurs in weighted bitmaps.

    The counters stand vertically: plane k holds bit k of the counter of every number, so that one
    addition of big integers counts a whole bitmap, however many tests it holds.
    """

    def __init__(self, weighted: Iterable[tuple[bytes, int]]) -> None:
        """weighted: bitmaps, each with the number of times that it counts."""
        planes: list[int] = []
        for bits, weight in weighted:
            ran = int.from_bytes(bits, "little")
            for power in range(weight.bit_length()):
                if weight >> power & 1:
                    _add(planes, ran, power)
        self._planes = [plane.to_bytes((plane.bit_length() + 7) // 8, "little") for plane in planes]

    def __getitem__(self, number: int) -> int:
        return sum(has(plane, number) << power for power, plane in enumerate(self._planes))


def _add(planes: list[int], carry: int, power: int) -> None:
    """Adds 2 ** power to the counters of all numbers in `carry`."""
    planes.extend([0] * (power - len(planes)))
    while carry:
        if power == len(planes):
            planes.append(0)
        planes[power], carry = planes[power] ^ carry, planes[power] & carry
        power += 1
