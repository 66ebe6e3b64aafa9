from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.backends.store import bitmap

SETS = st.frozensets(st.integers(0, 200))


@given(SETS)
def test_a_bitmap_holds_its_numbers_and_no_others(numbers: frozenset[int]) -> None:
    bits = bitmap.expand(bitmap.compress(bitmap.pack(numbers)))
    assert {number for number in range(300) if bitmap.has(bits, number)} == numbers
    assert bitmap.size([bits]) == len(numbers)


@given(st.lists(st.tuples(SETS, st.integers(1, 5_000))))
def test_the_vertical_counter_counts_as_plain_addition_does(
    weighted: list[tuple[frozenset[int], int]],
) -> None:
    plain: Counter[int] = Counter()
    for numbers, weight in weighted:
        plain.update(dict.fromkeys(numbers, weight))
    count = bitmap.Count((bitmap.pack(numbers), weight) for numbers, weight in weighted)
    assert [count[number] for number in range(300)] == [plain[number] for number in range(300)]


@given(st.lists(SETS))
def test_the_size_of_several_is_that_of_their_union(sets: list[frozenset[int]]) -> None:
    assert bitmap.size(map(bitmap.pack, sets)) == len(frozenset[int]().union(*sets))


def test_numbers_may_be_large_and_far_apart() -> None:
    bits = bitmap.pack([0, 1_000_000])
    assert len(bits) == 125_001
    assert len(bitmap.compress(bits)) < 300
    assert bitmap.Count([(bits, 3)])[1_000_000] == 3


def test_nothing_ran() -> None:
    assert bitmap.size([]) == 0
    assert bitmap.pack([]) == b""
    assert bitmap.Count([])[7] == 0


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_the_order_of_numbers_does_not_matter(order: tuple[int, ...]) -> None:
    assert bitmap.pack(order) == b"\x07"
