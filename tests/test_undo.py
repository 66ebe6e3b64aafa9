"""Undo: what is put back, and what is left as others made it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import msgspec
import pytest

from flakegate.entries import Change, Entry, Outcome, PastCall
from flakegate.errors import UsageError
from flakegate.model import FlakyTest, State, StateCause
from flakegate.undo import choose, in_a_line, put_back

if TYPE_CHECKING:
    from collections.abc import Sequence

NOON = 1_795_176_000.0
ACTIVE, QUARANTINED, FIXED = State.ACTIVE, State.QUARANTINED, State.FIXED


def entry(
    test: str, *, batch: str = "aaaa-1", rule: str | None = "noisy", at: float = NOON
) -> Entry:
    change = Change(
        test=test,
        fqn=f"suite.{test}",
        from_state=ACTIVE,
        to_state=QUARANTINED,
        rule=rule,
        reason="30 %",
        actor=None if rule else "dana",
    )
    outcome = Outcome(test=test, outcome="done")
    return Entry(run="github:shop:17:1:policy:", batch=batch, at=at, change=change, outcome=outcome)


def call(*entries: Entry, run: str = "github:shop:17:1:policy:") -> PastCall:
    return PastCall(name=entries[0].call, run=run, entries=entries)


def flaky(name: str, state: State = QUARANTINED, cause: StateCause | None = None) -> FlakyTest:
    return FlakyTest(id=name, module="", suite="suite", name=name, state=state, cause=cause)


OURS = StateCause(at=NOON, rule="noisy", reason="30 %")


def undone(past: PastCall, *tests: FlakyTest, later: Sequence[PastCall] = ()) -> dict[str, str]:
    """The new state of what is put back, and why the rest is not."""
    by_id = {test.id: test for test in tests}
    back, skipped = put_back(
        past, [past, *later], by_id, now=NOON + 90_000, actor="eve", reason="undo of it"
    )
    assert all((each.rule, each.actor, each.reason) == (None, "eve", "undo of it") for each in back)
    assert all(each.from_state is by_id[each.test_id].state for each in back)
    assert [each.test_id for each in back] == sorted(each.test_id for each in back)
    found = {each.test_id: each.to_state.value for each in back}
    return found | {each.test_id: each.detail for each in skipped}


@pytest.mark.parametrize("cause", [None, OURS, replace(OURS, at=NOON + 0.4)])
def test_what_is_as_the_call_left_it_goes_back(cause: StateCause | None) -> None:
    past = call(entry("b"), entry("a"))
    assert undone(past, flaky("a", cause=cause), flaky("b")) == {"a": "active", "b": "active"}


def test_what_others_changed_since_stays() -> None:
    past = call(*(entry(name) for name in "abcdefg"))
    other = call(entry("d", batch="bbbb-1", rule="late", at=NOON + 86_400))
    by_hand = StateCause(at=NOON + 90_000, actor="somebody in Datadog")
    tests = [
        flaky("a", ACTIVE, StateCause(at=NOON, actor="kim")),
        flaky("b", FIXED),
        flaky("d", cause=OURS),
        flaky("e", cause=by_hand),
        flaky("f", cause=replace(OURS, rule="another")),
        flaky("g", cause=replace(OURS, at=NOON + 3600)),
    ]
    assert undone(past, *tests, later=[other]) == {
        "a": "it is active by kim, no longer quarantined",
        "b": "it is fixed, no longer quarantined",
        "c": "it is not listed any more",
        "d": "rule late changed it since, on 2026-11-21 12:00 UTC",
        "e": "somebody in Datadog changed it since, on 2026-11-21 13:00 UTC",
        "f": "rule another changed it since, on 2026-11-20 12:00 UTC",
        "g": "rule noisy changed it since, on 2026-11-20 13:00 UTC",
    }


DAY = 86_400.0


def chosen(test: str, batch: str, *, frm: State, to: State, days: float | None) -> PastCall:
    """Somebody set it, for so many days from NOON on."""
    made = entry(test, batch=batch, rule=None)
    until = None if days is None else datetime.fromtimestamp(NOON + days * DAY, tz=timezone.utc)
    change = msgspec.structs.replace(made.change, from_state=frm, to_state=to, until=until)
    return call(replace(made, change=change))


@pytest.mark.parametrize(
    ("earlier", "left", "expected"),
    [
        ((ACTIVE, QUARANTINED, 4), (QUARANTINED, QUARANTINED, 9), NOON + 4 * DAY),
        ((ACTIVE, QUARANTINED, 4), (QUARANTINED, ACTIVE, None), NOON + 4 * DAY),
        ((QUARANTINED, ACTIVE, 4), (ACTIVE, QUARANTINED, None), NOON + 4 * DAY),
        ((ACTIVE, QUARANTINED, None), (QUARANTINED, QUARANTINED, 9), None),
        ((ACTIVE, FIXED, 4), (QUARANTINED, ACTIVE, None), None),  # others changed it between
        (
            (QUARANTINED, ACTIVE, 1),
            (ACTIVE, QUARANTINED, None),
            None,
        ),  # no excuse: it may come back
        (
            (ACTIVE, QUARANTINED, 1),
            (QUARANTINED, ACTIVE, None),
            "it was quarantined until 2026-11-21, which is over",
        ),
    ],
)
def test_what_was_chosen_for_a_time_comes_back_with_its_end(
    earlier: tuple[State, State, float | None],
    left: tuple[State, State, float | None],
    expected: float | str | None,
) -> None:
    first, past = (
        chosen("a", batch, frm=frm, to=to, days=days)
        for batch, (frm, to, days) in (("aa-1", earlier), ("bb-1", left))
    )
    tests = {"a": flaky("a", left[1])}
    back, skipped = put_back(
        past, [first, past], tests, now=NOON + 2 * DAY, actor="eve", reason="undo of it"
    )
    assert [each.until for each in back] + [each.detail for each in skipped] == [expected]
    assert all(each.to_state is left[0] for each in back)


CALLS = [
    call(entry("a", batch="abc1-1")),
    call(entry("b", batch="abd2-1"), run="github:shop:18:1:policy:"),
    call(entry("c", batch="17ff-1"), run="github:shop:18:2:policy:"),
]


@pytest.mark.parametrize(
    ("text", "name"),
    [("last", "17ff"), ("abc", "abc1"), ("shop:17", "abc1"), ("18:2", "17ff"), (" abd2 ", "abd2"),
     ("17", "17ff"), ("github:shop:18:1:policy:", "abd2")],
)  # fmt: skip
def test_a_call_has_a_name_and_its_run_a_key(text: str, name: str) -> None:
    assert choose(text, CALLS).name == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "ab",
            "2 calls match 'ab'\n  abd2  2026-11-20 12:00 UTC  github:shop:18:1:policy:\n  abc1",
        ),
        ("shop", "3 calls match"),
        ("x", "no call that changed something matches 'x'"),
        ("", "no call that changed something matches ''"),
        (" ", "no call"),
    ],
)
def test_anything_else_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose(text, CALLS)
    assert caught.value.message.startswith(says)
    assert caught.value.tip


def test_nothing_to_undo() -> None:
    with pytest.raises(UsageError, match="there is nothing to undo"):
        choose("last", [])


def test_many_calls_of_one_key_are_not_all_listed() -> None:
    many = [call(entry("a", batch=f"{n:04}-1")) for n in range(30)]
    with pytest.raises(UsageError, match="… and 20 older ones"):
        choose("shop", many)


def test_a_key_with_a_line_break_is_one_line() -> None:
    forged = [call(entry("a", batch=f"{n}-1"), run="ci\n  17ff  not a call") for n in "ab"]
    with pytest.raises(UsageError) as caught:
        choose("ci", forged)
    assert len(caught.value.message.splitlines()) == 3


def test_a_call_in_a_line() -> None:
    past = call(entry("a"), entry("b"), entry("c", rule=None))
    assert in_a_line(past) == "2 changes by noisy, 1 change by dana"
