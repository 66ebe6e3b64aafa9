"""When a test is flaky: a pure function of the runs in which it ran.

The two ways, and the share that makes a run an outage, were measured on 900,000 results of known
cause: "same commit, or 3 branches" found flaky tests at precision 0.89, against 0.12 for "any
failure". Everything here looks only backwards from each run, so that runs recorded in the order of
their times give the same answer however they arrived.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flakegate.record import queue_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DAY = 86_400.0
WINDOW = 7 * DAY  # seconds: Datadog's figures cover as much
BRANCHES = 3  # distinct ones within WINDOW, none of them sharing the failure with its base

# A run in which more than a tenth of the tests fail is an outage (measured, as above); below five
# failing tests a small suite with one broken test would be taken for one.
OUTAGE_SHARE = 0.10
OUTAGE_FAILURES = 5
# Half of that is too little to leave a run out of the figures, but too much for flakiness: it is
# likelier that one service was down than that so many tests flaked in the same minutes.
CROWD_SHARE = OUTAGE_SHARE / 2

# The default branch had a regression if it failed a test on this many commits in a row, or one
# commit in this many legs; but a test that failed there more often than that many spells, with
# passes between, is flaky there as well.
REGRESSION_COMMITS = 2
REGRESSION_LEGS = 2
REGRESSION_SPELLS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One recorded run in which the test ran. Runs that were outages are not given.

    failed, passed: whether an attempt of it did; both is a retry. at: seconds since the epoch.
    crowded: so many tests failed in the run that its failures prove nothing of any of them.
    The other fields are those of RunRecord.
    """

    at: float
    failed: bool
    passed: bool
    commit: str | None
    leg: str
    branch: str | None
    pull_request: str | None = None
    is_default: bool = False
    queued: bool = False
    fork: bool = False
    crowded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Flake:
    """Why the test is flaky. first: the earliest failing run that is evidence of it."""

    first: Seen
    reason: str


def is_outage(failed: int, total: int) -> bool:
    """Whether a run with so many failing tests, of those that ran, says nothing about its tests."""
    return failed >= OUTAGE_FAILURES and failed > OUTAGE_SHARE * total


def is_crowded(failed: int, total: int) -> bool:
    """Whether so many tests failed together, of those that ran, that it shows none to be flaky."""
    return failed >= OUTAGE_FAILURES and failed > CROWD_SHARE * total


def detect(runs: Iterable[Seen], *, after: float | None = None) -> Flake | None:
    """Whether these runs of one test show that it is flaky. Their order does not matter.

    after: only failures after this time (seconds since the epoch) are evidence: the test was fixed.
    A fork's runs count only beside failures of the repository's own.
    """
    return _detected(sorted(runs, key=_order), -math.inf if after is None else after)


def first_shown(runs: Iterable[Seen]) -> tuple[float, Flake] | None:
    """When, in the order of time, these runs of one test first showed it to be flaky, and how.

    That is what whoever looked after each run would have seen. It stays so whatever comes after.
    """
    ordered = sorted(runs, key=_order)
    if _detected(ordered) is None:  # the usual answer
        return None
    times = [run.at for run in ordered]

    def until(time: float) -> Flake | None:
        return _detected(ordered[: bisect_right(times, time)])

    first = times[bisect_left(times, True, key=lambda time: until(time) is not None)]
    flake = until(first)
    return (first, flake) if flake else None


def _detected(ordered: Sequence[Seen], after: float = -math.inf) -> Flake | None:
    found = (_mixed(ordered, after), _spread(ordered, after))
    return min((each for each in found if each), key=lambda each: each.first.at, default=None)


def may_spread(failures: Iterable[Seen]) -> bool:
    """Whether it is worth asking how the default branch was: it failed on enough branches."""
    own = [run for run in failures if _is_own(run) and _change(run)]
    return _changes(own) >= BRANCHES


def is_broken(runs: Iterable[Seen]) -> bool:
    """Whether the default branch, whose runs these are, failed the test lately in some leg."""
    base = _Base()
    for run in sorted(runs, key=_order):
        base.turn(run)
    return base.is_broken


@dataclass(slots=True, kw_only=True)
class _Spell:
    """Runs of the default branch that failed in a row, in one leg. last: when the latest ran."""

    last: float = 0.0
    commits: set[str | None] = field(default_factory=set)


