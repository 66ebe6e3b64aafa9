"""Two that change the same states: which of Datadog's rules work against the policy."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.drift import CODES, Finding, fights, mover, movers, unexplained
from flakegate.model import DATADOG, DETECTION, FlakyTest, State, StateCause
from flakegate.policy.rules import OwnRule, Policy, Rule
from tests.policy.strategies import NOW, exemption, read, rule

ACTIVE, QUARANTINED, DISABLED, FIXED = State
DAY = 86_400.0


def own(id_: str, when: str, *states: State, optional: bool = True) -> OwnRule:
    to = QUARANTINED if id_.startswith("quarantine") else DISABLED
    return OwnRule(
        id=id_,
        from_states=frozenset(states or {ACTIVE}),
        to=to if optional else FIXED,
        when=read(when),
        optional=optional,
    )


RATE = own("quarantine.failure_rate", "failure_rate >= 20%")
FLAKE = own("quarantine.branch_flake", 'last_flaked_age == 0s and last_flaked_branch in ["main"]')
AGE = own("quarantine.days_active", "state_age >= 14d")
OFF = own("disable.failure_rate", "failure_rate >= 50%", ACTIVE, QUARANTINED)
LATER = own("disable.days_active", "state_age >= 30d", QUARANTINED)
QUIET = own("fixed", "last_flaked_age >= 30d and not broken", ACTIVE, QUARANTINED, optional=False)
NOISY = rule("failure_rate > 20%")


def release(when: str, to: State = ACTIVE, *states: State) -> Rule:
    return rule(when, to, *(states or (QUARANTINED,)), id_="back")


def flaky(
    id_: str, state: State, rate: float | None = None, cause: StateCause | None = None
) -> FlakyTest:
    return FlakyTest(
        id=id_, module="", suite="s", name=id_, state=state, failure_rate=rate, cause=cause
    )


def found(policy: Policy, *own_rules: OwnRule) -> list[tuple[str, str | None, str | None]]:
    return [(each.code, each.rule, each.own_rule) for each in fights(policy, own_rules, now=NOW)]


@pytest.mark.parametrize(
    ("when", "against", "undone"),
    [
        ("failure_rate < 5% and last_flaked_age > 14d", RATE, False),
        ("failure_rate < 30%", RATE, True),
        ("failure_rate <= 20%", RATE, True),
        ("failure_rate < 20%", RATE, False),
        ("failed_pipelines == 0", RATE, True),
        ("failure_rate < 5% or failed_pipelines == 0", RATE, True),
        ("failure_rate < 5% or broken", RATE, True),
        # A flake is a test that flaked a moment ago.
        ("failure_rate < 5% and last_flaked_age > 14d", FLAKE, False),
        ("failure_rate < 5%", FLAKE, True),
        # Whatever is released grows old.
        ("failure_rate < 5% and last_flaked_age > 14d", AGE, True),
        ("failure_rate < 5% and state_age < 7d", AGE, True),
    ],
)
def test_a_release_that_datadog_takes_back(when: str, against: OwnRule, undone: bool) -> None:
    policy = Policy(rules=(NOISY, release(when)))
    assert (("undone", "back", against.id) in found(policy, against, QUIET)) is undone


def test_the_other_way_round() -> None:
    again = rule("failure_rate > 20%", QUARANTINED, FIXED, id_="again")
    quiet = rule("failure_rate > 20% and last_flaked_age < 7d", QUARANTINED, FIXED, id_="again")
    assert ("undone", "again", "fixed") in found(Policy(rules=(again,)), QUIET)
    assert ("undone", "again", "fixed") not in found(Policy(rules=(quiet,)), QUIET)
    soften = rule("failure_rate > 40%", QUARANTINED, DISABLED, id_="soften")
    assert ("undone", "soften", OFF.id) in found(Policy(rules=(soften,)), OFF)


@pytest.mark.parametrize(
    ("mine", "against", "races"),
    [
        (rule("failure_rate > 20%"), OFF, True),
        (rule("failure_rate > 20% and failure_rate < 50%"), OFF, False),
        (release("failure_rate < 5%"), OFF, False),
        (release("failed_pipelines == 0"), OFF, True),
        (rule("failure_rate > 60%", DISABLED, ACTIVE, QUARANTINED), OFF, False),
        (rule("failure_rate > 60%", QUARANTINED, FIXED), OFF, False),
        # Who only waits is no hurry, unless the rule waits longer.
        (release("failure_rate < 5%"), LATER, False),
        (release("failure_rate < 5% and last_flaked_age > 14d"), QUIET, False),
        (release("failure_rate < 5% and last_flaked_age > 45d"), QUIET, True),
        (release("failure_rate < 5% and last_flaked_age > 30d"), QUIET, True),
        (release("failure_rate < 5%"), QUIET, False),
    ],
)
def test_two_targets_for_one_test(mine: Rule, against: OwnRule, races: bool) -> None:
    codes = found(Policy(rules=(mine,)), against)
    assert (("race", mine.id, against.id) in codes) is races


@pytest.mark.parametrize(
    ("rules", "against", "says"),
    [
        ((NOISY,), RATE, None),
        ((rule("failure_rate >= 20%"),), RATE, None),
        ((rule("failure_rate > 30%"),), RATE, "rule `noisy` does only when `failure_rate > 30%`"),
        ((rule("failure_rate > 10%"),), RATE, "rule `noisy` does when `failure_rate > 10%`, so"),
        ((rule("failure_rate > 20% and runs > 3"),), RATE, "rule `noisy` does only when"),
        ((rule("failure_rate > 20% and not broken"),), RATE, "rule `noisy` does only when"),
        ((rule('failure_rate > 20% and suite == "a"'),), RATE, "rule `noisy` does only when"),
        ((rule("failure_rate > 20% or runs > 3"),), RATE, "rule `noisy` does only when"),
        ((rule("failed_pipelines > 3"), NOISY), RATE, None),
        ((), RATE, "no rule of the policy does"),
        ((release("failure_rate < 5%"),), RATE, "no rule of the policy does"),
        ((NOISY,), FLAKE, "rule `noisy` does only when `failure_rate > 20%`"),
        ((NOISY,), AGE, "rule `noisy` does only when `failure_rate > 20%`"),
        ((NOISY,), OFF, "does; nor does one take a test from disabled again"),
        ((rule("failure_rate >= 50%", DISABLED, ACTIVE, QUARANTINED),), OFF, None),
        ((rule("failure_rate >= 50%", DISABLED, ACTIVE),), OFF, "rule `noisy` does only when"),
        ((NOISY,), QUIET, None),
    ],
)
def test_what_datadog_takes_out_of_the_gate_as_well(
    rules: tuple[Rule, ...], against: OwnRule, says: str | None
) -> None:
    also = [each for each in fights(Policy(rules=rules), [against], now=NOW) if each.code == "also"]
    if says is None:
        assert also == []
    else:
        assert len(also) == 1
        assert says in also[0].message
        assert also[0].own_rule == against.id
        assert also[0].message.startswith(f"Datadog's `{against.id}` moves a test to {against.to}")


def test_a_way_back_is_seen() -> None:
    soften = rule("failure_rate < 5%", QUARANTINED, DISABLED, id_="soften")
    (also,) = fights(Policy(rules=(soften,)), [LATER], now=NOW)[-1:]
    assert "nor does one" not in also.message
    (also,) = fights(Policy(rules=(release("failure_rate < 5%"),)), [RATE], now=NOW)
    assert "nor does one" not in also.message
    (also,) = fights(Policy(rules=(soften,)), [RATE], now=NOW)
    assert also.message.endswith("; nor does one take a test from quarantined again")


def test_exemptions_are_unknown_there() -> None:
    policy = Policy(rules=(NOISY,), exempt=(exemption('suite == "s"'),))
    by_datadog = StateCause(at=NOW - DAY, actor=DATADOG)
    tests = [
        flaky("b", QUARANTINED, cause=by_datadog),
        flaky("a", DISABLED, cause=by_datadog),
        flaky("ours", QUARANTINED, cause=StateCause(at=NOW, rule="noisy")),
        flaky("in-the-gate", ACTIVE, cause=by_datadog),
        replace(flaky("other", QUARANTINED, cause=by_datadog), suite="t"),
    ]
    (finding,) = fights(policy, [RATE, QUIET], tests, now=NOW)
    assert finding.code == "exempt"
    assert [test.id for test in finding.tests] == ["a", "b"]
    assert fights(policy, [QUIET], tests, now=NOW) == ()
    expired = replace(policy.exempt[0], until=date(2026, 1, 1))
    assert fights(replace(policy, exempt=(expired,)), [RATE], tests, now=NOW) == ()


def test_the_tests_that_are_concerned_are_named() -> None:
    tests = [
        flaky("z", QUARANTINED, 25.0),
        flaky("a", ACTIVE, 25.0),
        flaky("quiet", ACTIVE, 1.0),
        flaky("unknown", ACTIVE),
        flaky("done", FIXED, 25.0),
    ]
    policy = Policy(rules=(rule("failure_rate > 40%"), release("failure_rate < 30%")))
    undone, also = fights(policy, [RATE], tests, now=NOW)
    assert [test.id for test in undone.tests] == ["a", "z"]
    assert [test.id for test in also.tests] == ["a"]
    covered = fights(Policy(rules=(rule("failure_rate > 10%"),)), [RATE], tests, now=NOW)
    assert [each.tests for each in covered] == [()]
    (race,) = fights(Policy(rules=(NOISY,)), [replace(OFF, when=RATE.when)], tests, now=NOW)[:1]
    assert [test.id for test in race.tests] == ["a"]


def test_what_is_said() -> None:
    policy = Policy(rules=(NOISY, release("failure_rate < 30% and last_flaked_age > 45d")))
    noted = replace(RATE, note="of runs on main")
    undone, race = fights(policy, [noted, QUIET], now=NOW)
    assert undone.message == (
        "rule `back` moves a test from quarantined to active when `failure_rate < 30% and"
        " last_flaked_age > 45d`; Datadog's `quarantine.failure_rate` moves it back when"
        " `failure_rate >= 20%` (of runs on main)"
    )
    assert undone.remedy == (
        "turn `quarantine.failure_rate` off in Datadog's Flaky Test Policies, or let no test that"
        " rule `back` moves meet that condition"
    )
    assert race.message.endswith(
        "Datadog's `fixed` moves it to fixed when `last_flaked_age >= 30d and not broken`, and is"
        " always first"
    )
    assert race.remedy == "let rule `back` hold sooner: Datadog's `fixed` cannot be turned off"


@pytest.mark.parametrize(
    ("cause", "who"),
    [
        (None, "nobody"),
        (StateCause(at=NOW), "nobody"),
        (StateCause(at=NOW, actor=DETECTION), "nobody"),
        (StateCause(at=NOW, rule="noisy"), "rules"),
        (StateCause(at=NOW, rule="no longer in the policy", actor="dana"), "rules"),
        (StateCause(at=NOW, actor="dana"), "people"),
        (StateCause(at=NOW, actor=DATADOG), "datadog"),
    ],
)
def test_who_moved_it_out_of_the_gate(cause: StateCause | None, who: str) -> None:
    test = flaky("a", DISABLED, cause=cause)
    assert mover(test) == who
    assert mover(replace(test, state=ACTIVE)) is None
    assert mover(replace(test, state=FIXED)) is None
    assert bool(unexplained([test])) is (who == "nobody")


def test_unexplained_tests_are_one_finding() -> None:
    tests = [flaky("b", QUARANTINED), flaky("a", DISABLED), flaky("c", ACTIVE)]
    (finding,) = unexplained(tests)
    assert [test.id for test in finding.tests] == ["a", "b"]
    assert movers(tests) == {"rules": 0, "people": 0, "datadog": 0, "nobody": 2}
    assert unexplained(tests[2:]) == ()


bounds = st.sampled_from(
    ["failure_rate < 5%", "failure_rate > 20%", "failure_rate > 60%", "failed_pipelines > 3",
     "last_flaked_age > 14d", "last_flaked_age > 45d", "broken", "not broken"]
)  # fmt: skip
rules = st.lists(
    st.builds(rule, bounds, st.sampled_from(State), st.sampled_from(State)), max_size=4
)
own_rules = st.lists(
    st.sampled_from([RATE, FLAKE, AGE, OFF, LATER, QUIET]), max_size=4, unique=True
)
tests_ = st.lists(
    st.builds(
        FlakyTest,
        id=st.sampled_from("abcd"),
        module=st.just(""),
        suite=st.just("s"),
        name=st.just("n"),
        state=st.sampled_from(State),
        failure_rate=st.none() | st.sampled_from([1.0, 20.0, 55.0, 100.0]),
        last_flaked_at=st.none() | st.sampled_from([NOW, NOW - 20 * DAY, NOW - 50 * DAY]),
    ),
    max_size=4,
    unique_by=lambda test: test.id,
)


@given(rules, own_rules, tests_)
def test_findings_hold(mine: list[Rule], theirs: list[OwnRule], tests: list[FlakyTest]) -> None:
    """A test that two rules move to and fro right now is never missed; the order never matters."""
    policy = Policy(rules=tuple(mine))
    findings = fights(policy, theirs, tests, now=NOW)
    assert findings == fights(policy, theirs, tests[::-1], now=NOW)
    assert [each.code for each in findings] == sorted(
        (each.code for each in findings), key=CODES.index
    )
    undone = {(each.rule, each.own_rule) for each in findings if each.code == "undone"}
    for one in mine:
        for other in theirs:
            if one.to in other.from_states and other.to in one.from_states:
                for test in tests:
                    if one.when.check(test, NOW) and other.when.check(test, NOW):
                        assert (one.id, other.id) in undone
    assert all(isinstance(each, Finding) and each.message and each.remedy for each in findings)
