"""Pages of a listing: every test once, in order, also while the list changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.model import FlakyTest, State
from flakegate.server import cursor
from flakegate.server.cursor import Place
from flakegate.server.listed import SORTED_BY, VALUES, Listed
from flakegate.server.listing import Listing
from flakegate.server.query import condition, parse
from flakegate.server.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

SORTS = [sign + by for sign in ("", "-") for by in SORTED_BY]
QUERIES = (
    "",
    "flaky_test_state:active",
    "-flaky_test_state:active",
    "@test.name:n*",
    "env:a",
    "@test.suite:s1 OR fingerprint_fqn:3",
    "@test.suite:s1 flaky_test_state:fixed",
    "@test.suite:s1 OR @test.name:m*",
    "fingerprint_fqn:3 OR -flaky_test_state:active",
)
FIGURES = st.none() | st.integers(0, 3)
TESTS = st.lists(
    st.builds(
        FlakyTest,
        id=st.just(""),
        module=st.just(""),
        suite=st.sampled_from(["s1", "s2"]),
        name=st.sampled_from(["n1", "n2", "m"]),
        state=st.sampled_from(State),
        failure_rate=FIGURES,
        failed_pipelines=FIGURES,
        first_flaked_at=FIGURES,
        last_flaked_at=FIGURES,
    ),
    max_size=12,
).map(
    lambda tests: [
        Listed(repository="r.x/y", row=n, test=replace(test, id=str(n)))
        for n, test in enumerate(tests)
    ]
)


def walk(listings: Sequence[Listing], query: str, sort: str, limit: int) -> list[list[Listed]]:
    """Page after page to the end, the first of the first listing, and so on; then of the last."""
    pages: list[list[Listed]] = []
    after: Place | None = None
    while True:
        listing = listings[min(len(pages), len(listings) - 1)]
        page, after = listing.page(parse(query), sort=sort, limit=limit, after=after)
        pages.append(page)
        if after is None:
            return pages
        after = cursor.read(cursor.write(after, query=query, sort=sort), query=query, sort=sort)


@given(TESTS, st.sampled_from(QUERIES), st.sampled_from(SORTS), st.integers(1, 5))
def test_every_test_that_meets_the_query_comes_once_and_in_order(
    tests: list[Listed], query: str, sort: str, limit: int
) -> None:
    pages = walk([Listing(tests=tests)], query, sort, limit)
    found = [listed for page in pages for listed in page]
    meets = condition(parse(query), VALUES)
    assert sorted(each.row for each in found) == [each.row for each in tests if meets(each)]
    assert all(len(page) == limit for page in pages[:-1])
    value = SORTED_BY[sort.lstrip("-")]
    keys = [(value(each.test) is None, value(each.test) or "", each.test.id) for each in found]
    if any(isinstance(value(each.test), (int, float)) for each in found):
        keys = [(unknown, number or 0, each) for unknown, number, each in keys]
    assert keys == sorted(keys, reverse=sort.startswith("-"))


@given(TESTS, TESTS, st.sampled_from(SORTS), st.integers(1, 4), st.data())
def test_what_stays_as_it_is_comes_once_whatever_comes_and_goes(
    tests: list[Listed], others: list[Listed], sort: str, limit: int, data: st.DataObject
) -> None:
    """Between the first page and the second some tests are gone and others are new."""
    kept = [each for each in tests if data.draw(st.booleans())]
    new = [replace(each, test=replace(each.test, id=f"x{each.row}")) for each in others]
    pages = walk([Listing(tests=tests), Listing(tests=[*kept, *new])], "", sort, limit)
    found = [listed.test.id for page in pages for listed in page]
    assert len(set(found)) == len(found)
    assert {each.test.id for each in kept} <= set(found)


def test_a_cursor_is_of_one_query_and_one_sort() -> None:
    written = cursor.write(Place(value="a", id="1"), query="env:a", sort="fqn")
    assert cursor.read(written, query="env:a", sort="fqn") == Place(value="a", id="1")
    for query, sort in (("env:b", "fqn"), ("env:a", "-fqn"), ("", "fqn")):
        with pytest.raises(Refusal):
            cursor.read(written, query=query, sort=sort)


@given(st.text(max_size=80))
def test_no_text_is_a_cursor_that_was_not_given(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        cursor.read(text, query="", sort="fqn")
    assert refused.value.status == 400


@given(st.integers(0, 60), st.sampled_from("AbC9-_"))
def test_an_altered_cursor_is_refused(at: int, letter: str) -> None:
    written = cursor.write(Place(value=12.5, id="0123456789abcdef"), query="", sort="-failure_rate")
    altered = written[:at] + letter + written[at + 1 :]
    if altered != written:
        with pytest.raises(Refusal):
            cursor.read(altered, query="", sort="-failure_rate")


def test_a_cursor_of_a_wrong_kind_of_value_is_refused() -> None:
    for value, sort in (("a", "failure_rate"), (1.0, "fqn")):
        written = cursor.write(Place(value=value, id="1"), query="", sort=sort)
        with pytest.raises(Refusal):
            cursor.read(written, query="", sort=sort)
