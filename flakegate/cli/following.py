"""Follow-ups in Error Tracking, as `plan`, `apply` and `run` have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flakegate.cli.acting import make_plan, needed_tests
from flakegate.errors import StoppedError
from flakegate.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flakegate.apply import Applied
    from flakegate.backends.base import Backend
    from flakegate.ci.context import CIContext
    from flakegate.cli.call import Call
    from flakegate.error_tracking.followups import Followed, FollowUp
    from flakegate.model import Transition
    from flakegate.policy.plan import Plan


def plan_with_follow_ups(
    call: Call, context: CIContext, backend: Backend, warn: Callable[[str], None]
) -> tuple[Plan, tuple[FollowUp, ...]]:
    """What the policy would change now, and what would become of the issues of these tests.

    Raises BackendError.
    """
    tests = needed_tests(call, context, backend)
    plan = make_plan(call, context, backend, tests)
    if not any(rule.error_tracking for rule in call.policy.rules):
        return plan, ()
    from flakegate.error_tracking.followups import follow_ups

    moving = {each.test_id for each in plan.transitions}
    by_id = {test.id: test for test in tests if test.id in moving}
    found = follow_ups(call.policy, plan.transitions, by_id, call.now)
    if found and backend.kind != "datadog":
        warn(f"`error_tracking` is Datadog's: with the {backend.kind} nothing comes of it")
        return plan, ()
    return plan, found


def proposed(found: Sequence[FollowUp], transitions: Sequence[Transition]) -> tuple[Followed, ...]:
    """What would be searched after these changes, and what would come of it."""
    if not found:
        return ()
    from flakegate.error_tracking.followups import Followed

    return tuple(
        Followed(follow_up=each, planned=True, problem=each.problem)
        for each in found
        if each.change in transitions
    )


def carry_on(
    call: Call,
    context: CIContext,
    backend: Backend,
    found: Sequence[FollowUp],
    applied: Applied,
    *,
    warn: Callable[[str], None],
) -> tuple[Followed, ...]:
    """Carries out what follows the changes that were made. Trouble is told, and no more."""
    made = [each for each in found if each.change in applied.done]
    if not made:
        return ()
    if isinstance(applied.error, StoppedError):
        warn(f"stopped before Error Tracking was asked about {count(len(made), 'test')}")
        return ()
    from flakegate.cli.signals import stoppable
    from flakegate.cli.tracking import opened_tracking
    from flakegate.error_tracking.following import follow

    with opened_tracking(call) as tracking, stoppable() as stop:
        followed = follow(made, tracking, call.journal(backend, context), stop)
    failed = [each for each in followed if each.failed]
    if failed:
        many = f"{len(failed):,} of {len(followed):,} follow-ups in Error Tracking failed"
        warn(f"{many}: {failed[0].problem}")
    return followed


def followed_document(followed: Sequence[Followed]) -> list[Any]:
    """Follow-ups as a part of a JSON document."""
    from flakegate.cli.tracking import iso, issue_document

    return [
        {
            "test_id": each.follow_up.change.test_id,
            "fqn": each.follow_up.change.fqn,
            "rule": each.follow_up.change.rule,
            "track": each.follow_up.question.track if each.follow_up.question else None,
            "query": each.follow_up.question.query if each.follow_up.question else None,
            "from": iso(each.follow_up.question.since / 1000) if each.follow_up.question else None,
            "state": each.follow_up.state.value if each.follow_up.state else None,
            "assign": each.follow_up.user,
            "issue": issue_document(each.issue, each.page) if each.issue else None,
            "matched_by": each.by or None,
            "done": list(each.done),
            "problem": each.problem,
            "failed": each.failed,
        }
        for each in followed
    ]
