"""What the journal adds up to, whatever was written to it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from flakegate.entries import (
    Change,
    Event,
    Outcome,
    Word,
    entries,
    open_entries,
    past_calls,
    settled,
)
from flakegate.model import State

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS: tuple[Word, ...] = ("done", "failed", "unknown", "already", "overtaken")


def change(test: str, rule: str | None = "noisy", actor: str | None = None) -> Change:
    return Change(
        test=test,
        fqn=test,
        from_state=State.ACTIVE,
        to_state=State.QUARANTINED,
        rule=rule,
        reason="why",
        actor=actor,
    )


def intent(batch: str, *changes: Change, at: float = 1e9, run: str = "ci:1") -> Event:
    return Event(
        version=1,
        time=datetime.fromtimestamp(at, timezone.utc),
        event="intent",
        run=run,
        backend="datadog",
        repository="r",
        batch=batch,
        changes=changes,
    )


def result(batch: str, **words: Word) -> Event:
    return Event(
        version=1,
        time=datetime.fromtimestamp(1e9, timezone.utc),
        event="result",
        run="ci:2",
        backend="datadog",
        repository="r",
        batch=batch,
        results=tuple(Outcome(test=test, outcome=word) for test, word in words.items()),
    )


def all_of(events: Sequence[Event]) -> dict[tuple[str, str], bool | None]:
    found = entries(events, lambda _event, _change: True)
    return {(entry.batch, entry.change.test): entry.made for entry in found}


def test_the_last_result_counts() -> None:
    events = [
        intent("a-1", change("x"), change("y"), change("z")),
        result("a-1", x="unknown", y="failed"),
        intent("b-1", change("x")),
        result("a-1", x="done", y="done"),
        result("b-1", x="already"),
    ]
    assert all_of(events) == {
        ("a-1", "x"): True,
        ("a-1", "y"): True,
        ("a-1", "z"): None,
        ("b-1", "x"): False,
    }
    assert [entry.change.test for entry in open_entries(events)] == ["z"]


def test_results_of_nothing_are_passed_over() -> None:
    assert all_of([result("a-1", x="done"), intent("a-1", change("y"))]) == {("a-1", "y"): None}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from(WORDS))))
def test_what_is_open_is_what_nobody_has_settled(rows: list[tuple[str, str, Word]]) -> None:
    events = [intent(batch, change("x"), change("y")) for batch in "ab"]
    events += [result(batch, **{test: word}) for batch, test, word in rows]
    known = {(batch, test) for batch, test, word in rows if word != "unknown"}
    still = [(batch, test) for batch in "ab" for test in "xy" if (batch, test) not in known]
    found = open_entries(events)
    assert sorted((entry.batch, entry.change.test) for entry in found) == still
    whole = entries(events, lambda _event, _change: True)
    assert sorted((e.batch, e.change.test) for e in whole if e.is_open) == still


def test_what_came_of_open_changes_is_read_off_the_states() -> None:
    events = [
        intent("a-1", change("made"), change("not")),
        intent("b-1", change("moved"), change("gone")),
    ]
    states = {"made": State.QUARANTINED, "not": State.ACTIVE, "moved": State.FIXED}
    found = settled(open_entries(events), states)
    assert {batch: [each.outcome for each in outcomes] for batch, outcomes in found.items()} == {
        "a-1": ["done", "failed"],
        "b-1": ["overtaken", "overtaken"],
    }
    assert found["b-1"][0].error == "found later: the test is fixed"
    assert found["b-1"][1].error == "found later: the test is not listed any more"


def test_calls_are_those_that_changed_something_in_the_journals_order() -> None:
    dana = change("z", rule=None, actor="dana")
    events = [
        intent("a-1", change("x"), change("y"), at=2e9, run="ci:1"),
        result("a-1", x="done", y="done"),
        intent("b-1", change("w")),
        result("b-1", w="failed"),
        intent("a-2", change("v", rule="other"), at=2e9),
        intent("c-1", dana, at=1e9, run="local"),
        intent("old", change("u")),
    ]
    calls = past_calls(entries(events, lambda _event, _change: True))
    assert [(each.name, each.run, each.at, each.by) for each in calls] == [
        ("a", "ci:1", 2e9, (("noisy", 2), ("other", 1))),
        ("c", "local", 1e9, (("dana", 1),)),
        ("old", "ci:1", 1e9, (("noisy", 1),)),
    ]
