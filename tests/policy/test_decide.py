from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.errors import UsageError
from flakegate.model import FlakyTest, State, StateCause, Steady
from flakegate.policy.decide import consider, decide, exempted
from flakegate.policy.evidence import Evidence
from flakegate.policy.plan import Plan, Unknown, dump
from flakegate.policy.rules import Limits, Policy, Rule

from .strategies import NOW, evidences, exemption, flaky_tests, rule, rules, whens

if TYPE_CHECKING:
    from random import Random

ACTIVE, QUARANTINED, DISABLED, FIXED = State
UNBOUNDED = Limits(max_changes=1_000_000)
NOISY = rule("failure_rate > 20%")
BACK = rule("failure_rate < 5%", ACTIVE, QUARANTINED, id_="back")
OFF = rule("failure_rate > 50%", DISABLED, ACTIVE, QUARANTINED, id_="off")


def flaky(id_: str, rate: float | None = 30.0, state: State = ACTIVE, **more: object) -> FlakyTest:
    test = FlakyTest(id=id_, module="", suite="s", name=id_, state=state, failure_rate=rate)
    return replace(test, **more)  # type: ignore[arg-type]  # the tests name real fields


def plan_of(
    policy: Policy,
    tests: list[FlakyTest],
    *,
    now: float = NOW,
    suite_size: int | None = None,
    recent_changes: int = 0,
) -> Plan:
    return decide(
        policy,
        tests,
        now=now,
        repository="github.com/acme/shop",
        backend="store",
        suite_size=suite_size,
        recent_changes=recent_changes,
    )


def moved(plan: Plan) -> list[tuple[str, str, str]]:
    return [(each.test_id, each.to_state.value, each.rule or "") for each in plan.transitions]


def entering(plan: Plan) -> list[str]:
    return [each.test_id for each in plan.transitions]


def waiting(plan: Plan) -> list[str]:
    return [each.test_id for each in plan.held]


def test_the_smallest_policy() -> None:
    tests = [flaky("b", 20.1), flaky("a", 21), flaky("c", 20), flaky("d", None), flaky("e", 99)]
    plan = plan_of(Policy(name="p.yml", digest="d1", rules=(NOISY,)), tests)
    assert moved(plan) == [(id_, "quarantined", "noisy") for id_ in "abe"]
    assert (plan.repository, plan.backend, plan.policy, plan.policy_digest, plan.at) == (
        "github.com/acme/shop",
        "store",
        "p.yml",
        "d1",
        NOW,
    )
    assert plan.tests == 5
    assert plan.unknown == (Unknown("noisy", "failure_rate", 1),)
    assert plan.transitions[0].fqn == "s.a"
    assert plan.transitions[0].from_state is ACTIVE


def test_only_states_that_a_rule_is_from() -> None:
    tests = [flaky(state.value, state=state) for state in State]
    assert entering(plan_of(Policy(rules=(NOISY,)), tests)) == ["active"]


def test_the_first_rule_that_is_true_wins_and_each_test_takes_one_step() -> None:
    tests = [
        flaky("a", 60),
        flaky("b", 30),
        flaky("c", 60, QUARANTINED),
        flaky("d", 1, QUARANTINED),
    ]
    plan = plan_of(Policy(rules=(OFF, NOISY, BACK)), tests)
    assert moved(plan) == [
        ("a", "disabled", "off"),
        ("b", "quarantined", "noisy"),
        ("c", "disabled", "off"),
        ("d", "active", "back"),
    ]
    assert moved(plan_of(Policy(rules=(NOISY, OFF)), tests))[0] == ("a", "quarantined", "noisy")


def test_an_unknown_rule_is_passed_over_and_counted() -> None:
    first = rule("lost_time > 1h or runs > 3", id_="costly")
    plan = plan_of(Policy(rules=(first, NOISY)), [flaky("a"), flaky("b", None), flaky("c", runs=9)])
    assert moved(plan) == [("a", "quarantined", "noisy"), ("c", "quarantined", "costly")]
    assert plan.unknown == (
        ("costly", "lost_time", 2),
        ("costly", "runs", 2),
        ("noisy", "failure_rate", 1),
    )