class _Base:
    """How the default branch was, leg by leg, as its runs pass by in time's order."""

    def __init__(self) -> None:
        self._spells: dict[str, list[_Spell]] = defaultdict(list)
        self._broken: set[str] = set()

    def turn(self, run: Seen) -> None:
        if run.passed:
            self._broken.discard(run.leg)
            return
        spells = self._spells[run.leg]
        if run.leg not in self._broken:
            self._broken.add(run.leg)
            spells.append(_Spell())
        spells[-1].last = run.at
        spells[-1].commits.add(run.commit)

    @property
    def is_broken(self) -> bool:
        return bool(self._broken)

    def may_be_shared(self, at: float) -> bool:
        """Whether a change that fails at this time may have the failure from its base.

        It may, too, where a regression was mended lately: changes are not rebased at once.
        """
        legs = [
            [spell for spell in spells if spell.last >= at - WINDOW]
            for spells in self._spells.values()
        ]
        failed = Counter(commit for leg in legs for spell in leg for commit in spell.commits)
        return self.is_broken or any(
            len(leg) <= REGRESSION_SPELLS and any(_is_regression(spell, failed) for spell in leg)
            for leg in legs
        )


def _is_regression(spell: _Spell, failed: Mapping[str | None, int]) -> bool:
    """failed: of each commit, in how many legs it did."""
    return len(spell.commits) >= REGRESSION_COMMITS or any(
        failed[commit] >= REGRESSION_LEGS for commit in spell.commits if commit is not None
    )


def _order(run: Seen) -> tuple[float, bool, bool, str, str, str]:
    """By time; in the same second the base stands first, and a broken base last of that.

    The rest is there only to give runs of the same second one order.
    """
    broken = run.failed and not run.passed
    return (run.at, not is_base(run), broken, run.leg, run.commit or "", _change(run) or "")


def is_base(run: Seen) -> bool:
    """Whether it tells how the default branch itself is; a queue's run also holds a change."""
    return run.is_default and not run.queued and not run.fork


def _mixed(runs: Sequence[Seen], after: float) -> Flake | None:
    """The same code failed and passed: by a retry, or on one commit in the same leg of the job.

    A fork could claim to have passed, or failed, on any commit of ours, so its runs are left out.
    """
    trusted = [run for run in runs if not run.fork]
    passed = {(run.commit, run.leg) for run in trusted if run.passed}
    for run in trusted:
        if not run.failed or run.crowded or run.at <= after:
            continue
        if run.passed:
            return Flake(first=run, reason=f"failed and passed on retry in {_job(run)}")
        if run.commit is not None and (run.commit, run.leg) in passed:
            where = f"commit {run.commit[:12]} in {_job(run)}"
            return Flake(first=run, reason=f"failed and passed on {where}")
    return None


def _spread(runs: Sequence[Seen], after: float) -> Flake | None:
    """It failed on several branches at about the same time, and not because of their base."""
    own = _not_shared(runs, after)
    start = 0
    for end, run in enumerate(own, 1):
        while own[start].at < run.at - WINDOW:
            start += 1
        window = own[start:end]
        if _changes(window) >= BRANCHES and not all(each.fork for each in window):
            names = ", ".join(sorted({_change(each) or "" for each in window}))
            reason = f"failed on {_changes(window)} branches within 7 days: {names}"
            return Flake(first=window[0], reason=reason)
    return None


def _not_shared(runs: Sequence[Seen], after: float) -> list[Seen]:
    """The failures of changes that they cannot have from their base, in time's order.

    They can if the latest run of the default branch before failed it, in any leg, or the default
    branch had a regression within the window: a broken main fails every branch that is made of it.
    """
    base = _Base()
    own = []
    for run in runs:
        if is_base(run):
            base.turn(run)
        elif _is_own(run) and run.at > after and not base.may_be_shared(run.at) and _change(run):
            own.append(run)
    return own


def _is_own(run: Seen) -> bool:
    """Whether it failed on what is not merged yet, and not together with many other tests."""
    return run.failed and not run.is_default and not run.crowded


def _change(run: Seen) -> str | None:
    """What was to be merged: a branch, or a pull request whose branch has no name of its own here.

    A merge queue's branch stands for the one that it is for. Branches of forks share their names.
    """
    if run.branch is None or (run.fork and run.pull_request):
        return run.pull_request and f"#{run.pull_request}"
    return queue_target(run.branch) or run.branch


def _changes(window: Iterable[Seen]) -> int:
    """How many distinct changes these are.

    One change can be a pushed branch and a pull request, or a pull request whose branch was
    renamed: counted by branch and by pull request, the lower count holds.
    """
    changes = [(_change(run), run.pull_request and f"#{run.pull_request}") for run in window]
    return min(len({branch for branch, _ in changes}), len({pull or br for br, pull in changes}))


def _job(run: Seen) -> str:
    job, _, shard = run.leg.rpartition(":")
    return f"job {job or '(unnamed)'}" + (f", shard {shard}" if shard else "")
