"""What a policy needs of the list, and that nothing it needs is left out."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nextafter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.model import FlakyTest, State, StateCause
from flakegate.policy.decide import decide
from flakegate.policy.needs import Descent, Wanted, afresh, fields_of, needs, whole
from flakegate.policy.rules import Limits, Policy, Rule
from flakegate.policy.syntax import show

from .strategies import NOW, causes, evidences, exemption, flaky_tests, nodes, rule, rules, whens

if TYPE_CHECKING:
    from flakegate.policy.plan import Plan

ACTIVE, QUARANTINED, DISABLED, FIXED = State
ABOVE_20 = nextafter(20, inf)


@pytest.mark.parametrize(
    ("when", "least"),
    [
        ("failure_rate > 20%", ABOVE_20),
        ("failure_rate >= 20%", 20),
        ("failure_rate == 20%", 20),
        ("failure_rate != 20%", None),
        ("failure_rate < 20%", None),
        ("failure_rate in [30%, 20%]", 20),
        ("failure_rate not in [20%]", None),
        ("not failure_rate not in [30%, 20%]", 20),
        ("not failure_rate < 20%", 20),
        ("not failure_rate <= 20%", ABOVE_20),
        ("not failure_rate != 20%", 20),
        ("not failure_rate > 20%", None),
        ("not not failure_rate >= 20%", 20),
        ("broken", 100),
        ("not broken", None),
        ("known(failure_rate)", None),
        ("not known(failure_rate)", None),
        ("failure_rate > 20% and failed_pipelines > 3", ABOVE_20),
        ("failure_rate >= 20% and failure_rate >= 30%", 30),
        ("failure_rate >= 20% or failure_rate >= 30%", 20),
        ("failure_rate >= 20% or failed_pipelines > 3", None),
        ("not (failure_rate < 20% or failed_pipelines > 3)", 20),
        ("not (failure_rate < 20% and failure_rate < 30%)", 20),
        ("(failure_rate >= 20% or broken) and (lost_time > 1h or failure_rate >= 5%)", 20),
        ("default(failure_rate, 0%) >= 20%", 20),
        ("default(failure_rate, 20%) >= 20%", None),
        ("not default(failure_rate, 0%) < 20%", 20),
        ("default(failure_rate, 50%) in [20%]", None),
        ('suite == "a"', None),
        ('state == "active"', None),
    ],
)
def test_bounds(when: str, least: float | None) -> None:
    assert needs(Policy(rules=(rule(when),))).states == {ACTIVE: least}


def test_the_lowest_bound_of_a_states_rules_counts() -> None:
    found = needs(
        Policy(
            rules=(
                rule("failure_rate >= 20%"),
                rule("failure_rate >= 50%", DISABLED, ACTIVE, QUARANTINED, id_="off"),
                rule("failure_rate < 5%", ACTIVE, QUARANTINED, id_="back"),
                rule("broken", ACTIVE, FIXED, id_="again"),
            )
        )
    )
    assert found == Wanted(states={ACTIVE: 20, QUARANTINED: None, FIXED: 100})


def test_a_policy_without_rules_needs_nothing() -> None:
    assert needs(Policy()) == Wanted(states={})


def test_a_limit_on_quarantined_tests_counts_them_all() -> None:
    off = rule("failure_rate > 50%", DISABLED, QUARANTINED, id_="off")
    limits = Limits(max_quarantined=50)
    assert needs(Policy(rules=(off,), limits=limits)).states == {QUARANTINED: None}
    assert needs(Policy(limits=limits)).states == {QUARANTINED: None}


@pytest.mark.parametrize("in_exemption", [True, False])
def test_histories_are_needed_where_a_condition_names_the_age_of_a_state(
    in_exemption: bool,
) -> None:
    when = "failure_rate > 20% and not state_age < 3d"
    named = Policy(exempt=(exemption(when),)) if in_exemption else Policy(rules=(rule(when),))
    assert fields_of(named) == {"failure_rate", "state_age"}
    assert needs(named).history
    assert not needs(Policy(rules=(rule("age > 3d"),), exempt=(exemption("runs > 3"),))).history
    assert whole(fields={"state_age"}) == Wanted(states=dict.fromkeys(State), history=True)
    assert whole([ACTIVE], fields={"age"}) == Wanted(states={ACTIVE: None})


def test_some_tests_are_needed_by_their_ids() -> None:
    assert needs(Policy(), ["b", "a"]) == Wanted(states={}, ids=frozenset("ab"))


def test_what_was_changed_once_is_read_again_beyond_the_policys_own_search() -> None:
    assert afresh("ab") == Wanted(states={}, ids=frozenset("ab"), narrowed=False)
    assert needs(Policy(), ["a"]).narrowed


def searched(wanted: Wanted, tests: list[FlakyTest], *, page: int, first: bool) -> list[FlakyTest]:
    """What is found of a list that falls by failure rate, a page at a time, as a backend reads it.

    first: tests without a rate come first, else last.
    """
    found = [test for test in tests if test.id in wanted.ids]
    for state, least in wanted.states.items():
        known = [test for test in tests if test.state is state]
        rated = [test for test in known if test.failure_rate is not None]
        rated.sort(key=lambda test: -(test.failure_rate or 0))
        unrated = [test for test in known if test.failure_rate is None]
        falling = unrated + rated if first else rated + unrated
        descent = None if least is None else Descent(least=least)
        for start in range(0, len(falling), page):
            part = falling[start : start + page]
            found += part
            if descent and descent.is_over(part):
                break
    return found


def told(policy: Policy, tests: list[FlakyTest]) -> tuple[object, ...]:
    plan: Plan = decide(
        policy,
        tests,
        now=NOW,
        repository="github.com/acme/shop",
        backend="datadog",
        suite_size=100,
        recent_changes=0,
    )
    held = [skip for skip in plan.skipped if skip.rule]
    return plan.transitions, plan.held, plan.limits, held


rates = st.none() | st.floats(-10, 200) | st.sampled_from([0.0, 5.0, 20.0, ABOVE_20, 50.0, 100.0])
dated = st.builds(
    StateCause,
    at=st.just(NOW - 86_400),
    actor=st.just("dana"),
    until=st.sampled_from([NOW - 1, NOW + 1]),
    before=st.none() | st.sampled_from(State),
)
lists = st.lists(
    st.builds(
        lambda test, rate, cause: replace(test, failure_rate=rate, cause=cause),
        flaky_tests,
        rates,
        causes | dated,
    ),
    max_size=30,
    unique_by=lambda test: test.id,
)
bounded = st.sampled_from(
    [
        "failure_rate > 20%", "failure_rate >= 50% and not broken", "broken and runs > 3",
        "not failure_rate <= 20%", "default(failure_rate, 100%) > 50%", "failure_rate in [20%]",
    ]
)  # fmt: skip


@st.composite
def many_rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    """Rules with bounds, rules without, and rules of any shape at all."""
    found = list(draw(rules()))
    for number in range(draw(st.integers(0, 3))):
        when = draw(bounded | whens | nodes.map(show))
        of = draw(st.sampled_from(State))
        to = draw(st.sampled_from([state for state in State if state is not of]))
        found.append(rule(when, to, of, id_=f"more{number}", evidence=draw(evidences)))
    return tuple(draw(st.permutations(found)))


limits = st.builds(
    Limits,
    max_changes=st.integers(0, 8),
    max_quarantined=st.none() | st.integers(0, 8).map(float),
    worst_first=st.booleans(),
)
policies = st.builds(
    Policy,
    rules=many_rules(),
    limits=limits,
    exempt=st.lists(whens.map(exemption), max_size=1).map(tuple),
    cooldown=st.sampled_from([0.0, 86_400.0]),
)


@given(policies, lists, st.integers(1, 5), st.booleans())
def test_no_move_rests_on_what_is_not_read(
    policy: Policy, tests: list[FlakyTest], page: int, first: bool
) -> None:
    for_a_time = [test.id for test in tests if test.cause and test.cause.until is not None]
    found = searched(needs(policy, for_a_time), tests, page=page, first=first)
    assert told(policy, found) == told(policy, tests)


def page_of(*rates: float | None) -> list[FlakyTest]:
    return [
        FlakyTest(id=str(n), module="", suite="", name="", state=ACTIVE, failure_rate=rate)
        for n, rate in enumerate(rates)
    ]


@pytest.mark.parametrize(
    ("pages", "over"),
    [
        ([[30, 20]], False),
        ([[30, 19.9]], True),
        ([[19.9]], True),
        ([[None, None], [None, 30], [20, 10]], True),
        ([[30, None, 10]], True),
        ([[30, 10, None]], True),
        ([[None, None]], False),
        ([[]], False),
        ([[10, 30]], False),
        ([[30, 40], [10, 5]], False),
        ([[30, 20], [40, 10]], True),
    ],
)
def test_where_a_falling_list_is_over(pages: list[list[float | None]], over: bool) -> None:
    """One that rises within a page is in no such order; between pages, the list may have moved."""
    descent = Descent(least=20)
    *before, last = [descent.is_over(page_of(*page)) for page in pages]
    assert not any(before)
    assert last is over
