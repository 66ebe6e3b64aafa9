"""Detection and the starting policy, held against a made-up history whose truth is known.

Run: python benchmarks/history.py [--tests N] [--days N] [--changes N] [--seed N]

Four times a day the new runs are recorded, some of them late, some twice, all in no order; then the
policy of `flakegate init` acts, as a scheduled job would.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))  # it is run as a script, too

from benchmarks.made_history import DAY, HOUR, REPOSITORY, START, Cause, Shape, history
from flakegate.backends.store.detection import WINDOW
from flakegate.backends.store.store import Store
from flakegate.identity import test_id
from flakegate.model import State
from flakegate.policy.decide import decide
from flakegate.policy.load import load
from flakegate.policy.needs import whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.made_history import Made, Truth
    from flakegate.model import FlakyTest
    from flakegate.policy.rules import Policy

ACT_EVERY = 6 * HOUR
BOUND = 20.0  # percent: above it the starting policy quarantines


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One change of state. test: its number. blame: None if its own flakiness earned it."""

    test: int
    at: float
    to: State
    blame: Cause | None


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of a history. detected: the tests (by number) that were found to be flaky.

    stopped: how often a limit of the policy held a plan. seconds, runs: of recording.
    """

    truth: Truth
    shape: Shape
    detected: dict[int, FlakyTest] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    stopped: int = 0
    seconds: float = 0.0
    runs: int = 0

    @property
    def wrong(self) -> list[int]:
        """Tests that are not flaky, and were found to be."""
        return sorted(test for test in self.detected if self.truth.rate(test) is None)

    @property
    def precision(self) -> float:
        """The share of the detected tests that are flaky."""
        return 1 - len(self.wrong) / len(self.detected) if self.detected else 1.0

    def recall(self, at_least: float = 0.0) -> float:
        """The share of the flaky tests of this true rate or more that were detected."""
        truly = [t for t in range(self.shape.tests) if (self.truth.rate(t) or -1) >= at_least]
        return sum(test in self.detected for test in truly) / len(truly)

    def quarantined(self, blame: Cause | None, *, flaky: bool = True) -> list[Move]:
        """The moves into quarantine with this cause, of tests that are flaky, or are not."""
        return [
            move
            for move in self.moves
            if move.to is State.QUARANTINED
            and move.blame is blame
            and (self.truth.rate(move.test) is not None) is flaky
        ]


def starting_policy() -> Policy:
    """The policy that `flakegate init` writes."""
    path = Path(__file__).parent.parent / "flakegate" / "templates" / "flakegate.yml"
    policy = load(path.read_bytes(), path.name).policy
    assert policy is not None  # noqa: S101 - a benchmark of a broken policy is void
    return policy


def opened(folder: Path, now: float) -> Store:
    """The store in this folder, as a scheduled job of the default branch sees it."""
    return Store.open(
        f"sqlite:///{folder / 'history.db'}",
        repository=REPOSITORY,
        pipeline=None,
        now=now,
        rate_from="default_branch",
        write=True,
    )


def live(store: Store, shape: Shape, policy: Policy) -> Outcome:
    """Lets the history happen, and the policy act on it."""
    truth, made = history(shape)
    numbers = {test_id(REPOSITORY, name): number for number, name in enumerate(truth.names)}
    outcome = Outcome(truth=truth, shape=shape, runs=len(made))
    for now, batch in _deliveries(shape, made):
        store = replace(store, now=now)
        start = time.perf_counter()
        store.record([each.record for each in batch])
        outcome.seconds += time.perf_counter() - start
        plan = decide(
            policy,
            store.search(whole()),
            now=now,
            repository=REPOSITORY,
            backend=store.kind,
            suite_size=store.suite_size(),
            recent_changes=store.recent_changes(now - DAY),
        )
        outcome.stopped += bool(plan.held)
        store.update(plan.transitions)
        blames = _Blames(made, now)
        outcome.moves += [
            Move(test=test, at=now, to=each.to_state, blame=blames.of(test, truth))
            for each in plan.transitions
            for test in [numbers[each.test_id]]
        ]
    found = replace(store, now=START + shape.days * DAY).search(whole())
    outcome.detected = {numbers[test.id]: test for test in found}
    return outcome


def _deliveries(shape: Shape, made: Sequence[Made]) -> Iterator[tuple[float, list[Made]]]:
    """What has arrived since the last time: in no order, some of it twice, some of it late."""
    dice = random.Random(shape.seed)
    arriving: dict[int, list[Made]] = defaultdict(list)
    for each in made:
        slot = int((each.record.at - START) // ACT_EVERY)
        late = dice.choice((1, 2, 4)) if dice.random() < 0.03 else 0
        arriving[slot + late].append(each)
        if dice.random() < 0.1:
            arriving[slot + late + dice.choice((0, 1))].append(each)
    for slot in range(int(shape.days * DAY // ACT_EVERY)):
        dice.shuffle(arriving[slot])
        yield START + (slot + 1) * ACT_EVERY, arriving[slot]


class _Blames:
    """Why the default branch failed each test in the last 7 days."""

    def __init__(self, made: Sequence[Made], now: float) -> None:
        self._ran = 0
        self._now = now
        self._causes: dict[int, Counter[Cause]] = defaultdict(Counter)
        for each in made:
            if now - WINDOW < each.record.at <= now and each.record.is_default:
                self._ran += 1
                for test, cause in each.causes.items():
                    self._causes[test][cause] += 1

    def of(self, test: int, truth: Truth) -> Cause | None:
        """None if it is flaky, and flakes alone put its rate above the bound, or its true rate is.

        Otherwise what else failed it most.
        """
        rate = truth.rate(test)
        causes = self._causes[test]
        flakes = 100 * causes[Cause.FLAKE] / max(1, self._ran)
        others = [cause for cause, _ in causes.most_common() if cause is not Cause.FLAKE]
        if rate is not None and (100 * rate >= BOUND or flakes > BOUND or not others):
            return None
        return others[0] if others else Cause.FLAKE


def report(outcome: Outcome) -> str:
    """The table: a line for each true rate, and the sums."""
    truth, shape = outcome.truth, outcome.shape
    wrong = Counter(_kind(truth, test) for test in outcome.wrong)
    kinds = ", ".join(f"{many} {kind}" for kind, many in wrong.most_common()) or "none"
    raised, sound = (
        ", ".join(
            f"{cause.value} {len(outcome.quarantined(cause, flaky=flaky))}"
            for cause in Cause
            if cause is not Cause.FLAKE
        )
        for flaky in (True, False)
    )
    each_run = 1e3 * outcome.seconds / outcome.runs
    return "\n".join(
        [
            *_by_rate(outcome),
            f"precision {outcome.precision:.2f}: {len(outcome.detected)} found; not flaky: {kinds}",
            f"recall {outcome.recall():.2f}; of rates from 1 % on {outcome.recall(0.01):.2f}",
            f"quarantined: {len(outcome.quarantined(None))} that flaked so often",
            f"  flaky tests whose rate something else raised: {raised}",
            f"  tests that are not flaky: {sound}",
            f"plans that a limit held: {outcome.stopped}",
            f"{outcome.runs:,} runs of {shape.tests:,} tests in {shape.days} days",
            f"recording them took {outcome.seconds:.1f} s, {each_run:.1f} ms a run",
        ]
    )


def _by_rate(outcome: Outcome) -> Iterator[str]:
    truth = outcome.truth
    years = outcome.shape.days / 365
    yield "true rate        tests  found  recall  quarantined  changes a test-year"
    groups = defaultdict(list)
    for test in [*truth.rates, *truth.leg_rates]:
        groups[truth.rate(test) or 0.0, "" if test in truth.rates else " 1 leg"].append(test)
    for (rate, where), tests in sorted(groups.items()):
        found = sum(test in outcome.detected for test in tests)
        moves = [move for move in outcome.moves if move.test in tests]
        away = {move.test for move in moves if move.to is State.QUARANTINED}
        yield (
            f"{rate:9.1%}{where:6} {len(tests):6} {found:6} {found / len(tests):7.2f} "
            f"{len(away):12} {len(moves) / len(tests) / years:20.1f}"
        )


def _kind(truth: Truth, test: int) -> str:
    if test in (truth.broken, truth.broken_leg):
        return "always failing"
    if test in truth.forged:
        return "claimed by forks"
    if test in truth.regressed:
        return "regressed"
    return "of the service that was down" if test in truth.service else "sound"


def main() -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(description="detection against a history of known truth")
    for name in ("seed", "tests", "days", "changes"):
        options.add_argument(f"--{name}", type=int, default=getattr(Shape(), name))
    shape = Shape(**vars(options.parse_args()))
    with tempfile.TemporaryDirectory() as folder:
        outcome = live(opened(Path(folder), START), shape, starting_policy())
    print(report(outcome))


if __name__ == "__main__":
    main()
