from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.backends.datadog.query import search_query
from flakegate.errors import PolicyError
from flakegate.model import State
from flakegate.policy.balance import unbalanced
from flakegate.policy.load import load

PIECES = ["env:ci", "(", ")", '"', "\\", "'", " ", "\\)", " OR ", "é"]
queries = st.lists(st.sampled_from(PIECES), max_size=12).map("".join).filter(str.strip)


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("", None),
        ("env:ci AND (a OR (b))", None),
        ('@test.name:")"', None),
        ('"a\\")"', None),
        ("a\\)b", None),
        ('a\\"b', None),
        ("a\\\\", None),
        ('"a\nb"', None),
        ("a\\\nb", None),
        ('"', "has a quote that is never closed"),
        ('"a\\"', "has a quote that is never closed"),
        ('a"b"c"', "has a quote that is never closed"),
        ("\\", "has a backslash at its end"),
        ("a\\\\\\", "has a backslash at its end"),
        ('"a"\\', "has a backslash at its end"),
        (")", "has a `)` that closes nothing"),
        ("a) OR (b", "has a `)` that closes nothing"),
        ("((a)", "has a `(` that is never closed"),
        ("(a\\)", "has a `(` that is never closed"),
    ],
)
def test_what_a_query_leaves_open(query: str, fault: str | None) -> None:
    assert unbalanced(query) == fault


@given(queries)
def test_what_the_policy_takes_the_search_takes(query: str) -> None:
    """Blanks around a query are dropped, which must not turn an escaped one into a lone escape."""
    quoted = query.replace("'", "''")
    loaded = load(f"version: 1\nbackend: {{query: '{quoted}'}}\n".encode(), "flakegate.yml")
    try:
        search_query("github.com/acme/shop", [State.ACTIVE], query)
    except PolicyError:
        assert loaded.policy is None
        return
    assert loaded.policy is not None


@pytest.mark.parametrize("query", ["\\", "env:a\\ "])
def test_a_backslash_at_the_end_is_told_with_its_place(query: str) -> None:
    text = f"version: 1\nbackend: {{query: '{query}'}}\n"
    (problem,) = load(text.encode(), "flakegate.yml").problems
    assert (problem.place.line, problem.place.column) == (2, 18)
    assert problem.message == "`backend.query` has a backslash at its end"