def test_exempt_tests_are_skipped_with_the_reason_and_the_rule_they_escaped() -> None:
    policy = Policy(rules=(NOISY,), exempt=(exemption('name =~ "keep*"', "must block"),))
    plan = plan_of(policy, [flaky("keep1"), flaky("keep2", 1), flaky("x")])
    assert entering(plan) == ["x"]
    assert [(each.test_id, each.reason, each.detail, each.rule) for each in plan.skipped] == [
        ("keep1", "exempt", "must block", "noisy"),
        ("keep2", "exempt", "must block", None),
    ]


def test_an_unknown_exemption_exempts() -> None:
    policy = Policy(rules=(NOISY,), exempt=(exemption('codeowners has "@pay"', "must block"),))
    tests = [flaky("a"), flaky("b", codeowners=()), flaky("c", codeowners=("@pay",))]
    plan = plan_of(policy, tests)
    assert entering(plan) == ["b"]
    assert [each.detail for each in plan.skipped] == [
        "must block (perhaps: codeowners not known)",
        "must block",
    ]
    assert exempted(policy, tests, NOW) == {each.test_id: each.detail for each in plan.skipped}


def test_a_certain_exemption_speaks_before_an_unknown_one() -> None:
    exempt = (exemption("runs > 3", "perhaps"), exemption('suite == "s"', "certain"))
    assert exempted(Policy(exempt=exempt), [flaky("a")], NOW) == {"a": "certain"}


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        (1_806_537_599.0, True),  # 2027-03-31T23:59:59Z
        (1_806_537_600.0, False),  # 2027-04-01T00:00:00Z
    ],
)
def test_an_exemption_holds_until_the_end_of_its_last_day_in_utc(now: float, holds: bool) -> None:
    until = replace(exemption("known(failure_rate)"), until=date(2027, 3, 31))
    policy = Policy(rules=(NOISY,), exempt=(until,))
    assert bool(exempted(policy, [flaky("a")], now)) is holds
    assert entering(plan_of(policy, [flaky("a")], now=now)) == ([] if holds else ["a"])


def test_more_changes_than_the_limit_stop_all_of_them_but_no_release() -> None:
    tests = [flaky(id_) for id_ in "abc"] + [flaky("z", 1, QUARANTINED)]
    policy = Policy(rules=(NOISY, BACK), limits=Limits(max_changes=2))
    plan = plan_of(policy, tests)
    assert moved(plan) == [("z", "active", "back")]
    assert waiting(plan) == ["a", "b", "c"]
    assert plan.limits == (
        "moves into quarantined or disabled: 3 planned; `limits.max_changes` allows 2",
    )


@pytest.mark.parametrize(("recent", "held"), [(0, False), (1, False), (2, True), (99, True)])
def test_recent_changes_count(recent: int, held: bool) -> None:
    policy = Policy(rules=(NOISY,), limits=Limits(max_changes=3))
    plan = plan_of(policy, [flaky("a"), flaky("b")], recent_changes=recent)
    assert bool(plan.held) is held
    assert bool(plan.transitions) is not held
    assert not held or f"{recent} in the last 24 hours" in plan.limits[0]


def test_a_limit_that_was_reached_before_is_no_news_when_nothing_enters() -> None:
    tests = [flaky("a", 1, QUARANTINED), flaky("b", 10, QUARANTINED), flaky("c", 10)]
    limits = Limits(max_changes=0, max_quarantined=0.0)
    plan = plan_of(Policy(rules=(NOISY, BACK), limits=limits), tests, recent_changes=50)
    assert moved(plan) == [("a", "active", "back")]
    assert plan.limits == ()


def test_moves_into_disabled_count_as_changes() -> None:
    policy = Policy(rules=(OFF,), limits=Limits(max_changes=1))
    plan = plan_of(policy, [flaky("a", 60), flaky("b", 60, QUARANTINED)])
    assert waiting(plan) == ["a", "b"]


