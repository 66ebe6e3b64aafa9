"""Two that change the same states: the rules of the policy, and those of Datadog itself. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flakegate.model import DATADOG
from flakegate.policy.decide import exempted
from flakegate.policy.limits import OUT_OF_GATE
from flakegate.policy.ranges import Ranges, meet, ranges
from flakegate.policy.review import bounds, is_expired, undo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flakegate.model import FlakyTest, State
    from flakegate.policy.ranges import Range
    from flakegate.policy.rules import OwnRule, Policy, Rule

UNDONE, RACE, ALSO, EXEMPT, UNEXPLAINED = CODES = (
    "undone", "race", "also", "exempt", "unexplained",
)  # fmt: skip
RULES, PEOPLE, ITSELF, NOBODY = MOVERS = ("rules", "people", DATADOG, "nobody")
_QUIET = "last_flaked_age"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is doubtful, in words, and what to do about it.

    code: one of CODES. rule: the policy's; own_rule: Datadog's; None where it is about none.
    tests: those that it is about now, by id. There may be none: a fight can be yet to come.
    """

    code: str
    message: str
    remedy: str
    rule: str | None = None
    own_rule: str | None = None
    tests: tuple[FlakyTest, ...] = ()


def fights(
    policy: Policy, own_rules: Sequence[OwnRule], tests: Sequence[FlakyTest] = (), *, now: float
) -> tuple[Finding, ...]:
    """Where Datadog's rules work against the policy, in the order of CODES.

    tests: to name those that are concerned already. now: seconds since the epoch.
    """
    by_id = sorted(tests, key=lambda test: test.id)
    pairs = [(rule, own) for rule in policy.rules for own in own_rules]
    return (
        *(_undone(rule, own, by_id, now) for rule, own in pairs if _undo(rule, own)),
        *(_race(rule, own, by_id, now) for rule, own in pairs if _disagree(rule, own)),
        *(found for own in own_rules if (found := _also(policy, own, by_id, now))),
        *_exempt(policy, own_rules, by_id, now),
    )


def unexplained(tests: Sequence[FlakyTest]) -> tuple[Finding, ...]:
    """The tests out of the gate that nobody is known to have moved there; at most one finding.

    tests: with their causes, as far as the journal and Datadog's history tell.
    """
    found = sorted((test for test in tests if mover(test) == NOBODY), key=lambda test: test.id)
    if not found:
        return ()
    message = "quarantined or disabled, and neither the journal nor Datadog's history tells by whom"
    remedy = "keep the journal of the job that applies, or decide anew with `flakegate set`"
    return (Finding(code=UNEXPLAINED, message=message, remedy=remedy, tests=tuple(found)),)


def movers(tests: Sequence[FlakyTest]) -> dict[str, int]:
    """How many of the tests are out of the gate, by each of MOVERS."""
    found = Counter(mover(test) for test in tests)
    return {who: found[who] for who in MOVERS}


def mover(test: FlakyTest) -> str | None:
    """Who moved it out of the gate, one of MOVERS; None: it is in the gate."""
    if test.state not in OUT_OF_GATE:
        return None
    if test.cause is None:
        return NOBODY
    if test.cause.rule is not None:
        return RULES
    if test.cause.by_person:
        return PEOPLE
    return ITSELF if test.cause.actor == DATADOG else NOBODY


def _reach(rule: Rule | OwnRule) -> Ranges:
    """The bounds of its condition that outlast a move: a new state is of no age."""
    return {name: each for name, each in ranges(rule.when.node).items() if name != "state_age"}


def _undo(rule: Rule, own: OwnRule) -> bool:
    return undo(rule, own) and meet(_reach(rule), _reach(own))


def _undone(rule: Rule, own: OwnRule, tests: Sequence[FlakyTest], now: float) -> Finding:
    return Finding(
        code=UNDONE,
        message=f"{_does(rule)}; {_its(own)} moves it back when {_when(own)}",
        remedy=_or(
            own,
            f"let no test that rule `{rule.id}` moves meet that condition"
            if _reach(own)
            else f"leave rule `{rule.id}` out: whatever it moves comes of age",
        ),
        rule=rule.id,
        own_rule=own.id,
        tests=_meeting(rule, own, {rule.to, own.to}, tests, now),
    )


def _disagree(rule: Rule, own: OwnRule) -> bool:
    """Whether both take a test from one state to different ones, and who is first decides.

    What waits for a state to age, or a test to keep quiet, is no hurry for a rule that waits less.
    """
    if rule.to is own.to or not rule.from_states & own.from_states:
        return False
    reach, wanted = _reach(own), _reach(rule)
    if _waits(own):
        return _QUIET in wanted and wanted[_QUIET].within(reach[_QUIET])
    return bool(reach) and meet(reach, wanted)


