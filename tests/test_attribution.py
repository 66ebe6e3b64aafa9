"""Whose change it was: what the backend tells, and what the journal knows better."""

from __future__ import annotations

import pytest

from flakegate.attribution import NEAR, Made, attributed, state_before
from flakegate.model import DATADOG, State, StateCause

NOW = 1_800_000_000.0
DAY = 86_400.0
ACTIVE, QUARANTINED, DISABLED, FIXED = State
BY_HAND = StateCause(at=NOW, actor="somebody in Datadog")


def made(at: float, to: State = QUARANTINED, **by: str) -> Made:
    who = by or {"rule": "noisy"}
    return Made(
        test_id="t",
        to_state=to,
        at=at,
        reason="because",
        rule=who.get("rule"),
        actor=who.get("actor"),
    )


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


def for_a_time(at: float, start: State, to: State, until: float | None = NOW) -> Made:
    return Made(
        test_id="t",
        from_state=start,
        to_state=to,
        at=at,
        rule=None,
        actor="dana",
        reason="r",
        until=until,
    )


def test_what_was_chosen_for_a_time_keeps_its_end() -> None:
    changes = [
        for_a_time(NOW - 9, ACTIVE, QUARANTINED, None),
        for_a_time(NOW - 8, QUARANTINED, DISABLED),
    ]
    found = attributed(StateCause(at=NOW - 7, actor="somebody in Datadog"), DISABLED, changes)
    assert found == StateCause(at=NOW - 8, actor="dana", reason="r", until=NOW, before=QUARANTINED)


@pytest.mark.parametrize("told", [None, BY_HAND])
def test_what_others_brought_back_is_for_no_time(told: StateCause | None) -> None:
    changes = [
        for_a_time(NOW - 9 * DAY, ACTIVE, DISABLED),
        for_a_time(NOW - 8 * DAY, DISABLED, ACTIVE, None),
    ]
    found = attributed(told, DISABLED, changes)
    assert found is not None
    assert (found.until, found.before) == (None, None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], None),
        ([(ACTIVE, DISABLED, None)], None),
        ([(ACTIVE, DISABLED, 1.0)], ACTIVE),
        ([(None, DISABLED, 1.0)], None),
        ([(QUARANTINED, DISABLED, 1.0), (ACTIVE, QUARANTINED, None)], QUARANTINED),
        # Of choices one after the other, the state before the first.
        ([(QUARANTINED, DISABLED, 2.0), (ACTIVE, QUARANTINED, 1.0)], ACTIVE),
        ([(DISABLED, DISABLED, 2.0), (QUARANTINED, DISABLED, 1.0)], QUARANTINED),
        # Others came between.
        ([(QUARANTINED, DISABLED, 2.0), (FIXED, ACTIVE, 1.0)], QUARANTINED),
    ],
)
def test_the_state_before_what_was_chosen_for_a_time(
    changes: list[tuple[State | None, State, float | None]], expected: State | None
) -> None:
    assert state_before(changes) is expected
