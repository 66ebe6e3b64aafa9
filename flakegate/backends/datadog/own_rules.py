"""Datadog's own policies for a repository on the wire, and as rules in the words of ours.

What they do is in Datadog's documentation of Flaky Test Management: a rate counts over 7 days and
acts from the threshold on, a branch's rule acts when a test flakes there, a window counts how long
a test has had its state. Every block may be absent or null, and unknown ones are ignored.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from flakegate.backends.datadog.access import KEYS_TIP
from flakegate.errors import BackendError
from flakegate.model import State
from flakegate.policy.conditions import RATE, built
from flakegate.policy.fields import FIELDS, Kind
from flakegate.policy.rules import OwnRule
from flakegate.policy.syntax import (
    UNITS,
    Among,
    And,
    Compare,
    Flag,
    Has,
    Literal,
    Not,
    Operand,
    quote,
)
from flakegate.wire import policies
from flakegate.wire.flaky_tests import Document

if TYPE_CHECKING:
    from flakegate.policy.syntax import Node

TIPS = {
    401: KEYS_TIP,
    403: f"the application key needs test_optimization_read; or {KEYS_TIP}",
    404: "this Datadog does not show its policies: look at them in its settings",
}
_FLAKE_FREE = 30 * UNITS["d"]  # seconds until Datadog takes a test for fixed
_UNTOLD = "Datadog does not tell its bound"


class _Data(msgspec.Struct):
    attributes: policies.Attributes | None = None


class _Answer(msgspec.Struct):
    data: _Data | None


_ANSWER = msgspec.json.Decoder(_Answer)


def encode(repository: str) -> bytes:
    """The body that asks for the policies of a repository, named by its id."""
    asked = policies.Get(
        type="test_optimization_get_flaky_tests_management_policies_request",
        attributes=policies.Wanted(repository_id=repository),
    )
    return msgspec.json.encode(Document(data=asked))


def decode(body: bytes, request: str) -> tuple[OwnRule, ...]:
    """The rules that are on, named as in a test's history, and the one that always is.

    request: names it in the BackendError for an answer that holds no policies.
    """
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BackendError(
            f"{request}: the answer is not what Datadog's API gives: {error}",
            tip="look at the policies in Datadog's settings",
        ) from None
    blocks = (answer.data and answer.data.attributes) or policies.Attributes()
    quarantined, disabled = (
        blocks.quarantined or policies.Block(),
        blocks.disabled or policies.Block(),
    )
    return (
        *_rules("quarantine", State.QUARANTINED, quarantined, quarantined.auto_quarantine_rule),
        *_rules("disable", State.DISABLED, disabled, disabled.auto_disable_rule),
        _fixed(),
    )


def _rules(
    verb: str, to: State, block: policies.Block, age: policies.AgeRule | None
) -> list[OwnRule]:
    """The rules of a block that are on; a block without a switch does not switch them off."""
    if block.enabled is False:
        return []
    found = []
    if (rate := block.failure_rate_rule) and rate.enabled:
        states = _from(to, rate.status or block.status)
        when, note = _rate(rate)
        found.append(_rule(f"{verb}.failure_rate", states, to, when, note))
    if (branch := block.branch_rule) and branch.enabled:
        states = _from(to, block.status)
        found.append(_rule(f"{verb}.branch_flake", states, to, _flake(branch), ""))
    if age and age.enabled:
        states = _from(to, age.status or block.status)
        known = age.window_seconds is not None and age.window_seconds >= 0
        when = _bound("state_age", ">=", _duration(age.window_seconds if known else 0))
        found.append(_rule(f"{verb}.days_active", states, to, when, "" if known else _UNTOLD))
    return found


def _rule(id_: str, states: frozenset[State], to: State, when: Node, note: str) -> OwnRule:
    return OwnRule(id=id_, from_states=states, to=to, when=built(when), note=note)


def _fixed() -> OwnRule:
    """Not in the policies, because nobody can change it."""
    quiet = _bound("last_flaked_age", ">=", _duration(_FLAKE_FREE))
    broken = Flag(operand=Operand(field="broken"))
    return OwnRule(
        id="fixed",
        from_states=frozenset({State.ACTIVE, State.QUARANTINED}),
        to=State.FIXED,
        when=built(And(parts=(quiet, Not(node=broken)))),
        optional=False,
    )


def _from(to: State, status: str | None) -> frozenset[State]:
    """The states it takes tests from: any that comes before `to`, unless it names one of them."""
    before = {State.ACTIVE} if to is State.QUARANTINED else {State.ACTIVE, State.QUARANTINED}
    return frozenset(state for state in before if state.value == status) or frozenset(before)


def _rate(rule: policies.RateRule) -> tuple[Node, str]:
    known = rule.threshold is not None and 0 <= rule.threshold <= 1
    threshold = Decimal(str(rule.threshold)) * 100 if known else Decimal(0)
    percent = Literal(kind=Kind.PERCENT, value=float(threshold), text=f"{threshold.normalize():f}%")
    notes = [] if known else [_UNTOLD]
    if branches := _texts(rule.branches):
        notes.append(f"of runs on {', '.join(branches)}")
    if rule.min_runs:
        notes.append(f"with at least {rule.min_runs:g} runs")
    return _bound(RATE, ">=", percent), ", ".join(notes)


def _flake(rule: policies.BranchRule) -> Node:
    """At the moment of a flake."""
    parts: list[Node] = [_bound("last_flaked_age", "==", _duration(0))]
    branch = Operand(field="last_flaked_branch")
    for names, negated in ((rule.branches, False), (rule.excluded_branches, True)):
        if listed := tuple(map(_text, _texts(names))):
            parts.append(Among(operand=branch, literals=listed, negated=negated))
    services = Operand(field="services")
    parts += [
        Not(node=Has(operand=services, literal=_text(each)))
        for each in _texts(rule.excluded_test_services)
    ]
    return And(parts=tuple(parts)) if len(parts) > 1 else parts[0]


def _bound(field: str, op: str, literal: Literal) -> Compare:
    return Compare(operand=Operand(field=FIELDS[field].name), op=op, literal=literal)


def _duration(seconds: float | None) -> Literal:
    """In the largest unit that says it in whole numbers."""
    value = seconds or 0.0
    unit = next((name for name in ("d", "h", "m") if value and value % UNITS[name] == 0), "s")
    number = f"{value / UNITS[unit]:f}".rstrip("0").rstrip(".")
    return Literal(kind=Kind.DURATION, value=value, text=f"{number}{unit}")


def _text(value: str) -> Literal:
    return Literal(kind=Kind.TEXT, value=value, text=quote(value))


def _texts(value: policies.Texts) -> tuple[str, ...]:
    """A plain text may stand in the place of a list, as it does for a test's `envs`."""
    items = [value] if isinstance(value, str) else value or []
    return tuple(item for item in items if item)
