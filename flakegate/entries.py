"""What the journal holds: the form of its lines, and what they add up to. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from flakegate.model import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

VERSION = 1

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Word = Literal["done", "failed", "unknown", "already", "overtaken"]


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One intended change. rule: None for a person's own, whose name is `actor`.

    until: when that is over; None if it has no end.
    """

    test: str
    fqn: str
    from_state: State = msgspec.field(name="from")
    to_state: State = msgspec.field(name="to")
    rule: str | None
    reason: str
    actor: str | None
    until: Moment | None = None


class IssueChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One intended change of an issue of Error Tracking.

    what: "state", or "assignee" (a user's id, None for nobody). test: whose change of a state it
    follows, by its id; None where a person made it, whose name is `actor`.
    """

    issue: str
    what: str
    before: str | None
    after: str | None
    rule: str | None
    reason: str
    actor: str | None
    test: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of one change. test: its test, or its issue, by the id.

    outcome: "unknown" until a later call has read the state; "already": others had made it before,
    nothing was sent; "overtaken": others changed the state since, so it cannot be told any more.
    """

    test: str
    outcome: Word
    error: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line: an intent with its changes, or a result of the intent of the same batch.

    A batch can have several results: of what they say of a test, the last counts; but "unknown"
    takes nothing back.
    """

    version: int
    time: Moment
    event: Literal["intent", "result"]
    run: str
    backend: str
    repository: str
    batch: str
    changes: tuple[Change, ...] = ()
    issues: tuple[IssueChange, ...] = ()
    results: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change that was intended, and what is known of it.

    run: the key of the CI run. at: of the intent, in seconds since the epoch. outcome: None where
    no result was recorded.
    """

    run: str
    batch: str
    at: float
    change: Change
    outcome: Outcome | None = None

    @property
    def call(self) -> str:
        """The call of flakegate that intended it: batches are named after theirs."""
        return self.batch.partition("-")[0]

    @property
    def made(self) -> bool | None:
        """Whether it was made; None: not known."""
        word = self.outcome.outcome if self.outcome else "unknown"
        return {"done": True, "failed": False, "already": False}.get(word)

    @property
    def is_open(self) -> bool:
        """Whether reading the state may still tell what came of it."""
        return self.outcome is None or self.outcome.outcome == "unknown"


def entries(events: Iterable[Event], wanted: Callable[[Event, Change], bool]) -> list[Entry]:
    """The wanted changes in the order in which they were intended."""
    found: dict[tuple[str, str], Entry] = {}
    for event in events:
        found |= _intended(event, wanted)
        for key, entry in _told(event, found):
            found[key] = entry
    return list(found.values())


def open_entries(events: Iterable[Event]) -> list[Entry]:
    """The changes of which nobody knows yet what came of them; holds no others in memory."""
    found: dict[tuple[str, str], Entry] = {}
    for event in events:
        found |= _intended(event, lambda _event, _change: True)
        for key, entry in _told(event, found):
            if entry.is_open:
                found[key] = entry
            else:
                del found[key]
    return list(found.values())


def _intended(
    event: Event, wanted: Callable[[Event, Change], bool]
) -> Iterator[tuple[tuple[str, str], Entry]]:
    at = event.time.timestamp()
    for change in event.changes:
        if wanted(event, change):
            entry = Entry(run=event.run, batch=event.batch, at=at, change=change)
            yield (event.batch, change.test), entry


def _told(
    event: Event, found: Mapping[tuple[str, str], Entry]
) -> Iterator[tuple[tuple[str, str], Entry]]:
    """The entries that this event tells more about; that nothing is known takes nothing back."""
    for outcome in event.results:
        key = (event.batch, outcome.test)
        entry = found.get(key)
        if entry and (entry.is_open or outcome.outcome != "unknown"):
            yield key, replace(entry, outcome=outcome)


def settled(waiting: Sequence[Entry], states: Mapping[str, State]) -> dict[str, list[Outcome]]:
    """What came of these open entries, by batch. states: of their tests now, by id."""
    found: dict[str, list[Outcome]] = {}
    for entry in waiting:
        outcome = _settled(entry.change, states.get(entry.change.test))
        found.setdefault(entry.batch, []).append(outcome)
    return found


def _settled(change: Change, state: State | None) -> Outcome:
    if state is change.to_state:
        return Outcome(test=change.test, outcome="done")
    if state is change.from_state:
        error = f"found later: it was not made, the test is still {state}"
        return Outcome(test=change.test, outcome="failed", error=error)
    error = f"found later: the test is {state or 'not listed any more'}"
    return Outcome(test=change.test, outcome="overtaken", error=error)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCall:
    """What one call of flakegate changed, or may have changed; never empty.

    name: what `undo` knows it by. run: the key of its CI run.
    """

    name: str
    run: str
    entries: tuple[Entry, ...]

    @property
    def at(self) -> float:
        """When it began to, in seconds since the epoch."""
        return self.entries[0].at

    @property
    def by(self) -> tuple[tuple[str, int], ...]:
        """How many changes each rule made, or each person, most first."""
        changes = (entry.change for entry in self.entries)
        return tuple(Counter(each.rule or each.actor or "" for each in changes).most_common())


def past_calls(intended: Iterable[Entry]) -> list[PastCall]:
    """The calls that changed something, in the order of the journal: the clock may have jumped."""
    found: dict[str, list[Entry]] = {}
    for entry in intended:
        if entry.made is not False:
            found.setdefault(entry.call, []).append(entry)
    return [
        PastCall(name=name, run=made[0].run, entries=tuple(made)) for name, made in found.items()
    ]
