"""All flaky tests of a store at one moment: searched, sorted, and given page by page."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from flakegate.server import query as search
from flakegate.server.cursor import Place
from flakegate.server.listed import BY_TEXT, SORTED_BY, VALUES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from flakegate.server.listed import Listed
    from flakegate.server.query import Node

    # Of a test: whether its value is not known, the value, its id, and its place in the listing.
    Rank = tuple[bool, str | float, str, int]

_BEYOND = 2**62  # the place of no test
_FEW = 2_000  # tests that are sorted rather than met on a walk through the whole list


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """tests: in any order. What is worked out of them is kept: the next page needs it again."""

    tests: Sequence[Listed]
    _orders: dict[str, list[Rank]] = field(default_factory=dict)
    _indexes: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def page(
        self, node: Node, *, sort: str, limit: int, after: Place | None
    ) -> tuple[list[Listed], Place | None]:
        """The next tests, at most `limit`, and the place of the last one if more follow.

        sort: as on the wire. A value that is not known is above all others.
        """
        by, falling = sort.lstrip("-"), sort.startswith("-")
        holds = search.condition(node, VALUES)
        few = self._candidates(node)
        ranks = self._order(by) if few is None or len(few) > _FEW else self._ranks(few, by)
        tests = self.tests
        found = (tests[rank[3]] for rank in _from(ranks, after, by, falling=falling))
        page = list(islice(filter(holds, found), limit + 1))
        if len(page) <= limit:
            return page, None
        last = page[limit - 1].test
        return page[:limit], Place(value=SORTED_BY[by](last), id=last.id)

    def _candidates(self, node: Node) -> Sequence[int] | None:
        """A part of the tests (their places) that holds all which meet the query; None: of all."""
        match node:
            case search.Exactly():
                return self._index(node.key).get(node.value, ())
            case search.All():
                known = [
                    part for each in node.parts if (part := self._candidates(each)) is not None
                ]
                return min(known, key=len, default=None)
            case search.Any():
                parts = [self._candidates(each) for each in node.parts]
                listed = [part for part in parts if part is not None]
                if len(listed) < len(parts):
                    return None
                return list({place for part in listed for place in part})
            case _:
                return None

    def _index(self, key: str) -> dict[str, list[int]]:
        if key not in self._indexes:
            index: dict[str, list[int]] = defaultdict(list)
            values = VALUES[key]
            for place, listed in enumerate(self.tests):
                for value in values(listed):
                    index[value].append(place)
            self._indexes[key] = dict(index)
        return self._indexes[key]

    def _order(self, by: str) -> list[Rank]:
        if by not in self._orders:
            self._orders[by] = self._ranks(range(len(self.tests)), by)
        return self._orders[by]

    def _ranks(self, places: Iterable[int], by: str) -> list[Rank]:
        value_of = SORTED_BY[by]
        ranks: list[Rank] = []
        for place in places:
            test = self.tests[place].test
            ranks.append((*_rank(value_of(test), test.id, by), place))
        ranks.sort()
        return ranks


def _rank(value: str | float | None, test_id: str, by: str) -> tuple[bool, str | float, str]:
    nothing: str | float = "" if by == BY_TEXT else 0.0
    return value is None, nothing if value is None else value, test_id


def _from(ranks: Sequence[Rank], after: Place | None, by: str, *, falling: bool) -> Iterator[Rank]:
    """Those after the place, in that direction."""
    if after is None:
        start = len(ranks) if falling else 0
    else:
        known = _rank(after.value, after.id, by)
        if falling:
            start = bisect_left(ranks, (*known, -1))
        else:
            start = bisect_right(ranks, (*known, _BEYOND))
    places = range(start - 1, -1, -1) if falling else range(start, len(ranks))
    return (ranks[place] for place in places)