def test_worst_first_goes_by_lost_time_then_rate_then_id() -> None:
    limits = Limits(max_changes=4, worst_first=True)
    tests = [
        flaky("a", 30),
        flaky("b", 30, lost_time=5.0),
        flaky("c", 40, lost_time=5.0),
        flaky("d", 30, lost_time=9.0),
        flaky("e", 99, lost_time=float("nan")),
        flaky("f", 30),
    ]
    plan = plan_of(Policy(rules=(NOISY,), limits=limits), tests)
    assert entering(plan) == ["b", "c", "d", "e"]
    assert waiting(plan) == ["a", "f"]
    closer = replace(limits, max_changes=5)
    assert waiting(plan_of(Policy(rules=(NOISY,), limits=closer), tests)) == ["f"]


def test_worst_first_takes_nothing_when_the_day_is_used_up() -> None:
    limits = Limits(max_changes=1, worst_first=True)
    tests = [flaky(id_) for id_ in "abcde"]
    assert not entering(plan_of(Policy(rules=(NOISY,), limits=limits), tests, recent_changes=3))


def test_plans_are_in_the_order_of_ids() -> None:
    tests = [flaky("a", name="z"), flaky("b", name="y"), flaky("c", name="x")]
    assert entering(plan_of(Policy(rules=(NOISY,)), tests)) == ["a", "b", "c"]


def test_the_quarantine_is_counted_as_it_will_be_releases_included() -> None:
    tests = [flaky("a"), flaky("b")]
    tests += [flaky("x", 1, QUARANTINED), flaky("y", 10, QUARANTINED)]
    rules = (NOISY, BACK)
    fits = Limits(max_quarantined=3.0)
    assert not plan_of(Policy(rules=rules, limits=fits), tests).held
    plan = plan_of(Policy(rules=rules, limits=Limits(max_quarantined=2.0)), tests)
    assert moved(plan) == [("x", "active", "back")]
    assert waiting(plan) == ["a", "b"]
    assert plan.limits == (
        "tests in quarantine after this plan: 3; `limits.max_quarantined` allows 2",
    )
    worst = Limits(max_quarantined=2.0, worst_first=True)
    plan = plan_of(Policy(rules=rules, limits=worst), [*tests[1:], flaky("a", 31)])
    assert (entering(plan), waiting(plan)) == (["a", "x"], ["b"])


def test_a_full_quarantine_does_not_hold_moves_into_disabled() -> None:
    tests = [
        flaky("a", 60),
        flaky("b", 30),
        flaky("q", 60, QUARANTINED),
        flaky("r", 9, QUARANTINED),
    ]
    plan = plan_of(Policy(rules=(OFF, NOISY), limits=Limits(max_quarantined=1.0)), tests)
    assert moved(plan) == [("a", "disabled", "off"), ("q", "disabled", "off")]
    assert waiting(plan) == ["b"]
    plan = plan_of(Policy(rules=(OFF, NOISY), limits=Limits(max_quarantined=2.0)), tests)
    assert entering(plan) == ["a", "b", "q"], "what moves on to disabled leaves the quarantine"


def test_what_a_limit_keeps_from_moving_on_stays_in_quarantine() -> None:
    tests = [flaky("a", 60, lost_time=9.0), flaky("q", 60, QUARANTINED)]
    off = rule("failure_rate > 50%", DISABLED, QUARANTINED, id_="off")
    limits = Limits(max_changes=1, max_quarantined=1.0, worst_first=True)
    plan = plan_of(Policy(rules=(NOISY, off), limits=limits), tests)
    assert (moved(plan), waiting(plan)) == ([], ["a", "q"])


@pytest.mark.parametrize(
    ("share", "own_size", "size", "held"),
    [
        (50.0, 4, None, False),
        (50.0, None, 4, False),
        (50.0, 3, None, True),
        (50.0, 3, 400, True),
        (2.3, 87, None, False),
        (2.3, 86, None, True),
    ],
)
def test_a_share_of_the_suite(
    share: float, own_size: int | None, size: int | None, held: bool
) -> None:
    limits = Limits(max_quarantined=share, max_quarantined_is_share=True, suite_size=own_size)
    plan = plan_of(Policy(rules=(NOISY,), limits=limits), [flaky("a"), flaky("b")], suite_size=size)
    assert bool(plan.held) is held


