"""Reads Datadog's list of flaky tests: page by page, several searches side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from flakegate.backends.datadog import wire
from flakegate.backends.datadog.abreast import abreast
from flakegate.backends.datadog.access import KEYS_TIP
from flakegate.errors import BackendError
from flakegate.policy.needs import Descent
from flakegate.wire.flaky_tests import PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flakegate.model import FlakyTest
    from flakegate.transport.client import Transport

PAGE_SIZE = 500
EMPTY_PAGES = 3  # so many in a row are the end of a list, whatever their cursors say
AT_ONCE = 4  # walks; more of them would only meet the rate limit sooner
QUERY_TIP = (
    "the search was refused: if the policy sets `backend.query`, check its syntax;"
    " if not, please report this request as a bug of flakegate"
)
TIPS = {
    400: QUERY_TIP,
    401: KEYS_TIP,
    403: f"the application key needs test_optimization_read; or {KEYS_TIP}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """One query, to be read page after page.

    least: read by falling failure rate, down to this one (percent) and no further; None: by name,
    to the end. history: with when and by whom the states were changed; see `wire.decode_page`.
    """

    query: str
    least: float | None = None
    history: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What searches found. tests: by id. left_out: of every test that cannot be used, why."""

    tests: dict[str, FlakyTest]
    left_out: tuple[str, ...]


def search(
    transport: Transport, walks: Sequence[Walk], tell: Callable[[int], None] = lambda _: None
) -> Found:
    """All tests that any of these walks meets, read side by side. Raises BackendError.

    tell: is told after every page how many tests there are so far.
    """
    found: dict[str, FlakyTest] = {}
    left_out: list[str] = []
    for page in abreast([partial(_pages, transport, walk) for walk in walks], at_once=AT_ONCE):
        # The list moves while it is read: of a test met twice, the later reading counts.
        found |= {test.id: test for test in page.tests}
        left_out += page.left_out
        tell(len(found))
    return Found(tests=found, left_out=tuple(sorted(left_out)))


def _pages(transport: Transport, walk: Walk) -> Iterator[wire.Page]:
    """Page after page, to one without a cursor; a short one is not the last.

    Nor is an empty one that points on: the reference calls it the end, but to believe that of an
    empty page in the middle would lose the rest unseen.
    """
    request = f"POST {transport.base_url}{PATH}"
    sort = wire.BY_NAME if walk.least is None else wire.WORST_FIRST
    descent = None if walk.least is None else Descent(least=walk.least)
    memo: wire.Memo = {}
    cursor: str | None = None
    seen: set[str] = set()
    empty = 0
    while True:
        body = wire.encode_search(
            walk.query, sort=sort, limit=PAGE_SIZE, cursor=cursor, history=walk.history
        )
        answer = transport.send("POST", PATH, body, tips=TIPS)
        page = wire.decode_page(answer, request, history=walk.history, memo=memo)
        yield page
        cursor = page.next_cursor
        empty = 0 if page.size else empty + 1
        if cursor is None or empty == EMPTY_PAGES or (descent and descent.is_over(page.tests)):
            return
        if cursor in seen:
            if empty:
                return
            raise BackendError(
                f"{request}: page {len(seen) + 1} points back to an earlier one",
                tip="the list cannot be read to its end; try again, then ask Datadog's support",
            )
        seen.add(cursor)
