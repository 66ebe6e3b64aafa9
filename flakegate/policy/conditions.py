"""Conditions: the text of a `when`, read once, then asked of many tests.

The answer is True, False or None (*unknown*: a value it needs is missing), by Kleene's logic:
unknown stays unknown unless the rest decides. No caller may take unknown for a match.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import TYPE_CHECKING, Any, NamedTuple

from flakegate.model import FlakyTest
from flakegate.policy.evidence import CONFIDENCE, MIN_RUNS, NO_EVIDENCE, Evidence, interval
from flakegate.policy.fields import FIELDS, Field, Getter, Value
from flakegate.policy.globs import matcher
from flakegate.policy.grammar import read
from flakegate.policy.problems import Place
from flakegate.policy.syntax import (
    Among,
    And,
    Compare,
    Flag,
    Has,
    Known,
    Leaf,
    Like,
    Literal,
    Node,
    Not,
    Or,
    leaves,
    show,
)

if TYPE_CHECKING:
    from flakegate.policy.scan import Flaw

Outcome = bool | None
Check = Callable[[FlakyTest, float], Outcome]
Missing = Callable[[FlakyTest, float], frozenset[str]]

RATE, RUNS = "failure_rate", "runs"

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One comparison of a condition, as written, and where it stands in its file."""

    leaf: Leaf
    text: str
    place: Place

    @property
    def field(self) -> str:
        """The name of the one field it is about."""
        return self.leaf.operand.field


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One clause asked of one test. value: the field's, in its unit; None if unknown.

    interval: the lowest and highest value that it counts as, where the rule asks for confidence
    and the runs are counted.
    """

    clause: Clause
    value: Value
    outcome: Outcome
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A whole `when`. Two are equal if their trees and evidence are, wherever they stand.

    evidence: what the rule asks of the figures. clauses: its comparisons, in the order they are
    written.
    check: (test, now) -> True, False, or None for unknown.
    missing: (test, now) -> the fields that make it unknown, or EVIDENCE's names where they are
        known, but not well enough; asked only where `check` gave None.
    """

    node: Node
    evidence: Evidence
    clauses: tuple[Clause, ...] = attribute(compare=False)
    check: Check = attribute(compare=False, repr=False)
    missing: Missing = attribute(compare=False, repr=False)

    @property
    def fields(self) -> frozenset[str]:
        """The names of all fields it mentions."""
        return frozenset(clause.field for clause in self.clauses)

    def findings(self, test: FlakyTest, now: float) -> tuple[Finding, ...]:
        """Each clause with its value and outcome on one test: why the condition holds or not."""
        return tuple(
            Finding(
                clause=clause,
                value=FIELDS[clause.field].get(test, now),
                outcome=_compiled(clause.leaf, self.evidence.confidence).check(test, now),
                interval=_interval_of(clause.leaf, test, now, self.evidence.confidence),
            )
            for clause in self.clauses
        )

    def resting_on(self, evidence: Evidence) -> Condition:
        """The same condition, but true and false only where the figures are good enough."""
        return _condition(self.node, self.clauses, evidence)

    def __str__(self) -> str:
        return show(self.node)


def parse(text: str, *, at: Callable[[int], Place] | None = None) -> Condition | tuple[Flaw, ...]:
    """Reads the text of a condition: a Condition, or every flaw found in it.

    at: from an offset in the text to its place in the file; by default the text is the file.
    """
    node, flaws = read(text)
    if node is None:
        return flaws
    place = at or (lambda offset: _place(text, offset))
    return _condition(
        node,
        tuple(
            Clause(leaf=leaf, text=text[slice(*leaf.span)], place=place(leaf.span[0]))
            for leaf in leaves(node)
        ),
    )


def conjunction(conditions: tuple[Condition, ...]) -> Condition:
    """What a list of conditions means: all of them. At least one is needed."""
    if len(conditions) == 1:
        return conditions[0]
    node = And(parts=tuple(condition.node for condition in conditions))
    return _condition(node, tuple(clause for each in conditions for clause in each.clauses))


def built(node: Node) -> Condition:
    """The condition of a tree that no file holds: its clauses stand nowhere."""
    nowhere = Place(line=1, column=1)
    return _condition(
        node, tuple(Clause(leaf=leaf, text=show(leaf), place=nowhere) for leaf in leaves(node))
    )


def _condition(
    node: Node, clauses: tuple[Clause, ...], evidence: Evidence = NO_EVIDENCE
) -> Condition:
    check, missing = _compiled(node, evidence.confidence)
    if evidence.min_runs:
        check, missing = _well_founded(check, missing, evidence.min_runs)
    return Condition(node=node, evidence=evidence, clauses=clauses, check=check, missing=missing)


def _place(text: str, offset: int) -> Place:
    line_start = text.rfind("\n", 0, offset) + 1
    return Place(line=text.count("\n", 0, offset) + 1, column=offset - line_start + 1)


class _Compiled(NamedTuple):
    check: Check
    missing: Missing


def _compiled(node: Node, confidence: float | None) -> _Compiled:
    """A tree as nested functions: it is walked once, however many tests it is asked of."""
    match node:
        case Not():
            inner = _compiled(node.node, confidence)
            return _Compiled(_negation(inner.check), inner.missing)
        case And() | Or():
            parts = [_compiled(part, confidence) for part in node.parts]
            checks = tuple(part.check for part in parts)
            decisive = isinstance(node, Or)
            return _Compiled(_first(checks, decisive=decisive), _all_missing(parts))
        case Compare() | Among() if confidence is not None and node.operand.field == RATE:
            return _sure(node, confidence)
        case _:
            name = frozenset({node.operand.field})
            return _Compiled(_leaf(node), lambda _test, _now: name)


