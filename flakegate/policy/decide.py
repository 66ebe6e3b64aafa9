"""Flaky tests and a policy → a plan. Pure: the same input, in any order, gives the same plan."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flakegate.model import FlakyTest, State
from flakegate.policy.holds import Hold, holds, raised, regression, released
from flakegate.policy.limits import OUT_OF_GATE, Move, Release, limited, room_in
from flakegate.policy.plan import Plan, Skip, Unknown
from flakegate.policy.review import is_expired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flakegate.policy.conditions import Finding, Outcome
    from flakegate.policy.rules import Exemption, Policy, Rule

EXEMPT, AMBIGUOUS = "exempt", "ambiguous"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedExemption:
    """One exemption of the policy, asked of one test.

    expired: its last day is over, and it no longer counts. outcome: True and None exempt.
    """

    exemption: Exemption
    expired: bool
    outcome: Outcome
    findings: tuple[Finding, ...]

    @property
    def exempts(self) -> bool:
        """Whether it keeps the rules off the test."""
        return not self.expired and self.outcome is not False


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRule:
    """One rule of the policy, asked of one test, whether its turn came or not.

    applies: its `from` has the test's state. outcome: of its `when`; only True matches.
    first: it is the rule that decides.
    """

    rule: Rule
    applies: bool
    outcome: Outcome
    findings: tuple[Finding, ...]
    first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """What the policy says of one test, limits aside, and all that led to it.

    exempt: why the test is exempt, in words; None if it is not.
    back: the state to go back to, since what a person set for a time is over; None if nothing is.
    match: the first rule whose `from` has its state and whose `when` is true; None with `back`,
    which comes before all rules.
    """

    policy: Policy
    test: FlakyTest
    now: float
    exempt: str | None
    back: State | None
    match: Rule | None

    @property
    def exemptions(self) -> tuple[AskedExemption, ...]:
        """Every exemption, in the order of the file."""
        return tuple(
            AskedExemption(
                exemption=each,
                expired=is_expired(each, self.now),
                outcome=each.when.check(self.test, self.now),
                findings=each.when.findings(self.test, self.now),
            )
            for each in self.policy.exempt
        )

    @property
    def rules(self) -> tuple[AskedRule, ...]:
        """Every rule, in the order of the file."""
        return tuple(
            AskedRule(
                rule=rule,
                applies=self.test.state in rule.from_states,
                outcome=rule.when.check(self.test, self.now),
                findings=rule.when.findings(self.test, self.now),
                first=rule is self.match,
            )
            for rule in self.policy.rules
        )

    @property
    def holds(self) -> tuple[Hold, ...]:
        """What keeps the test in its state, the weightiest first.

        The regression guard stops only moves out of the gate, so it is left out where the rule
        that matched leads elsewhere. Nothing holds a test that goes back.
        """
        if self.back is not None:
            return ()
        found = holds(self.policy, self.test, self.now)
        if self.match and self.match.to not in OUT_OF_GATE:
            return found
        guard = regression(self.test)
        if guard is None and self.match:
            guard = raised(self.test, self.match, self.now)
        return (*found, guard) if guard else found

    @property
    def skip(self) -> Skip | None:
        """Why nothing moves the test: it is exempt, or it is held though a rule matches."""
        if self.exempt is not None:
            return self._skip(EXEMPT, self.exempt)
        hold = next(iter(self.holds), None) if self.match else None
        return self._skip(hold.code, hold.detail) if hold else None

    @property
    def move(self) -> Move | Release | None:
        """What moves the test, unless it is skipped. A limit may still hold what a rule does."""
        if self.exempt is None and self.back is not None:
            return Release(test=self.test, to=self.back)
        if self.match is None or self.skip:
            return None
        return Move(test=self.test, rule=self.match, now=self.now)

    def _skip(self, code: str, detail: str) -> Skip:
        rule = self.match.id if self.match else None
        return Skip(test_id=self.test.id, fqn=self.test.fqn, reason=code, detail=detail, rule=rule)


def consider(policy: Policy, test: FlakyTest, now: float) -> Considered:
    """What the policy says of one test, limits aside. now: seconds since the epoch."""
    return _considering(policy, now, Counter())(test)


def matched(policy: Policy, tests: Iterable[FlakyTest], now: float) -> list[FlakyTest]:
    """The tests that a rule would move, holds and limits aside: whose last change matters."""
    considered = map(_considering(policy, now, Counter()), tests)
    return [each.test for each in considered if each.match and each.exempt is None]


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
    room = room_in(policy.limits, suite_size)
    distinct, skipped = _distinct(tests)
    unknown: Counter[tuple[str, str]] = Counter()
    asked = _considering(policy, now, unknown)
    moves = []
    for considered in map(asked, distinct):
        if skip := considered.skip:
            skipped.append(skip)
        elif move := considered.move:
            moves.append(move)
    quarantined = {test.id for test in tests if test.state is State.QUARANTINED}
    kept, held, words = limited(moves, policy.limits, room, len(quarantined), recent_changes)
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


def _considering(
    policy: Policy, now: float, unknown: Counter[tuple[str, str]]
) -> Callable[[FlakyTest], Considered]:
    """`consider` for many tests; counts in `unknown` what made rules undecided, exempt tests aside.

    What depends on the policy alone is worked out once.
    """
    exemptions = _in_force(policy, now)
    by_state = {
        state: tuple(rule for rule in policy.rules if state in rule.from_states) for state in State
    }

    def considered(test: FlakyTest) -> Considered:
        exempt = _exempt(exemptions, test, now)
        back = released(test, now)
        rules = by_state[test.state] if back is None else ()
        match = _first_match(rules, test, now, None if exempt else unknown)
        return Considered(policy=policy, test=test, now=now, exempt=exempt, back=back, match=match)

    return considered


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
        Skip(test_id=id_, fqn=fqn, reason=AMBIGUOUS, detail=detail)
        for id_, fqn in ambiguous.items()
    ]
    certain = [test for test in by_id.values() if test.id not in ambiguous]
    return sorted(certain, key=lambda test: test.id), skipped


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
