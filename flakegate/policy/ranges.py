"""Between which bounds the fields of a test must lie for a condition to be true."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, inf
from typing import TYPE_CHECKING

from flakegate.policy.fields import FIELDS, Kind
from flakegate.policy.syntax import And, Compare, Flag, Not, Or

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flakegate.policy.syntax import Node

_COMPLEMENT = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "!=": "==", "==": "!="}
_ALWAYS = 100.0  # percent: the failure rate of what is broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The values from `low` up to `high`, in the field's unit.

    Ends are pairs that sort as they bind: (value, 0) belongs to the range; a lower end (value, 1)
    and a higher end (value, -1) do not.
    """

    low: tuple[float, int] = (0.0, 0)
    high: tuple[float, int] = (inf, 0)

    def meets(self, other: Range) -> bool:
        """Some value lies in both."""
        both = self & other
        return both.low <= both.high

    def within(self, other: Range) -> bool:
        """Every value of this one lies in the other."""
        return other.low <= self.low and self.high <= other.high

    def __and__(self, other: Range) -> Range:
        return Range(low=max(self.low, other.low), high=min(self.high, other.high))

    def __or__(self, other: Range) -> Range:
        """From the lowest value of either up to the highest."""
        return Range(low=min(self.low, other.low), high=max(self.high, other.high))


Ranges = dict[str, Range]


def ranges(node: Node) -> Ranges:
    """By field, the range outside of which the condition is never true; others can be anything.

    Exact for a condition that is nothing but bounds on one field.
    """
    return _ranges(node, outcome=True)


def meet(one: Ranges, other: Ranges) -> bool:
    """Whether conditions with these ranges can hold together, as far as ranges tell."""
    return all(one[name].meets(other[name]) for name in one.keys() & other.keys())


def _ranges(node: Node, *, outcome: bool) -> Ranges:
    """The same for a condition that shall have this outcome."""
    match node:
        case Not():
            return _ranges(node.node, outcome=not outcome)
        case And() | Or():
            parts = [_ranges(part, outcome=outcome) for part in node.parts]
            # All parts of an `and` are true where it is true, any of them false where it is false.
            return _all(parts) if isinstance(node, And) is outcome else _any(parts)
        case Flag() if node.operand.field == "broken":
            always = (_ALWAYS, 0)
            low, high = (always, always) if outcome else ((0.0, 0), (_ALWAYS, -1))
            return {"failure_rate": Range(low=low, high=high)}
        case Compare() if FIELDS[node.operand.field].kind is not Kind.TEXT:
            op = node.op if outcome else _COMPLEMENT[node.op]
            # The default of a field that is not known need not lie where the field lies.
            return {} if op == "!=" or node.operand.default else _bound(node, op)
        case _:
            return {}


def _bound(leaf: Compare, op: str) -> Ranges:
    field, value = FIELDS[leaf.operand.field], float(leaf.literal.value)
    low, high = (0.0, 0), (100.0 if field.kind is Kind.PERCENT else inf, 0)
    if op in (">", ">=", "=="):
        low = max(low, (value, int(op == ">")))
    if op in ("<", "<=", "=="):
        high = min(high, (value, -int(op == "<")))
    if field.whole:
        low = (floor(low[0]) + 1.0 if low[1] else ceil(low[0]), 0)
        high = (ceil(high[0]) - 1.0 if high[1] else high[0], 0)
    return {field.name: Range(low=low, high=high)}


def _all(parts: Iterable[Ranges]) -> Ranges:
    found: Ranges = {}
    for part in parts:
        for name, each in part.items():
            found[name] = found[name] & each if name in found else each
    return found


def _any(parts: list[Ranges]) -> Ranges:
    shared = set.intersection(*(set(part) for part in parts))
    found: Ranges = {}
    for name in sorted(shared):
        for part in parts:
            found[name] = found[name] | part[name] if name in found else part[name]
    return found
