from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.model import FlakyTest, State
from flakegate.policy.evidence import Evidence
from flakegate.policy.review import overlaps, unreachable, unreleased, warnings
from flakegate.policy.rules import Policy

from .strategies import NOW, exemption, rule

ACTIVE, QUARANTINED, DISABLED, FIXED = State
LAST_DAY = date(2027, 1, 15)  # NOW is 2027-01-15T08:00:00Z


def test_an_expired_exemption_and_a_missing_field_are_warned_of() -> None:
    policy = Policy(
        name="flakegate.yml",
        exempt=(
            replace(exemption('codeowners has "@a"'), until=date(2027, 1, 14), line=4, column=5),
            replace(exemption("broken"), until=LAST_DAY, line=8, column=5),
        ),
        rules=(replace(rule("lost_time > 2h and failure_rate > 20%"), line=2, column=3),),
    )
    known = frozenset({"failure_rate", "broken"})
    found = [str(each).splitlines() for each in warnings(policy, now=NOW, fields=known)]
    lacks = "which the backend cannot supply: it is unknown there"
    expired = "expired on 2027-01-14 and no longer applies"
    assert found == [
        [
            f"flakegate.yml:2:3: warning: rule `noisy` uses `lost_time`, {lacks}",
            "  a rule never acts on what is unknown",
        ],
        [
            f"flakegate.yml:4:5: warning: this exemption {expired}",
            "  remove it or renew `until`",
        ],
        [
            f"flakegate.yml:4:5: warning: this exemption uses `codeowners`, {lacks}",
            "  what cannot be told is exempt: that may be every test",
        ],
    ]
    assert len(warnings(policy, now=NOW, fields=None)) == 1
    assert len(warnings(policy, now=NOW + 86_400, fields=None)) == 2


def test_evidence_that_the_backend_cannot_give_is_warned_of() -> None:
    asking = rule("failure_rate > 20%", id_="sure", evidence=Evidence(confidence=95.0))
    counting = rule("failure_rate > 20%", id_="many", evidence=Evidence(min_runs=10))
    policy = Policy(name="p.yml", rules=(asking, counting, rule("failure_rate > 20%")))
    found = [each.message for each in warnings(policy, now=NOW, fields=frozenset({"failure_rate"}))]
    assert found == [
        f"rule `{name}` rests on the bare rate: the backend does not count runs, so its "
        "`evidence` asks for nothing there"
        for name in ("sure", "many")
    ]
    for fields in (frozenset({"failure_rate", "runs"}), None):
        assert warnings(policy, now=NOW, fields=fields) == ()


def test_a_release_by_any_way_out_is_a_release() -> None:
    noisy = rule("failure_rate > 20%")
    fixed = rule("last_flaked_age > 30d", FIXED, QUARANTINED, ACTIVE, id_="fixed")
    off = rule("failure_rate > 50%", DISABLED, QUARANTINED, id_="off")
    assert [each.message for each in unreleased(Policy(rules=(noisy, off)))] == [
        "no rule releases what is quarantined: tests stay there until a person acts"
    ]
    assert not list(unreleased(Policy(rules=(noisy, fixed))))
    assert not list(unreleased(Policy(rules=(off,))))


@pytest.mark.parametrize(
    ("entry", "release", "meet"),
    [
        ("failure_rate > 20%", "failure_rate < 30%", True),
        ("failure_rate > 20%", "failure_rate <= 20%", False),
        ("failure_rate >= 20%", "failure_rate <= 20%", True),
        ("failure_rate >= 20%", "failure_rate < 20%", False),
        ("failure_rate > 20% and failure_rate < 40%", "failure_rate > 35%", True),
        ("failures > 20 and (failures < 40 and failures > 10)", "failures < 22", True),
        ("failure_rate > 100%", "failure_rate > 0%", False),
        ("failure_rate == 20%", "failure_rate >= 20%", True),
        ("failure_rate == 20%", "failure_rate > 20%", False),
        ("failures > 3", "failures < 4", False),
        ("failures > 3", "failures < 4.5", True),
        ("failures > 3.5", "failures <= 4", True),
        ("failures > 3.5 and failures < 3.9", "failures > 0", False),
        ("impact_score > 0.3", "impact_score < 0.4", True),
        ("lost_time > 1h", "lost_time < 61m", True),
        ("lost_time > 1h", "lost_time < 60m", False),
        ("lost_time >= 0s", "lost_time < 0s", False),
        # Not certain, hence not said: other fields, other forms.
        ("failure_rate > 20%", "failures < 30", False),
        ("failure_rate > 20% and runs > 3", "failure_rate < 30%", False),
        ("failure_rate > 20% or failure_rate > 30%", "failure_rate < 30%", False),
        ("default(failure_rate, 0%) > 20%", "failure_rate < 30%", False),
        ("failure_rate != 20%", "failure_rate < 30%", False),
        ('suite == "a"', 'suite == "a"', False),
    ],
)
def test_overlapping_bounds(entry: str, release: str, meet: bool) -> None:
    back = rule(release, ACTIVE, QUARANTINED, id_="back")
    assert bool(list(overlaps(Policy(rules=(rule(entry), back))))) is meet
    assert bool(list(overlaps(Policy(rules=(back, rule(entry)))))) is meet


def test_only_rules_that_undo_each_other_overlap() -> None:
    noisy = rule("failure_rate > 20%")
    further = rule("failure_rate > 30%", DISABLED, QUARANTINED, id_="further")
    assert not list(overlaps(Policy(rules=(noisy, further))))


bounds = st.lists(
    st.tuples(st.sampled_from(["<", "<=", ">", ">=", "=="]), st.integers(0, 6)),
    min_size=1,
    max_size=2,
)


@given(bounds, bounds)
def test_an_overlap_is_said_exactly_where_a_test_meets_both(
    entry: list[tuple[str, int]], release: list[tuple[str, int]]
) -> None:
    entry_, release_ = (
        " and ".join(f"failures {op} {bound}" for op, bound in each) for each in (entry, release)
    )
    one, other = rule(entry_), rule(release_, ACTIVE, QUARANTINED, id_="back")
    test = FlakyTest(id="1", module="", suite="", name="", state=ACTIVE)
    meets = any(
        one.when.check(candidate, NOW) and other.when.check(candidate, NOW)
        for candidate in (replace(test, failures=count) for count in range(9))
    )
    assert bool(list(overlaps(Policy(rules=(one, other))))) is meets


def test_a_rule_is_unreachable_behind_the_same_condition_from_at_least_its_states() -> None:
    wide = rule("runs > 3", DISABLED, ACTIVE, QUARANTINED, id_="wide", line=3)
    narrow = rule("(runs > 3)", QUARANTINED, ACTIVE, id_="narrow", line=7)
    (found,) = unreachable(Policy(rules=(wide, narrow)))
    assert (found.place.line, found.message) == (
        7,
        "rule `narrow` never matches: `wide` on line 3 has the same condition and comes first",
    )
    assert not list(unreachable(Policy(rules=(narrow, wide))))
    assert not list(unreachable(Policy(rules=(wide, rule("runs > 4", id_="x")))))


def test_each_rule_is_warned_of_once() -> None:
    entries = tuple(rule(f"runs > {bound}", id_=f"in{bound}") for bound in range(50))
    back = rule("runs < 99", ACTIVE, QUARANTINED, id_="back")
    (found,) = overlaps(Policy(rules=(*entries, back)))
    assert "`in0` and `back`" in found.message
