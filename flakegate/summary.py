"""What one call has to tell, and its answer in a line: may I merge, and if not, what now?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from flakegate.errors import ExitCode
from flakegate.wording import Step, about_evidence, about_failures, count, saved

if TYPE_CHECKING:
    from flakegate.ci.context import CIContext
    from flakegate.error_tracking.followups import Followed
    from flakegate.errors import FlakegateError
    from flakegate.gate import Failure, Verdict
    from flakegate.model import Transition
    from flakegate.policy.plan import Plan, Skip


_FEW = 10  # failures that can still be looked at one by one


class Applied(Protocol):
    """What came of the changes, as `flakegate.apply` reports it."""

    @property
    def done(self) -> tuple[Transition, ...]: ...  # noqa: D102 - documented there
    @property
    def already(self) -> tuple[Transition, ...]: ...  # noqa: D102
    @property
    def failed(self) -> tuple[tuple[Transition, str], ...]: ...  # noqa: D102
    @property
    def unknown(self) -> tuple[tuple[Transition, str], ...]: ...  # noqa: D102
    @property
    def not_sent(self) -> tuple[Transition, ...]: ...  # noqa: D102
    @property
    def error(self) -> FlakegateError | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything that one call has to tell. None: that stage did not run.

    exit_code: the one with which this call will end. now: seconds since the epoch.
    backend: kind and place in words, "" if none was opened. policy: its name, "" for the defaults.
    observe: the gate only says what it would do. max_age: how long a state excuses, in seconds.
    recorded: what was recorded, in words. keeps_history: whether results are recorded, so that a
    pass on the same commit will tell a flaky test.
    not_applied: why the plan was left at that, in words; None where it was carried out.
    again: the command that makes what was not made. followed: what became of the issues of the
    tests, or would.
    """

    exit_code: int
    now: float
    version: str
    context: CIContext
    backend: str = ""
    policy: str = ""
    verdict: Verdict | None = None
    observe: bool = False
    max_age: float | None = None
    recorded: str | None = None
    keeps_history: bool = False
    plan: Plan | None = None
    applied: Applied | None = None
    not_applied: str | None = None
    again: str = "flakegate apply"
    followed: tuple[Followed, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def blocked(self) -> tuple[Failure, ...]:
        """The failures that are not excused, in the order of the reports."""
        failures = self.verdict.failures if self.verdict else ()
        return tuple(failure for failure in failures if failure.decision == "blocked")

    @property
    def excused(self) -> tuple[Failure, ...]:
        """The failures that are excused."""
        failures = self.verdict.failures if self.verdict else ()
        return tuple(failure for failure in failures if failure.decision != "blocked")

    @property
    def saved(self) -> str:
        """The snapshot that the states are from, in words; "" where the backend was asked."""
        at = self.verdict.snapshot if self.verdict else None
        return "" if at is None else f"a snapshot of {saved(at, self.now)}"

    @property
    def has_ends(self) -> bool:
        """Whether an excuse ends on some day: by the policy, or as a person set it."""
        causes = [failure.test.cause for failure in self.excused if failure.test]
        return self.max_age is not None or any(each and each.until for each in causes)

    @property
    def trouble(self) -> tuple[tuple[Transition, str], ...]:
        """Changes that were tried and not certainly made, each with what happened."""
        if self.applied is None:
            return ()
        stopped = self.applied.error.message if self.applied.error else "not sent"
        rest = tuple((change, stopped) for change in self.applied.not_sent)
        unsure = tuple((each, f"perhaps made: {said}") for each, said in self.applied.unknown)
        return self.applied.failed + unsure + rest

    @property
    def changes(self) -> tuple[Transition, ...]:
        """The state changes made or, where nothing was applied, proposed."""
        if self.applied is not None:
            return self.applied.done
        return self.plan.transitions if self.plan else ()

    @property
    def already(self) -> tuple[Transition, ...]:
        """The state changes that others had made before this call could."""
        return self.applied.already if self.applied else ()

    @property
    def left_alone(self) -> tuple[Skip, ...]:
        """The tests that a rule or an undo would have moved, had nothing spoken against it."""
        if self.plan is None:
            return ()
        from flakegate.policy.plan import CHANGED

        return tuple(skip for skip in self.plan.skipped if skip.rule or skip.reason == CHANGED)

    @property
    def held(self) -> tuple[Transition, ...]:
        """The state changes that a limit of the policy holds back."""
        return self.plan.held if self.plan else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer in a line.

    mark: a sign that is seen from afar. title: for a heading. line: for the end of a terminal's
    output. colour: "green", "yellow" or "red".
    """

    mark: str
    title: str
    line: str
    colour: str


def answer(summary: Summary) -> Answer:
    """May I merge? Without a verdict: what became of the states?"""
    if summary.verdict is None:
        return _of_changes(summary)
    if summary.verdict.verdict == "incomplete":
        return _doubt("Cannot judge this run: the evidence is incomplete", "incomplete evidence")
    if summary.verdict.verdict == "block":
        return _of_block(summary)
    return _of_pass(summary)


def steps(summary: Summary) -> tuple[Step, ...]:
    """What now? Nothing where all is well."""
    if summary.verdict is not None and summary.verdict.verdict == "incomplete":
        return about_evidence(summary.verdict.evidence)
    found = about_failures(summary.blocked, keeps_history=summary.keeps_history)
    if summary.verdict and _like_an_outage(len(summary.blocked), summary.verdict.totals.tests):
        text = "Look for one cause first: that many failures at once are rarely flaky tests."
        found = (Step(text=text), *found)
    if summary.trouble:
        if remedy := summary.applied and summary.applied.error and summary.applied.error.tip:
            found += (Step(text=f"{remedy[0].upper()}{remedy[1:]}."),)
        text = "Try again; states are read anew, and what is made stays made:"
        found += (Step(text=text, command=summary.again),)
    if summary.held:
        text = (
            "See what broke before raising the limit in the policy: that many tests at once are"
            " more often an outage than flaky."
        )
        found += (Step(text=text),)
    elif summary.changes and not (summary.verdict or summary.applied or summary.not_applied):
        found += (Step(text="To make these changes:", command="flakegate apply"),)
    return found


def _like_an_outage(failures: int, tests: int) -> bool:
    """The store calls a run in which more than a tenth of the tests fail an outage, too."""
    return failures > max(_FEW, tests / 10)


def _doubt(title: str, line: str) -> Answer:
    return Answer(mark="⚠️", title=title, line=line, colour="yellow")


def _of_block(summary: Summary) -> Answer:
    blocked = summary.blocked
    many = count(len(blocked), "failure")
    merging = summary.context.target_branch is not None or summary.context.pull_request is not None
    if blocked and all(failure.reason == "unavailable" for failure in blocked):
        title = f"Cannot judge {many}: the list of flaky tests is unavailable"
        return _doubt(title, f"unavailable: {many} cannot be judged")
    if summary.observe:
        title = f"{many} would block, but the gate only observes"
        return _doubt(title, f"observed: {many} would block")
    does = "blocks" if len(blocked) == 1 else "block"
    be = "is" if len(blocked) == 1 else "are"
    return Answer(
        mark="❌",
        title=f"{many} {does} this merge" if merging else f"{many} {be} not excused",
        line=f"blocked: {many} {be} not excused",
        colour="red",
    )


def _of_pass(summary: Summary) -> Answer:
    assert summary.verdict is not None  # noqa: S101 - told apart by the caller
    totals = summary.verdict.totals
    if summary.excused:
        many = count(len(summary.excused), "flaky failure")
        title, line = f"Nothing blocks: {many} excused", f"passed: {many} excused"
    else:
        tests = count(totals.passed, "test")
        skipped = f", {totals.skipped:,} skipped" if totals.skipped else ""
        title = f"{'All ' if not skipped and totals.passed > 1 else ''}{tests} passed{skipped}"
        line = f"passed: {tests}{skipped}"
    return Answer(mark="✅", title=title, line=line, colour="green")


def _of_changes(summary: Summary) -> Answer:
    made, failed, held = len(summary.changes), len(summary.trouble), len(summary.held)
    many = count(made, "state change")
    if failed and not made:
        title = f"None of {count(failed, 'state change')} applied"
        return Answer(mark="❌", title=title, line=title.lower(), colour="red")
    if failed:
        title = f"{made:,} of {count(made + failed, 'state change')} applied"
        return _doubt(title, f"partially applied: {made:,} of {made + failed:,} state changes")
    if held:
        title = f"A limit of the policy holds back {count(held, 'state change')}"
        verb = "applied" if summary.applied else "planned"
        rest = f"; {many} {verb}" if made else ""
        return Answer(
            mark="⛔",
            title=title + rest,
            line=f"stopped: a limit holds back {count(held, 'state change')}{rest}",
            colour="red" if summary.exit_code == ExitCode.LIMIT else "yellow",
        )
    if not made:
        tests = summary.plan.tests if summary.plan else 0
        title = f"Nothing to change for {count(tests, 'flaky test')}"
        return Answer(mark="✅", title=title, line=title.lower(), colour="green")
    verb = "applied" if summary.applied else "planned"
    return Answer(mark="✅", title=f"{many} {verb}", line=f"{verb}: {many}", colour="green")
