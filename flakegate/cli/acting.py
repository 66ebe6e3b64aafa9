"""Decide and act: what `run`, `plan` and `apply` do with the backend's flaky tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.apply import Applied, apply
from flakegate.cli.causes import with_causes
from flakegate.cli.signals import stoppable
from flakegate.errors import BackendError, ExitCode
from flakegate.policy.decide import decide, matched
from flakegate.policy.needs import needs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flakegate.backends.base import Backend
    from flakegate.ci.context import CIContext
    from flakegate.cli.call import Call
    from flakegate.model import FlakyTest, Transition
    from flakegate.policy.needs import Wanted
    from flakegate.policy.plan import Plan

DAY = 86_400.0
PEOPLE = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "USER", "LOGNAME", "USERNAME")


def read_tests(call: Call, context: CIContext, backend: Backend, wanted: Wanted) -> list[FlakyTest]:
    """The flaky tests that are wanted. Raises BackendError.

    Those that a rule is about to move, and those that somebody set for a time, carry the cause of
    their state, as far as anybody knows it.
    """
    from flakegate.cli.progress import progress

    with progress("reading flaky tests") as tell:
        tests = backend.search(wanted, tell)
        moving = frozenset(test.id for test in _about_to_move(call, tests))
        return with_causes(call, context, backend, tests, moving)


def _about_to_move(call: Call, tests: Sequence[FlakyTest]) -> Sequence[FlakyTest]:
    """The tests whose last change matters to the policy."""
    holds = call.policy.cooldown or call.policy.respect_manual
    return matched(call.policy, tests, call.now) if holds else ()


def needed_tests(call: Call, context: CIContext, backend: Backend) -> list[FlakyTest]:
    """The flaky tests that the policy needs for a plan. Raises BackendError."""
    logged = backend.recent_changes(call.now - DAY)
    dated = call.journal(backend, context).dated() if logged is None else ()
    return read_tests(call, context, backend, needs(call.policy, dated))


def make_plan(call: Call, context: CIContext, backend: Backend, tests: Sequence[FlakyTest]) -> Plan:
    """What the policy would change now, of `needed_tests`. Raises BackendError."""
    since = call.now - DAY
    logged = backend.recent_changes(since)
    journal = call.journal(backend, context)
    recent = journal.recent(since) if logged is None else logged
    return decide(
        call.policy,
        tests,
        now=call.now,
        repository=context.repository,
        backend=backend.kind,
        suite_size=backend.suite_size(),
        recent_changes=recent,
    )


def warn_of_fights(call: Call, backend: Backend, warn: Callable[[str], None]) -> None:
    """Says in one line that the backend changes states by rules of its own, against the policy.

    Costs a request where there are such rules; that they cannot be read is no more than a warning.
    """
    from flakegate.drift import fights

    try:
        found = fights(call.policy, backend.own_rules(), now=call.now)
    except BackendError as error:
        warn(f"whether Datadog's own policies fight with the policy is not known: {error.message}")
        return
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        said = f"{found[0].message}{more}; see `flakegate drift`"
        warn(f"Datadog's own policies fight with the policy: {said}")


def carry_out(
    call: Call, context: CIContext, backend: Backend, transitions: Sequence[Transition]
) -> Applied:
    """Makes the changes, each intent journalled first."""
    from flakegate.cli.progress import progress

    with progress("changing states") as tell, stoppable() as stop:
        return apply(
            transitions,
            update=backend.update,
            journal=call.journal(backend, context),
            batch_size=backend.batch_size,
            progress=tell,
            stop=stop,
        )


def person(env: Mapping[str, str]) -> str:
    """Who is asking for a change, as far as the environment knows."""
    named = next((env[name] for name in PEOPLE if env.get(name)), "")
    return named or "somebody"


def code_of(call: Call, plan: Plan, applied: Applied) -> ExitCode:
    """How a call ends that applied this plan: trouble first, then a limit that stopped it."""
    if applied.exit_code is not ExitCode.PASSED:
        return applied.exit_code
    stopped = plan.held and not call.policy.limits.worst_first
    return ExitCode.LIMIT if stopped else ExitCode.PASSED
