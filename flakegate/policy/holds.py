"""What keeps a test in its state although a rule matches.

A person, the cooldown, a regression, or an outage.

Unknown facts: a change that nobody knows of is no person's; but with a cooldown, a test whose last
change is not known is held, because a test that moves back and forth helps nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from flakegate.model import MOST_COMMITS, State
from flakegate.policy.limits import OUT_OF_GATE

if TYPE_CHECKING:
    from flakegate.model import FlakyTest, StateCause
    from flakegate.policy.rules import Policy, Rule

REGRESSION = MOST_COMMITS  # in a row: as many as a backend tells


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why a test is left alone.

    code: "manual", "cooldown", "broken" or "outage", the reason code of a Skip. detail: the same in
    words.
    until: when it ends, in seconds since the epoch; None if that is not known.
    """

    code: str
    detail: str
    until: float | None = None


def holds(policy: Policy, test: FlakyTest, now: float) -> tuple[Hold, ...]:
    """The holds that are in force whatever a rule wants. now: seconds since the epoch."""
    found = (_manual(policy, test, now), _cooldown(policy, test, now))
    return tuple(hold for hold in found if hold)


def released(test: FlakyTest, now: float) -> State | None:
    """The state to go back to where what a person set for a time is over; None if nothing is.

    Never further out of the gate than it was before, and never to fixed: nobody says that it is.
    """
    cause = test.cause
    if cause is None or not cause.is_over(now) or test.state not in OUT_OF_GATE:
        return None
    if test.state is State.DISABLED and cause.before is State.QUARANTINED:
        return State.QUARANTINED
    return State.ACTIVE


def regression(test: FlakyTest) -> Hold | None:
    """The regression guard: a test that newer commits broke may not leave the gate.

    None where the backend does not know its commits.
    """
    commits = test.failing_commits or ()
    if len(commits) < REGRESSION:
        return None
    names = ", ".join(commit[:7] for commit in commits)
    detail = f"broken, not flaky: it failed on each of the last {REGRESSION} commits of the default"
    return Hold(code="broken", detail=f"{detail} branch ({names})")


def raised(test: FlakyTest, rule: Rule, now: float) -> Hold | None:
    """The second half of the guard: a regression that is over, or an outage, made the rule true.

    None where the rule is true of what is left without them. now: seconds since the epoch.
    """
    left = test.steady
    if left is None:
        return None
    without = replace(
        test,
        failure_rate=left.failure_rate,
        runs=left.runs,
        failures=left.failures,
        failed_pipelines=left.failed_pipelines,
    )
    if rule.when.check(without, now):
        return None
    causes = []
    if left.in_a_row:
        causes.append(f"{left.in_a_row} in a row (a regression)")
    if left.together:
        causes.append(f"{left.together} among unusually many others (an outage)")
    return Hold(
        code="broken" if left.in_a_row >= left.together else "outage",
        detail=f"without failures that are no flakiness, {' and '.join(causes)}, it failed"
        f" {left.failures} of {left.runs} runs, and rule {rule.id} would not match",
    )


def _manual(policy: Policy, test: FlakyTest, now: float) -> Hold | None:
    cause = test.cause
    if cause is None or not cause.by_person:
        return None
    if cause.until is not None:  # their own date counts, and not how long the policy waits
        if cause.is_over(now):
            return None
        detail = f"{_changed(test, cause)}; that holds until the end of {cause.last_day}"
        return Hold(code="manual", detail=detail, until=cause.until)
    if not policy.respect_manual:
        return None
    until = cause.at + policy.respect_manual
    if now >= until:
        return None
    detail = f"{_changed(test, cause)}; a person's change is left alone until {day(until)}"
    return Hold(code="manual", detail=detail, until=until)


def _cooldown(policy: Policy, test: FlakyTest, now: float) -> Hold | None:
    cause = test.cause
    if not policy.cooldown or (cause is not None and cause.first):
        return None
    if cause is None:
        detail = "when its state last changed is not known, and the policy has a cooldown"
        return Hold(code="cooldown", detail=detail)
    until = cause.at + policy.cooldown
    if now >= until:
        return None
    detail = f"{_changed(test, cause)}; the cooldown lasts until {day(until)}"
    return Hold(code="cooldown", detail=detail, until=until)


def _changed(test: FlakyTest, cause: StateCause) -> str:
    """`quarantined by dana on 2026-11-12 09:30 UTC`."""
    by = f"rule {cause.rule}" if cause.rule else cause.actor
    return f"{test.state}{f' by {by}' if by else ''} on {day(cause.at)}"


def day(at: float) -> str:
    """`2026-11-12 09:30 UTC`. at: seconds since the epoch."""
    return f"{datetime.fromtimestamp(at, tz=timezone.utc):%Y-%m-%d %H:%M} UTC"
