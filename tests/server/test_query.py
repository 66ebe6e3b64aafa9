"""The search syntax, held against the independent reading of the tests' own fake."""

from __future__ import annotations

import time
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.backends.datadog.query import quoted
from flakegate.server.query import EVERYTHING, KEYS, condition, is_like, parse
from flakegate.server.refusal import Refusal
from tests import fake_search

if TYPE_CHECKING:
    from collections.abc import Callable

Facets = dict[str, tuple[str, ...]]

TEXTS = ("", "a", "b", "ab", "a b", "aab", 'a"b', "a\\b", "(a", "AND", "a*b", "a:b", "?", "-a")
NAMED = [key for key in KEYS if key not in {"@git.repository.id_v2", "flaky_test_category"}]
FACETS = st.fixed_dictionaries(
    {key: st.lists(st.sampled_from(TEXTS), max_size=2).map(tuple) for key in NAMED}
)
VALUES: dict[str, Callable[[Facets], tuple[str, ...]]] = {
    key: lambda facets, key=key: facets.get(key, ())  # type: ignore[misc]
    for key in KEYS
}
BARE = st.sampled_from(["a", "b", "ab", "*", "a*", "*b", "a*b", "a**b", r"a\ b", "*a*", "?"])
TERMS = st.builds(
    "{}:{}".format,
    st.sampled_from(NAMED[:3]),
    BARE | st.sampled_from(TEXTS).map(quoted),
)
QUERIES = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.builds("({})".format, inner),
        st.builds("-({})".format, inner),
        st.builds("{} AND {}".format, inner, inner),
        st.builds("{} {}".format, inner, inner),
        st.builds("{} OR {}".format, inner, inner),
    ),
    max_leaves=8,
)


def meets(query: str, facets: Facets) -> bool:
    return condition(parse(query), VALUES)(facets)


@given(QUERIES, FACETS)
def test_both_readings_agree(query: str, facets: Facets) -> None:
    assert meets(query, facets) == fake_search.parse(query)(facets)


@given(QUERIES, FACETS)
def test_not_is_another_word_for_a_dash(query: str, facets: Facets) -> None:
    assert meets(f"NOT ({query})", facets) == meets(f"-({query})", facets)
    assert meets(f"NOT ({query})", facets) is not meets(query, facets)


@given(st.text(alphabet='ab:"\\()*- ANDORT@.test_name', max_size=40))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    with suppress(Refusal):
        parse(text)


@given(st.text(alphabet="ab*", max_size=12), st.text(alphabet="ab", max_size=12))
def test_a_star_stands_for_anything(pattern: str, value: str) -> None:
    assert is_like(f"{pattern}*".split("*"), value) == fnmatchcase(value, f"{pattern}*")


def test_many_stars_take_no_time() -> None:
    began = time.process_time()
    assert not meets("@test.name:" + "*a" * 5_000 + "*b", {"@test.name": ("a" * 50_000,)})
    assert time.process_time() - began < 1


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_no_query_is_everything(blank: str) -> None:
    assert parse(blank) == EVERYTHING
    assert meets(blank, {})


def test_or_binds_less_than_and() -> None:
    assert meets("env:a OR env:b env:c", {"env": ("a",)})
    assert not meets("(env:a OR env:b) env:c", {"env": ("a",)})
    assert not meets("-env:a OR env:b AND env:c", {"env": ("a", "b")})


def test_an_escaped_star_is_a_star() -> None:
    assert meets(r"env:a\*b", {"env": ("a*b",)})
    assert not meets(r"env:a\*b", {"env": ("ab",)})
    assert meets(r"env:*\*b", {"env": ("aa*b",)})
    assert not meets('env:"a*"', {"env": ("ab",)})


def test_categories_are_compared_without_case() -> None:
    assert meets("flaky_test_category:TimeOut", {"flaky_test_category": ("timeout",)})
    assert meets('flaky_test_category:"TIMEOUT"', {"flaky_test_category": ("timeout",)})


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ('@test.name:"a', "a quote is not closed"),
        ('@test.name:"a"b', "a quote is not closed, or something follows it at once"),
        ("(env:a", "a parenthesis is not closed"),
        ("env:a)", "nothing opens the parenthesis"),
        ("env:a OR", "a term is missing at its end"),
        ("OR env:a", "a term like key:value is missing before 'OR env:a'"),
        ("env:a AND AND env:b", "missing before 'AND env:b'"),
        ("checkout", "a term like key:value is missing before 'checkout'"),
        ("failure_rate:20", "there is no key 'failure_rate'; the keys are flaky_test_state,"),
        ("@git.repository.id_v2:github.com/Acme/shop", "must be lower-case"),
        ("env:a " * 1_001, "more than 1000 terms"),
        ("(" * 51 + "env:a" + ")" * 51, "nested more than 50 deep"),
        ("NOT " * 60 + "env:a", "nested more than 50 deep"),
        ("env:", "a term like key:value is missing"),
    ],
)
def test_what_is_no_query_is_said(query: str, said: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse(query)
    assert refused.value.status == 400
    assert said in refused.value.detail


def test_the_most_that_is_taken_is_taken() -> None:
    assert meets("env:a " * 1_000, {"env": ("a",)})
    assert meets("(" * 50 + "env:a" + ")" * 50, {"env": ("a",)})
