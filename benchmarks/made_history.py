"""A made-up CI history whose truth is known: what each test is, and why it failed each time.

Nothing here looks at how flakegate detects; it makes what a busy repository makes. A default branch
with a merge queue before it, changes with several pushes and reruns, two legs of a matrix; flaky
tests of many rates, regressions on changes and on the default branch, outages large and small.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from flakegate.junit import Outcome
from flakegate.model import Identity
from flakegate.record import RunRecord, TestRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

REPOSITORY = "github.com/acme/shop"
START = 1_749_427_200.0  # a Monday, 00:00 UTC
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
LEGS = ("tests (linux):", "tests (windows):")
SERVICE_SHARE = 0.07  # of the tests need the service that is down now and then

# How many tests fail at each true rate, of a thousand tests.
FLAKY = {0.005: 12, 0.01: 12, 0.02: 9, 0.05: 6, 0.10: 5, 0.20: 4, 0.40: 3, 0.60: 3}
# Regressions that reach the default branch, by the number of its commits that hold them.
SPANS = (1, 1, 2, 2, 3, 4, 6, 9, 14, 25)

_PASS, _FAIL = (Outcome.PASSED,), (Outcome.FAILURE,)
_RETRIED, _SKIP = (Outcome.FAILURE, Outcome.PASSED), (Outcome.SKIPPED,)


class Cause(str, Enum):
    """Why a test failed in a run."""

    FLAKE = "flake"
    REGRESSION = "regression"
    LEG = "leg"
    OUTAGE = "outage"
    FORK = "fork"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large a history. changes: opened on a working day. reruns: share of red jobs."""

    seed: int = 7
    tests: int = 2_000
    days: int = 28
    changes: int = 14
    reruns: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """A regression: tests (by number) that fail without exception, in these legs.

    first, last: the default branch's commits that hold it; none where it was never merged.
    """

    tests: frozenset[int]
    legs: frozenset[str] = frozenset(LEGS)
    first: int = 0
    last: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One run, and the cause of each failure in it, by the test's number."""

    record: RunRecord
    causes: Mapping[int, Cause]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What each test is, by its number.

    rates: of flaky tests, the chance to fail in one run. leg_rates: of those that flake in the
    last leg alone. broken_leg: always fails in the last leg. broken: always fails. service: needs
    the service. forged: what forks claim to be flaky. regressed: part of some defect.
    """

    names: tuple[Identity, ...]
    rates: Mapping[int, float]
    leg_rates: Mapping[int, float]
    broken_leg: int
    broken: int
    service: frozenset[int]
    forged: frozenset[int]
    on_main: tuple[Defect, ...]
    regressed: frozenset[int]

    def rate(self, test: int) -> float | None:
        """The true rate of a flaky test, None if it is none."""
        return self.rates.get(test) or self.leg_rates.get(test)


@dataclass(slots=True, kw_only=True)
class _Change:
    """What somebody wants to merge. own: its regression, in its first `bad` pushes.

    rebases: whether each push is on the newest default branch, as a pull request's merge commit.
    """

    number: int
    pushes: list[float]
    merged: float | None
    own: Defect | None
    bad: int
    rebases: bool
    held: list[Defect] = field(default_factory=list)


def history(shape: Shape) -> tuple[Truth, list[Made]]:
    """The truth, and the runs in the order of their times."""
    dice = random.Random(shape.seed)
    free = list(range(shape.tests))
    dice.shuffle(free)
    changes = _changes(shape, dice, free)
    merges = sorted(change.merged for change in changes if change.merged is not None)
    truth = _truth(shape, dice, free, changes, merges)
    made = list(_Maker(shape, truth, merges, dice).runs(changes))
    return truth, sorted(made, key=lambda each: (each.record.at, each.record.key))


def _changes(shape: Shape, dice: random.Random, free: list[int]) -> list[_Change]:
    """All of them, with their times. One in four brings a regression; most are mended before."""
    found: list[_Change] = []
    for day in range(shape.days):
        many = shape.changes if day % 7 < 5 else max(1, shape.changes // 6)
        for _ in range(many):
            opened = START + day * DAY + dice.uniform(7, 19) * HOUR
            pushes = [opened]
            for _ in range(dice.randrange(4)):
                pushes.append(pushes[-1] + dice.expovariate(1 / (5 * HOUR)) + 20 * MINUTE)
            bad = dice.randrange(1, len(pushes) + 1) if dice.random() < 0.25 else 0
            found.append(
                _Change(
                    number=1_000 + len(found),
                    pushes=pushes,
                    merged=pushes[-1] + dice.uniform(1, 9) * HOUR if dice.random() < 0.8 else None,
                    own=Defect(tests=frozenset(dice.sample(free, dice.choice((1, 1, 2, 5)))))
                    if bad
                    else None,
                    bad=bad,
                    rebases=dice.random() < 0.7,
                )
            )
    return found


def _truth(
    shape: Shape,
    dice: random.Random,
    free: list[int],
    changes: list[_Change],
    merges: list[float],
) -> Truth:
    service = frozenset(dice.sample(range(shape.tests), int(SERVICE_SHARE * shape.tests)))
    rates = {}
    taken = {test for change in changes if change.own for test in change.own.tests}
    left = [test for test in free if test not in taken]
    for rate, per_thousand in FLAKY.items():
        for _ in range(max(2, per_thousand * shape.tests // 1_000)):
            rates[left.pop()] = rate
    leg_rates = {left.pop(): rate for rate in (0.02, 0.1, 0.3)}
    broken_leg, broken = left.pop(), left.pop()
    forged = frozenset(left.pop() for _ in range(4))
    on_main = _defects(shape, dice, left, sorted(rates), len(merges))
    on_main += _merged(changes, merges, dice)
    names = tuple(
        Identity(
            module="",
            suite=f"tests.area_{number // 100}.test_part_{number // 20}",
            name=f"test_behaviour_{number}_holds",
            source_file=f"tests/area_{number // 100}/test_part_{number // 20}.py",
        )
        for number in range(shape.tests)
    )
    return Truth(
        names=names,
        rates=rates,
        leg_rates=leg_rates,
        broken_leg=broken_leg,
        broken=broken,
        service=service,
        forged=forged,
        on_main=tuple(on_main),
        regressed=frozenset(taken.union(*(defect.tests for defect in on_main))),
    )


def _defects(
    shape: Shape, dice: random.Random, left: list[int], flaky: list[int], commits: int
) -> list[Defect]:
    """Regressions of the default branch: two merged changes that do not go together, say.

    One breaks many tests, in the middle of the history. A third of them hits a test that is flaky
    as well; some break one leg only.
    """
    found = []
    for number, span in enumerate(SPANS):
        first = dice.randrange(commits // 8, max(commits - span, commits // 8 + 1))
        tests = {left.pop()} | ({dice.choice(flaky)} if number % 3 == 0 else set())
        legs = frozenset(LEGS[-1:]) if number % 4 == 1 else frozenset(LEGS)
        found.append(Defect(tests=frozenset(tests), legs=legs, first=first, last=first + span - 1))
    many = frozenset(left.pop() for _ in range(max(3, shape.tests // 100)))
    found.append(Defect(tests=many, first=commits // 2, last=commits // 2 + 11))
    return found


def _merged(changes: list[_Change], merges: list[float], dice: random.Random) -> list[Defect]:
    """Those that were merged although they were red, and mended some commits later."""
    found = []
    for change in changes:
        if change.own and change.merged is not None and change.bad == len(change.pushes):
            first = bisect_left(merges, change.merged)
            found.append(replace(change.own, first=first, last=first + dice.randrange(4)))
    return found


class _Maker:
    """Runs of the changes, of the merge queue and of the default branch."""

    def __init__(
        self, shape: Shape, truth: Truth, merges: list[float], dice: random.Random
    ) -> None:
        self._shape, self._truth, self._merges, self._dice = shape, truth, merges, dice
        self._passed = [TestRecord(identity=name, attempts=_PASS) for name in truth.names]
        self._skipped = [TestRecord(identity=name, attempts=_SKIP) for name in truth.names]
        self._pipeline = 7_000_000
        middle = START + (shape.days // 14 * 7 + 2) * DAY  # a Wednesday
        self._outage = (middle + 6 * HOUR, middle + 24 * HOUR)
        self._service = tuple(
            (day + 8 * HOUR, day + 18 * HOUR)
            for day in (START + 3 * DAY, middle + 5 * DAY, middle + 6 * DAY)
        )

    def runs(self, changes: Iterable[_Change]) -> Iterator[Made]:
        """All runs, in no particular order."""
        for change in changes:
            yield from self._of_change(change)
        # What records the runs came with a commit of the default branch, which was tested first.
        ran = self._plain(branch="main", is_default=True, commit="a" * 40)
        yield from self._pipelines(ran, START, -1, None)
        for number, merged in enumerate(self._merges):
            ran = self._plain(branch="main", is_default=True, commit=f"{number:020x}{'a' * 20}")
            yield from self._pipelines(ran, merged + MINUTE, number, None)
        for day in range(self._shape.days):
            at = START + day * DAY + 4 * HOUR
            base = bisect_left(self._merges, at) - 1
            if base >= 0:  # the nightly run, on a commit that was tested when it was merged
                ran = self._plain(branch="main", is_default=True, commit=f"{base:020x}{'a' * 20}")
                yield from self._pipelines(ran, at, base, None)
            yield from self._of_forks(day)

    def _of_change(self, change: _Change) -> Iterator[Made]:
        base = bisect_left(self._merges, change.pushes[0]) - 1
        pull = None if not change.rebases and change.number % 2 else str(change.number)
        for number, pushed in enumerate(change.pushes):
            if change.rebases or self._dice.random() < 0.4:
                base = bisect_left(self._merges, pushed) - 1
            ran = self._plain(
                branch=f"feature/{change.number}",
                pull_request=pull,
                commit=f"{change.number:020x}{number:020x}",
            )
            own = change.own if number < change.bad else None
            yield from self._pipelines(ran, pushed, base, own)
        if change.merged is None:
            return
        base = bisect_left(self._merges, change.merged) - 1
        commit = f"{change.number:020x}{'b' * 20}"
        ran = self._plain(
            branch=f"gh-readonly-queue/main/pr-{change.number}-{commit[:8]}",
            commit=commit,
            is_default=True,
            queued=True,
        )
        own = change.own if change.bad == len(change.pushes) else None
        yield from self._pipelines(ran, change.merged - 40 * MINUTE, base, own)

    def _of_forks(self, day: int) -> Iterator[Made]:
        """Two a day that claim that some tests of ours are flaky, on commits of ours as well."""
        for number in (2 * day, 2 * day + 1):
            at = START + day * DAY + self._dice.uniform(8, 20) * HOUR
            base = bisect_left(self._merges, at) - 1
            commit = f"{max(base, 0):020x}{'a' * 20}"
            ran = self._plain(
                branch="patch-1", pull_request=f"{9_000 + number}", fork=True, commit=commit
            )
            yield from self._pipelines(ran, at, base, None)

    def _plain(self, **facts: object) -> RunRecord:
        blank = RunRecord(
            key="",
            pipeline="",
            leg="",
            repository=REPOSITORY,
            commit=None,
            branch=None,
            is_default=False,
            pull_request=None,
            fork=False,
            at=0.0,
            results=(),
        )
        return replace(blank, **facts)  # type: ignore[arg-type]

    def _pipelines(
        self, ran: RunRecord, started: float, base: int, own: Defect | None
    ) -> Iterator[Made]:
        """One CI run: its legs, and those that somebody ran again because they were red."""
        self._pipeline += 1
        pipeline = f"github:{REPOSITORY}:{self._pipeline}"
        for leg in LEGS:
            at = started
            for attempt in (1, 2, 3):
                at += self._dice.uniform(9, 25) * MINUTE
                if at >= START + self._shape.days * DAY:
                    return
                key = f"{pipeline}:{attempt}:{leg}"
                made = self._job(
                    replace(ran, key=key, pipeline=pipeline, leg=leg, at=at), base, own
                )
                yield made
                if not made.causes or self._dice.random() >= self._shape.reruns:
                    break
                at += self._dice.uniform(1, 40) * MINUTE

    def _job(self, ran: RunRecord, base: int, own: Defect | None) -> Made:
        causes = self._causes(ran, base, own)
        results = list(self._passed)
        for test, cause in causes.items():
            retried = cause is Cause.FORK or (cause is Cause.FLAKE and test % 10 == 0)
            results[test] = TestRecord(
                identity=self._truth.names[test],
                attempts=_RETRIED if retried and self._dice.random() < 0.7 else _FAIL,
                duration=1.5,
                message=f"{cause.value}: AssertionError in test {test}",
            )
        if causes and self._dice.random() < 0.03:  # fail-fast: what stands after it is skipped
            first = min(causes)
            results[first + 1 :] = self._skipped[first + 1 :]
            causes = {first: causes[first]}
        return Made(record=replace(ran, results=tuple(results)), causes=causes)

    def _causes(self, ran: RunRecord, base: int, own: Defect | None) -> dict[int, Cause]:
        """Which tests fail in this run, and why; the first cause named is the weakest."""
        truth, roll = self._truth, self._dice.random
        causes = {test: Cause.FLAKE for test, rate in truth.rates.items() if roll() < rate}
        if ran.leg == LEGS[-1]:
            causes |= {test: Cause.FLAKE for test, rate in truth.leg_rates.items() if roll() < rate}
            causes[truth.broken_leg] = Cause.LEG
        causes[truth.broken] = Cause.REGRESSION
        if ran.fork:
            causes |= dict.fromkeys(truth.forged, Cause.FORK)
        if any(start <= ran.at < end for start, end in self._service):
            causes |= {test: Cause.OUTAGE for test in sorted(truth.service) if roll() < 0.9}
        if self._outage[0] <= ran.at < self._outage[1] and roll() < 0.6:
            share = self._dice.uniform(0.3, 0.95)
            causes |= {t: Cause.OUTAGE for t in range(len(truth.names)) if roll() < share}
        held = [defect for defect in truth.on_main if defect.first <= base <= defect.last]
        for defect in [*held, *([own] if own else [])]:
            if ran.leg in defect.legs:
                causes |= dict.fromkeys(sorted(defect.tests), Cause.REGRESSION)
        return causes
