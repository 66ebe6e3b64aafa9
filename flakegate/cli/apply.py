"""`flakegate apply`: changes the states, by a saved plan or a fresh one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flakegate.apply import Applied
from flakegate.ci import may_apply
from flakegate.cli import options
from flakegate.cli.acting import carry_out, code_of, make_plan, reread
from flakegate.cli.call import Call, Where, begin, need_policy, opened
from flakegate.cli.telling import Output, applied_document, plan_document, tell
from flakegate.errors import ExitCode, StalePlanError, UsageError
from flakegate.policy.plan import Plan, parse, stale
from flakegate.summary import Summary
from flakegate.version import VERSION

if TYPE_CHECKING:
    from flakegate.backends.base import Backend
    from flakegate.ci import CIContext


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
    """Change the states: exactly as the saved plan in FILE says, or by a fresh plan.

    A saved plan is refused (exit 7) if the policy or the repository is another, or if it is older
    than a day. Beyond a limit of the policy nothing leaves the gate (exit 6).
    """
    call = begin(policy_file, where)
    need_policy(call)
    context = call.context()
    permission = may_apply(call.policy.apply, context, override=True)
    if not permission.allowed:
        raise UsageError(
            f"states are not changed here: {permission.because}",
            tip="`flakegate plan` shows what would change",
        )
    warnings: list[str] = []
    with opened(call, context, write=not dry_run, warn=warnings.append) as backend:
        plan = _plan(call, context, backend, plan_file)
        applied = None if dry_run else _applied(call, context, backend, plan, saved=bool(plan_file))
        place = f"{backend.kind} {backend.place}"
    code = ExitCode.PASSED if applied is None else code_of(call, plan, applied)
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
        warnings=tuple(warnings),
    )
    document = {
        "version": 1,
        "exit_code": int(code),
        "plan": plan_document(plan),
        "applied": applied_document(applied),
    }
    tell(summary, document, output, call.env)
    return code


def _plan(call: Call, context: CIContext, backend: Backend, plan_file: str | None) -> Plan:
    """The saved plan, if it still holds, or a fresh one."""
    if plan_file is None:
        return make_plan(call, context, backend)
    try:
        text = Path(plan_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"cannot read the plan {plan_file}: {why}") from None
    plan = parse(text, plan_file)
    why_stale = stale(
        plan, repository=context.repository, policy_digest=call.policy.digest, now=call.now
    )
    if why_stale is None and plan.backend != backend.kind:
        why_stale = f"it was made for the backend {plan.backend}, and this is {backend.kind}"
    if why_stale:
        raise StalePlanError(
            f"the plan {plan_file} is stale: {why_stale}; nothing was applied",
            tip="make a new one with `flakegate plan --out FILE`",
        )
    return plan


def _applied(
    call: Call, context: CIContext, backend: Backend, plan: Plan, *, saved: bool
) -> Applied:
    """Carries out the plan; of a saved one what was moved meanwhile is left, and told."""
    if not saved:
        return carry_out(call, context, backend, plan.transitions)
    valid, moved = reread(backend, plan.transitions)
    done = carry_out(call, context, backend, valid)
    return Applied(
        done=done.done,
        failed=(*moved, *done.failed),
        unknown=done.unknown,
        not_sent=done.not_sent,
        error=done.error,
    )
