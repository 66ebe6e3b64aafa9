"""Decide and act: what `run`, `plan` and `apply` do with the backend's flaky tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.apply import Applied, apply
from flakegate.errors import ExitCode
from flakegate.model import State
from flakegate.policy.decide import decide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flakegate.backends.base import Backend
    from flakegate.ci import CIContext
    from flakegate.cli.call import Call
    from flakegate.model import FlakyTest, Transition
    from flakegate.policy.plan import Plan

DAY = 86_400.0


def read_tests(backend: Backend) -> list[FlakyTest]:
    """Every flaky test of the repository. Raises BackendError."""
    from flakegate.cli.progress import progress

    with progress("reading flaky tests") as tell:
        return backend.search(frozenset(State), tell)


def make_plan(
    call: Call, context: CIContext, backend: Backend, tests: Sequence[FlakyTest] | None = None
) -> Plan:
    """What the policy would change now. tests: of `read_tests`, here if None.

    Raises BackendError.
    """
    since = call.now - DAY
    logged = backend.recent_changes(since)
    recent = call.journal(backend, context).recent(since) if logged is None else logged
    tests = read_tests(backend) if tests is None else tests
    return decide(
        call.policy,
        tests,
        now=call.now,
        repository=context.repository,
        backend=backend.kind,
        suite_size=backend.suite_size(),
        recent_changes=recent,
    )


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
