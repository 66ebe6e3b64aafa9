"""`flakegate plan`: what the policy would change, and why. Changes nothing."""

from __future__ import annotations

from pathlib import Path

import click

from flakegate.cli import options
from flakegate.cli.call import Where, begin, need_policy, opened
from flakegate.cli.files import write_whole
from flakegate.cli.following import followed_document, plan_with_follow_ups, proposed
from flakegate.cli.telling import Output, plan_document, tell
from flakegate.errors import ExitCode
from flakegate.policy.plan import dump
from flakegate.summary import Summary
from flakegate.version import VERSION


@click.command("plan")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Save the plan, for `flakegate apply FILE`.",
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 10 if changes are pending.")
@options.policy
@options.where
@options.output
def command(
    *,
    out: str | None,
    detailed_exitcode: bool,
    policy_file: str | None,
    where: Where,
    output: Output,
) -> int:
    """Say what the policy would change, by which rule and why. Changes nothing."""
    call = begin(policy_file, where, verbose=output.verbose)
    need_policy(call)
    context = call.context()
    warnings = call.warnings()
    with opened(call, context, write=False, warn=warnings.append) as backend:
        plan, follow_ups = plan_with_follow_ups(call, context, backend, warnings.append)
        place = f"{backend.kind} {backend.place}"
    if out:
        write_whole(Path(out), dump(plan).encode(), "the plan")
    pending = detailed_exitcode and (plan.transitions or plan.held)
    code = ExitCode.PENDING if pending else ExitCode.PASSED
    summary = Summary(
        exit_code=code,
        now=call.now,
        version=VERSION,
        context=context,
        backend=place,
        policy=call.policy.name,
        plan=plan,
        not_applied=f"`flakegate apply {out}` makes these changes" if out else None,
        followed=proposed(follow_ups, plan.transitions),
        warnings=tuple(warnings),
    )
    document = plan_document(plan)
    if follow_ups:
        document["error_tracking"] = followed_document(summary.followed)
    told = tell(summary, document, output, call.env)
    return code if told else code or ExitCode.BACKEND
