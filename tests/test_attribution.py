"""Whose change it was: what the backend tells, and what the journal knows better."""

from __future__ import annotations

import pytest

from flakegate.attribution import NEAR, Made, attributed
from flakegate.model import DATADOG, State, StateCause

NOW = 1_800_000_000.0
DAY = 86_400.0
ACTIVE, QUARANTINED = State.ACTIVE, State.QUARANTINED
BY_HAND = StateCause(at=NOW, actor="somebody in Datadog")


def made(at: float, to: State = QUARANTINED, **by: str) -> Made:
    who = {"rule": None, "actor": None} | (by or {"rule": "noisy"})
    return Made(test_id="t", to_state=to, at=at, reason="because", **who)


def ours(at: float, **by: str) -> StateCause:
    return StateCause(at=at, reason="because", **(by or {"rule": "noisy"}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "changes", "expected"),
    [
        (BY_HAND, [], BY_HAND),
        (None, [], None),
        # Near each other they are one change; what a person sets by flakegate stays a person's.
        (BY_HAND, [made(NOW - NEAR)], ours(NOW - NEAR)),
        (BY_HAND, [made(NOW + NEAR)], ours(NOW + NEAR)),
        (BY_HAND, [made(NOW - 9, actor="dana")], ours(NOW - 9, actor="dana")),
        (BY_HAND, [made(NOW - NEAR - 1)], BY_HAND),
        # To another state: no change of ours.
        (BY_HAND, [made(NOW, ACTIVE)], BY_HAND),
        (BY_HAND, [made(NOW), made(NOW + 5 * DAY, ACTIVE)], ours(NOW)),
        # Ours is later: the history lags behind, or tells nothing.
        (BY_HAND, [made(NOW + DAY)], ours(NOW + DAY)),
        (StateCause(at=0, actor=DATADOG, first=True), [made(NOW)], ours(NOW)),
        (None, [made(NOW - DAY), made(NOW), made(NOW - 2 * DAY)], ours(NOW)),
        (None, [made(NOW, ACTIVE)], None),
    ],
)
def test_whose_change_it_was(
    told: StateCause | None, changes: list[Made], expected: StateCause | None
) -> None:
    assert attributed(told, QUARANTINED, changes) == expected
