"""`flakegate undo`: puts back what a call of flakegate changed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from flakegate.cli import options
from flakegate.cli.acting import carry_out, person
from flakegate.cli.call import Call, Where, begin, need_trust, opened
from flakegate.cli.causes import causes_of
from flakegate.cli.say import note
from flakegate.cli.telling import Output, applied_document, plan_document, tell
from flakegate.cli.turns import in_turn
from flakegate.errors import ExitCode
from flakegate.escape import terminal
from flakegate.policy.holds import day
from flakegate.policy.needs import afresh
from flakegate.policy.plan import Plan
from flakegate.summary import Summary
from flakegate.times import iso
from flakegate.undo import MOST, choose, in_a_line, put_back
from flakegate.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flakegate.backends.base import Backend
    from flakegate.ci.context import CIContext
    from flakegate.entries import PastCall
    from flakegate.model import FlakyTest


@click.command("undo")
@click.argument("run", metavar="[RUN]", required=False)
@click.option("--apply/--no-apply", "write", default=False, help="Put it back, or only show how.")
@click.option("--reason", metavar="TEXT", help="Why; it goes into the journal and the summaries.")
@options.policy
@options.where
@options.dry_run
@options.output
def command(
    *,
    run: str | None,
    write: bool,
    reason: str | None,
    policy_file: str | None,
    where: Where,
    dry_run: bool,
    output: Output,
) -> int:
    """Put back the states that RUN changed; without RUN, list the latest calls that changed any.

    RUN is the name of a call as it is listed, the key of its CI run, a unique part of that, or
    `last`. What it takes is shown as a plan; `--apply` carries it out. What others have changed
    since stays as it is. This is a person's change: the rules leave these tests alone for as long
    as `respect_manual` says, and no limit counts them. An undo can be undone.
    """
    call = begin(policy_file, where, verbose=output.verbose)
    context = call.context()
    write = write and not dry_run
    if write:
        need_trust(context, "states")
    warnings: list[str] = []
    with opened(call, context, write=write, warn=warnings.append) as backend:
        place = f"{backend.kind} {backend.place}"
        if run is None:
            return _list(call.journal(backend, context).past(), place, output)
        with in_turn(call, context, backend, write=write, warn=warnings.append):
            past, plan = _plan(call, context, backend, run, reason)
            applied = carry_out(call, context, backend, plan.transitions) if write else None
    code = applied.exit_code if applied else ExitCode.PASSED
    again = f"flakegate undo {past.name} --apply"
    summary = Summary(
        exit_code=code,
        now=call.now,
        version=VERSION,
        context=context,
        backend=place,
        policy=call.policy.name,
        plan=plan,
        applied=applied,
        not_applied=None if write else f"`{again}` makes these changes",
        again=again,
        warnings=tuple(warnings),
    )
    document = {
        "version": 1,
        "exit_code": int(code),
        "undone": _document(past),
        "plan": plan_document(plan),
        "applied": applied_document(applied),
    }
    told = tell(summary, document, output, call.env)
    if summary.changes:
        note(_what_the_rules_do(call, plan))
    return code if told else code or ExitCode.BACKEND


def _plan(
    call: Call, context: CIContext, backend: Backend, run: str, reason: str | None
) -> tuple[PastCall, Plan]:
    """The call that is meant, and what it takes to undo it."""
    calls = call.journal(backend, context).past()
    past = choose(run, calls)
    tests = _as_they_are(call, context, backend, past)
    why = f"undo of {past.name}" + (f": {reason.strip()}" if reason and reason.strip() else "")
    back, skipped = put_back(past, calls, tests, now=call.now, actor=person(call.env), reason=why)
    plan = Plan(
        repository=context.repository,
        backend=backend.kind,
        policy=call.policy.name,
        policy_digest=call.policy.digest,
        at=call.now,
        tests=len(past.entries),
        transitions=back,
        skipped=skipped,
    )
    return past, plan


def _as_they_are(
    call: Call, context: CIContext, backend: Backend, past: PastCall
) -> dict[str, FlakyTest]:
    """The tests of this call now, with the causes of their states as far as anybody knows them."""
    ids = frozenset(entry.change.test for entry in past.entries)
    tests = [test for test in backend.search(afresh(ids)) if test.id in ids]
    asked = [test for test in tests if test.cause is None]
    causes = causes_of(call, context, backend, asked) if asked else {}
    return {test.id: replace(test, cause=causes.get(test.id, test.cause)) for test in tests}


def _what_the_rules_do(call: Call, plan: Plan) -> str:
    """What becomes of the changes in the next policy job."""
    respect = call.policy.respect_manual
    if not respect:
        return "`respect_manual` is 0: the next policy job does again what a rule still asks for"
    said = f"the rules leave these tests alone until {day(call.now + respect)} (`respect_manual`)"
    dated = any(each.until is not None for each in plan.transitions)
    return said + (", and those that have a day of their own until it is over" if dated else "")


def _list(calls: Sequence[PastCall], place: str, output: Output) -> int:
    """The latest calls, the newest first."""
    latest = calls[: -MOST - 1 : -1]
    if output.output_format == "json":
        print(json.dumps({"version": 1, "calls": [_document(each) for each in latest]}, indent=2))
        return ExitCode.PASSED
    if not latest:
        print(terminal(f"the journal knows of no changes in {place}"))
        return ExitCode.PASSED
    for each in latest:
        print(terminal(f"{each.name}  {day(each.at)}  {in_a_line(each)}  {each.run}"))
    if not output.quiet:
        note(f"`flakegate undo {latest[0].name}` shows what it takes to undo the latest")
    return ExitCode.PASSED


def _document(past: PastCall) -> Any:
    return {
        "call": past.name,
        "run": past.run,
        "at": iso(past.at),
        "changes": [{"by": by, "count": many} for by, many in past.by],
    }
