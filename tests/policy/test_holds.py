"""What a person chose for a time: it holds to the end of its last day, and then it is over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flakegate.excuse import excuse
from flakegate.model import DATADOG, DETECTION, EXPIRY, FlakyTest, State, StateCause
from flakegate.policy.decide import consider
from flakegate.policy.plan import dump, parse
from flakegate.policy.rules import GateSettings, Limits, Policy
from tests.policy.strategies import NOW, exemption, flaky_tests, rule, rules
from tests.policy.test_decide import UNBOUNDED, flaky, moved, plan_of, waiting

ACTIVE, QUARANTINED, DISABLED, FIXED = State
DAY = 86_400.0
ANY = "failure_rate >= 0%"
EAGER = Policy(
    limits=UNBOUNDED,
    respect_manual=0,
    rules=(rule(ANY, QUARANTINED, id_="in"), rule(ANY, ACTIVE, QUARANTINED, id_="out")),
)


def set_until(
    until: float, state: State = QUARANTINED, before: State | None = ACTIVE, **more: object
) -> FlakyTest:
    cause = StateCause(at=NOW - 40 * DAY, actor="dana", reason="r", until=until, before=before)
    return flaky("t", 50.0, state, cause=cause, state_since=cause.at, **more)


def test_what_goes_back_into_quarantine_is_counted_there() -> None:
    tests = [set_until(NOW, DISABLED, QUARANTINED), flaky("x", 50.0)]
    policy = Policy(rules=(rule("failure_rate > 20%"),), limits=Limits(max_quarantined=1.0))
    plan = plan_of(policy, tests)
    assert moved(plan) == [("t", "quarantined", "")]
    assert waiting(plan) == ["x"]


@pytest.mark.parametrize("state", [ACTIVE, QUARANTINED])
def test_until_then_no_rule_moves_it_though_the_policy_respects_nobody(state: State) -> None:
    test = set_until(NOW + 1, state)
    plan = plan_of(EAGER, [test])
    assert not plan.transitions
    (skip,) = plan.skipped
    assert (skip.reason, skip.rule) == ("manual", "in" if state is ACTIVE else "out")
    assert "by dana" in skip.detail
    assert "until the end of 2027-01-15" in skip.detail
    assert consider(EAGER, test, NOW).holds[0].until == NOW + 1


def test_a_date_counts_instead_of_respect_manual() -> None:
    """Whoever names a day means that day, be it sooner or later than the policy's."""
    policy = replace(EAGER, respect_manual=90 * DAY)
    assert moved(plan_of(policy, [set_until(NOW, ACTIVE)])) == [("t", "quarantined", "in")]
    assert not plan_of(policy, [set_until(NOW + 1, ACTIVE)]).transitions


@pytest.mark.parametrize(
    ("state", "before", "back"),
    [
        (QUARANTINED, ACTIVE, ACTIVE),
        (QUARANTINED, QUARANTINED, ACTIVE),
        (QUARANTINED, DISABLED, ACTIVE),
        (QUARANTINED, FIXED, ACTIVE),
        (QUARANTINED, None, ACTIVE),
        (DISABLED, QUARANTINED, QUARANTINED),
        (DISABLED, DISABLED, ACTIVE),
        (DISABLED, ACTIVE, ACTIVE),
        (DISABLED, None, ACTIVE),
    ],
)
def test_after_it_the_test_goes_back_and_never_further_out(
    state: State, before: State | None, back: State
) -> None:
    policy = Policy(cooldown=365 * DAY, limits=Limits(max_changes=0))
    plan = plan_of(policy, [set_until(NOW, state, before)], recent_changes=99)
    (change,) = plan.transitions
    assert (change.from_state, change.to_state) == (state, back)
    assert (change.rule, change.actor) == (None, EXPIRY)
    assert change.reason == "set until 2027-01-15 by dana, which is over"
    assert parse(dump(plan), "plan.json") == plan


def test_the_end_comes_before_every_rule() -> None:
    policy = replace(EAGER, rules=(rule(ANY, QUARANTINED, DISABLED, id_="x"),))
    considered = consider(policy, set_until(NOW, DISABLED, ACTIVE), NOW)
    assert considered.back is ACTIVE
    assert considered.match is None
    assert considered.holds == ()
    assert considered.rules[0].outcome
    assert not considered.rules[0].first


