from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given

from flakegate.model import FlakyTest
from flakegate.policy.conditions import Condition, parse
from flakegate.policy.fields import FIELDS, Kind

from .strategies import NOW, flaky_tests

DESIGNED = (
    "state module suite name fqn category source_file error_message first_flaked_branch "
    "last_flaked_branch codeowners envs services failure_rate failed_pipelines runs failures "
    "lost_time age last_flaked_age state_age duration impact_score impact_level broken"
)


def test_the_fields_are_the_agreed_ones() -> None:
    assert " ".join(FIELDS) == DESIGNED


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_is_documented_and_its_example_compares(name: str) -> None:
    field = FIELDS[name]
    assert field.name == name
    assert field.description
    op = {Kind.LIST: "has", Kind.TEXT: "=~", Kind.BOOL: ""}.get(field.kind, ">")
    assert isinstance(parse(f"{name} {op} {field.example}"), Condition)


def test_every_figure_of_a_flaky_test_can_be_asked_for() -> None:
    renamed = {"id", "cause", "first_flaked_at", "last_flaked_at", "state_since"}
    renamed |= {"failing_commits", "steady"}  # for the regression guard, which is always on
    renamed |= {"attempt_to_fix_id"}  # for the gate
    assert {field.name for field in fields(FlakyTest)} - renamed <= set(FIELDS)


@given(flaky_tests)
def test_numbers_are_in_range_or_unknown(test: FlakyTest) -> None:
    for field in FIELDS.values():
        value = field.get(test, NOW)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            assert 0 <= value < float("inf")
            assert field.kind is not Kind.PERCENT or value <= 100