def _waits(own: OwnRule) -> bool:
    """It acts once a test has not flaked for a while."""
    quiet = _reach(own).get(_QUIET)
    return quiet is not None and quiet.low > (0.0, 0)


def _race(rule: Rule, own: OwnRule, tests: Sequence[FlakyTest], now: float) -> Finding:
    first, change = (
        ("and is always first", "hold sooner")
        if _waits(own)
        else ("and who is first decides", "leave out the tests that meet that condition")
    )
    return Finding(
        code=RACE,
        message=f"{_does(rule)}; {_its(own)} moves it to {own.to} when {_when(own)}, {first}",
        remedy=_or(own, f"let rule `{rule.id}` {change}"),
        rule=rule.id,
        own_rule=own.id,
        tests=_meeting(rule, own, rule.from_states & own.from_states, tests, now),
    )


def _also(policy: Policy, own: OwnRule, tests: Sequence[FlakyTest], now: float) -> Finding | None:
    """It takes tests out of the gate that no rule would, or only those that the policy keeps in."""
    if own.to not in OUT_OF_GATE:
        return None
    same = [
        rule for rule in policy.rules if rule.to is own.to and rule.from_states & own.from_states
    ]
    covering = next((rule for rule in same if _covers(rule, own)), None)
    if covering and _spans(_reach(own), _reach(covering)):
        return None
    if covering:
        said = (
            f"rule `{covering.id}` does when `{covering.when}`, so this is left what a limit, a"
            " hold or an exemption of the policy keeps back"
        )
    elif same:
        said = f"rule `{same[0].id}` does only when `{same[0].when}`"
    else:
        said = "no rule of the policy does"
    if not any(own.to in rule.from_states for rule in policy.rules):
        said += f"; nor does one take a test from {own.to} again"
    concerned = (
        test
        for test in tests
        if test.state in own.from_states
        and own.when.check(test, now)
        and not any(rule.when.check(test, now) for rule in same)
    )
    return Finding(
        code=ALSO,
        message=f"{_its(own)} moves a test to {own.to} when {_when(own)}; {said}",
        remedy=_or(own, "write that condition into the policy"),
        rule=same[0].id if same else None,
        own_rule=own.id,
        tests=tuple(concerned),
    )


def _covers(rule: Rule, own: OwnRule) -> bool:
    """Whether the rule is sure to move every test that Datadog's would move."""
    sure = bounds(rule.when.node) is not None and own.from_states <= rule.from_states
    return sure and _spans(_reach(rule), _reach(own))


def _spans(outer: Ranges, inner: Ranges) -> bool:
    """Every bound of the one is a bound of the other, as tight. A single value is not counted."""

    def spans(one: Range, other: Range) -> bool:
        return one.low[0] <= other.low[0] and other.high[0] <= one.high[0]

    return all(name in inner and spans(each, inner[name]) for name, each in outer.items())


def _exempt(
    policy: Policy, own_rules: Sequence[OwnRule], tests: Sequence[FlakyTest], now: float
) -> Iterator[Finding]:
    """Datadog knows nothing of the policy's exemptions."""
    acting = [own for own in own_rules if own.to in OUT_OF_GATE]
    if not acting or all(is_expired(each, now) for each in policy.exempt):
        return
    taken = [test for test in tests if mover(test) == ITSELF]
    exempt = exempted(policy, taken, now)
    names = ", ".join(f"`{own.id}`" for own in acting)
    yield Finding(
        code=EXEMPT,
        message=f"what the policy exempts is not exempt from Datadog's {names}",
        remedy=(
            "exclude those tests in Datadog as well, or turn it off there; `flakegate set` puts"
            " back what was moved"
        ),
        own_rule=acting[0].id if len(acting) == 1 else None,
        tests=tuple(test for test in taken if test.id in exempt),
    )


def _meeting(
    rule: Rule,
    own: OwnRule,
    states: frozenset[State] | set[State],
    tests: Sequence[FlakyTest],
    now: float,
) -> tuple[FlakyTest, ...]:
    """The tests in one of these states that meet the conditions of both."""
    return tuple(
        test
        for test in tests
        if test.state in states and rule.when.check(test, now) and own.when.check(test, now)
    )


def _does(rule: Rule) -> str:
    states = " or ".join(sorted(state.value for state in rule.from_states))
    return f"rule `{rule.id}` moves a test from {states} to {rule.to} when `{rule.when}`"


def _its(own: OwnRule) -> str:
    return f"Datadog's `{own.id}`"


def _when(own: OwnRule) -> str:
    return f"`{own.when}`" + (f" ({own.note})" if own.note else "")


def _or(own: OwnRule, change: str) -> str:
    if not own.optional:
        return f"{change}: Datadog's `{own.id}` cannot be turned off"
    return f"turn `{own.id}` off in Datadog's Flaky Test Policies, or {change}"