def _well_founded(check: Check, missing: Missing, min_runs: int) -> _Compiled:
    """A match that rests on fewer runs is unknown. Where the backend counts none, it stands."""

    def founded(test: FlakyTest, now: float) -> Outcome:
        outcome = check(test, now)
        if not outcome or test.runs is None:
            return outcome
        runs = FIELDS[RUNS].get(test, now)
        return True if isinstance(runs, (int, float)) and runs >= min_runs else None

    def unfounded(test: FlakyTest, now: float) -> frozenset[str]:
        return missing(test, now) if check(test, now) is None else frozenset({MIN_RUNS})

    return _Compiled(founded, unfounded)


def _sure(leaf: Compare | Among, confidence: float) -> _Compiled:
    """A comparison of the failure rate that is unknown where its interval straddles a bound."""
    bare = _leaf(leaf)
    settled = _settled(leaf)

    def sure(test: FlakyTest, now: float) -> Outcome:
        outcome = bare(test, now)
        if outcome is None or test.runs is None or FIELDS[RATE].get(test, now) is None:
            return outcome  # unknown, or nothing but the bare rate (or its default) to go by
        ends = _interval_of(leaf, test, now, confidence)
        return outcome if ends and settled(*ends) else None

    def unsure(test: FlakyTest, now: float) -> frozenset[str]:
        known = FIELDS[RATE].get(test, now) is not None
        return frozenset({CONFIDENCE if known else RATE})

    return _Compiled(sure, unsure)


def _settled(leaf: Compare | Among) -> Callable[[float, float], bool]:
    """Whether a comparison has one outcome for all rates from the lowest to the highest."""
    field = FIELDS[RATE]
    if isinstance(leaf, Compare) and leaf.op not in ("==", "!="):
        operation, bound = _OPERATORS[leaf.op], _value(field, leaf.literal)
        return lambda low, high: bool(operation(low, bound) == operation(high, bound))
    literals = leaf.literals if isinstance(leaf, Among) else (leaf.literal,)
    bounds = [float(_value(field, literal)) for literal in literals]
    return lambda low, high: not any(low <= bound <= high for bound in bounds)


def _interval_of(
    leaf: Leaf, test: FlakyTest, now: float, confidence: float | None
) -> tuple[float, float] | None:
    """The interval that the failure rate counts as; None where it counts as it is."""
    if confidence is None or leaf.operand.field != RATE or isinstance(leaf, Known):
        return None
    rate, runs = FIELDS[RATE].get(test, now), FIELDS[RUNS].get(test, now)
    if not isinstance(rate, (int, float)) or not isinstance(runs, (int, float)) or not runs:
        return None
    return interval(rate, runs, confidence)


def _negation(check: Check) -> Check:
    def negation(test: FlakyTest, now: float) -> Outcome:
        outcome = check(test, now)
        return None if outcome is None else not outcome

    return negation


def _first(checks: tuple[Check, ...], *, decisive: bool) -> Check:
    """Kleene's `or` (decisive: True) and `and` (False): one decisive part decides, known or not."""

    def junction(test: FlakyTest, now: float) -> Outcome:
        result: Outcome = not decisive
        for check in checks:
            outcome = check(test, now)
            if outcome is decisive:
                return decisive
            if outcome is None:
                result = None
        return result

    return junction


def _all_missing(parts: list[_Compiled]) -> Missing:
    """The fields that keep unknown parts unknown; parts that are known are not to blame."""

    def missing(test: FlakyTest, now: float) -> frozenset[str]:
        return frozenset().union(
            *(part.missing(test, now) for part in parts if part.check(test, now) is None)
        )

    return missing


def _leaf(leaf: Leaf) -> Check:
    field = FIELDS[leaf.operand.field]
    if isinstance(leaf, Known):
        return lambda test, now: field.get(test, now) is not None
    get = _getter(field, leaf.operand.default)
    match leaf:
        case Flag():
            return _asked(get, bool)
        case Has():
            wanted = leaf.literal.value
            return _asked(get, lambda owned: wanted in owned)
        case Compare():
            return _compared(get, _OPERATORS[leaf.op], _value(field, leaf.literal))
        case Like():
            return _asked(get, matcher(str(_value(field, leaf.glob))))
        case Among():
            options = frozenset(_value(field, literal) for literal in leaf.literals)
            return _asked(get, lambda value: (value in options) is not leaf.negated)


def _compared(get: Getter, operation: Callable[[Any, Any], Any], bound: str | float) -> Check:
    def compared(test: FlakyTest, now: float) -> Outcome:
        value = get(test, now)
        return None if value is None else operation(value, bound)

    return compared


def _asked(get: Getter, question: Callable[[Any], bool]) -> Check:
    def asked(test: FlakyTest, now: float) -> Outcome:
        value = get(test, now)
        return None if value is None else question(value)

    return asked


def _getter(field: Field, default: Literal | None) -> Getter:
    """Reads an operand: the field, its default where that is unknown, without case if it folds."""
    get = field.get
    if default is not None:
        get = _defaulted(get, default.value)
    if not field.folds:
        return get
    return lambda test, now: None if (text := get(test, now)) is None else str(text).casefold()


def _defaulted(get: Getter, default: Value) -> Getter:
    def defaulted(test: FlakyTest, now: float) -> Value:
        value = get(test, now)
        return default if value is None else value

    return defaulted


def _value(field: Field, literal: Literal) -> str | float:
    value = literal.value
    return value.casefold() if field.folds and isinstance(value, str) else value
