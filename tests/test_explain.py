"""What explains a decision agrees with the decision, and counts right what is missing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.excuse import excuse
from flakegate.explain import Backing, Explanation, Fate, fate, nearest
from flakegate.explained import lines, to_json
from flakegate.model import FlakyTest, History, State, StateCause, Steady
from flakegate.policy.decide import consider, decide
from flakegate.policy.evidence import Evidence
from flakegate.policy.fields import FIELDS
from flakegate.policy.rules import GateSettings, Limits, Policy
from tests.policy.strategies import NOW, exemption, flaky_tests, rule, rules, whens

if TYPE_CHECKING:
    from flakegate.policy.plan import Plan

DAY = 86_400.0
ALL = Backing(kind="store", supplied=frozenset(FIELDS), rate_from="default_branch")
TEST = FlakyTest(
    id="t1",
    module="",
    suite="tests.test_cart",
    name="test_total",
    state=State.ACTIVE,
    failure_rate=18.4,
    runs=38,
    failures=7,
    failed_pipelines=5,
    last_flaked_at=NOW - 12 * 3600,
    failing_commits=(),
    cause=StateCause(at=NOW - 6 * DAY, actor="detection", reason="failed and passed", first=True),
    state_since=NOW - 6 * DAY,
)
NOISY = rule("failure_rate > 20% and not broken")
BACK = rule(
    "failure_rate < 5% and last_flaked_age > 7d",
    State.ACTIVE,
    State.QUARANTINED,
    id_="back",
    line=2,
)


def plan_of(policy: Policy, tests: list[FlakyTest]) -> Plan:
    return decide(
        policy, tests, now=NOW, repository="r", backend="store", suite_size=None, recent_changes=0
    )


def explained(
    policy: Policy, test: FlakyTest = TEST, backing: Backing = ALL, *others: FlakyTest
) -> Explanation:
    considered = consider(policy, test, NOW)
    decision, reason, detail = excuse(test, considered.exempt, policy.gate, NOW)
    return Explanation(
        test_id=test.id,
        fqn=test.fqn,
        source_file=test.source_file,
        now=NOW,
        policy="flakegate.yml",
        backing=backing,
        considered=considered,
        history=None,
        fate=fate(plan_of(policy, [test, *others]), considered),
        decision=decision,
        reason=reason,
        detail=detail,
    )


def said(told: Explanation, width: int | None = None) -> str:
    return "\n".join(lines(told, width))


def needs(*rules_: object, test: FlakyTest = TEST) -> tuple[str, list[str]]:
    found = nearest(consider(Policy(rules=rules_), test, NOW))  # type: ignore[arg-type]  # rules
    assert found
    return found.rule, [need.text for need in found.needs]


def test_a_bound_that_is_missed_and_by_how_much() -> None:
    text = "failure_rate > 20%: it is 18.4 %, 1.6 points below 20 %"
    assert needs(NOISY) == ("noisy", [text])
    assert text in said(explained(Policy(rules=(NOISY,))))


def test_all_that_is_missing_is_named() -> None:
    test = replace(TEST, state=State.QUARANTINED)
    assert needs(NOISY, BACK, test=test) == (
        "back",
        [
            "failure_rate < 5%: it is 18.4 %, 13.4 points above 5 %",
            "last_flaked_age > 7d: it is 12 h, 6 d 12 h below 7 d",
        ],
    )


@pytest.mark.parametrize(
    ("when", "lacking"),
    [
        ("failed_pipelines >= 6", ["failed_pipelines >= 6: it is 5, 1 below 6"]),
        ("failed_pipelines > 5", ["failed_pipelines > 5: it is 5"]),
        ("broken", ["broken: it is no"]),
        ("not runs > 9", ["not runs > 9: it is 38, 29 above 9"]),
        ('suite == "x"', ['suite == "x": it is "tests.test_cart"']),
        ("lost_time > 2h", ["lost_time > 2h: it is not known"]),
        ("not lost_time > 2h", ["not lost_time > 2h: it is not known"]),
        ("broken or failed_pipelines > 5 and runs > 99", ["broken: it is no"]),
        ("failed_pipelines > 5 and runs > 99 or broken", ["broken: it is no"]),
        ("runs > 9 or broken and failures > 9", None),
        (
            "not (runs > 9 or failures > 6)",
            ["not runs > 9: it is 38, 29 above 9", "not failures > 6: it is 7, 1 above 6"],
        ),
        ("not (runs > 9 and failures > 6)", ["not runs > 9: it is 38, 29 above 9"]),
    ],
)
def test_the_fewest_clauses_that_would_have_to_change(when: str, lacking: list[str] | None) -> None:
    if lacking is None:
        assert consider(Policy(rules=(rule(when),)), TEST, NOW).match
    else:
        assert needs(rule(when)) == ("noisy", lacking)


def test_the_nearest_rule_lacks_fewest_then_least() -> None:
    far = rule("failure_rate > 90%", id_="far")
    near = rule("failure_rate > 20%", id_="near", line=2)
    two = rule("failure_rate > 19% and failed_pipelines > 5", id_="two", line=3)
    assert needs(far, near, two)[0] == "near"
    assert needs(two, far)[0] == "far"


def test_evidence_that_is_missing() -> None:
    weak = replace(TEST, failure_rate=40.0, runs=5, failures=2)
    few = rule("failure_rate > 20%", evidence=Evidence(min_runs=10))
    assert needs(few, test=weak) == ("noisy", ["10 runs (`evidence.min_runs`): it has 5"])
    enough = rule("failure_rate > 50%", evidence=Evidence(min_runs=5))
    assert needs(enough, test=weak)[1] == ["failure_rate > 50%: it is 40 %, 10 points below 50 %"]
    unsure = rule("failure_rate > 20%", evidence=Evidence(confidence=95.0))
    name, (text,) = needs(unsure, test=weak)
    assert name == "noisy"
    assert text.startswith("failure_rate > 20% for sure: it is 40 %, and truly from 11.8 % to 76.")
    shown = said(explained(Policy(rules=(few,)), weak))
    assert "noisy (active → quarantined): unknown, fewer than 10 runs" in shown


def test_nothing_is_near_where_a_rule_matches_or_none_is_for_the_state() -> None:
    assert explained(Policy(rules=(rule("runs > 9"),))).nearest is None
    assert explained(Policy(rules=(BACK,))).nearest is None
    assert explained(Policy(rules=(BACK,))).fate.detail == "no rule is for tests that are active"


def test_where_a_value_comes_from() -> None:
    text = said(explained(Policy(rules=(rule("failure_rate > 20% and lost_time > 2h"),))))
    assert "18.4 %   7 of 38 runs on the default branch in 7 days" in text
    assert "unknown  store does not know it of this test" in text
    less = replace(ALL, supplied=ALL.supplied - {"lost_time"}, rate_from="all")
    text = said(
        explained(Policy(rules=(rule("failure_rate > 20% and lost_time > 2h"),)), TEST, less)
    )
    assert "7 of 38 runs of any branch in 7 days" in text
    assert "unknown  store never knows it" in text


def test_what_the_plan_does_is_the_plan_s() -> None:
    loud = rule("runs > 9")
    assert "moves it to quarantined by rule noisy: failed 7 of 38" in said(
        explained(Policy(rules=(loud,)))
    )
    held = explained(Policy(rules=(loud,), limits=Limits(max_changes=0)))
    assert held.fate.code == "held"
    assert "leaves it active: a limit holds rule noisy back (" in said(held)
    assert "`limits.max_changes` allows 0" in said(held)
    exempt = explained(Policy(rules=(loud,), exempt=(exemption("runs > 9", "smoke"),)))
    assert exempt.fate.code == "exempt"
    assert "leaves it active, though rule noisy matches: exempt: smoke" in said(exempt)
    assert "smoke (line 1: runs > 9)" in said(exempt)
    assert "blocks (exempt)" in said(exempt)


def test_an_exemption_that_is_not_known_says_so() -> None:
    text = said(explained(Policy(exempt=(exemption("lost_time > 2h", "slow"),))))
    assert "perhaps, which counts: slow" in text


def test_holds_and_the_regression_guard() -> None:
    loud = Policy(rules=(rule("runs > 9"),), cooldown=9 * DAY)
    moved = replace(TEST, cause=StateCause(at=NOW - DAY, rule="back"))
    assert "\n  held " in said(explained(loud, moved))
    broken = replace(TEST, failing_commits=("c" * 40, "d" * 40, "e" * 40))
    text = said(explained(loud, broken))
    assert "regression broken, not flaky: it failed on each of the last 3 commits" in text
    assert "leaves it active, though rule noisy matches: broken" in text
    left = Steady(failure_rate=0.0, runs=9, failures=0, failed_pipelines=0, in_a_row=14, together=0)
    over = said(explained(loud, replace(TEST, steady=left)))
    assert "regression without failures that are no flakiness, 14 in a row (a regression)" in over
    assert "leaves it active, though rule noisy matches: without failures" in over
    down = said(explained(loud, replace(TEST, steady=replace(left, in_a_row=0, together=3))))
    assert "held       without failures that are no flakiness, 3 among unusually many" in down
    one = said(explained(loud, replace(TEST, failing_commits=("c" * 40,))))
    assert "no, it failed on the newest 1 commit of the default branch; 3 in a row" in one
    unknown = said(explained(loud, replace(TEST, failing_commits=None)))
    assert "regression not known: store does not tell" in unknown


def test_alternatives_and_negations_are_laid_out() -> None:
    when = "runs > 9 and not (failures > 9 and (broken or failed_pipelines > 3))"
    text = said(explained(Policy(rules=(rule(when),))))
    shown = [line[4:36].rstrip() for line in text.splitlines()[-6:]]
    assert shown == [
        "true     runs > 9",
        "         one of",
        "true       not failures > 9",
        "           all of",
        "true         not broken",
        "false        not failed_pipelines > 3"[:32].rstrip(),
    ]


def test_a_screen_is_enough() -> None:
    policy = Policy(rules=(NOISY, BACK), exempt=(exemption('suite == "x"'),) * 9)
    text = lines(explained(policy), 80)
    assert len(text) <= 24
    assert max(map(len, text[:12])) <= 80


def test_a_test_that_is_not_flaky() -> None:
    told = replace(
        explained(Policy(rules=(NOISY,))),
        considered=None,
        history=History(runs=38, failures=0),
        fate=Fate(code="stay", rule=None, to=None, detail="nothing"),
        decision="blocked",
        reason="not-flaky",
        detail="not known to be flaky",
    )
    assert "38 runs on the default branch in 7 days; it never failed" in said(told)
    failed = History(runs=1, failures=2, failed_at=NOW - DAY, failed_on="topic")
    text = said(replace(told, history=failed))
    assert "1 run on the default branch" in text
    assert "it failed in 2 recorded runs of any branch, the last time on 14 Jan on topic" in text
    document = to_json(told, "r")
    assert document["flaky"] is False
    assert document["history"]["runs_in_7_days"] == 38


policies = st.builds(
    Policy,
    rules=rules(),
    exempt=st.lists(whens.map(exemption), max_size=2).map(tuple),
    limits=st.builds(Limits, max_changes=st.integers(0, 1)),
    cooldown=st.sampled_from([0.0, DAY]),
    gate=st.just(GateSettings()),
)


@given(policies, flaky_tests)
def test_an_explanation_never_contradicts_the_decision(policy: Policy, test: FlakyTest) -> None:
    plan = plan_of(policy, [test])
    told = explained(policy, test)
    considered = told.considered
    assert considered is not None
    moves = {"move": plan.transitions, "held": plan.held}.get(told.fate.code, ())
    assert (plan.transitions + plan.held) == tuple(moves)
    assert {skip.reason for skip in plan.skipped} <= {told.fate.code}
    applying = [asked for asked in considered.rules if asked.applies]
    if considered.match is None and applying:
        assert told.nearest is not None
        assert told.nearest.needs
    else:
        assert told.nearest is None
    text = said(told, 100)
    for asked in applying:
        for finding in asked.findings:
            assert finding.clause.text in text
    document: dict[str, Any] = json.loads(json.dumps(to_json(told, "r")))
    assert [each["outcome"] for each in document["rules"]] == [
        asked.outcome for asked in considered.rules
    ]
