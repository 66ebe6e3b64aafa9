"""Detection and the starting policy, held against a made-up history whose truth is known.

benchmarks/history.py makes larger ones; what is measured there stands in docs/store.md.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from benchmarks.history import Outcome, live, opened, starting_policy
from benchmarks.made_history import DAY, START, Cause, Made, Shape, history
from flakegate.model import FlakyTest, State
from flakegate.policy.needs import whole

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = Shape(seed=5, tests=400, days=15, changes=6)
SMALL = Shape(seed=3, tests=150, days=7, changes=4)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return live(opened(tmp_path_factory.mktemp("store"), START), SHAPE, starting_policy())


def test_most_of_what_is_found_is_flaky(outcome: Outcome) -> None:
    assert outcome.precision >= 0.85


def test_whatever_fails_in_one_run_of_a_hundred_is_found(outcome: Outcome) -> None:
    assert outcome.recall(at_least=0.01) == 1.0


def test_what_always_fails_is_not_flaky(outcome: Outcome) -> None:
    assert {outcome.truth.broken_leg, outcome.truth.broken}.isdisjoint(outcome.detected)


def test_what_forks_claim_is_not_believed(outcome: Outcome) -> None:
    assert outcome.truth.forged.isdisjoint(outcome.detected)


def test_the_policy_quarantines_what_flakes_often(outcome: Outcome) -> None:
    often = {test for test, rate in outcome.truth.rates.items() if rate > 0.2}
    assert often <= {move.test for move in outcome.moves if move.to is State.QUARANTINED}


@pytest.mark.parametrize("cause", Cause)
def test_what_is_not_flaky_is_not_quarantined(outcome: Outcome, cause: Cause) -> None:
    assert outcome.quarantined(cause, flaky=False) == []


@pytest.mark.parametrize("cause", [each for each in Cause if each is not Cause.FLAKE])
def test_nor_what_flakes_seldom_because_of_something_else(outcome: Outcome, cause: Cause) -> None:
    assert outcome.quarantined(cause) == []


def figures(folder: Path, batches: list[list[Made]]) -> list[FlakyTest]:
    folder.mkdir()
    store = opened(folder, START + SMALL.days * DAY)
    for batch in batches:
        store.record([each.record for each in batch])
    return store.search(whole())


def test_runs_delivered_twice_and_in_no_order_give_the_same_figures(tmp_path: Path) -> None:
    made = history(SMALL)[1]
    days = [[each for each in made if (each.record.at - START) // DAY == day] for day in range(7)]
    once = figures(tmp_path / "once", days)
    shuffled = [*made, *made]
    random.Random(1).shuffle(shuffled)  # noqa: S311 - no secret
    assert figures(tmp_path / "twice", [shuffled, made[::-1]]) == once
    assert len(once) > 5


def test_forks_alone_detect_nothing(tmp_path: Path) -> None:
    forks = [each for each in history(SMALL)[1] if each.record.fork]
    assert len(forks) > 20
    assert figures(tmp_path / "forks", [forks]) == []