def test_a_share_is_exact_where_floats_are_not() -> None:
    share, size = 18.4, 375  # 69 tests exactly, and 68.99999999999999 by floats
    assert share * size / 100 < 69
    limits = Limits(
        max_changes=100, max_quarantined=share, max_quarantined_is_share=True, suite_size=size
    )
    tests = [flaky(f"{number}") for number in range(69)]
    assert len(entering(plan_of(Policy(rules=(NOISY,), limits=limits), tests))) == 69


def test_a_share_of_a_suite_of_unknown_size_is_an_error() -> None:
    limits = Limits(max_quarantined=5.0, max_quarantined_is_share=True)
    with pytest.raises(UsageError, match="size is not known") as raised:
        plan_of(Policy(rules=(NOISY,), limits=limits), [])
    assert "suite_size" in (raised.value.tip or "")


def test_a_test_that_is_listed_twice_alike_counts_once() -> None:
    twice = flaky("a", lost_time=float("nan"))
    plan = plan_of(Policy(rules=(NOISY,)), [twice, replace(twice, lost_time=float("nan")), twice])
    assert (plan.tests, entering(plan), plan.skipped) == (1, ["a"], ())


def test_a_test_that_is_listed_twice_in_different_ways_is_left_alone() -> None:
    tests = [flaky("a", 30), flaky("a", 90), flaky("b"), flaky("a", 30, QUARANTINED)]
    plan = plan_of(Policy(rules=(NOISY,), limits=Limits(max_quarantined=1.0)), tests)
    assert plan.tests == 2
    assert [(each.test_id, each.fqn, each.reason) for each in plan.skipped] == [
        ("a", "s.a", "ambiguous")
    ]
    assert waiting(plan) == ["b"], "one of its versions fills the quarantine"


DAY = 86_400.0


def changed(days: float, **by: str) -> StateCause:
    return StateCause(at=NOW - days * DAY, **by)  # type: ignore[arg-type]  # rule and actor


def skips(plan: Plan) -> list[tuple[str, str, str | None]]:
    return [(each.test_id, each.reason, each.rule) for each in plan.skipped]


def test_a_persons_change_is_left_alone_for_a_while() -> None:
    policy = Policy(rules=(NOISY, BACK))
    tests = [
        flaky("a", 1, QUARANTINED, cause=changed(13.9, actor="dana")),
        flaky("b", 1, QUARANTINED, cause=changed(14, actor="dana")),
        flaky("c", 1, QUARANTINED, cause=changed(1, rule="noisy")),
        flaky("d", 30, cause=changed(1, actor="detection")),
        flaky("e", 1, QUARANTINED, cause=changed(1, actor="datadog")),
        flaky("f", 1, QUARANTINED, cause=changed(1)),
        flaky("g", 1, QUARANTINED),
        flaky("h", 10, QUARANTINED, cause=changed(1, actor="dana")),
        flaky("i", 30, cause=changed(-1, actor="dana")),
    ]
    plan = plan_of(policy, tests)
    assert entering(plan) == ["b", "c", "d", "e", "f", "g"]
    assert skips(plan) == [("a", "manual", "back"), ("i", "manual", "noisy")]
    assert plan.skipped[0].detail == (
        "quarantined by dana on 2027-01-01 10:24 UTC; "
        "a person's change is left alone until 2027-01-15 10:24 UTC"
    )
    assert entering(plan_of(replace(policy, respect_manual=0.0), tests)) == list("abcdefgi")


def test_the_cooldown_counts_from_anybodys_last_change() -> None:
    policy = Policy(rules=(NOISY, BACK), cooldown=3 * DAY, respect_manual=0.0)
    tests = [
        flaky("a", 1, QUARANTINED, cause=changed(2.9, rule="noisy")),
        flaky("b", 1, QUARANTINED, cause=changed(3, rule="noisy")),
        flaky("c", 1, QUARANTINED, cause=changed(2.9, actor="dana")),
        flaky("d", 30, cause=changed(2.9, actor="detection")),
        flaky("e", 30, cause=replace(changed(0.1, actor="detection"), first=True)),
        flaky("f", 30),
        flaky("g", 1, cause=changed(1, rule="back")),
    ]
    plan = plan_of(policy, tests)
    assert entering(plan) == ["b", "e"]
    assert skips(plan) == [
        ("a", "cooldown", "back"),
        ("c", "cooldown", "back"),
        ("d", "cooldown", "noisy"),
        ("f", "cooldown", "noisy"),
    ]
    assert plan.skipped[0].detail == (
        "quarantined by rule noisy on 2027-01-12 10:24 UTC; "
        "the cooldown lasts until 2027-01-15 10:24 UTC"
    )
    assert "not known" in plan.skipped[3].detail


