"""`flakegate apply`: changes the states, by a saved plan or a fresh one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flakegate.ci.permission import may_apply
from flakegate.cli import options
from flakegate.cli.acting import carry_out, code_of
from flakegate.cli.call import Call, Where, begin, need_policy, opened
from flakegate.cli.following import (
    carry_on,
    followed_document,
    plan_with_follow_ups,
    proposed,
)
from flakegate.cli.telling import Output, applied_document, plan_document, tell
from flakegate.cli.turns import in_turn
from flakegate.errors import ExitCode, StalePlanError, UsageError
from flakegate.policy.plan import Plan, parse, stale
from flakegate.summary import Summary
from flakegate.version import VERSION

if TYPE_CHECKING:
    from flakegate.backends.base import Backend
    from flakegate.ci.context import CIContext
    from flakegate.model import State, Transition

    Refused = tuple[Transition, str]

GONE = "the policy does not ask for it any more, or its state changed meanwhile"


@click.command("apply")
@click.argument("plan_file", metavar="[FILE]", required=False)
@options.policy
@options.where
@options.dry_run
@options.output
def command(
    *,
    plan_file: str | None,
    policy_file: str | None,
    where: Where,
    dry_run: bool,
    output: Output,
) -> int:
    """Change the states: nothing but what the saved plan in FILE says, or by a fresh plan.

    A saved plan is refused (exit 7) if the policy or the repository is another, if it is older than
    a day, or if nothing of it holds any more; a change that no longer holds is left out and named.
    Beyond a limit of the policy nothing leaves the gate (exit 6).
    """
    call = begin(policy_file, where, verbose=output.verbose)
    need_policy(call)
    context = call.context()
    permission = may_apply(call.policy.apply, context, override=True)
    if not permission.allowed:
        raise UsageError(
            f"states are not changed here: {permission.because}",
            tip="`flakegate plan` shows what would change",
        )
    warnings = call.warnings()
    with opened(call, context, write=not dry_run, warn=warnings.append) as backend:
        saved = _saved(call, context, backend, plan_file) if plan_file else None
        with in_turn(call, context, backend, write=not dry_run, warn=warnings.append):
            plan, follow_ups = plan_with_follow_ups(call, context, backend, warnings.append)
            plan, gone = _still(saved, plan, str(plan_file)) if saved else (plan, ())
            applied = None if dry_run else carry_out(call, context, backend, plan.transitions)
        followed = proposed(follow_ups, plan.transitions)
        if applied is not None:
            followed = carry_on(call, context, backend, follow_ups, applied, warn=warnings.append)
        place = f"{backend.kind} {backend.place}"
    code = ExitCode.PASSED if applied is None else code_of(call, plan, applied)
    if applied is not None and gone:
        applied = replace(applied, failed=(*gone, *applied.failed))
        code = code or ExitCode.PARTIAL
    summary = Summary(
        exit_code=code,
        now=call.now,
        version=VERSION,
        context=context,
        backend=place,
        policy=call.policy.name,
        plan=plan,
        applied=applied,
        not_applied="--dry-run" if dry_run else None,
        followed=followed,
        warnings=tuple(warnings),
    )
    document = {
        "version": 1,
        "exit_code": int(code),
        "plan": plan_document(plan),
        "applied": applied_document(applied),
        "error_tracking": followed_document(followed),
    }
    told = tell(summary, document, output, call.env)
    return code if told else code or ExitCode.BACKEND


def _saved(call: Call, context: CIContext, backend: Backend, plan_file: str) -> Plan:
    """The saved plan. Raises StalePlanError where it is of another time, place or policy."""
    try:
        text = Path(plan_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(
            f"cannot read the plan {plan_file}: {why}",
            tip="`flakegate plan --out FILE` writes one; without FILE a fresh plan is applied",
        ) from None
    plan = parse(text, plan_file)
    why_stale = stale(
        plan, repository=context.repository, policy_digest=call.policy.digest, now=call.now
    )
    if why_stale is None and plan.backend != backend.kind:
        why_stale = f"it was made for the backend {plan.backend}, and this is {backend.kind}"
    if why_stale:
        raise _stale(plan_file, why_stale)
    return plan


def _still(saved: Plan, fresh: Plan, plan_file: str) -> tuple[Plan, tuple[Refused, ...]]:
    """What the saved plan and the policy of this moment agree on, and what does not hold any more.

    So a saved plan passes no limit, no hold and no exemption that came after it, whoever wrote it.
    """
    wanted = {_move(each) for each in saved.transitions}
    agreed = tuple(each for each in fresh.transitions if _move(each) in wanted)
    held = tuple(each for each in fresh.held if _move(each) in wanted)
    there = {_move(each) for each in (*agreed, *held)}
    gone = tuple((each, GONE) for each in saved.transitions if _move(each) not in there)
    if gone and not there:
        raise _stale(plan_file, "none of its changes holds any more")
    return replace(fresh, transitions=agreed, held=held, limits=fresh.limits if held else ()), gone


def _move(change: Transition) -> tuple[str, State, State]:
    return change.test_id, change.from_state, change.to_state


def _stale(plan_file: str, why: str) -> StalePlanError:
    return StalePlanError(
        f"the plan {plan_file} is stale: {why}; nothing was applied",
        tip="make a new one with `flakegate plan --out FILE`",
    )
