"""Carries out transitions, batch by batch: the intent on disk, the request, the result on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flakegate.errors import BackendError, ExitCode, NothingChangedError
from flakegate.model import UpdateResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flakegate.journal import Journal
    from flakegate.model import Transition

    Update = Callable[[Sequence[Transition]], Sequence[UpdateResult]]
    Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What came of every transition, each in exactly one place, in their order.

    failed: refused, with the reason. unknown: perhaps made, with what happened to the answer.
    error: what stopped it before the end.
    """

    done: tuple[Transition, ...] = ()
    failed: tuple[tuple[Transition, str], ...] = ()
    unknown: tuple[tuple[Transition, str], ...] = ()
    not_sent: tuple[Transition, ...] = ()
    error: BackendError | None = field(default=None, compare=False)

    @property
    def exit_code(self) -> ExitCode:
        """0: all made. 5: some made, or perhaps. 4: none, the backend refused or was not there."""
        if not (self.failed or self.unknown or self.not_sent or self.error):
            return ExitCode.PASSED
        if self.done or (self.unknown and self.error is None):
            return ExitCode.PARTIAL
        return ExitCode.BACKEND


def batches(transitions: Sequence[Transition], size: int) -> list[tuple[Transition, ...]]:
    """The transitions in their order, in as few batches of at most `size` as they need."""
    return [tuple(transitions[at : at + size]) for at in range(0, len(transitions), size)]


def apply(
    transitions: Sequence[Transition],
    *,
    update: Update,
    journal: Journal,
    batch_size: int,
    progress: Progress | None = None,
) -> Applied:
    """Sends the transitions and reports what became of each; a BackendError stops, as a value.

    update: `Backend.update`; a change that its results leave out is unknown. progress: is told how
    many are through, and of how many. The caller has read the states just before.
    """
    parts = batches(transitions, batch_size)
    results: list[UpdateResult] = []
    error: BackendError | None = None
    for number, part in enumerate(parts, start=1):
        which = f"batch {number} of {len(parts)} ({len(part)} from {part[0].test_id})"
        told, error = _send(part, which, update, journal)
        results += told
        if error is not None:
            break
        if progress is not None:
            progress(len(results), len(transitions))
    sent = list(zip(transitions, results, strict=False))
    return Applied(
        done=tuple(each for each, result in sent if result.ok),
        failed=tuple((each, result.error or "") for each, result in sent if result.ok is False),
        unknown=tuple((each, result.error or "") for each, result in sent if result.ok is None),
        not_sent=tuple(transitions[len(results) :]),
        error=error,
    )


def _send(
    part: Sequence[Transition], which: str, update: Update, journal: Journal
) -> tuple[Sequence[UpdateResult], BackendError | None]:
    """One batch: what is known of each of its changes (nothing: not sent), and what went wrong."""
    try:
        batch = journal.intent(part)
    except BackendError as error:
        return (), _in_batch(which, error)
    failure: BackendError | None = None
    said: dict[str, UpdateResult] = {}
    ok, otherwise = None, "the backend did not say what came of it"
    try:
        said = {result.test_id: result for result in update(part)}
    except BackendError as error:
        failure = _in_batch(which, error)
        ok, otherwise = False if isinstance(error, NothingChangedError) else None, error.message
    results = [
        said.get(each.test_id) or UpdateResult(test_id=each.test_id, ok=ok, error=otherwise)
        for each in part
    ]
    try:
        journal.result(batch, results)
    except BackendError as error:
        failure = failure or _in_batch(which, error)
    return results, failure


def _in_batch(which: str, error: BackendError) -> BackendError:
    return BackendError(f"{which}: {error.message}", tip=error.tip)
