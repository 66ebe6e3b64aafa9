"""Search text for Datadog's flaky tests, from values: whatever they hold, it stays a value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flakegate.errors import PolicyError, UsageError
from flakegate.policy.balance import unbalanced

if TYPE_CHECKING:
    from collections.abc import Collection

    from flakegate.model import State

_REPOSITORY = re.compile(r"[^\s/\"\\:@]+\.[^\s/\"\\:@]+(/[^\s/\"\\]+)+")
_LONGEST = 4_000  # characters of ids in one search


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
    wanted = " OR ".join(f"flaky_test_state:{state}" for state in sorted(states))
    parts = [f"@git.repository.id_v2:{quoted(repository)}", f"({wanted})"]
    if more and (narrower := more.strip()):
        if fault := unbalanced(narrower):
            raise PolicyError(f"backend.query {fault}: {narrower}")
        parts.append(f"({narrower})")
    return " AND ".join(parts)


def id_queries(repository: str, ids: Collection[str]) -> list[str]:
    """As few searches as it takes for the tests with these ids, none of them too long to send.

    repository: an id as above.
    """
    queries: list[str] = []
    part: list[str] = []
    length = 0
    for each in sorted(ids):
        term = f"fingerprint_fqn:{quoted(each)}"
        if part and length + len(term) > _LONGEST:
            queries.append(_by_id(repository, part))
            part, length = [], 0
        part.append(term)
        length += len(term)
    return [*queries, _by_id(repository, part)] if part else queries


def _by_id(repository: str, terms: list[str]) -> str:
    return f"@git.repository.id_v2:{quoted(repository)} AND ({' OR '.join(terms)})"


def quoted(value: str) -> str:
    """The value as a quoted text of the search syntax: no operator or wildcard in it acts."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