def test_what_newer_commits_broke_does_not_leave_the_gate() -> None:
    commits = ("aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc")
    policy = Policy(rules=(OFF, NOISY, BACK))
    tests = [
        flaky("a", 30, failing_commits=commits),
        flaky("b", 60, failing_commits=commits),
        flaky("c", 30, failing_commits=commits[:2]),
        flaky("d", 30, failing_commits=()),
        flaky("e", 1, QUARANTINED, failing_commits=commits),
        flaky("f", 10, failing_commits=commits),
    ]
    plan = plan_of(policy, tests)
    assert moved(plan) == [
        ("c", "quarantined", "noisy"),
        ("d", "quarantined", "noisy"),
        ("e", "active", "back"),
    ]
    assert skips(plan) == [("a", "broken", "noisy"), ("b", "broken", "off")]
    assert plan.skipped[0].detail == (
        "broken, not flaky: it failed on each of the last 3 commits of the default branch "
        "(aaaaaaa, bbbbbbb, ccccccc)"
    )


def steady(rate: float | None, runs: int = 40, in_a_row: int = 0, together: int = 0) -> Steady:
    failures = 0 if rate is None else round(rate * runs / 100)
    return Steady(
        failure_rate=rate,
        runs=runs,
        failures=failures,
        failed_pipelines=failures,
        in_a_row=in_a_row,
        together=together,
    )


def test_what_a_regression_or_an_outage_raised_does_not_leave_the_gate() -> None:
    policy = Policy(rules=(NOISY, BACK))
    tests = [
        flaky("a", 30, steady=steady(5, in_a_row=14)),
        flaky("b", 30, steady=steady(20, together=3)),
        flaky("c", 30, steady=steady(25, in_a_row=3, together=3)),
        flaky("d", 30, steady=steady(2.5, in_a_row=3, together=9)),
        flaky("e", 1, QUARANTINED, steady=steady(5, in_a_row=9)),
        flaky("f", 30, steady=steady(None, runs=0, in_a_row=12)),
        flaky("g", 10, steady=steady(5, in_a_row=9)),
        flaky("h", 30, steady=steady(5, in_a_row=4, together=4)),
    ]
    plan = plan_of(policy, tests)
    assert moved(plan) == [("c", "quarantined", "noisy"), ("e", "active", "back")]
    assert skips(plan) == [
        ("a", "broken", "noisy"),
        ("b", "outage", "noisy"),
        ("d", "outage", "noisy"),
        ("f", "broken", "noisy"),
        ("h", "broken", "noisy"),
    ]
    assert [skip.detail for skip in plan.skipped[:3]] == [
        (
            "without failures that are no flakiness, 14 in a row (a regression), it failed 2 of 40 "
            "runs, and rule noisy would not match"
        ),
        (
            "without failures that are no flakiness, 3 among unusually many others (an outage), it "
            "failed 8 of 40 runs, and rule noisy would not match"
        ),
        (
            "without failures that are no flakiness, 3 in a row (a regression) and 9 among "
            "unusually many others (an outage), it failed 1 of 40 runs, and rule noisy would not "
            "match"
        ),
    ]


@pytest.mark.parametrize(
    ("when", "left"),
    [
        ("failure_rate > 20%", 5.0),
        ("failures >= 9", 5.0),
        ("failed_pipelines >= 9", 5.0),
        ("runs > 40", 5.0),
        ("not broken", 100.0),
    ],
)
def test_every_figure_of_a_rule_is_asked_for_without_them(when: str, left: float) -> None:
    test = flaky("a", 30, failures=12, failed_pipelines=12, runs=48)
    policy = Policy(rules=(rule(when, QUARANTINED, id_="odd"),))
    assert moved(plan_of(policy, [test])) == [("a", "quarantined", "odd")]
    raised = replace(test, steady=steady(left, together=10))
    assert skips(plan_of(policy, [raised])) == [("a", "outage", "odd")]


