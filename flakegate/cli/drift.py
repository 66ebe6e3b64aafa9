"""`flakegate drift`: what Datadog does to the same tests by rules of its own."""

from __future__ import annotations

import json
import sys
import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from flakegate.cli import options
from flakegate.cli.call import Where, begin, need_policy, opened
from flakegate.cli.causes import causes_of
from flakegate.cli.say import warn
from flakegate.drift import ITSELF, NOBODY, PEOPLE, RULES, Finding, fights, movers, unexplained
from flakegate.errors import ExitCode, UsageError
from flakegate.escape import terminal
from flakegate.policy.limits import OUT_OF_GATE
from flakegate.policy.needs import whole
from flakegate.publish import console
from flakegate.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flakegate.backends.base import Backend
    from flakegate.ci.context import CIContext
    from flakegate.cli.call import Call
    from flakegate.model import FlakyTest
    from flakegate.policy.rules import OwnRule

VERSION = 1
SHOWN = 5  # tests of a finding, unless all are asked for
_WIDTH = 100  # columns, where the output is no terminal
_WHO = {RULES: "rules of the policy", PEOPLE: "people", ITSELF: "Datadog", NOBODY: "nobody known"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drift:
    """All that is told."""

    repository: str
    backend: str
    policy: str
    own_rules: tuple[OwnRule, ...]
    findings: tuple[Finding, ...]
    moved_by: dict[str, int]


@click.command("drift")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 10 if anything was found.")
@options.policy
@options.where
@options.output_format
@options.verbose
def command(
    *,
    detailed_exitcode: bool,
    policy_file: str | None,
    where: Where,
    output_format: str,
    verbose: bool,
) -> int:
    """Set Datadog's own policies for the repository beside the policy. Changes nothing.

    Shown are Datadog's rules in the words of the policy, where the two would fight, and quarantined
    or disabled tests that neither of them nor a person is known to have moved.
    """
    call = begin(policy_file, where, verbose=verbose)
    need_policy(call)
    context = call.context()
    with opened(call, context, write=False, warn=warn) as backend:
        drift = _read(call, context, backend)
    if output_format == "json":
        console.document(json.dumps(_document(drift), indent=2), stream=sys.stdout)
    else:
        for line in _lines(drift, console.columns(sys.stdout) or _WIDTH, whole=verbose):
            print(line)
    found = detailed_exitcode and drift.findings
    return ExitCode.PENDING if found else ExitCode.PASSED


def _read(call: Call, context: CIContext, backend: Backend) -> _Drift:
    """Raises UsageError where nobody but flakegate changes states, and BackendError."""
    from flakegate.cli.progress import progress

    place = f"{backend.kind} {backend.place}"
    own_rules = backend.own_rules()
    if not own_rules:
        raise UsageError(
            f"there is nothing to compare: in {place} only flakegate changes states",
            tip="`flakegate drift` is about Datadog: set its keys, or give --backend datadog",
        )
    with progress("reading flaky tests") as tell:
        tests = backend.search(whole(), tell)
        out = [test for test in tests if test.state in OUT_OF_GATE]
        causes = causes_of(call, context, backend, out)
    tests = [replace(test, cause=causes.get(test.id)) for test in tests]
    return _Drift(
        repository=context.repository,
        backend=place,
        policy=call.policy.name,
        own_rules=own_rules,
        findings=(*fights(call.policy, own_rules, tests, now=call.now), *unexplained(tests)),
        moved_by=movers(tests),
    )


def _document(drift: _Drift) -> dict[str, Any]:
    """The document of `drift --format json`, version 1."""
    return {
        "version": VERSION,
        "repository": drift.repository,
        "backend": drift.backend,
        "policy": drift.policy,
        "own_rules": [
            {
                "id": own.id,
                "from": _states(own),
                "to": own.to.value,
                "when": str(own.when),
                "note": own.note,
                "optional": own.optional,
            }
            for own in drift.own_rules
        ],
        "moved_by": drift.moved_by,
        "findings": [
            {
                "code": each.code,
                "message": each.message,
                "remedy": each.remedy,
                "rule": each.rule,
                "own_rule": each.own_rule,
                "tests": [
                    {"id": test.id, "fqn": test.fqn, "state": test.state.value}
                    for test in each.tests
                ],
            }
            for each in drift.findings
        ],
    }


def _lines(drift: _Drift, width: int, *, whole: bool) -> Iterator[str]:
    """The same for people, safe to be shown. whole: every test that is concerned."""
    yield terminal(f"{drift.repository} · {drift.backend} · policy {drift.policy}")
    yield ""
    yield "Datadog's own rules, in the words of the policy"
    yield from _table(drift.own_rules, width)
    yield ""
    moved = [f"{number:,} by {_WHO[who]}" for who, number in drift.moved_by.items() if number]
    yield f"out of the gate: {', '.join(moved)}" if moved else "out of the gate: no test"
    yield ""
    if not drift.findings:
        yield "nothing to report: Datadog's rules and the policy get along"
        return
    for finding in drift.findings:
        yield from _finding(finding, width, whole=whole)
    yield count(len(drift.findings), "finding")


def _table(own_rules: Sequence[OwnRule], width: int) -> Iterator[str]:
    """One row for each: its name, from where to where, and when."""
    moves = [f"{', '.join(_states(own))} → {own.to}" for own in own_rules]
    name, move = max(len(own.id) for own in own_rules), max(map(len, moves))
    for own, states in zip(own_rules, moves, strict=True):
        note = f" ({own.note})" if own.note else ""
        head = f"  {own.id:{name}}  {states:{move}}  "
        yield from _wrapped(head, f"{own.when}{note}", width)


def _finding(finding: Finding, width: int, *, whole: bool) -> Iterator[str]:
    yield from _wrapped(f"{finding.code}: ", finding.message, width, indent=2)
    yield from _wrapped("  tip: ", finding.remedy, width)
    shown = finding.tests if whole else finding.tests[:SHOWN]
    if finding.tests:
        yield f"  {count(len(finding.tests), 'test')} now:"
    yield from (terminal(f"    {_named(test)}") for test in shown)
    if len(shown) < len(finding.tests):
        yield f"    and {len(finding.tests) - len(shown):,} more (-v shows all)"
    yield ""


def _wrapped(head: str, text: str, width: int, *, indent: int | None = None) -> Iterator[str]:
    """The text after the head; further lines begin below it, or at `indent`."""
    pad = " " * (len(head) if indent is None else indent)
    lines = textwrap.wrap(
        terminal(text),
        width=max(width, len(pad) + 20),
        initial_indent=head,
        subsequent_indent=pad,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from lines or [head.rstrip()]


def _named(test: FlakyTest) -> str:
    return f"{test.fqn} · {test.state} · {test.id}"


def _states(own: OwnRule) -> list[str]:
    return sorted(state.value for state in own.from_states)
