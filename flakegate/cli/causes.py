"""Why tests have their states: the backend's word, and the journal's for what is our own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from flakegate.attribution import attributed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from flakegate.attribution import Made
    from flakegate.backends.base import Backend
    from flakegate.ci.context import CIContext
    from flakegate.cli.call import Call
    from flakegate.model import FlakyTest, StateCause


def with_causes(
    call: Call,
    context: CIContext,
    backend: Backend,
    tests: Sequence[FlakyTest],
    moving: Collection[str] = (),
) -> list[FlakyTest]:
    """The tests in their order, with the causes of their states where these decide anything.

    That is where a person set the state for a time, which only our journal knows of a backend that
    does not tell causes by itself; and for those with an id in `moving`. A state that others gave a
    test since has another cause, so for each of these the backend is asked. Raises BackendError.
    """
    untold = [test for test in tests if test.cause is None]
    if not untold:
        return list(tests)
    ours = _ours(call, context, backend, untold)
    asked = [test for test in untold if test.id in moving or _for_a_time(test, ours[test.id])]
    causes = _causes(backend, asked, ours)
    return [replace(test, cause=causes[test.id]) if test.id in causes else test for test in tests]


def causes_of(
    call: Call, context: CIContext, backend: Backend, tests: Sequence[FlakyTest]
) -> dict[str, StateCause | None]:
    """By id why each test has its state, as far as backend and journal know. Raises BackendError.

    Only for tests that `search` gave no cause of.
    """
    return _causes(backend, tests, _ours(call, context, backend, tests))


def _ours(
    call: Call, context: CIContext, backend: Backend, tests: Sequence[FlakyTest]
) -> Mapping[str, list[Made]]:
    """By id the changes of these tests that the journal has."""
    ours: dict[str, list[Made]] = defaultdict(list)
    for made in call.journal(backend, context).made([test.id for test in tests]):
        ours[made.test_id].append(made)
    return ours


def _causes(
    backend: Backend, tests: Sequence[FlakyTest], ours: Mapping[str, list[Made]]
) -> dict[str, StateCause | None]:
    told = backend.last_changes(tests)
    return {test.id: attributed(told.get(test.id), test.state, ours[test.id]) for test in tests}


def _for_a_time(test: FlakyTest, made: Sequence[Made]) -> bool:
    cause = attributed(None, test.state, made)
    return cause is not None and cause.until is not None
