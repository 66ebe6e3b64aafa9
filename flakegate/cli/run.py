"""`flakegate run`: the CI job, stage by stage."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from flakegate.ci.permission import may_apply
from flakegate.cli import options
from flakegate.cli.acting import carry_out, code_of, warn_of_fights
from flakegate.cli.call import Call, Where, as_store, begin, need_policy, opened
from flakegate.cli.following import (
    carry_on,
    followed_document,
    plan_with_follow_ups,
    proposed,
)
from flakegate.cli.judging import Judged, how_ended, judge_reports, run_of
from flakegate.cli.publishing import annotate, publish, set_outputs
from flakegate.cli.telling import Output, applied_document, plan_document, tell
from flakegate.cli.turns import in_turn
from flakegate.errors import ExitCode, FlakegateError
from flakegate.gate import to_json
from flakegate.summary import Summary
from flakegate.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from flakegate.apply import Applied
    from flakegate.backends.base import Backend
    from flakegate.ci.context import CIContext
    from flakegate.cli.publishing import Publishing
    from flakegate.error_tracking.followups import Followed
    from flakegate.policy.plan import Plan


@dataclass(slots=True, kw_only=True)
class _Acted:
    """How far recording, planning and applying came. code: how they would end the call.

    followed: what became of the issues of the tests, or would.
    """

    backend: str = ""
    recorded: str | None = None
    plan: Plan | None = None
    applied: Applied | None = None
    not_applied: str | None = None
    followed: tuple[Followed, ...] = ()
    code: int = ExitCode.PASSED


@click.command("run")
@click.argument("reports", nargs=-1, metavar="[REPORT…]")
@options.how_tests_ended
@options.policy
@options.where_or_saved
@options.base_dir
@options.override
@options.strict
@options.dry_run
@options.publishing
@options.output
def command(
    *,
    reports: tuple[str, ...],
    test_exit_code: int | None,
    test_outcome: str | None,
    policy_file: str | None,
    where: Where,
    base_dir: str,
    override: bool | None,
    strict: bool,
    dry_run: bool,
    publishing: Publishing,
    output: Output,
) -> int:
    """Judge REPORT…, record them, plan by the policy, apply where that is allowed, summarise.

    The verdict decides the exit code. Without REPORT this is the policy job: it plans and applies,
    and judges nothing. States are changed where the policy's `apply` allows it: by default in runs
    of the default branch, never in those of pull requests.
    """
    call = begin(policy_file, where, verbose=output.verbose)
    if not reports:
        need_policy(call)
    warnings = call.warnings()
    judged = (
        judge_reports(
            call,
            reports,
            base_dir=base_dir,
            ended=how_ended(test_exit_code, test_outcome),
            warn=warnings.append,
        )
        if reports
        else None
    )
    return go_on(
        call,
        judged,
        warnings,
        override=override,
        strict=strict,
        dry_run=dry_run,
        publishing=publishing,
        output=output,
    )


def go_on(
    call: Call,
    judged: Judged | None,
    warnings: list[str],
    *,
    override: bool | None,
    strict: bool,
    dry_run: bool,
    publishing: Publishing,
    output: Output,
) -> int:
    """What follows the verdict, or stands alone without one; returns the exit code of the call."""
    context = run_of(judged.context, judged.results) if judged else call.context()
    acted = _Acted(recorded=None if call.has_policy else "nothing: there is no policy file")
    if call.has_policy:
        try:
            _act(
                call, context, judged, override, dry_run=dry_run, acted=acted, warn=warnings.append
            )
        except FlakegateError as error:
            if judged is None:
                raise
            acted.code = error.exit_code
            warnings.append(f"{error.message} ({error.tip})" if error.tip else error.message)
    code = _exit_code(judged, acted, strict=strict)
    summary = Summary(
        exit_code=code,
        now=call.now,
        version=VERSION,
        context=context,
        backend=acted.backend or (judged.backend if judged else ""),
        policy=call.policy.name,
        verdict=judged.verdict if judged else None,
        observe=call.policy.gate.observe,
        max_age=call.policy.gate.max_age,
        recorded=acted.recorded,
        keeps_history=acted.backend.startswith("store"),
        plan=acted.plan,
        applied=acted.applied,
        not_applied=acted.not_applied,
        followed=acted.followed,
        warnings=tuple(dict.fromkeys(warnings)),
    )
    document = {
        "version": 1,
        "exit_code": code,
        "gate": to_json(judged.verdict) if judged else None,
        "recorded": acted.recorded,
        "plan": plan_document(acted.plan),
        "applied": applied_document(acted.applied),
        "not_applied": acted.not_applied,
        "error_tracking": followed_document(acted.followed),
        "warnings": list(summary.warnings),
    }
    told = tell(summary, document, output, call.env)
    annotate(call, summary)
    plan_text = json.dumps(document["plan"]) if acted.plan else ""
    told &= set_outputs(call, summary, plan_text, output.summary_file)
    told &= dry_run or publish(call, summary, publishing)
    counts = strict or judged is None
    return code if told or not counts else code or ExitCode.BACKEND


def _act(
    call: Call,
    context: CIContext,
    judged: Judged | None,
    override: bool | None,
    *,
    dry_run: bool,
    acted: _Acted,
    warn: Callable[[str], None],
) -> None:
    """Record, plan, apply. The verdict stands already: nothing here can change it."""
    permission = may_apply(call.policy.apply, context, override)
    with opened(call, context, write=not dry_run, warn=warn) as backend:
        acted.backend = f"{backend.kind} {backend.place}"
        if judged is not None:
            acted.recorded = _record(call, context, backend, judged, dry_run=dry_run, warn=warn)
        write = permission.allowed and not dry_run
        with in_turn(call, context, backend, write=write, warn=warn):
            acted.plan, follow_ups = plan_with_follow_ups(call, context, backend, warn)
            acted.followed = proposed(follow_ups, acted.plan.transitions)
            if write:
                acted.applied = carry_out(call, context, backend, acted.plan.transitions)
                acted.code = code_of(call, acted.plan, acted.applied)
            else:
                acted.not_applied = "--dry-run" if dry_run else permission.because
        if acted.applied is not None:
            acted.followed = carry_on(call, context, backend, follow_ups, acted.applied, warn=warn)
        if permission.allowed:  # else nothing is changed here, so there is nothing to fight over
            warn_of_fights(call, backend, warn)


def _record(
    call: Call,
    context: CIContext,
    backend: Backend,
    judged: Judged,
    *,
    dry_run: bool,
    warn: Callable[[str], None],
) -> str | None:
    """Puts the run into the store, in words; None for a backend that is fed by others."""
    store = as_store(backend)
    if store is None:
        return None
    if dry_run:
        return "nothing: --dry-run"
    if judged.verdict.evidence:
        return "nothing: half a run would be taken for all of it"
    from flakegate.cli.recording import in_words
    from flakegate.record import from_results

    record = from_results(judged.results, context, call.now)
    run = store.record([record]).runs[0]
    if run.reason:
        warn(run.reason)
        return "nothing: another run has the same key"
    return in_words(run, len(record.results))


def _exit_code(judged: Judged | None, acted: _Acted, *, strict: bool) -> int:
    """The verdict's, where there is one; after a passing one, trouble counts if it is strict.

    So does, after states that were changed, trouble of what follows them.
    """
    followed = any(each.failed for each in acted.followed)
    after = acted.code or (ExitCode.PARTIAL if followed and strict else ExitCode.PASSED)
    if judged is None or acted.code == ExitCode.INTERRUPTED:
        return int(after)
    code = judged.verdict.exit_code
    return int(after) if code == ExitCode.PASSED and strict else code
