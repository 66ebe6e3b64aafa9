"""What a valid policy most likely does not mean: warnings, told only where they are certain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from flakegate.model import State
from flakegate.policy.conditions import RATE, RUNS
from flakegate.policy.evidence import NO_EVIDENCE
from flakegate.policy.fields import FIELDS, Kind
from flakegate.policy.problems import Place, PolicyProblem
from flakegate.policy.ranges import ranges
from flakegate.policy.rules import Rule
from flakegate.policy.syntax import And, Compare, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flakegate.policy.conditions import Condition
    from flakegate.policy.ranges import Range
    from flakegate.policy.rules import Exemption, OwnRule, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """A warning about what begins at a place of the policy."""

    place: Place
    message: str
    hint: str | None = None


def warnings(
    policy: Policy, *, now: float, fields: frozenset[str] | None
) -> tuple[PolicyProblem, ...]:
    """The warnings that need more than the file, in its order.

    now: seconds since the epoch; an exemption may have expired. fields: the fields of `when` that
    the backend supplies, None if that is not known.
    """
    found = [*_expired(policy, now), *_unsupplied(policy, fields), *_uncounted(policy, fields)]
    return tuple(
        PolicyProblem(
            severity="warning",
            file=policy.name,
            place=warning.place,
            message=warning.message,
            hint=warning.hint,
        )
        for warning in sorted(found, key=lambda warning: (warning.place.line, warning.place.column))
    )


def is_expired(exemption: Exemption, now: float) -> bool:
    """Its last day, which is in UTC and belongs to it, is over."""
    if exemption.until is None:
        return False
    return datetime.fromtimestamp(now, tz=timezone.utc).date() > exemption.until


def unreleased(policy: Policy) -> Iterator[Warned]:
    """Tests go into quarantine, and no rule ever lets one out."""
    entries = [rule for rule in policy.rules if rule.to is State.QUARANTINED]
    released = any(
        State.QUARANTINED in rule.from_states and rule.to in (State.ACTIVE, State.FIXED)
        for rule in policy.rules
    )
    if entries and not released:
        message = "no rule releases what is quarantined: tests stay there until a person acts"
        hint = "add a rule from quarantined to active, for example when: failure_rate < 5%"
        yield Warned(place=_place(entries[0]), message=message, hint=hint)


def undo(one: Rule, other: Rule | OwnRule) -> bool:
    """Whether each of two rules moves a test to where the other takes it from."""
    return one.to in other.from_states and other.to in one.from_states


def overlaps(policy: Policy) -> Iterator[Warned]:
    """A test can meet two rules that undo each other, and would be moved back and forth.

    Only for conditions made of plain bounds on one and the same field: there it is certain, and
    with `evidence` it is too, where the two leave room between their bounds: enough runs make any
    interval fit. Each rule is warned of once, beside the first that it overlaps.
    """
    bounded = [(rule, *found) for rule in policy.rules if (found := _range(rule.when))]
    for index, (other, other_field, other_range) in enumerate(bounded):
        for one, field, one_range in bounded[:index]:
            confident = one.when.evidence.confidence or other.when.evidence.confidence
            wide = field == RATE and confident is not None
            same = field == other_field and _overlap(one_range, other_range, wide=wide)
            if same and undo(one, other):
                message = (
                    f"rules `{one.id}` and `{other.id}` move a test back and forth while both "
                    f"`{one.when}` and `{other.when}` hold"
                )
                hint = "leave a band between the two bounds"
                yield Warned(place=_place(other), message=message, hint=hint)
                break


def unreachable(policy: Policy) -> Iterator[Warned]:
    """An earlier rule takes every test that a later one could match."""
    first: dict[Node, list[Rule]] = {}
    for rule in policy.rules:
        same = first.setdefault(rule.when.node, [])
        earlier = next((each for each in same if _takes_all_of(each, rule)), None)
        if earlier:
            message = f"rule `{rule.id}` never matches: `{earlier.id}` on line {earlier.line}"
            yield Warned(
                place=_place(rule), message=f"{message} has the same condition and comes first"
            )
        same.append(rule)


def _takes_all_of(earlier: Rule, rule: Rule) -> bool:
    """Of two rules with one condition: whether the earlier is true wherever the other is."""
    weaker = earlier.when.evidence.asks_no_more_than(rule.when.evidence)
    return weaker and rule.from_states <= earlier.from_states


def pointless(policy: Policy) -> Iterator[Warned]:
    """A rule asks for confidence in a failure rate that its condition does not compare."""
    for rule in policy.rules:
        if rule.when.evidence.confidence is not None and RATE not in rule.when.fields:
            message = f"rule `{rule.id}` asks for `confidence`, which only `{RATE}` can have"
            hint = f"compare `{RATE}` in its condition, or leave `confidence` out"
            yield Warned(place=_place(rule), message=message, hint=hint)


def _expired(policy: Policy, now: float) -> Iterator[Warned]:
    for exemption in policy.exempt:
        if is_expired(exemption, now):
            message = f"this exemption expired on {exemption.until} and no longer applies"
            yield Warned(
                place=_place(exemption), message=message, hint="remove it or renew `until`"
            )


def _unsupplied(policy: Policy, fields: frozenset[str] | None) -> Iterator[Warned]:
    if fields is None:
        return
    items: tuple[Rule | Exemption, ...] = (*policy.exempt, *policy.rules)
    for item in items:
        if isinstance(item, Rule):
            what, hint = f"rule `{item.id}`", "a rule never acts on what is unknown"
        else:
            what, hint = "this exemption", "what cannot be told is exempt: that may be every test"
        for name in sorted(item.when.fields - fields):
            message = f"{what} uses `{name}`, which the backend cannot supply: it is unknown there"
            yield Warned(place=_place(item), message=message, hint=hint)


def _uncounted(policy: Policy, fields: frozenset[str] | None) -> Iterator[Warned]:
    """Evidence needs counts, and this backend gives none."""
    if fields is None or RUNS in fields:
        return
    for rule in policy.rules:
        if rule.when.evidence != NO_EVIDENCE:
            message = (
                f"rule `{rule.id}` rests on the bare rate: the backend does not count runs, so its "
                "`evidence` asks for nothing there"
            )
            yield Warned(place=_place(rule), message=message)


def _range(when: Condition) -> tuple[str, Range] | None:
    """The field and its range of a condition that is nothing but bounds on one; else None."""
    names = {part.operand.field for part in bounds(when.node) or ()}
    return (name, ranges(when.node)[name]) if len(names) == 1 and (name := names.pop()) else None


def _overlap(one: Range, other: Range, *, wide: bool) -> bool:
    """wide: the field counts as an interval, never as one value."""
    both = one & other
    return both.low[0] < both.high[0] if wide else both.low <= both.high


def bounds(node: Node) -> tuple[Compare, ...] | None:
    """The comparisons of a condition made of bounds joined by `and`; None for any other."""
    if isinstance(node, And):
        parts = [bounds(part) for part in node.parts]
        flat = tuple(bound for part in parts for bound in part or ())
        return None if None in parts else flat
    if not isinstance(node, Compare) or node.op == "!=" or node.operand.default:
        return None
    return None if FIELDS[node.operand.field].kind is Kind.TEXT else (node,)


def _place(item: Rule | Exemption) -> Place:
    return Place(line=item.line, column=item.column)
