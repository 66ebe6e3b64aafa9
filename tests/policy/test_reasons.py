from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from flakegate.model import FlakyTest, State
from flakegate.policy.evidence import Evidence
from flakegate.policy.fields import Kind, Value
from flakegate.policy.reasons import reason, shown
from flakegate.policy.syntax import Node, show

from .strategies import NOW, flaky_tests, nodes, read

DAY = 86_400.0
BARE = FlakyTest(id="1", module="m", suite="s", name="n", state=State.ACTIVE)
FULL = replace(
    BARE,
    failure_rate=100 * 8 / 31,
    runs=31,
    failures=8,
    failed_pipelines=4,
    lost_time=7_800.0,
    last_flaked_at=NOW - 16 * DAY,
    first_flaked_at=NOW - 40.5 * DAY,
    category="timeout",
    codeowners=("@a", "@b"),
)


@pytest.mark.parametrize(
    ("when", "test", "expected"),
    [
        (
            "failure_rate > 20%",
            FULL,
            "failed 8 of 31 runs (25.8 %), 4 pipelines, 2 h 10 min lost",
        ),
        ("failure_rate > 20%", replace(BARE, failure_rate=26.44), "failure_rate 26.4%"),
        (
            "failure_rate < 5% and last_flaked_age > 14d and not broken",
            replace(FULL, failures=1, runs=40, failure_rate=2.5, failed_pipelines=0, lost_time=0),
            "failed 1 of 40 runs (2.5 %), last flaked 16 d ago",
        ),
        (
            "failed_pipelines == 1 or lost_time == 0s",
            replace(BARE, failed_pipelines=1, lost_time=0.0),
            "1 pipeline, 0 s lost",
        ),
        (
            "runs > 3",
            replace(FULL, failure_rate=None, lost_time=None),
            "failed 8 of 31 runs (25.8 %), 4 pipelines",
        ),
        ("runs > 3", replace(BARE, runs=9), "runs 9"),
        ("failed_pipelines < 3", replace(BARE, failed_pipelines=0), "0 pipelines"),
        (
            'category == "timeout" and codeowners has "@a" and age > 30d',
            replace(FULL, failure_rate=None, runs=None, failed_pipelines=None, lost_time=None),
            'category "timeout", codeowners @a, @b, first flaked 40 d 12 h ago',
        ),
        ("known(suite)", BARE, 'suite "s"'),
        ("not known(runs)", BARE, "not known(runs)"),
        (
            'error_message =~ "*"',
            replace(BARE, error_message="a\n" + "b" * 99),
            f'error_message "a {"b" * 57}…"',
        ),
    ],
)
def test_reasons(when: str, test: FlakyTest, expected: str) -> None:
    assert reason(read(when), test, NOW) == expected


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Kind.DURATION, 0.0, "0 s"),
        (Kind.DURATION, 0.25, "250 ms"),
        (Kind.DURATION, 1.5, "1.5 s"),
        (Kind.DURATION, 59.6, "1 min"),
        (Kind.DURATION, 61.0, "1 min 1 s"),
        (Kind.DURATION, 3_600.0, "1 h"),
        (Kind.DURATION, 3_659.0, "1 h"),
        (Kind.DURATION, 86_400.0 + 7_200.0, "1 d 2 h"),
        (Kind.PERCENT, 20.04, "20 %"),
        (Kind.PERCENT, 0.123, "0.12 %"),
        (Kind.PERCENT, 0.0, "0 %"),
        (Kind.NUMBER, 3, "3"),
        (Kind.NUMBER, 0.5, "0.5"),
        (Kind.BOOL, True, "yes"),
        (Kind.LIST, (), "none"),
        (Kind.TEXT, None, "unknown"),
        (Kind.TEXT, "a", '"a"'),
    ],
)
def test_values_as_people_read_them(kind: Kind, value: Value, expected: str) -> None:
    assert shown(kind, value) == expected


@given(nodes, flaky_tests)
def test_there_is_always_a_reason_on_one_line(node: Node, test: FlakyTest) -> None:
    words = reason(read(show(node)), test, NOW)
    assert words
    assert "nan" not in words
    assert "None" not in words


@pytest.mark.parametrize(
    ("when", "confidence", "failures", "runs", "expected"),
    [
        (
            "failure_rate > 13%",
            95.0,
            8,
            31,
            "failed 8 of 31 runs (25.8 %; 95 % sure it is above 13.7 %)",
        ),
        (
            "failure_rate < 5%",
            95.0,
            0,
            73,
            "failed 0 of 73 runs (0 %; 95 % sure it is below 5 %)",
        ),
        (
            "not failure_rate <= 20%",
            99.9,
            30,
            40,
            "failed 30 of 40 runs (75 %; 99.9 % sure it is above 48.9 %)",
        ),
        (
            "failure_rate > 13% and failure_rate < 50%",
            95.0,
            8,
            31,
            "failed 8 of 31 runs (25.8 %; 95 % sure it is above 13.7 % and below 43.3 %)",
        ),
        ("failures > 3", 95.0, 8, 31, "failed 8 of 31 runs (25.8 %)"),
    ],
)
def test_how_sure_it_is(
    when: str, confidence: float, failures: int, runs: int, expected: str
) -> None:
    test = replace(BARE, failures=failures, runs=runs, failure_rate=100 * failures / runs)
    condition = read(when).resting_on(Evidence(confidence=confidence))
    assert condition.check(test, NOW) is True
    assert reason(condition, test, NOW) == expected
    uncounted = replace(test, failures=None, runs=None)
    assert "sure" not in reason(condition, uncounted, NOW)
