"""Datadog's Flaky Test Management as a backend: the flaky tests of one repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.backends.datadog import wire
from flakegate.backends.datadog.query import id_queries, repository_id, search_query
from flakegate.errors import BackendError, NothingChangedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from flakegate.backends.base import Progress
    from flakegate.model import (
        FlakyTest,
        History,
        Identity,
        State,
        StateCause,
        Transition,
        UpdateResult,
    )
    from flakegate.transport import Transport

PATH = "/api/v2/test/flaky-test-management/tests"
PAGE_SIZE = 500
BATCH_SIZE = 100  # Datadog documents no maximum
FIELDS = frozenset(
    {
        "state", "module", "suite", "name", "fqn", "category", "source_file", "error_message",
        "first_flaked_branch", "last_flaked_branch", "codeowners", "envs", "services",
        "failure_rate", "failed_pipelines", "lost_time", "age", "last_flaked_age", "duration",
        "impact_score", "impact_level", "broken",
    }
)  # fmt: skip
KEYS_TIP = "check DD_API_KEY and DD_APP_KEY, and that they belong to the site in DD_SITE"
QUERY_TIP = (
    "the search was refused: if the policy sets `backend.query`, check its syntax;"
    " if not, please report this request as a bug of flakegate"
)
READ = {
    400: QUERY_TIP,
    401: KEYS_TIP,
    403: f"the application key needs test_optimization_read; or {KEYS_TIP}",
}
WRITE = {401: KEYS_TIP, 403: f"the application key needs test_optimization_write; or {KEYS_TIP}"}


class Datadog:
    """The flaky tests of one repository in Datadog. See `backends.base.Backend`.

    repository: its id, any case. query: more search, from the policy. warn: is told, in a line,
    what a search had to leave out. Raises UsageError and PolicyError for the first two.
    """

    kind = "datadog"
    fields = FIELDS
    batch_size = BATCH_SIZE
    matches_reports = False

    def __init__(
        self,
        transport: Transport,
        *,
        repository: str,
        query: str | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._transport = transport
        self._repository = repository_id(repository)
        self._query = query
        self._warn = warn
        # Changes are for tests that a search of this repository returned, and for no others.
        self._ours: set[str] = set()

    @property
    def place(self) -> str:
        """The API's address."""
        return self._transport.base_url

    def search(
        self, states: Collection[State], progress: Progress | None = None
    ) -> list[FlakyTest]:
        """All flaky tests of the repository in one of these states, in the order of their ids."""
        if not states:
            return []
        query = search_query(self._repository, states, self._query)
        found: dict[str, FlakyTest] = {}
        left_out: list[str] = []
        for page in self._pages(query, history=False):
            # The list moves while it is read: of a test met twice, the later reading counts.
            found |= {test.id: test for test in page.tests}
            left_out += page.left_out
            if progress is not None:
                progress(len(found), None)
        if left_out:
            self._warn(f"{len(left_out)} of Datadog's tests left out: {left_out[0]}")
        self._ours |= found.keys()
        return [found[test_id] for test_id in sorted(found)]

    def _pages(self, query: str, *, history: bool) -> Iterator[wire.Page]:
        """Page after page; a short one is not the last: only no cursor or an empty one is."""
        request = f"POST {self.place}{PATH}"
        cursor: str | None = None
        seen: set[str] = set()
        while True:
            body = wire.encode_search(query, limit=PAGE_SIZE, cursor=cursor, history=history)
            answer = self._transport.send("POST", PATH, body, tips=READ)
            page = wire.decode_page(answer, request, history=history)
            yield page
            cursor = page.next_cursor
            if cursor is None or page.size == 0:
                return
            if cursor in seen:
                raise BackendError(
                    f"{request}: page {len(seen) + 1} points back to an earlier one",
                    tip="the list cannot be read to its end; try again, then ask Datadog's support",
                )
            seen.add(cursor)

    def find(self, identities: Sequence[Identity]) -> dict[Identity, FlakyTest]:
        """Refuses: see `matches_reports`."""
        raise BackendError(
            f"matching a report's cases to Datadog's tests is not available yet"
            f" ({len(identities)} asked for)",
            tip="judge the reports with the store (--backend store)",
        )

    def update(self, changes: Sequence[Transition]) -> list[UpdateResult]:
        """Carries out one batch; one result for each change, in their order.

        Refuses, with nothing sent, an id that no search of this repository returned.
        """
        strange = [change.test_id for change in changes if change.test_id not in self._ours]
        if strange:
            raise NothingChangedError(
                f"{len(strange)} of {len(changes)} tests are not among those that Datadog lists"
                f" for {self._repository}, such as {strange[0]}",
                tip="make a new plan: the tests of this one are gone, or of another repository",
            )
        answer = self._transport.send("PATCH", PATH, wire.encode_update(changes), tips=WRITE)
        return wire.decode_update(answer, changes, f"PATCH {self.place}{PATH}")

    def last_changes(self, tests: Sequence[FlakyTest]) -> dict[str, StateCause]:
        """The newest entry of these tests' histories; see `wire.decode_page`."""
        queries = id_queries(self._repository, [test.id for test in tests])
        found = (
            test
            for query in queries
            for page in self._pages(query, history=True)
            for test in page.tests
        )
        return {test.id: test.cause for test in found if test.cause is not None}

    def suite_size(self) -> int | None:
        """Datadog lists flaky tests only."""
        return None

    def recent_changes(self, since: float) -> int | None:
        """Unknown: Datadog does not tell our changes from a person's; the journal does."""
        del since
        return None

    def recorded(self) -> dict[str, Identity]:
        """None: Datadog lists flaky tests only."""
        return {}

    def history(self, test_id: str) -> History | None:
        """None: Datadog lists flaky tests only."""
        del test_id
        return None

    def close(self) -> None:
        """Closes the kept connections."""
        self._transport.close()
