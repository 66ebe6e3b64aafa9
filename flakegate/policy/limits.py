"""The brake: which moves of a plan a limit of the policy holds back."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import floor
from typing import TYPE_CHECKING

from flakegate.errors import UsageError
from flakegate.model import EXPIRY, State, Transition
from flakegate.policy.fields import FIELDS
from flakegate.policy.reasons import reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flakegate.model import FlakyTest
    from flakegate.policy.rules import Limits, Rule

OUT_OF_GATE = frozenset({State.QUARANTINED, State.DISABLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A rule that matched a test, with nothing against it but a limit."""

    test: FlakyTest
    rule: Rule
    now: float

    @property
    def to(self) -> State:
        """The state it leads to."""
        return self.rule.to

    @property
    def leaves_gate(self) -> bool:
        """Whether a limit may hold it back."""
        return self.to in OUT_OF_GATE

    def badness(self) -> tuple[float, float, str]:
        """Sorts the worst first: by lost time, then failure rate, then id. Unknown comes last."""
        figures = [FIELDS[name].get(self.test, self.now) for name in ("lost_time", "failure_rate")]
        lost, rate = (-value if isinstance(value, (int, float)) else 1.0 for value in figures)
        return lost, rate, self.test.id

    def transition(self) -> Transition:
        """The same for the plan, with the reason in words."""
        return Transition(
            test_id=self.test.id,
            fqn=self.test.fqn,
            from_state=self.test.state,
            to_state=self.rule.to,
            rule=self.rule.id,
            reason=reason(self.rule.when, self.test, self.now),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a person set for a time is over: the test goes back. No limit holds that."""

    test: FlakyTest
    to: State

    @property
    def leaves_gate(self) -> bool:
        """Never: where it leads is less far out than where the test is, or as far."""
        return False

    def transition(self) -> Transition:
        """The same for the plan. It is nobody's own change, and no rule's."""
        cause = self.test.cause
        return Transition(
            test_id=self.test.id,
            fqn=self.test.fqn,
            from_state=self.test.state,
            to_state=self.to,
            rule=None,
            actor=EXPIRY,
            reason=f"set until {cause.last_day} by {cause.actor}, which is over" if cause else "",
        )


def room_in(limits: Limits, suite_size: int | None) -> int | None:
    """How many tests may be quarantined; None without such a limit.

    Raises:
        UsageError: the limit is a share of the suite, and nobody knows the suite's size.
    """
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


def limited(
    moves: Sequence[Move | Release],
    limits: Limits,
    room: int | None,
    quarantined: int,
    recent_changes: int,
) -> tuple[list[Move | Release], list[Move | Release], tuple[str, ...]]:
    """The moves to carry out, those that a limit holds (both by id), and each limit in words.

    Only moves by rules into quarantined or disabled are ever held. room: of `room_in`.
    quarantined: how many tests are now. recent_changes: moves into quarantined or disabled within
    the last 24 hours.
    """
    rules = (move for move in moves if isinstance(move, Move) and move.leaves_gate)
    worst = sorted(rules, key=Move.badness)
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
        others = [move for move in moves if not move.leaves_gate]
        stay = quarantined - sum(move.test.state is State.QUARANTINED for move in (*others, *out))
        stay += sum(move.to is State.QUARANTINED for move in others)
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


def _at_most(worst: list[Move], most: int, limits: Limits) -> list[Move]:
    """All of them if that is within the limit; else the worst ones, or none, as the policy says."""
    if len(worst) <= most:
        return worst
    return worst[: max(0, most)] if limits.worst_first else []
