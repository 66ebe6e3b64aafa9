"""Search text: whatever the values hold, the search stays the repository's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.backends.datadog.query import (
    id_queries,
    quoted,
    repository_id,
    search_query,
    suite_queries,
)
from flakegate.errors import PolicyError, UsageError
from flakegate.matching.candidate import Candidate
from flakegate.model import State
from tests import fake_search

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY = "github.com/acme/shop"


def facets(repository: str, state: str, **more: str) -> dict[str, tuple[str, ...]]:
    found = {"@git.repository.id_v2": repository, "flaky_test_state": state, **more}
    return {key: (value,) for key, value in found.items()}


def test_the_query_in_words() -> None:
    assert search_query(REPOSITORY, [State.QUARANTINED, State.ACTIVE], "env:ci OR env:nightly") == (
        '@git.repository.id_v2:"github.com/acme/shop"'
        " AND (flaky_test_state:active OR flaky_test_state:quarantined)"
        " AND (env:ci OR env:nightly)"
    )


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("GitHub.com/Acme/Shop", REPOSITORY),
        (" gitlab.example/group/sub/project ", "gitlab.example/group/sub/project"),
    ],
)
def test_repositories(given_name: str, name: str) -> None:
    assert repository_id(given_name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "shop", "local/shop", "https://github.com/a/b", "git@github.com:a/b",
        "github.com/a/b.git", "github.com:8443/a/b", 'github.com/a/"b', "github.com/a b/c",
        "github.com/", "github.com//b",
    ],
)  # fmt: skip
def test_what_is_no_repository_of_datadogs(name: str) -> None:
    with pytest.raises(UsageError, match="not a repository that Datadog can know"):
        repository_id(name)


@pytest.mark.parametrize(
    "more",
    [
        "env:ci) OR (env:prod", "(env:ci", "env:ci)", '@test.name:"open', "env:ci\\",
        'env:"a\\") OR (env:"b"',
    ],
)  # fmt: skip
def test_a_query_cannot_leave_its_parentheses(more: str) -> None:
    with pytest.raises(PolicyError, match=r"backend\.query"):
        search_query(REPOSITORY, [State.ACTIVE], more)


@pytest.mark.parametrize("more", ['@test.name:")"', "env:a\\)b", "(env:a OR (env:b))", "  "])
def test_a_query_may_hold_parentheses_of_its_own(more: str) -> None:
    assert callable(fake_search.parse(search_query(REPOSITORY, [State.ACTIVE], more)))


PIECES = ["env:ci", "env:*", "(", ")", '"', "\\", " OR ", " AND ", "-", " ", "@test.name:"]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_no_query_of_the_policy_widens_the_search(more: str) -> None:
    try:
        query = search_query(REPOSITORY, [State.ACTIVE], more)
        matches = fake_search.parse(query)
    except (PolicyError, fake_search.QueryError):
        return
    assert not matches(facets("github.com/other/one", "active", env="ci"))
    assert not matches(facets(REPOSITORY, "fixed", env="ci"))


hostile = st.lists(st.sampled_from([*PIECES, "*", "?", "a", ") OR env:*", "AND"])).map("".join)
values = hostile | st.text(max_size=12)


@given(st.sets(values, max_size=8), values, st.sampled_from([None, "env:ci OR env:prod"]))
def test_searches_by_value_find_these_values_in_this_repository(
    wanted: set[str], other: str, more: str | None
) -> None:
    suites = [
        Candidate(module=None, suite=suite, name="n", base_dir="", path="") for suite in wanted
    ]
    for key, queries in (
        ("fingerprint_fqn", id_queries(REPOSITORY, wanted, more)),
        ("@test.suite", suite_queries(REPOSITORY, suites, more)),
    ):
        searches = [fake_search.parse(query) for query in queries]

        def found(
            value: str,
            repository: str,
            env: str,
            key: str = key,
            searches: Sequence[fake_search.Matches] = searches,
        ) -> bool:
            test = facets(repository, "active", env=env, **{key: value})
            return any(matches(test) for matches in searches)

        assert all(found(value, REPOSITORY, "ci") for value in wanted)
        assert found(other, REPOSITORY, "ci") is (other in wanted)
        assert not any(found(value, "github.com/acme/other", "ci") for value in wanted)
        assert more is None or not any(found(value, REPOSITORY, "dev") for value in wanted)


def test_many_values_are_few_searches_none_too_long_to_send() -> None:
    queries = id_queries(REPOSITORY, {f"{number:0>40}" for number in range(500)})
    assert len(queries) == 8
    assert max(map(len, queries)) < 5_000


@given(st.sets(st.text(min_size=1, max_size=300), max_size=60))
def test_no_search_is_too_long_to_send(wanted: set[str]) -> None:
    queries = id_queries(REPOSITORY, wanted, "env:ci")
    longest = max((len(quoted(each)) for each in wanted), default=0)
    assert all(len(query) <= 5_000 + longest for query in queries)
    assert sum(query.count("fingerprint_fqn:") for query in queries) >= len(wanted)


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_quoted_value_matches_itself_and_nothing_else(value: str, other: str) -> None:
    matches = fake_search.parse(f"env:{quoted(value)}")
    assert matches({"env": (value,)})
    assert matches({"env": (other,)}) is (other == value)