def test_an_exempt_test_stays_and_blocks() -> None:
    policy = Policy(exempt=(exemption(ANY),))
    test = set_until(NOW, DISABLED)
    plan = plan_of(policy, [test])
    assert not plan.transitions
    assert [skip.reason for skip in plan.skipped] == ["exempt"]


def test_who_goes_back_into_quarantine_takes_room_and_is_not_held() -> None:
    policy = Policy(
        limits=Limits(max_changes=9, max_quarantined=1), rules=(rule(ANY, QUARANTINED),)
    )
    back = set_until(NOW, DISABLED, QUARANTINED)
    plan = plan_of(policy, [back, flaky("z", 50.0)])
    assert [each.test_id for each in plan.transitions] == ["t"]
    assert waiting(plan) == ["z"]
    assert "tests in quarantine after this plan: 2" in plan.limits[0]


def test_the_end_of_a_choice_is_no_persons_change() -> None:
    for actor in (EXPIRY, DETECTION, DATADOG, None):
        assert not StateCause(at=0, actor=actor).by_person
    assert StateCause(at=0, actor="dana").by_person
    back = flaky("t", 50.0, cause=StateCause(at=NOW - 1, actor=EXPIRY))
    assert moved(plan_of(replace(EAGER, respect_manual=90 * DAY), [back]))


# The gate


@pytest.mark.parametrize("state", [QUARANTINED, DISABLED])
def test_what_is_over_excuses_nothing(state: State) -> None:
    settings = GateSettings()
    assert excuse(set_until(NOW + 1, state), None, settings, NOW)[0] == "excused"
    decision, code, words = excuse(set_until(NOW, state), None, settings, NOW)
    assert (decision, code) == ("blocked", "expired")
    for says in (f"{state} by dana until 2027-01-15", "over", "flakegate set", "--until"):
        assert says in words


def test_an_excuse_names_its_last_day() -> None:
    words = excuse(set_until(NOW + 1), None, GateSettings(), NOW)[2]
    assert words == "quarantined by dana since 6 Dec 2026, until 15 Jan: r"


# Properties

moments = st.floats(min_value=NOW - 100 * DAY, max_value=NOW + 100 * DAY)
befores = st.none() | st.sampled_from(State)


@st.composite
def dated(draw: st.DrawFn) -> FlakyTest:
    test = draw(flaky_tests)
    at = draw(moments)
    cause = StateCause(at=at, actor="dana", reason="r", until=draw(moments), before=draw(befores))
    return replace(test, cause=cause)


policies = st.builds(
    Policy,
    limits=st.just(UNBOUNDED),
    cooldown=st.sampled_from([0.0, DAY, 30 * DAY]),
    respect_manual=st.sampled_from([0.0, DAY, 30 * DAY]),
    rules=rules(),
)


@given(policies, dated())
def test_no_plan_moves_what_is_in_force(policy: Policy, test: FlakyTest) -> None:
    assume(test.cause and not test.cause.is_over(NOW))
    assert not plan_of(policy, [test]).transitions


@given(policies, dated(), st.sampled_from([QUARANTINED, DISABLED]))
def test_what_is_over_is_released_once(policy: Policy, test: FlakyTest, state: State) -> None:
    test = replace(test, state=state)
    assume(test.cause and test.cause.is_over(NOW))
    (change,) = plan_of(policy, [test]).transitions
    order = [ACTIVE, QUARANTINED, DISABLED]
    assert order.index(change.to_state) < order.index(state)
    after = replace(test, state=change.to_state, cause=StateCause(at=NOW, actor=change.actor))
    assert all(each.actor != EXPIRY for each in plan_of(policy, [after]).transitions)


@given(dated(), st.builds(GateSettings, excuse=st.just(frozenset(State))))
def test_the_gate_never_excuses_by_what_is_over(test: FlakyTest, settings: GateSettings) -> None:
    decision = excuse(test, None, settings, NOW)[0]
    assert decision == ("blocked" if test.cause and test.cause.is_over(NOW) else "excused")
