from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.identity import identify, refusal
from flakegate.identity import test_id as id_of
from flakegate.junit import Case, Outcome
from flakegate.model import Identity

CASE = Case(
    suite="pytest",
    classname="tests.test_cart.TestCart",
    name="test_total[1]",
    file="tests/test_cart.py",
    suite_file=None,
    line=None,
    outcome=Outcome.FAILURE,
    duration=None,
    message="assert 4 == 5",
    earlier=(),
)


def with_(**changes: Any) -> Case:
    return dataclasses.replace(CASE, **changes)


def test_the_identity_is_what_the_report_says() -> None:
    assert identify(CASE, "services/api") == Identity(
        module="services/api",
        suite="tests.test_cart.TestCart",
        name="test_total[1]",
        source_file="tests/test_cart.py",
    )


@pytest.mark.parametrize("classname", [None, ""])
def test_without_a_classname_the_suite_stands_for_it(classname: str | None) -> None:
    assert identify(with_(classname=classname, suite="cart"), "").suite == "cart"


def test_a_plain_failure_is_not_refused() -> None:
    assert refusal(CASE) is None


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize(
    "changes",
    [
        {"name": None},
        {"name": ""},
        {"classname": None, "suite": None},
        {"classname": "", "suite": ""},
    ],
)
def test_without_names_nothing_is_identifiable(
    outcome: Outcome, changes: dict[str, str | None]
) -> None:
    assert "name" in (refusal(with_(outcome=outcome, **changes)) or "")


HOOKS = [
    {"classname": "", "name": "tests.test_cart", "message": "collection failure\nImportError"},
    {"classname": "Test suite failed to run", "name": "src/cart.test.js"},
    {"name": "cart Test suite failed to run", "classname": "Test suite failed to run"},
    {"name": "Test suite failed to run"},
    {"name": "Test execution failure: could be caused by test hooks like 'afterAll'."},
    {"name": " Test execution failure: could be caused by test hooks like 'afterAll'."},
    {"name": 'cart "before each" hook for "adds"'},
    {"name": 'cart "after all" hook: close the shop in "cart"'},
    {"name": "src/cart.test.ts", "classname": "src/cart.test.ts"},
    {"name": "src/cart.test.ts", "classname": "cart", "file": "src/cart.test.ts"},
    {"name": "shop.CartTest", "classname": "shop.CartTest"},
    {"name": "initializationError"},
    {"name": "TestMain"},
]


@pytest.mark.parametrize("changes", HOOKS, ids=lambda changes: str(changes["name"]))
def test_what_is_no_single_test_is_refused_when_it_fails(changes: dict[str, str]) -> None:
    assert refusal(with_(**changes))
    assert refusal(with_(**{"message": None} | changes, outcome=Outcome.ERROR))
    assert refusal(with_(**changes, outcome=Outcome.PASSED)) is None


def test_a_doctest_of_pytest_may_be_named_as_its_module() -> None:
    doctest = with_(classname="src.docmod", name="src.docmod", file="src/docmod.py")
    assert refusal(doctest)
    assert refusal(doctest, "gradle")
    assert refusal(doctest, "pytest") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "cart adds", "classname": "cart adds"},  # jest-junit writes both the same
        {"name": " top level", "classname": " top level"},
        {"name": "top", "classname": "top"},
        {"name": "adds 1.5 and 2", "classname": "adds 1.5 and 2"},
        {"name": "the before each hook works"},
        {"message": "collection failure of stamps"},
    ],
    ids=str,
)
def test_what_only_looks_like_it_is_a_test(changes: dict[str, str]) -> None:
    assert refusal(with_(**changes)) is None


def test_an_id_is_long_and_stays_the_same_forever() -> None:
    assert id_of("acme/shop", identify(CASE, "")) == "e1365e875f5c0dffd24bb1f4"


TEXTS = st.text(alphabet="ab:1\0é", max_size=4)
PARTS = st.tuples(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)


def _id(parts: tuple[str, ...]) -> str:
    repository, module, suite, name, source_file = parts
    identity = Identity(module=module, suite=suite, name=name, source_file=source_file)
    return id_of(repository, identity)


@given(PARTS, PARTS)
def test_different_parts_have_different_ids(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (_id(one) == _id(other)) == (one == other)


@given(PARTS, st.integers(0, 3), st.integers(0, 4))
def test_text_that_moves_between_parts_changes_the_id(
    parts: tuple[str, ...], at: int, length: int
) -> None:
    joined = parts[at] + parts[at + 1]
    moved = (*parts[:at], joined[:length], joined[length:], *parts[at + 2 :])
    assert (_id(moved) == _id(parts)) == (moved == parts)


def test_half_a_surrogate_is_a_name_too() -> None:
    assert _id(("\ud800", "", "", "", "")) != _id(("", "", "", "", ""))