def test_the_newest_commits_speak_before_what_is_over() -> None:
    test = flaky("a", 30, failing_commits=("a", "b", "c"), steady=steady(5, in_a_row=3))
    considered = consider(Policy(rules=(NOISY,)), test, NOW)
    assert [hold.detail[:6] for hold in considered.holds] == ["broken"]


def test_an_exemption_speaks_before_a_person_and_both_before_the_cooldown_and_the_guard() -> None:
    policy = Policy(rules=(NOISY,), cooldown=DAY)
    test = flaky("a", cause=changed(0.5, actor="dana"), failing_commits=("a", "b", "c"))
    considered = consider(policy, test, NOW)
    assert [hold.code for hold in considered.holds] == ["manual", "cooldown", "broken"]
    assert considered.skip
    assert considered.skip.reason == "manual"
    exempt = replace(policy, exempt=(exemption('name == "a"', "must block"),))
    assert skips(plan_of(exempt, [test])) == [("a", "exempt", "noisy")]


def test_what_is_considered_says_all_of_it() -> None:
    over = replace(exemption("failure_rate > 0%", "was"), until=date(2020, 1, 1))
    policy = Policy(rules=(BACK, OFF, NOISY), exempt=(over, exemption("runs > 3", "big")))
    considered = consider(policy, flaky("a", 30, runs=2), NOW)
    assert [(each.expired, each.outcome, each.exempts) for each in considered.exemptions] == [
        (True, True, False),
        (False, False, False),
    ]
    assert [
        (each.rule.id, each.applies, each.outcome, each.first) for each in considered.rules
    ] == [
        ("back", False, False, False),
        ("off", True, False, False),
        ("noisy", True, True, True),
    ]
    assert [finding.value for finding in considered.rules[2].findings] == [30]
    assert considered.match is NOISY
    assert considered.skip is None
    assert considered.move
    assert considered.move.transition().to_state is QUARANTINED
    unknown = consider(policy, flaky("a", 30), NOW)
    assert unknown.exemptions[1].exempts
    assert unknown.exempt == "big (perhaps: runs not known)"
    assert unknown.move is None


spans = st.sampled_from([0.0, 1.0, DAY, 3 * DAY, 14 * DAY, 90 * DAY])
policies = st.builds(
    Policy,
    cooldown=spans,
    respect_manual=spans,
    rules=rules(),
    exempt=st.lists(whens.map(exemption), max_size=2).map(tuple),
    limits=st.builds(
        Limits,
        max_changes=st.integers(0, 6),
        max_quarantined=st.none() | st.integers(0, 6).map(float),
        max_quarantined_is_share=st.just(value=False),
        suite_size=st.none(),
        worst_first=st.booleans(),
    ),
)
populations = st.lists(flaky_tests, max_size=12)


@given(policies, populations, st.integers(0, 5), st.randoms(use_true_random=False))
def test_a_plan_does_not_depend_on_the_order_of_its_input(
    policy: Policy, tests: list[FlakyTest], recent: int, chance: Random
) -> None:
    shuffled = tests.copy()
    chance.shuffle(shuffled)
    first = plan_of(policy, tests, recent_changes=recent)
    assert dump(first) == dump(plan_of(policy, shuffled, recent_changes=recent))
    ids = [*entering(first), *waiting(first), *(each.test_id for each in first.skipped)]
    assert len(ids) == len(set(ids))
    assert entering(first) == sorted(entering(first))


@given(policies, populations, st.integers(0, 5))
def test_limits_are_never_exceeded_and_hold_no_release(
    policy: Policy, tests: list[FlakyTest], recent: int
) -> None:
    plan = plan_of(policy, tests, recent_changes=recent)
    into = [each for each in plan.transitions if each.to_state in (QUARANTINED, DISABLED)]
    assert not into or len(into) + recent <= policy.limits.max_changes
    assert all(each.to_state in (QUARANTINED, DISABLED) for each in plan.held)
    assert bool(plan.held) == bool(plan.limits)
    entered = sum(each.to_state is QUARANTINED for each in into)
    left = sum(each.from_state is QUARANTINED for each in plan.transitions)
    inside = len({test.id for test in tests if test.state is QUARANTINED})
    bound = policy.limits.max_quarantined
    assert not entered or bound is None or inside - left + entered <= bound


