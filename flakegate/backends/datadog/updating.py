"""Changes the states of flaky tests in Datadog, one batch at a time.

Datadog knows no transactions: the states are read just before and, where its answer leaves open
what came of a change, once more after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.attribution import moved
from flakegate.backends.datadog import wire
from flakegate.backends.datadog.access import KEYS_TIP
from flakegate.backends.datadog.query import id_queries
from flakegate.backends.datadog.searching import Walk, search
from flakegate.errors import (
    BackendError,
    BatchRefusedError,
    HalfDoneError,
    NothingChangedError,
)
from flakegate.model import UpdateResult
from flakegate.wire.flaky_tests import PATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flakegate.model import FlakyTest, Transition
    from flakegate.transport.client import Transport

    Results = dict[str, UpdateResult]

BATCH_SIZE = 100  # Datadog documents no maximum
REFUSES_BATCH = (400, 413)
TIPS = {401: KEYS_TIP, 403: f"the application key needs test_optimization_write; or {KEYS_TIP}"}


def update(
    transport: Transport, repository: str, changes: Sequence[Transition]
) -> list[UpdateResult]:
    """Carries out one batch; one result for each change, in their order.

    repository: its id as Datadog writes it. What others moved meanwhile, and what is not listed for
    this repository, is not sent. Raises NothingChangedError; BatchRefusedError where a smaller
    batch may be taken; HalfDoneError.
    """
    results, sending = _compared(transport, repository, changes)
    if sending:
        results |= _sent(transport, repository, sending)
    return [results[change.test_id] for change in changes]


def _compared(
    transport: Transport, repository: str, changes: Sequence[Transition]
) -> tuple[Results, list[Transition]]:
    """Which changes need not or must not be sent any more, and those that are left."""
    try:
        now = read_again(transport, repository, (change.test_id for change in changes))
        strayed = [
            change.test_id
            for change in changes
            if (test := now.get(change.test_id))
            and test.state not in (change.from_state, change.to_state)
        ]
        now |= read_again(transport, repository, strayed, history=True)
    except BackendError as error:
        raise NothingChangedError(error.message, tip=error.tip, status=error.status) from None
    results = {
        change.test_id: result
        for change in changes
        if (result := _spared(change, now.get(change.test_id), repository))
    }
    return results, [change for change in changes if change.test_id not in results]


def _spared(change: Transition, test: FlakyTest | None, repository: str) -> UpdateResult | None:
    """What is to be said of a change that is not sent; None: send it."""
    if test is None:
        error = f"Datadog does not list it for {repository} any more: plan again"
        return UpdateResult(test_id=change.test_id, ok=False, error=error)
    if test.state is change.to_state:
        # One that only gets another date is ours, and there is nothing to send.
        already = change.from_state is not change.to_state
        return UpdateResult(test_id=change.test_id, ok=True, already=already)
    if test.state is change.from_state:
        return None
    error = f"{moved(change.from_state, test.state, test.cause)}: plan again"
    return UpdateResult(test_id=change.test_id, ok=False, error=error)


def _sent(transport: Transport, repository: str, changes: Sequence[Transition]) -> Results:
    """Sends the batch; what stays open is looked at and, if it was not made, sent once more."""
    results, trouble = _patched(transport, changes)
    left = _looked_at(transport, repository, changes, results, trouble)
    if left:
        try:
            again, trouble = _patched(transport, left)
        except NothingChangedError as error:
            again, trouble = _open(left, error), error
        results |= again
        _looked_at(transport, repository, left, results, trouble)
    still_open = any(result.ok is None for result in results.values())
    if trouble is not None and still_open:
        raise HalfDoneError(trouble.message, tip=trouble.tip, results=tuple(results.values()))
    return results


def _patched(
    transport: Transport, changes: Sequence[Transition]
) -> tuple[Results, BackendError | None]:
    """What Datadog said of each change; after trouble with the answer it is open for all of them.

    Raises NothingChangedError, BatchRefusedError.
    """
    request = f"PATCH {transport.base_url}{PATH}"
    try:
        answer = transport.send("PATCH", PATH, wire.encode_update(changes), tips=TIPS)
        said = wire.decode_update(answer, changes, request)
    except NothingChangedError as error:
        if error.status in REFUSES_BATCH:
            raise BatchRefusedError(error.message, tip=error.tip, status=error.status) from None
        raise
    except BackendError as error:
        return _open(changes, error), error
    return {result.test_id: result for result in said}, None


def _open(changes: Sequence[Transition], error: BackendError) -> Results:
    ids = [change.test_id for change in changes]
    return {each: UpdateResult(test_id=each, ok=None, error=error.message) for each in ids}


def _looked_at(
    transport: Transport,
    repository: str,
    changes: Sequence[Transition],
    results: Results,
    trouble: BackendError | None,
) -> list[Transition]:
    """Reads the states of what is open, completes the results, and gives what was not made."""
    waiting = [change for change in changes if results[change.test_id].ok is None]
    try:
        now = read_again(transport, repository, (change.test_id for change in waiting))
    except BackendError as error:
        raise HalfDoneError(
            (trouble or error).message, tip=error.tip, results=tuple(results.values())
        ) from None
    not_made = []
    for change in waiting:
        test, said = now.get(change.test_id), results[change.test_id].error
        if test and test.state is change.to_state:
            results[change.test_id] = UpdateResult(test_id=change.test_id, ok=True)
            continue
        listed = f"lists it as {test.state}" if test else "does not list it any more"
        results[change.test_id] = UpdateResult(
            test_id=change.test_id, ok=None, error=f"{said}; Datadog {listed}"
        )
        if test and test.state is change.from_state:
            not_made.append(change)
    return not_made


def read_again(
    transport: Transport, repository: str, ids: Iterable[str], *, history: bool = False
) -> dict[str, FlakyTest]:
    """These tests as they are now, by id; absent: not listed for this repository.

    history: with the causes of their states, see `wire.decode_page`. Raises BackendError.
    """
    queries = id_queries(repository, frozenset(ids))
    return search(transport, [Walk(query=query, history=history) for query in queries]).tests
