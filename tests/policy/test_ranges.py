"""The bounds outside of which a condition is never true."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from flakegate.policy.conditions import conjunction
from flakegate.policy.fields import FIELDS
from flakegate.policy.ranges import Range, meet, ranges
from flakegate.policy.syntax import Node, show

from .strategies import NOW, flaky_tests, nodes, read

if TYPE_CHECKING:
    from flakegate.model import FlakyTest

DAY = 86_400.0
ABOVE_20 = Range(low=(20.0, 1), high=(100.0, 0))


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("failure_rate > 20%", {"failure_rate": ABOVE_20}),
        ("not failure_rate <= 20%", {"failure_rate": ABOVE_20}),
        ("not (failure_rate <= 20% or runs > 3)", {"failure_rate": ABOVE_20, "runs": (0, 3)}),
        ("failure_rate > 20% and (failures > 3 or broken)", {"failure_rate": ABOVE_20}),
        ("failures > 3 or failures == 1", {"failures": (1, inf)}),
        ("failures < 3 and last_flaked_age > 14d", {"failures": (0, 2), "last_flaked_age": None}),
        ("broken", {"failure_rate": (100, 100)}),
        ("not broken", {"failure_rate": Range(high=(100.0, -1))}),
        ("failures > 3 or known(runs)", {}),
        ("failures != 3", {}),
        ("not failures == 3", {}),
        ("not failures != 3", {"failures": (3, 3)}),
        ("default(failure_rate, 0%) < 5%", {}),
        ('suite == "a" and failures in [1, 2]', {}),
    ],
)
def test_of_a_condition(when: str, expected: dict[str, Range | tuple[float, float] | None]) -> None:
    found = ranges(read(when).node)
    whole = {
        name: Range(low=(each[0], 0), high=(each[1], 0)) if isinstance(each, tuple) else each
        for name, each in expected.items()
    }
    if "last_flaked_age" in whole:
        whole["last_flaked_age"] = Range(low=(14 * DAY, 1))
    assert found == whole


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("failure_rate > 20%", "failure_rate < 30%", True),
        ("failure_rate >= 20%", "failure_rate <= 20%", True),
        ("failure_rate > 20%", "failure_rate <= 20%", False),
        ("failure_rate > 20%", "failures < 3", True),
        ("failure_rate > 20% and failures < 3", "failures >= 3 or failures > 7", False),
        ("broken", "failure_rate < 5%", False),
        ("not broken", "failure_rate > 99%", True),
        ("failures > 3 and failures < 4", "failures > 0", False),
        ("failures > 3 and failures < 2", "runs > 0 and failures < 9", False),
    ],
)
def test_conditions_that_can_hold_together(one: str, other: str, together: bool) -> None:
    first, second = ranges(read(one).node), ranges(read(other).node)
    assert meet(first, second) is together
    assert meet(second, first) is together


def test_a_range_lies_within_another() -> None:
    assert ABOVE_20.within(Range(low=(20.0, 0), high=(100.0, 0)))
    assert not Range(low=(20.0, 0), high=(100.0, 0)).within(ABOVE_20)
    assert not Range(low=(30.0, 0)).within(ABOVE_20)


@given(nodes, flaky_tests)
def test_a_condition_is_true_within_its_ranges_only(node: Node, test: FlakyTest) -> None:
    condition = read(show(node))
    if not condition.check(test, NOW):
        return
    for name, each in ranges(condition.node).items():
        value = FIELDS[name].get(test, NOW)
        assert isinstance(value, (int, float))
        assert each.low <= (value, 0) <= each.high


@given(nodes, nodes, flaky_tests)
def test_what_one_test_meets_can_hold_together(one: Node, other: Node, test: FlakyTest) -> None:
    both = read(show(one)), read(show(other))
    if conjunction(both).check(test, NOW):
        assert meet(ranges(both[0].node), ranges(both[1].node))