def _all_moves(policy: Policy, tests: list[FlakyTest]) -> set[str]:
    plan = plan_of(replace(policy, limits=UNBOUNDED), tests)
    assert not plan.held
    return set(entering(plan))


@given(policies, populations, whens)
def test_one_more_exemption_never_adds_a_transition(
    policy: Policy, tests: list[FlakyTest], when: str
) -> None:
    longer = replace(policy, exempt=(*policy.exempt, exemption(when)))
    assert _all_moves(longer, tests) <= _all_moves(policy, tests)


@given(policies, populations, spans, spans)
def test_a_longer_hold_never_adds_a_transition(
    policy: Policy, tests: list[FlakyTest], cooldown: float, respect: float
) -> None:
    longer = replace(
        policy,
        cooldown=max(cooldown, policy.cooldown),
        respect_manual=max(respect, policy.respect_manual),
    )
    assert _all_moves(longer, tests) <= _all_moves(policy, tests)


@given(policies, populations, evidences)
def test_more_evidence_never_adds_a_transition_to_the_only_rule(
    policy: Policy, tests: list[FlakyTest], more: Evidence
) -> None:
    """Of several rules a later one may get the test that an earlier one is no longer sure of."""
    for each in policy.rules:
        asks = each.when.evidence
        stricter = Evidence(
            min_runs=max(asks.min_runs, more.min_runs),
            confidence=max(asks.confidence or 0, more.confidence or 0) or None,
        )
        only = replace(policy, rules=(each,))
        asked = replace(policy, rules=(replace(each, when=each.when.resting_on(stricter)),))
        assert _all_moves(asked, tests) <= _all_moves(only, tests)


def _left_without(test: FlakyTest) -> FlakyTest:
    """With the figures that are left without regressions and outages."""
    left = test.steady
    if left is None:
        return test
    return replace(
        test,
        failure_rate=left.failure_rate,
        runs=left.runs,
        failures=left.failures,
        failed_pipelines=left.failed_pipelines,
    )


@given(policies, populations)
def test_nothing_that_is_held_moves(policy: Policy, tests: list[FlakyTest]) -> None:
    plan = plan_of(replace(policy, limits=UNBOUNDED), tests)
    by_id = {each.id: each for each in tests}
    for move in plan.transitions:
        test = by_id[move.test_id]
        if move.to_state in (QUARANTINED, DISABLED):
            assert len(test.failing_commits or ()) < 3
            assert any(
                each.id == move.rule and each.when.check(_left_without(test), NOW)
                for each in policy.rules
            )
        if test.cause and test.cause.rule is None and test.cause.actor == "dana":
            assert not policy.respect_manual or NOW - test.cause.at >= policy.respect_manual
        if policy.cooldown:
            assert test.cause
            assert test.cause.first or NOW - test.cause.at >= policy.cooldown


@given(populations, st.integers(0, 99), st.integers(1, 100), evidences)
def test_a_higher_threshold_never_adds_a_quarantine(
    tests: list[FlakyTest], low: int, more: int, evidence: Evidence
) -> None:
    high = min(100, low + more)
    loose, strict = (
        Policy(rules=(rule(f"failure_rate > {bound}%", evidence=evidence),))
        for bound in (low, high)
    )
    assert _all_moves(strict, tests) <= _all_moves(loose, tests)


@given(rules(), populations)
def test_every_transition_is_one_that_its_rule_allows(
    all_rules: tuple[Rule, ...], tests: list[FlakyTest]
) -> None:
    plan = plan_of(Policy(rules=all_rules, limits=UNBOUNDED), tests)
    by_id = {each.id: each for each in tests}
    by_rule = {each.id: each for each in all_rules}
    for move in plan.transitions:
        match = by_rule[move.rule or ""]
        assert match.when.check(by_id[move.test_id], NOW) is True
        assert move.from_state in match.from_states
        assert move.to_state is match.to
        assert move.reason
