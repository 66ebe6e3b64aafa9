"""Search text for Datadog's flaky tests, from values: whatever they hold, it stays a value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flakegate.errors import PolicyError, UsageError
from flakegate.policy.balance import unbalanced

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from flakegate.matching.candidate import Candidate
    from flakegate.model import State

_REPOSITORY = re.compile(r"[^\s/\"\\:@]+\.[^\s/\"\\:@]+(/[^\s/\"\\]+)+")
_LONGEST = 4_000  # characters of terms in one search


def repository_id(repository: str) -> str:
    """The repository as Datadog writes it: `github.com/owner/name`, lower-case.

    Raises UsageError for anything else: a search for it would find nothing and look like a
    repository without flaky tests.
    """
    name = repository.strip().lower()
    if not _REPOSITORY.fullmatch(name) or name.endswith(".git"):
        raise UsageError(
            f"{repository!r} is not a repository that Datadog can know",
            tip="give it as --repository github.com/OWNER/NAME (or FLAKEGATE_REPOSITORY)",
        )
    return name


def search_query(repository: str, states: Collection[State], more: str | None) -> str:
    """The search for the tests of `repository` (an id as above) in one of `states` (not empty).

    more: `backend.query` of the policy; it can narrow this search, never widen it. Raises
    PolicyError where it would leave its parentheses.
    """
    return _narrowed(repository, [f"flaky_test_state:{state}" for state in sorted(states)], more)


def id_queries(repository: str, ids: Collection[str], more: str | None = None) -> list[str]:
    """As few searches as it takes for the tests with these ids, none of them too long to send.

    repository, more: as above. Raises PolicyError.
    """
    return [
        _narrowed(repository, terms, more)
        for terms in _bounded(f"fingerprint_fqn:{quoted(each)}" for each in sorted(ids))
    ]


def suite_queries(
    repository: str, candidates: Iterable[Candidate], more: str | None = None
) -> list[str]:
    """As few searches as it takes for all tests in the suites of these candidates.

    Where a suite is not known, for those of its module. repository, more: as above. Raises
    PolicyError.
    """
    terms = {
        f"@test.module:{quoted(each.module or '')}"
        if each.suite is None
        else f"@test.suite:{quoted(each.suite)}"
        for each in candidates
    }
    return [_narrowed(repository, some, more) for some in _bounded(sorted(terms))]


def _narrowed(repository: str, any_of: Sequence[str], more: str | None) -> str:
    parts = [f"@git.repository.id_v2:{quoted(repository)}", f"({' OR '.join(any_of)})"]
    if more and (narrower := more.strip()):
        if fault := unbalanced(narrower):
            raise PolicyError(f"backend.query {fault}: {narrower}", tip="close what it opens")
        parts.append(f"({narrower})")
    return " AND ".join(parts)


def _bounded(terms: Iterable[str]) -> Iterator[list[str]]:
    """The terms in parts that are not too long for one search; a term alone may be."""
    part: list[str] = []
    length = 0
    for term in terms:
        if part and length + len(term) > _LONGEST:
            yield part
            part, length = [], 0
        part.append(term)
        length += len(term)
    if part:
        yield part


def quoted(value: str) -> str:
    """The value as a quoted text of the search syntax: no operator or wildcard in it acts."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
