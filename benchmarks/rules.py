"""Rules: 100,000 tests x 20 rules against the same conditions as plain Python lambdas.

Run: python benchmarks/rules.py
"""

from __future__ import annotations

import random
import time
from statistics import median
from typing import TYPE_CHECKING

from flakegate.model import FlakyTest, State
from flakegate.policy.conditions import Condition, parse
from flakegate.policy.decide import decide
from flakegate.policy.rules import Limits, Policy, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

TESTS, ROUNDS, BUDGET = 100_000, 3, 10.0
NOW = 1_800_000_000.0
DAY = 86_400.0

# Each condition beside the lambda that a person would write for it, unknown values included. Two
# of the four match now and then, so that both sides can be seen to agree.
CONDITIONS: tuple[tuple[str, Callable[[FlakyTest, float], bool]], ...] = (
    (
        "failure_rate > 99% and failed_pipelines >= 78",
        lambda test, _now: (
            test.failure_rate is not None
            and test.failure_rate > 99
            and test.failed_pipelines is not None
            and test.failed_pipelines >= 78
        ),
    ),
    (
        'suite == "never" or category == "network"',
        lambda test, _now: (
            test.suite == "never"
            or (test.category is not None and test.category.lower() == "network")
        ),
    ),
    (
        "lost_time > 27h and last_flaked_age < 1d",
        lambda test, now: (
            test.lost_time is not None
            and test.lost_time > 97_200
            and test.last_flaked_at is not None
            and now - test.last_flaked_at < DAY
        ),
    ),
    (
        'codeowners has "@org/none" and not failure_rate < 50%',
        lambda test, _now: (
            test.codeowners is not None
            and "@org/none" in test.codeowners
            and test.failure_rate is not None
            and not test.failure_rate < 50
        ),
    ),
)


def tests() -> list[FlakyTest]:
    """Random flaky tests, one in ten without a failure rate."""
    chance = random.Random(1)
    return [
        FlakyTest(
            id=f"{number:06}",
            module="core",
            suite=f"suite{number % 500}",
            name=f"test_{number}",
            state=State.ACTIVE,
            category=chance.choice(("timeout", "Race", None)),
            failure_rate=None if number % 10 == 0 else chance.uniform(0, 100),
            failed_pipelines=chance.randrange(80),
            lost_time=chance.uniform(0, 100_000),
            last_flaked_at=NOW - chance.uniform(0, 30) * DAY,
            codeowners=("@org/web", "@org/api"),
        )
        for number in range(TESTS)
    ]


def rules() -> tuple[Rule, ...]:
    """Twenty rules, which hardly ever match, so that each is asked of every test."""
    found = []
    for number in range(20):
        when = parse(CONDITIONS[number % len(CONDITIONS)][0])
        assert isinstance(when, Condition)  # noqa: S101 - a benchmark of a broken parser is void
        found.append(
            Rule(
                id=f"rule{number}",
                from_states=frozenset({State.ACTIVE}),
                to=State.QUARANTINED,
                when=when,
                line=number,
            )
        )
    return tuple(found)


def by_lambdas(population: list[FlakyTest]) -> int:
    """How many tests a plain Python program would move."""
    plain = [CONDITIONS[number % len(CONDITIONS)][1] for number in range(20)]
    return sum(any(holds(test, NOW) for holds in plain) for test in population)


def by_rules(population: list[FlakyTest], policy: Policy) -> int:
    """How many tests a whole `decide` moves, its plan and its counts of unknowns included."""
    plan = decide(
        policy,
        population,
        now=NOW,
        repository="example.com/a/b",
        backend="store",
        suite_size=None,
        recent_changes=0,
    )
    return len(plan.transitions) + len(plan.held)


def seconds(work: Callable[[], int]) -> tuple[float, int]:
    """The median time of a few rounds, and the result."""
    times = []
    result = 0
    for _ in range(ROUNDS):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return median(times), result


def main() -> int:
    """Prints one line; 1 if the budget is exceeded."""
    population, policy = tests(), Policy(rules=rules(), limits=Limits(max_changes=TESTS))
    plain, expected = seconds(lambda: by_lambdas(population))
    ours, found = seconds(lambda: by_rules(population, policy))
    ratio = ours / plain
    print(
        f"rules: {TESTS:,} tests x 20 rules: {ours:.2f} s, plain lambdas {plain:.2f} s, "
        f"ratio {ratio:.1f} (budget {BUDGET:.0f}); moved {found:,} and {expected:,}"
    )
    return int(ratio > BUDGET or found != expected)


if __name__ == "__main__":
    raise SystemExit(main())
