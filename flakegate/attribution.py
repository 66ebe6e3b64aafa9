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

    rule: None for a person's own (`set`), whose name is `actor`. until: when it is over, in seconds
    since the epoch; None if it has no end. from_state: None if it was not flaky, or is not known.
    """

    test_id: str
    from_state: State | None = None
    to_state: State
    at: float
    rule: str | None
    actor: str | None
    reason: str
    until: float | None = None


def attributed(told: StateCause | None, state: State, made: Iterable[Made]) -> StateCause | None:
    """The cause of a test's state. None: nobody knows.

    told: by the backend, which may take our changes for a person's. made: our changes of this test.
    The newest of ours to this state is the cause unless the backend tells of a later one: within
    NEAR the two are one change, and one long before ours means that its history lags behind.
    """
    # Of the same moment, the later line of the journal.
    newest_first = sorted(made, key=lambda each: each.at)[::-1]
    ours = next((each for each in newest_first if each.to_state is state), None)
    if ours is None or (told is not None and told.at > ours.at + NEAR):
        return told
    # Where a later change of ours led elsewhere, somebody else brought it back: not for our time.
    changes = newest_first if ours is newest_first[0] else []
    return StateCause(
        at=ours.at,
        rule=ours.rule,
        actor=ours.actor,
        reason=ours.reason,
        until=ours.until if changes else None,
        before=state_before((each.from_state, each.to_state, each.until) for each in changes),
    )


def state_before(
    changes: Iterable[tuple[State | None, State, float | None]],
) -> State | None:
    """The state before what was chosen for a time; None if the newest change was for no time.

    changes: where from, where to and until when, newest first. Of several choices for a time, one
    after the other, it is the state before the first: none of them outlives the last.
    """
    found: State | None = None
    for number, (from_state, to_state, until) in enumerate(changes):
        if until is None or (number and to_state is not found):
            break
        found = from_state
    return found


def moved(before: State, state: State, cause: StateCause | None) -> str:
    """Why a change is not made: the test is in another state than the one it was to leave."""
    by = "" if cause is None else f"rule {cause.rule}" if cause.rule else cause.actor or ""
    return f"it is {state}{by and f' by {by}'}, no longer {before}"
