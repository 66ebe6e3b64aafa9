"""`flakegate set`: a person's own change of a state, with a reason."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING

import click

from flakegate.cli import options
from flakegate.cli.acting import carry_out, person
from flakegate.cli.call import Where, begin, need_trust, opened
from flakegate.cli.causes import with_causes
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
    from collections.abc import Mapping

    from flakegate.backends.base import Backend
    from flakegate.model import FlakyTest

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@click.command("set")
@click.argument("tests", nargs=-1, required=True, metavar="TEST…")
@click.argument("state", type=click.Choice([state.value for state in State]), metavar="STATE")
@click.option("--reason", required=True, help="Why; it goes into the journal and the summaries.")
@click.option(
    "--until",
    "last_day",
    metavar="DATE",
    help="The last day that it holds for, in UTC, such as 2026-12-24. Until then no rule moves the"
    " test; after it nothing is excused by this state, and `apply` ends it.",
)
@options.policy
@options.where
@options.dry_run
@options.output
def command(
    *,
    tests: tuple[str, ...],
    state: str,
    reason: str,
    last_day: str | None,
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
    until = None if last_day is None else _end_of(last_day, call.now)
    context = call.context()
    need_trust(context, "states")
    warnings: list[str] = []
    with opened(call, context, write=not dry_run, warn=warnings.append) as backend:
        with in_turn(call, context, backend, write=not dry_run, warn=warnings.append):
            listed = with_causes(call, context, backend, backend.search(whole()))
            flaky = {test.id: test for test in listed}
            wish = Wish(
                state=State(state), reason=reason.strip(), actor=person(call.env), until=until
            )
            chosen = _chosen(backend, flaky, names, wish)
            same = {each.test_id for each in chosen if _is_so(flaky.get(each.test_id), wish)}
            changes = tuple(each for each in chosen if each.test_id not in same)
            warnings += [
                f"{each.fqn} is {state} already" for each in chosen if each.test_id in same
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
        again=f"flakegate set … {state} --reason …",
        warnings=tuple(warnings),
    )
    document = {"version": 1, "exit_code": int(code), "applied": applied_document(applied)}
    told = tell(summary, document, output, call.env)
    return code if told else code or ExitCode.BACKEND


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person wants of the tests they name. until: as in Transition."""

    state: State
    reason: str
    actor: str
    until: float | None


def _end_of(text: str, now: float) -> float:
    """When that day is over, in seconds since the epoch. Raises UsageError."""
    today = datetime.fromtimestamp(now, timezone.utc).date()
    try:
        last = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        last = None
    if last is None or last == date.max:
        raise UsageError(
            f"--until {text!r} is not a day",
            tip=f"write year, month and day: {today + timedelta(days=30)}; without --until"
            " it has no end",
        )
    if last < today:
        raise UsageError(
            f"--until {last} is over: today is {today} (UTC)",
            tip="name the last day that it shall hold for, today or later",
        )
    after = datetime.combine(last + timedelta(days=1), time.min, timezone.utc)
    return after.timestamp()


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
    backend: Backend, flaky: Mapping[str, FlakyTest], names: tuple[str, ...], wish: Wish
) -> tuple[Transition, ...]:
    """One change for each test that is named; every name is looked up before anything changes.

    flaky: all flaky tests by their ids.
    """
    known = {key: each.fqn for key, each in backend.recorded().items()}
    known |= {test.id: test.fqn for test in flaky.values()}
    return tuple(
        Transition(
            test_id=key,
            fqn=known[key],
            from_state=flaky[key].state if key in flaky else State.ACTIVE,
            to_state=wish.state,
            rule=None,
            reason=wish.reason,
            actor=wish.actor,
            until=wish.until,
        )
        for key in select_all(names, known)
    )


def _is_so(test: FlakyTest | None, wish: Wish) -> bool:
    """Whether there is nothing to change: the same state, and for the same time."""
    if test is None or test.state is not wish.state:
        return test is None and wish.state is State.ACTIVE and wish.until is None
    return (test.cause.until if test.cause else None) == wish.until
