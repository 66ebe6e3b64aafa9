"""How much a failure rate is worth: the interval, and rules that ask for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.model import FlakyTest, State
from flakegate.policy.evidence import CONFIDENCE, MIN_RUNS, Evidence, interval
from flakegate.policy.syntax import Node, show

from .strategies import NOW, evidences, flaky_tests, nodes, read

BARE = FlakyTest(id="1", module="", suite="s", name="n", state=State.ACTIVE)


def failed(failures: int, runs: int) -> FlakyTest:
    return replace(BARE, failures=failures, runs=runs, failure_rate=100 * failures / runs)


@pytest.mark.parametrize(("failures", "runs"), [(3, 5), (5, 10), (8, 20), (11, 30), (28, 100)])
def test_failures_that_it_takes_to_be_sure_of_more_than_20_percent(
    failures: int, runs: int
) -> None:
    when = read("failure_rate > 20%").resting_on(Evidence(confidence=95.0))
    assert when.check(failed(failures, runs), NOW) is True
    assert when.check(failed(failures - 1, runs), NOW) is None


def test_runs_without_a_failure_that_it_takes_to_be_sure_of_less_than_5_percent() -> None:
    when = read("failure_rate < 5%").resting_on(Evidence(confidence=95.0))
    assert when.check(failed(0, 73), NOW) is True
    assert when.check(failed(0, 72), NOW) is None


@pytest.mark.parametrize(
    ("when", "test", "outcome"),
    [
        ("failure_rate > 20%", failed(0, 17), False),
        ("failure_rate > 20%", failed(0, 5), None),
        ("not failure_rate > 20%", failed(0, 17), True),
        ("not failure_rate > 20%", failed(8, 20), False),
        ("not failure_rate > 20%", failed(4, 20), None),
        ("failure_rate >= 20%", failed(8, 20), True),
        ("failure_rate <= 20%", failed(8, 20), False),
        ("failure_rate < 20%", failed(4, 20), None),
        ("failure_rate == 20%", failed(4, 20), None),
        ("failure_rate != 20%", failed(4, 20), None),
        ("failure_rate == 20%", failed(8, 20), False),
        ("failure_rate != 20%", failed(8, 20), True),
        ("failure_rate in [1%, 90%]", failed(8, 20), False),
        ("failure_rate in [1%, 40%]", failed(8, 20), None),
        ("failure_rate not in [1%, 90%]", failed(8, 20), True),
        # The ends are reached where nothing, or everything, failed.
        ("failure_rate >= 0%", failed(0, 5), True),
        ("failure_rate <= 100%", failed(5, 5), True),
        ("failure_rate > 0%", failed(1, 5), True),
        # Nothing else has an interval.
        ("failures > 3", failed(4, 5), True),
        ("broken", failed(3, 3), True),
        ("known(failure_rate)", failed(1, 3), True),
        # Nothing but the bare rate, or no rate at all.
        ("failure_rate > 20%", replace(BARE, failure_rate=21.0), True),
        ("failure_rate > 20%", replace(BARE, failure_rate=19.0), False),
        ("failure_rate > 20%", replace(BARE, runs=0), None),
        ("default(failure_rate, 30%) > 20%", replace(BARE, runs=0), True),
        ("default(failure_rate, 30%) > 20%", failed(3, 10), None),
        # Nonsense is not known.
        ("failure_rate > 20%", replace(BARE, failure_rate=30.0, runs=-1), None),
        ("failure_rate > 20%", replace(BARE, failure_rate=30.0, runs=0), None),
    ],
)
def test_a_bound_that_the_interval_straddles_is_unknown(
    when: str, test: FlakyTest, outcome: bool | None
) -> None:
    condition = read(when).resting_on(Evidence(confidence=95.0))
    assert condition.check(test, NOW) is outcome


@pytest.mark.parametrize(
    ("runs", "outcome"), [(9, None), (10, True), (0, None), (-1, None), (None, True)]
)
def test_fewer_runs_are_no_match(runs: int | None, outcome: bool | None) -> None:
    """None: the backend does not count them, so there is nothing to ask for."""
    when = read("failure_rate > 20%").resting_on(Evidence(min_runs=10))
    test = replace(BARE, failure_rate=30.0, runs=runs)
    assert when.check(test, NOW) is outcome
    assert when.check(replace(test, failure_rate=10.0), NOW) is False
    assert when.check(replace(test, failure_rate=None), NOW) is None
    if outcome is None:
        assert when.missing(test, NOW) == {MIN_RUNS}


def test_what_keeps_a_rule_undecided_is_named() -> None:
    when = read("failure_rate > 20% and lost_time > 1h").resting_on(
        Evidence(min_runs=10, confidence=95.0)
    )
    assert when.missing(failed(4, 15), NOW) == {CONFIDENCE, "lost_time"}
    assert when.missing(BARE, NOW) == {"failure_rate", "lost_time"}
    assert when.missing(replace(failed(5, 5), lost_time=7_200.0), NOW) == {MIN_RUNS}


def test_findings_carry_the_interval() -> None:
    when = read("failure_rate > 20% and runs > 3").resting_on(Evidence(confidence=95.0))
    rate, runs = when.findings(failed(8, 31), NOW)
    assert rate.interval == pytest.approx((13.70, 43.25), abs=0.01)
    assert rate.outcome is None
    assert (runs.interval, runs.outcome) == (None, True)
    assert read("failure_rate > 20%").findings(failed(8, 31), NOW)[0].interval is None


shares = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
confidences = st.floats(50, 99.99)


@given(shares, confidences, confidences)
def test_an_interval_holds_the_rate_and_more_confidence_widens_it(
    share: tuple[int, int], one: float, other: float
) -> None:
    failures, runs = share
    rate = 100 * failures / runs
    low, high = interval(rate, runs, min(one, other))
    wide_low, wide_high = interval(rate, runs, max(one, other))
    margin = 1e-9
    assert 0 <= wide_low <= low + margin
    assert low <= rate + margin
    assert rate <= high + margin
    assert high <= wide_high + margin <= 100 + 2 * margin


@given(nodes, flaky_tests, evidences, evidences)
def test_better_evidence_never_makes_another_answer_of_an_answer(
    node: Node, test: FlakyTest, some: Evidence, more: Evidence
) -> None:
    """It turns answers into unknowns, and nothing else."""
    condition = read(show(node))
    bare, asked = condition.check(test, NOW), condition.resting_on(some).check(test, NOW)
    assert asked is None or asked is bare
    if some.asks_no_more_than(more):
        assert condition.resting_on(more).check(test, NOW) in (None, asked)
