"""`flakegate explain`: why (not)?"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from flakegate.cli import options
from flakegate.cli.acting import make_plan, read_tests
from flakegate.cli.call import Where, begin, opened
from flakegate.cli.say import warn
from flakegate.cli.select import select
from flakegate.errors import ExitCode
from flakegate.escape import terminal
from flakegate.excuse import BLOCKED, excuse
from flakegate.explain import Backing, Explanation, Fate, fate
from flakegate.explained import lines, to_json
from flakegate.policy.decide import consider
from flakegate.policy.needs import STATE_AGE, fields_of, whole
from flakegate.publish import console

if TYPE_CHECKING:
    from flakegate.backends.base import Backend
    from flakegate.ci.context import CIContext
    from flakegate.cli.call import Call
    from flakegate.model import FlakyTest, Identity

NOT_FLAKY = "nothing: rules are asked of flaky tests only"


@click.command("explain")
@click.argument("test", metavar="TEST")
@options.policy
@options.where
@options.output_format
def command(*, test: str, policy_file: str | None, where: Where, output_format: str) -> int:
    """Say why TEST has its state and not another, and what a failure of it would come to now.

    TEST is an id, a full name, or a unique part of one. Shown are each rule with the values of its
    clauses and where they come from, what is nearest to matching and by how much, exemptions, holds
    and limits. Nothing is changed.
    """
    call = begin(policy_file, where)
    context = call.context()
    with opened(call, context, write=False, warn=warn) as backend:
        told = _explanation(call, context, backend, test)
        place = f"{backend.kind} {backend.place}"
    if output_format == "json":
        document = json.dumps(to_json(told, context.repository), indent=2)
        console.document(document, stream=sys.stdout)
        return ExitCode.PASSED
    policy = f"policy {call.policy.name}" if call.has_policy else "no policy file: no rules"
    print(terminal(f"{context.repository} · {place} · {policy}") + "\n")
    for line in lines(told, console.columns(sys.stdout)):
        print(terminal(line))
    return ExitCode.PASSED


def _explanation(call: Call, context: CIContext, backend: Backend, name: str) -> Explanation:
    """Looks the test up and asks every stage of it that decides."""
    gate, fields = call.policy.gate, fields_of(call.policy)
    if gate.max_age is not None or gate.min_state_age:
        fields |= {STATE_AGE}
    tests = read_tests(call, context, backend, whole(fields=fields))
    recorded = backend.recorded()
    names = {key: each.fqn for key, each in recorded.items()}
    names |= {test.id: test.fqn for test in tests}
    test_id = select(name, names)
    test = next((each for each in tests if each.id == test_id), None)
    considered = consider(call.policy, test, call.now) if test else None
    if considered is None:
        end = Fate(code="stay", rule=None, to=None, detail=NOT_FLAKY)
    else:
        end = fate(make_plan(call, context, backend, tests), considered)
    identity = recorded.get(test_id)
    decision, reason, detail = _failure(call, context, backend, test, identity)
    return Explanation(
        test_id=test_id,
        fqn=names[test_id],
        source_file=(test and test.source_file) or (identity and identity.source_file) or None,
        now=call.now,
        policy=call.policy.name,
        backing=Backing(
            kind=backend.kind, supplied=backend.fields, rate_from=call.policy.rate_from
        ),
        considered=considered,
        history=backend.history(test_id),
        fate=end,
        decision=decision,
        reason=reason,
        detail=detail,
    )


def _failure(
    call: Call,
    context: CIContext,
    backend: Backend,
    test: FlakyTest | None,
    identity: Identity | None,
) -> tuple[str, str, str]:
    """What the gate would say now, in this CI run if there is one: a run never excuses itself."""
    seen = backend.find([identity]).get(identity) if identity else test
    exemption = consider(call.policy, seen, call.now).exempt if seen else None
    barred = _barred(call, context, seen) if seen else None
    decision, reason, detail = excuse(seen, exemption, call.policy.gate, call.now, barred)
    if test and seen and seen.state is not test.state:
        detail += f"; it is {test.state} since, but a CI run never excuses itself"
    if decision == BLOCKED and call.policy.gate.observe:
        detail += "; but the gate only observes"
    return decision, reason, detail


def _barred(call: Call, context: CIContext, test: FlakyTest) -> tuple[str, str] | None:
    """What this job's change keeps from being excused; a file that only reports name is not."""
    if not context.has_change:
        return None
    from flakegate.change import barred, place_of
    from flakegate.cli.changed import change_of

    change = change_of(call, context, [test], warn)
    place = replace(place_of(test), untold="")
    return None if change is None else barred(test, place, change, call.policy.gate)
