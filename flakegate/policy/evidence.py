"""How much a failure rate is worth, given the runs that it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import sqrt

# What a condition's `missing` names beside fields: the keys of its evidence that are not met.
MIN_RUNS, CONFIDENCE = EVIDENCE = ("evidence.min_runs", "evidence.confidence")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a rule asks of the figures that it rests on.

    min_runs: with fewer runs the rule does not match. confidence: percent, above 0 and below 100:
    a failure rate then counts as the interval that holds the true rate with so much confidence.
    """

    min_runs: int = 0
    confidence: float | None = None

    def asks_no_more_than(self, other: Evidence) -> bool:
        """Whether a rule with this evidence is true wherever the same rule with the other is."""
        return self.min_runs <= other.min_runs and (self.confidence or 0) <= (other.confidence or 0)


NO_EVIDENCE = Evidence()


def interval(rate: float, runs: float, confidence: float) -> tuple[float, float]:
    """The Wilson score interval, two-sided: the lowest and the highest true rate, in percent.

    rate: the observed failure rate, in percent; it lies within. runs: how many it rests on, above
    0. At 95 % the lower end exceeds 20 % from 3 failures of 5 runs on, 5 of 10, 11 of 30.
    """
    share, z = rate / 100, _deviations(confidence)
    spread = z * z / runs
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * sqrt(share * (1 - share) / runs + spread / (4 * runs))
    low = 0.0 if share == 0 else 100 * (middle - half)
    high = 100.0 if share == 1 else 100 * (middle + half)
    return low, high


@cache
def _deviations(confidence: float) -> float:
    """How many standard deviations on both sides of the mean hold so much (percent) of it."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.5 + confidence / 200)
