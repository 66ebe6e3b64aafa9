"""`flakegate set`: a person's own change of a state, with a reason."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from flakegate.ci import may_apply
from flakegate.cli import options
from flakegate.cli.acting import carry_out, person
from flakegate.cli.call import Where, begin, opened
from flakegate.cli.select import select_all
from flakegate.cli.telling import Output, applied_document, tell
from flakegate.cli.turns import in_turn
from flakegate.errors import ExitCode, UsageError
from flakegate.model import State, Transition
from flakegate.policy.needs import whole
from flakegate.policy.plan import Plan
from flakegate.summary import Summary
from flakegate.version import VERSION

if TYPE_CHECKING:
    from flakegate.backends.base import Backend


@click.command("set")
@click.argument("tests", nargs=-1, required=True, metavar="TEST…")
@click.argument("state", type=click.Choice([state.value for state in State]), metavar="STATE")
@click.option("--reason", required=True, help="Why; it goes into the journal and the summaries.")
@options.policy
@options.where
@options.dry_run
@options.output
def command(
    *,
    tests: tuple[str, ...],
    state: str,
    reason: str,
    policy_file: str | None,
    where: Where,
    dry_run: bool,
    output: Output,
) -> int:
    """Move TEST… to STATE (active, quarantined, disabled, fixed) yourself, whatever the rules say.

    TEST is an id, a full name, or a unique part of one; `-` reads such names from standard input,
    one a line. In the store any recorded test can be named, known as flaky or not. If one name is
    not that of exactly one test, nothing is changed.
    """
    if not reason.strip():
        raise UsageError("--reason is empty", tip="say why: whoever meets this state will ask")
    names = _names(tests)
    call = begin(policy_file, where, verbose=output.verbose)
    context = call.context()
    permission = may_apply("always", context, override=True)
    if not permission.allowed:
        raise UsageError(f"states are not changed here: {permission.because}")
    warnings: list[str] = []
    with opened(call, context, write=not dry_run, warn=warnings.append) as backend:
        with in_turn(call, context, backend, write=not dry_run, warn=warnings.append):
            chosen = _chosen(backend, names, State(state), reason.strip(), person(call.env))
            changes = tuple(each for each in chosen if each.from_state.value != state)
            warnings += [
                f"{each.fqn} is {state} already"
                for each in chosen
                if each.from_state.value == state
            ]
            applied = None if dry_run else carry_out(call, context, backend, changes)
        place = f"{backend.kind} {backend.place}"
    code = applied.exit_code if applied else ExitCode.PASSED
    plan = Plan(
        repository=context.repository,
        backend=place,
        policy="",
        policy_digest="",
        at=call.now,
        tests=len(chosen),
        transitions=changes,
    )
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
    document = {"version": 1, "exit_code": int(code), "applied": applied_document(applied)}
    told = tell(summary, document, output, call.env)
    return code if told else code or ExitCode.BACKEND


def _names(given: tuple[str, ...]) -> tuple[str, ...]:
    """The names on the command line, those of standard input in the place of a `-`."""
    names: list[str] = []
    for name in given:
        if name == "-":
            lines = sys.stdin.buffer.read().decode("utf-8", errors="replace").split("\n")
            names += [line.strip() for line in lines if line.strip()]
        else:
            names.append(name)
    if not names:
        raise UsageError("standard input names no test", tip="write one name or id a line")
    return tuple(names)


def _chosen(
    backend: Backend, names: tuple[str, ...], to: State, reason: str, actor: str
) -> tuple[Transition, ...]:
    """One change for each test that is named; every name is looked up before anything changes."""
    flaky = {test.id: test for test in backend.search(whole())}
    known = {key: each.fqn for key, each in backend.recorded().items()}
    known |= {test.id: test.fqn for test in flaky.values()}
    return tuple(
        Transition(
            test_id=key,
            fqn=known[key],
            from_state=flaky[key].state if key in flaky else State.ACTIVE,
            to_state=to,
            rule=None,
            reason=reason,
            actor=actor,
        )
        for key in select_all(names, known)
    )
