"""What a policy needs of the list of flaky tests, so that no more of it has to be read.

A test may be left out only where no rule could move it and no limit counts it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, nextafter
from typing import TYPE_CHECKING

from flakegate.model import State
from flakegate.policy.conditions import RATE
from flakegate.policy.syntax import Among, And, Compare, Flag, Not, Or

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from flakegate.model import FlakyTest
    from flakegate.policy.rules import Policy
    from flakegate.policy.syntax import Leaf, Node

STATE_AGE = "state_age"
_BROKEN = 100.0  # percent
_COMPLEMENT = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which flaky tests a search is for. It may find others, too, but none of these less.

    states: each wanted state with the least failure rate (percent) that matters in it: tests below
    it, and those whose rate is not known, need not be found. None: all tests in the state.
    ids: of tests that are wanted in whatever state. history: when states were changed is wanted,
    too, where a backend has to be asked for it. narrowed: by the policy's `backend.query`.
    """

    states: Mapping[State, float | None]
    ids: frozenset[str] = field(default_factory=frozenset)
    history: bool = False
    narrowed: bool = True


@dataclass(slots=True, kw_only=True)
class Descent:
    """A list that falls by failure rate, while it is read page by page.

    least: the failure rate (percent) that matters, as in Wanted.
    """

    least: float
    _falls: bool = True

    def is_over(self, page: Sequence[FlakyTest]) -> bool:
        """Whether no page after this one can hold a test that matters.

        Tests without a rate say nothing: they may come first, last, or anywhere. Once a rate
        follows a lower one of its page, the list is in some other order, and never over.
        """
        rates = [test.failure_rate for test in page if test.failure_rate is not None]
        self._falls &= rates == sorted(rates, reverse=True)
        return self._falls and bool(rates) and rates[-1] < self.least


def whole(states: Iterable[State] = State, *, fields: Collection[str] = ()) -> Wanted:
    """All tests in these states, for conditions that name these fields."""
    return Wanted(states=dict.fromkeys(states), history=STATE_AGE in fields)


def afresh(ids: Collection[str]) -> Wanted:
    """The tests with these ids, which were changed once, as they are now.

    A change can lead out of what `backend.query` meets, and the query can be another one since.
    """
    return Wanted(states={}, ids=frozenset(ids), narrowed=False)


def needs(policy: Policy, ids: Collection[str] = ()) -> Wanted:
    """The tests that `decide` must be given to make the moves that it makes of the whole list.

    What it says of tests that no rule could move (that they are exempt, that a rule is unknown)
    is lost with them. ids: of tests that are to be looked at, whatever the rules say.
    """
    least: dict[State, float] = {}
    for rule in policy.rules:
        bound = _least(rule.when.node, outcome=True)
        for state in rule.from_states:
            least[state] = min(bound, least.get(state, inf))
    if policy.limits.max_quarantined is not None:
        least[State.QUARANTINED] = 0.0  # the limit counts them all
    return Wanted(
        states={state: least[state] or None for state in State if state in least},
        ids=frozenset(ids),
        history=STATE_AGE in fields_of(policy),
    )


def fields_of(policy: Policy) -> frozenset[str]:
    """The fields that its rules and exemptions name."""
    conditions = [rule.when for rule in policy.rules] + [each.when for each in policy.exempt]
    return frozenset().union(*(condition.fields for condition in conditions))


def _least(node: Node, *, outcome: bool) -> float:
    """The lowest failure rate, known for certain, at which a condition has this outcome.

    Percent. 0: it may have it at any rate, or without one.
    """
    match node:
        case Not():
            return _least(node.node, outcome=not outcome)
        case And() | Or():
            # An `and` is true if all parts are, and false if any one is; an `or` the other way.
            parts = (_least(part, outcome=outcome) for part in node.parts)
            return max(parts) if isinstance(node, And) is outcome else min(parts)
        case Flag() if node.operand.field == "broken":
            return _BROKEN if outcome else 0.0
        case _ if node.operand.field == RATE:
            return _least_of_rate(node, outcome=outcome)
        case _:
            return 0.0


def _least_of_rate(leaf: Leaf, *, outcome: bool) -> float:
    """The same for one clause about the failure rate."""
    match leaf:
        case Compare():
            bound = float(leaf.literal.value)
            op = leaf.op if outcome else _COMPLEMENT[leaf.op]
            least = {">": nextafter(bound, inf), ">=": bound, "==": bound}.get(op, 0.0)
        case Among() if leaf.negated is not outcome:
            least = min(float(literal.value) for literal in leaf.literals)
        case _:
            return 0.0
    default = leaf.operand.default
    return 0.0 if default and float(default.value) >= least else least
