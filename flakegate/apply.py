"""Carries out transitions, batch by batch: the intent on disk, the request, the result on disk."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flakegate.errors import (
    BackendError,
    BatchRefusedError,
    ExitCode,
    FlakegateError,
    HalfDoneError,
    NothingChangedError,
    StoppedError,
)
from flakegate.model import UpdateResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flakegate.journal import Journal
    from flakegate.model import Transition

    Batch = tuple[Transition, ...]
    Update = Callable[[Sequence[Transition]], Sequence[UpdateResult]]
    Progress = Callable[[int, int | None], None]

MOST_REFUSED = 10  # tests one after the other, each alone: then it is not about them


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What came of every transition, each in exactly one place, in their order.

    already: others had made it before. failed: refused, with the reason. unknown: perhaps made,
    with what happened to the answer. error: what stopped it before the end.
    """

    done: tuple[Transition, ...] = ()
    already: tuple[Transition, ...] = ()
    failed: tuple[tuple[Transition, str], ...] = ()
    unknown: tuple[tuple[Transition, str], ...] = ()
    not_sent: tuple[Transition, ...] = ()
    error: FlakegateError | None = field(default=None, compare=False)

    @property
    def exit_code(self) -> ExitCode:
        """0: all made. 130: asked to stop. 5: some made, or perhaps. 4: none."""
        if isinstance(self.error, StoppedError):
            return ExitCode.INTERRUPTED
        if not (self.failed or self.unknown or self.not_sent or self.error):
            return ExitCode.PASSED
        if self.done or (self.unknown and self.error is None):
            return ExitCode.PARTIAL
        return ExitCode.BACKEND


def batches(transitions: Sequence[Transition], size: int) -> list[Batch]:
    """The transitions in their order, in as few batches of at most `size` as they need."""
    return [tuple(transitions[at : at + size]) for at in range(0, len(transitions), size)]


def halves(part: Batch) -> list[Batch]:
    """The two halves of a batch of two or more, in its order."""
    middle = len(part) // 2
    return [part[:middle], part[middle:]]


def apply(  # noqa: PLR0913 - each an effect that the caller gives
    transitions: Sequence[Transition],
    *,
    update: Update,
    journal: Journal,
    batch_size: int,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Applied:
    """Sends the transitions and reports what became of each; trouble stops it, as a value.

    update: `Backend.update`; a change that its results leave out is unknown. A batch that it
    refuses for what is in it is halved, until the one that is at fault fails alone. progress: is
    told how many are through, and of how many. stop: whether to end before the next batch.
    """
    waiting = deque(batches(transitions, batch_size))
    results: list[UpdateResult] = []
    error: FlakegateError | None = None
    refused = 0  # tests one after the other
    while waiting and error is None:
        if stop():
            error = StoppedError("stopped by a signal", tip="the next call makes what is left")
            break
        part = waiting.popleft()
        told, trouble = _send(part, update, journal)
        if isinstance(trouble, BatchRefusedError) and len(part) > 1:
            waiting.extendleft(reversed(halves(part)))
            continue
        if isinstance(trouble, BatchRefusedError) and refused < MOST_REFUSED:
            refused += 1
        elif trouble is not None:
            which = f"changes {len(results) + 1:,} to {len(results) + len(part):,}"
            error = BackendError(
                f"{which} of {len(transitions):,}: {trouble.message}", tip=trouble.tip
            )
        else:
            refused = 0
        results += told
        if error is None and progress is not None:
            progress(len(results), len(transitions))
    return _applied(transitions, results, error)


def _applied(
    transitions: Sequence[Transition], results: Sequence[UpdateResult], error: FlakegateError | None
) -> Applied:
    sent = list(zip(transitions, results, strict=False))
    return Applied(
        done=tuple(each for each, result in sent if result.ok and not result.already),
        already=tuple(each for each, result in sent if result.ok and result.already),
        failed=tuple((each, result.error or "") for each, result in sent if result.ok is False),
        unknown=tuple((each, result.error or "") for each, result in sent if result.ok is None),
        not_sent=tuple(transitions[len(results) :]),
        error=error,
    )


def _send(
    part: Sequence[Transition], update: Update, journal: Journal
) -> tuple[Sequence[UpdateResult], BackendError | None]:
    """One batch: what is known of each of its changes (nothing: not sent), and what went wrong."""
    try:
        batch = journal.intent(part)
    except BackendError as error:
        return (), error
    failure: BackendError | None = None
    answers: Sequence[UpdateResult] = ()
    ok, otherwise = None, "the backend did not say what came of it"
    try:
        answers = update(part)
    except BackendError as error:
        failure = error
        ok, otherwise = False if isinstance(error, NothingChangedError) else None, error.message
        answers = error.results if isinstance(error, HalfDoneError) else ()
    said = {result.test_id: result for result in answers}
    results = [
        said.get(each.test_id) or UpdateResult(test_id=each.test_id, ok=ok, error=otherwise)
        for each in part
    ]
    try:
        journal.result(batch, results)
    except BackendError as error:
        failure = failure or error
    return results, failure
