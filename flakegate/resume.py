"""Takes up what an earlier call left open: reads the states, and completes the journal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from flakegate.entries import settled
from flakegate.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flakegate.entries import Outcome
    from flakegate.journal import Journal
    from flakegate.model import State

    States = Callable[[frozenset[str]], Mapping[str, State]]


def resume(journal: Journal, states: States) -> str | None:
    """Finds out what came of changes that the journal only intends, and records it.

    states: of these tests (ids) now, by id. The journal must be held `alone`. What was found, in a
    line; None where nothing was open. Raises BackendError.
    """
    waiting = journal.open()
    if not waiting:
        return None
    found = settled(waiting, states(frozenset(entry.change.test for entry in waiting)))
    for batch, outcomes in found.items():
        journal.settle(batch, outcomes)
    killed = any(entry.outcome is None for entry in waiting)
    return _in_words((each for outcomes in found.values() for each in outcomes), killed=killed)


def _in_words(outcomes: Iterable[Outcome], *, killed: bool) -> str:
    counted = Counter(outcome.outcome for outcome in outcomes)
    made, lost, all_of_them = counted["done"], counted["overtaken"], counted.total()
    what = "was interrupted" if killed else "did not learn what came of its changes"
    were = "was" if made == 1 else "were"
    said = f"an earlier call {what}: {made:,} of {count(all_of_them, 'open change')} {were} made"
    if lost:
        said += f"; of {lost:,} it cannot be told, they were changed again since"
    return f"{said}; the journal has it now"
