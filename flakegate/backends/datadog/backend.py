"""Datadog's Flaky Test Management as a backend: the flaky tests of one repository."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flakegate.backends.datadog import own_rules, updating
from flakegate.backends.datadog.query import (
    id_queries,
    repository_id,
    search_query,
    suite_queries,
)
from flakegate.backends.datadog.searching import Walk, search
from flakegate.model import State
from flakegate.wire import policies

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from flakegate.backends.base import Progress
    from flakegate.matching.candidate import Candidate
    from flakegate.model import (
        FlakyTest,
        History,
        Identity,
        StateCause,
        Transition,
        UpdateResult,
    )
    from flakegate.policy.needs import Wanted
    from flakegate.policy.rules import OwnRule
    from flakegate.transport.client import Transport

FIELDS = frozenset(
    {
        "state", "module", "suite", "name", "fqn", "category", "source_file", "error_message",
        "first_flaked_branch", "last_flaked_branch", "codeowners", "envs", "services",
        "failure_rate", "failed_pipelines", "lost_time", "age", "last_flaked_age", "state_age",
        "duration", "impact_score", "impact_level", "broken",
    }
)  # fmt: skip
MOST_QUERIES = 25  # about single suites; beyond that the whole list is read


class Datadog:
    """The flaky tests of one repository in Datadog. See `backends.base.Backend`.

    repository: its id, any case. query: more search, from the policy. warn: is told, in a line,
    what a search had to leave out. Raises UsageError and PolicyError for the first two.
    """

    kind = "datadog"
    fields = FIELDS
    batch_size = updating.BATCH_SIZE
    by_identity = False

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

    @property
    def place(self) -> str:
        """The API's address."""
        return self._transport.base_url

    def search(self, wanted: Wanted, progress: Progress | None = None) -> list[FlakyTest]:
        """What is wanted of the repository's tests, in the order of their ids.

        One search for each state, side by side; where only tests from some failure rate on are
        wanted, the worst are read first, and the rest is not read at all.
        """
        more = self._query if wanted.narrowed else None
        walks = [
            Walk(
                query=search_query(self._repository, [state], more),
                least=least,
                history=wanted.history,
            )
            for state, least in sorted(wanted.states.items())
        ]
        walks += [
            Walk(query=query, history=wanted.history)
            for query in id_queries(self._repository, wanted.ids, more)
        ]

        def tell(so_far: int) -> None:
            if progress is not None:
                progress(so_far, None)

        found = search(self._transport, walks, tell)
        self._warn_of(found.left_out)
        tests = [found.tests[test_id] for test_id in sorted(found.tests)]
        # Who changed a state is asked of `last_changes`: of the moment, and where it matters.
        return [replace(test, cause=None) for test in tests] if wanted.history else tests

    def find(self, identities: Sequence[Identity]) -> dict[Identity, FlakyTest]:
        """None: Datadog does not know what a report calls its tests; see `in_suites`."""
        del identities
        return {}

    def in_suites(self, candidates: Collection[Candidate]) -> list[FlakyTest]:
        """Every flaky test of these suites; if they are too many, of the whole repository."""
        queries = suite_queries(self._repository, candidates, self._query)
        if len(queries) > MOST_QUERIES:
            queries = [search_query(self._repository, [each], self._query) for each in State]
        found = search(self._transport, [Walk(query=each, history=True) for each in queries])
        self._warn_of(found.left_out)
        return [found.tests[test_id] for test_id in sorted(found.tests)]

    def _warn_of(self, left_out: Sequence[str]) -> None:
        if left_out:
            self._warn(f"{len(left_out)} of Datadog's tests left out: {left_out[0]}")

    def update(self, changes: Sequence[Transition]) -> list[UpdateResult]:
        """Carries out one batch; see `updating.update`."""
        return updating.update(self._transport, self._repository, changes)

    def last_changes(self, tests: Sequence[FlakyTest]) -> dict[str, StateCause]:
        """The newest entry of these tests' histories; see `wire.decode_page`."""
        ids = (test.id for test in tests)
        found = updating.read_again(self._transport, self._repository, ids, history=True)
        return {test.id: test.cause for test in found.values() if test.cause is not None}

    def own_rules(self) -> tuple[OwnRule, ...]:
        """Datadog's policies for the repository, in one request."""
        body = own_rules.encode(self._repository)
        answer = self._transport.send("POST", policies.PATH, body, tips=own_rules.TIPS)
        return own_rules.decode(answer, f"POST {self.place}{policies.PATH}")

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
