"""Flaky tests and a policy → a plan. Pure: the same input, in any order, gives the same plan."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from math import floor
from typing import TYPE_CHECKING

from flakegate.errors import UsageError
from flakegate.model import FlakyTest, State, Transition
from flakegate.policy.fields import FIELDS
from flakegate.policy.plan import Plan, Skip, Unknown
from flakegate.policy.reasons import reason
from flakegate.policy.review import is_expired

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flakegate.policy.rules import Exemption, Limits, Policy, Rule

OUT_OF_GATE = frozenset({State.QUARANTINED, State.DISABLED})


def decide(  # noqa: PLR0913 - the facts that a plan rests on, each named by the caller
    policy: Policy,
    tests: Sequence[FlakyTest],
    *,
    now: float,
    repository: str,
    backend: str,
    suite_size: int | None,
    recent_changes: int,
) -> Plan:
    """What the policy does to these tests: at most one step each.

    tests: in any order. They must hold all that are quarantined if the policy bounds their number.
    now: seconds since the epoch. suite_size: how many tests the repository has, where the backend
    knows. recent_changes: moves into quarantined or disabled within the last 24 hours.

    Raises:
        UsageError: the policy bounds a share of the suite, and nobody knows the suite's size.
    """
    room = _room(policy.limits, suite_size)
    distinct, skipped = _distinct(tests)
    unknown: Counter[tuple[str, str]] = Counter()
    moves: list[_Move] = []
    exemptions = _in_force(policy, now)
    by_state = {state: _rules_from(policy, state) for state in State}
    for test in distinct:
        exempt = _exempt(exemptions, test, now)
        rule = _first_match(by_state[test.state], test, now, None if exempt else unknown)
        if exempt:
            skipped.append(_skip(test, "exempt", exempt, rule))
        elif rule:
            moves.append(_Move(test=test, rule=rule, now=now))
    quarantined = {test.id for test in tests if test.state is State.QUARANTINED}
    kept, held, words = _limited(moves, policy.limits, room, len(quarantined), recent_changes)
    return Plan(
        repository=repository,
        backend=backend,
        policy=policy.name,
        policy_digest=policy.digest,
        at=now,
        tests=len({test.id for test in tests}),
        transitions=tuple(move.transition() for move in kept),
        held=tuple(move.transition() for move in held),
        limits=words,
        skipped=tuple(sorted(skipped, key=lambda skip: skip.test_id)),
        unknown=tuple(Unknown(*key, count) for key, count in sorted(unknown.items())),
    )


def exempted(policy: Policy, tests: Iterable[FlakyTest], now: float) -> dict[str, str]:
    """The ids of the exempt tests, each with the reason. An unknown exemption exempts."""
    exemptions = _in_force(policy, now)
    found = ((test.id, _exempt(exemptions, test, now)) for test in tests)
    return {id_: words for id_, words in found if words}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """A rule that matched a test."""

    test: FlakyTest
    rule: Rule
    now: float

    @property
    def to(self) -> State:
        return self.rule.to

    def badness(self) -> tuple[float, float, str]:
        """Sorts the worst first: by lost time, then failure rate, then id. Unknown comes last."""
        figures = [FIELDS[name].get(self.test, self.now) for name in ("lost_time", "failure_rate")]
        lost, rate = (-value if isinstance(value, (int, float)) else 1.0 for value in figures)
        return lost, rate, self.test.id

    def transition(self) -> Transition:
        return Transition(
            test_id=self.test.id,
            fqn=self.test.fqn,
            from_state=self.test.state,
            to_state=self.rule.to,
            rule=self.rule.id,
            reason=reason(self.rule.when, self.test, self.now),
        )


def _distinct(tests: Sequence[FlakyTest]) -> tuple[list[FlakyTest], list[Skip]]:
    """The tests by id, each once; and skipped, those listed twice in different ways.

    The list changed while it was read, so what it says of such a test is not to be trusted.
    """
    by_id: dict[str, FlakyTest] = {}
    ambiguous: dict[str, str] = {}
    for test in tests:
        first = by_id.setdefault(test.id, test)
        if first is not test and repr(first) != repr(test):  # as text, since NaN != NaN
            ambiguous[test.id] = min(test.fqn, ambiguous.get(test.id, first.fqn))
    detail = "the backend listed it more than once, and not with the same figures"
    skipped = [
        Skip(test_id=id_, fqn=fqn, reason="ambiguous", detail=detail)
        for id_, fqn in ambiguous.items()
    ]
    certain = [test for test in by_id.values() if test.id not in ambiguous]
    return sorted(certain, key=lambda test: test.id), skipped


def _rules_from(policy: Policy, state: State) -> tuple[Rule, ...]:
    return tuple(rule for rule in policy.rules if state in rule.from_states)


def _first_match(
    rules: tuple[Rule, ...],
    test: FlakyTest,
    now: float,
    unknown: Counter[tuple[str, str]] | None,
) -> Rule | None:
    """The first rule that is true; what made those before it unknown is counted."""
    for rule in rules:
        outcome = rule.when.check(test, now)
        if outcome:
            return rule
        if outcome is None and unknown is not None:
            unknown.update((rule.id, field) for field in rule.when.missing(test, now))
    return None


def _in_force(policy: Policy, now: float) -> tuple[Exemption, ...]:
    return tuple(each for each in policy.exempt if not is_expired(each, now))


def _exempt(exemptions: tuple[Exemption, ...], test: FlakyTest, now: float) -> str | None:
    """Why a test is exempt; None if it is not. A certain exemption speaks before an unknown one."""
    perhaps = None
    for exemption in exemptions:
        outcome = exemption.when.check(test, now)
        if outcome:
            return exemption.reason
        if outcome is None and perhaps is None:
            missing = ", ".join(sorted(exemption.when.missing(test, now)))
            perhaps = f"{exemption.reason} (perhaps: {missing} not known)"
    return perhaps


def _skip(test: FlakyTest, code: str, detail: str, rule: Rule | None) -> Skip:
    rule_id = rule.id if rule else None
    return Skip(test_id=test.id, fqn=test.fqn, reason=code, detail=detail, rule=rule_id)


def _room(limits: Limits, suite_size: int | None) -> int | None:
    """How many tests may be quarantined; None without such a limit."""
    if limits.max_quarantined is None:
        return None
    if not limits.max_quarantined_is_share:
        return floor(limits.max_quarantined)
    size = limits.suite_size or suite_size
    if size is None:
        message = "`limits.max_quarantined` is a share of the suite, and its size is not known"
        tip = "add `suite_size: N` to `limits`, or write a count instead of a percentage"
        raise UsageError(message, tip=tip)
    return floor(Decimal(str(limits.max_quarantined)) * size / 100)


def _limited(
    moves: list[_Move], limits: Limits, room: int | None, quarantined: int, recent_changes: int
) -> tuple[list[_Move], list[_Move], tuple[str, ...]]:
    """The moves to carry out, those that a limit holds (both by id), and each limit in words.

    Only moves into quarantined or disabled are ever held.
    """
    worst = sorted((move for move in moves if move.to in OUT_OF_GATE), key=_Move.badness)
    words = []
    out = _at_most(worst, limits.max_changes - recent_changes, limits)
    if len(out) < len(worst):
        recent = f", {recent_changes} in the last 24 hours" if recent_changes else ""
        words.append(
            f"moves into quarantined or disabled: {len(worst)} planned{recent}; "
            f"`limits.max_changes` allows {limits.max_changes}"
        )
    if room is not None:
        entries = [move for move in out if move.to is State.QUARANTINED]
        leaving = [move for move in moves if move.to not in OUT_OF_GATE] + out
        stay = quarantined - sum(move.test.state is State.QUARANTINED for move in leaving)
        entering = _at_most(entries, room - stay, limits)
        if len(entering) < len(entries):
            words.append(
                f"tests in quarantine after this plan: {stay + len(entries)}; "
                f"`limits.max_quarantined` allows {room}"
            )
        out = [move for move in out if move.to is not State.QUARANTINED] + entering
    held = {move.test.id for move in worst} - {move.test.id for move in out}
    return (
        [move for move in moves if move.test.id not in held],
        [move for move in moves if move.test.id in held],
        tuple(words),
    )


def _at_most(worst: list[_Move], most: int, limits: Limits) -> list[_Move]:
    """All of them if that is within the limit; else the worst ones, or none, as the policy says."""
    if len(worst) <= most:
        return worst
    return worst[: max(0, most)] if limits.worst_first else []
