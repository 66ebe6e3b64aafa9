"""Decide and act: what `run`, `plan` and `apply` do with the backend's flaky tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.apply import Applied, apply, still_valid
from flakegate.errors import ExitCode
from flakegate.model import State
from flakegate.policy.decide import decide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flakegate.backends.base import Backend
    from flakegate.ci import CIContext
    from flakegate.cli.call import Call
    from flakegate.model import Transition
    from flakegate.policy.plan import Plan

DAY = 86_400.0
MOVED = "its state changed meanwhile"


def make_plan(call: Call, context: CIContext, backend: Backend) -> Plan:
    """What the policy would change now. Raises BackendError."""
    from flakegate.cli.progress import progress

    since = call.now - DAY
    logged = backend.recent_changes(since)
    recent = call.journal(backend, context).recent(since) if logged is None else logged
    with progress("reading flaky tests") as tell:
        tests = backend.search(frozenset(State), tell)
    return decide(
        call.policy,
        tests,
        now=call.now,
        repository=context.repository,
        backend=backend.kind,
        suite_size=backend.suite_size(),
        recent_changes=recent,
    )


def reread(
    backend: Backend, transitions: Sequence[Transition]
) -> tuple[tuple[Transition, ...], tuple[tuple[Transition, str], ...]]:
    """(those of a saved plan that still hold, those whose test was moved since, with the words)."""
    if not transitions:
        return (), ()
    current = {test.id: test.state for test in backend.search(frozenset(State))}
    valid, moved = still_valid(transitions, current)
    return valid, tuple((each, MOVED) for each in moved)


def carry_out(
    call: Call, context: CIContext, backend: Backend, transitions: Sequence[Transition]
) -> Applied:
    """Makes the changes, each intent journalled first."""
    from flakegate.cli.progress import progress

    with progress("changing states") as tell:
        return apply(
            transitions,
            update=backend.update,
            journal=call.journal(backend, context),
            batch_size=backend.batch_size,
            progress=tell,
        )


def code_of(call: Call, plan: Plan, applied: Applied) -> ExitCode:
    """How a call ends that applied this plan: trouble first, then a limit that stopped it."""
    if applied.exit_code is not ExitCode.PASSED:
        return applied.exit_code
    stopped = plan.held and not call.policy.limits.worst_first
    return ExitCode.LIMIT if stopped else ExitCode.PASSED
