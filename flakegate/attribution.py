"""Who last changed a state, where the backend only tells that somebody did: the journal knows ours.

Pure: the journal's entries and the backend's word are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flakegate.model import State, StateCause

if TYPE_CHECKING:
    from collections.abc import Iterable

NEAR = 600.0  # seconds between the intent in our journal and the change by the backend's clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A change of ours that was made, or may have been. at: seconds since the epoch.

    rule: None for a person's own (`set`), whose name is `actor`.
    """

    test_id: str
    to_state: State
    at: float
    rule: str | None
    actor: str | None
    reason: str


def attributed(told: StateCause | None, state: State, made: Iterable[Made]) -> StateCause | None:
    """The cause of a test's state. None: nobody knows.

    told: by the backend, which may take our changes for a person's. made: our changes of this test.
    The newest of ours to this state is the cause unless the backend tells of a later one: within
    NEAR the two are one change, and one long before ours means that its history lags behind.
    """
    same = (each for each in made if each.to_state is state)
    ours = max(same, key=lambda each: each.at, default=None)
    if ours is None or (told is not None and told.at > ours.at + NEAR):
        return told
    return StateCause(at=ours.at, rule=ours.rule, actor=ours.actor, reason=ours.reason)


def moved(before: State, state: State, cause: StateCause | None) -> str:
    """Why a change is not made: the test is in another state than the one it was to leave."""
    by = "" if cause is None else f"rule {cause.rule}" if cause.rule else cause.actor or ""
    return f"it is {state}{by and f' by {by}'}, no longer {before}"
