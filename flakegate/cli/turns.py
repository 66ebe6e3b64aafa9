"""One call at a time changes states, and each begins with what the one before it left open."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from flakegate.cli.say import note
from flakegate.policy.needs import afresh
from flakegate.policy.plan import MAX_SKEW
from flakegate.resume import resume
from flakegate.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flakegate.backends.base import Backend
    from flakegate.ci.context import CIContext
    from flakegate.cli.call import Call
    from flakegate.model import State


@contextmanager
def in_turn(
    call: Call,
    context: CIContext,
    backend: Backend,
    *,
    write: bool,
    warn: Callable[[str], None],
) -> Iterator[None]:
    """For all that leads to a change: alone among the calls with this journal, which is complete.

    write: whether anything will be changed; if not, this does nothing. warn: is told what was found
    of an earlier call that was killed. Raises BackendError.
    """
    if not write:
        yield
        return
    journal = call.journal(backend, context)

    def states(ids: frozenset[str]) -> dict[str, State]:
        return {test.id: test.state for test in backend.search(afresh(ids))}

    with journal.alone(lambda: note("waiting for another flakegate that is changing states")):
        if found := resume(journal, states):
            warn(found)
        if ahead := journal.ahead(call.now + MAX_SKEW):
            warn(
                f"{journal.path} holds {count(ahead, 'change')} from the future: the clock is or"
                " was wrong, and the limits count them until then; correct it, or move the file"
                " away"
            )
        yield
