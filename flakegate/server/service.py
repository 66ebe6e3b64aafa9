"""What the server does with a request that was let in: bodies in, bodies out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from flakegate.server import cursor, query
from flakegate.server.listed import told
from flakegate.server.refusal import Refusal
from flakegate.wire import flaky_tests, policies

if TYPE_CHECKING:
    from collections.abc import Callable

    from flakegate.server.admission import Caller
    from flakegate.server.holdings import Holdings

_PAGE = ("`page`", "`limit`", ".page.limit`")  # in what is said of a limit that is wrong or missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One of the API. name: of it in the description. changes: whether it changes anything.

    permission: that it needs. request, answer: what its bodies hold. act: carries it out.
    """

    name: str
    method: str
    path: str
    summary: str
    changes: bool
    permission: str
    request: Any
    answer: Any
    act: Callable[[Holdings, Caller, Any], object]


def carry_out(operation: Operation, holdings: Holdings, caller: Caller, body: bytes) -> bytes:
    """The body of the good answer. Raises Refusal and BackendError."""
    try:
        asked: Any = msgspec.json.decode(body, type=operation.request)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal(400, _explained(str(error))) from None
    return msgspec.json.encode(operation.act(holdings, caller, asked))


def _explained(error: str) -> str:
    return f"{flaky_tests.LIMIT_RULE} ({error})" if any(map(error.__contains__, _PAGE)) else error


def _search(
    holdings: Holdings, caller: Caller, asked: flaky_tests.Document[flaky_tests.Search]
) -> flaky_tests.Page:
    del caller
    wanted = asked.data.attributes
    text, sort, given = wanted.filter.query, wanted.sort, wanted.page.cursor
    node = query.parse(text)
    after = (
        None if isinstance(given, msgspec.UnsetType) else cursor.read(given, query=text, sort=sort)
    )
    page, place = holdings.listing().page(node, sort=sort, limit=wanted.page.limit, after=after)
    histories = None
    if wanted.filter.include_history:
        histories = holdings.histories([listed.row for listed in page])
    tests = (
        told(listed, None if histories is None else histories.get(listed.row, ()))
        for listed in page
    )
    following = None if place is None else cursor.write(place, query=text, sort=sort)
    return flaky_tests.Page(
        data=tuple(tests),
        meta=flaky_tests.PageMeta(pagination=flaky_tests.Pagination(next_page=following)),
    )


def _update(
    holdings: Holdings, caller: Caller, asked: flaky_tests.Document[flaky_tests.Update]
) -> flaky_tests.Document[flaky_tests.Updated]:
    results = holdings.update(asked.data.attributes.tests, actor=caller.name)
    said = flaky_tests.Results(
        results=results, has_errors=not all(result.success for result in results)
    )
    return flaky_tests.Document(
        data=flaky_tests.Updated(
            id="update", type="update_flaky_test_state_response", attributes=said
        )
    )


def _policies(
    holdings: Holdings, caller: Caller, asked: flaky_tests.Document[policies.Get]
) -> flaky_tests.Document[policies.Policies]:
    """None: the server moves no test by itself."""
    del holdings, caller
    repository = asked.data.attributes.repository_id
    off = policies.Attributes(
        repository_id=repository,
        quarantined=policies.Block(enabled=False),
        disabled=policies.Block(enabled=False),
    )
    return flaky_tests.Document(
        data=policies.Policies(
            id=repository,
            type="test_optimization_flaky_tests_management_policies",
            attributes=off,
        )
    )


OPERATIONS = (
    Operation(
        name="search",
        method="POST",
        path=flaky_tests.PATH,
        summary="Search flaky tests, page by page.",
        changes=False,
        permission=flaky_tests.READ,
        request=flaky_tests.Document[flaky_tests.Search],
        answer=flaky_tests.Page,
        act=_search,
    ),
    Operation(
        name="update",
        method="PATCH",
        path=flaky_tests.PATH,
        summary="Change states of flaky tests; a 200 can carry failures.",
        changes=True,
        permission=flaky_tests.WRITE,
        request=flaky_tests.Document[flaky_tests.Update],
        answer=flaky_tests.Document[flaky_tests.Updated],
        act=_update,
    ),
    Operation(
        name="policies",
        method="POST",
        path=policies.PATH,
        summary="The server's own policies for a repository: none is on.",
        changes=False,
        permission=flaky_tests.READ,
        request=flaky_tests.Document[policies.Get],
        answer=flaky_tests.Document[policies.Policies],
        act=_policies,
    ),
)
