"""A snapshot as a backend that can be asked and not changed; it needs no network and no keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.errors import BackendError
from flakegate.identity import test_id
from flakegate.policy.fields import FIELDS
from flakegate.snapshot import MAKE_ONE, MAX_BYTES, parse, too_old

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from flakegate.backends.base import Progress
    from flakegate.ci.context import CIContext
    from flakegate.matching.candidate import Candidate
    from flakegate.model import (
        FlakyTest,
        History,
        Identity,
        StateCause,
        Transition,
        UpdateResult,
    )
    from flakegate.policy.needs import Wanted
    from flakegate.policy.rules import OwnRule
    from flakegate.snapshot import Snapshot


class Saved:
    """The flaky tests of a snapshot. See `backends.base.Backend`."""

    fields = frozenset(FIELDS)
    batch_size = 1

    def __init__(self, snapshot: Snapshot, place: str) -> None:
        self.snapshot = snapshot
        self.kind = snapshot.backend
        self.place = place
        self.by_identity = snapshot.backend == "store"
        self._tests = {test.id: test for test in snapshot.tests}

    def search(self, wanted: Wanted, progress: Progress | None = None) -> list[FlakyTest]:
        """What is wanted of its tests, in the order of their ids."""
        del progress
        tests = (self._tests[each] for each in sorted(self._tests))
        return [test for test in tests if test.state in wanted.states or test.id in wanted.ids]

    def find(self, identities: Sequence[Identity]) -> dict[Identity, FlakyTest]:
        """The tests that these identities are, where it was saved from the store."""
        if not self.by_identity:
            return {}
        ids = {each: test_id(self.snapshot.repository, each) for each in identities}
        return {each: self._tests[key] for each, key in ids.items() if key in self._tests}

    def in_suites(self, candidates: Collection[Candidate]) -> list[FlakyTest]:
        """All of its tests: to choose among them would save nothing."""
        del candidates
        return list(self._tests.values())

    def update(self, changes: Sequence[Transition]) -> list[UpdateResult]:
        """Refuses: what is saved does not change."""
        del changes
        raise BackendError(
            "the states of a snapshot cannot be changed",
            tip="leave out --snapshot where states are to change",
        )

    def last_changes(self, tests: Sequence[FlakyTest]) -> dict[str, StateCause]:
        """What it was saved with."""
        return {test.id: test.cause for test in tests if test.cause is not None}

    def own_rules(self) -> tuple[OwnRule, ...]:
        """None are saved."""
        return ()

    def suite_size(self) -> int | None:
        """Unknown: it lists flaky tests only."""
        return None

    def recent_changes(self, since: float) -> int | None:
        """Unknown: it holds no log."""
        del since
        return None

    def recorded(self) -> dict[str, Identity]:
        """None: it lists flaky tests only."""
        return {}

    def history(self, test_id: str) -> History | None:
        """None is saved."""
        del test_id
        return None

    def close(self) -> None:
        """Nothing is held open."""


def open_snapshot(
    path: Path, context: CIContext, *, kind: str | None, now: float, max_age: float
) -> Saved:
    """The snapshot of this file. Raises BackendError where nothing may be excused by it.

    kind: of the backend that it has to be of, None for any. now: seconds since the epoch. max_age:
    seconds.
    """
    try:
        found = parse(_content(path), context, now)
        _check(found, kind, now, max_age)
    except BackendError as error:
        raise BackendError(f"the snapshot {path} {error.message}", tip=error.tip) from None
    return Saved(found, f"snapshot {path}")


def _check(found: Snapshot, kind: str | None, now: float, max_age: float) -> None:
    if kind not in (None, found.backend):
        raise BackendError(f"is of {found.backend}, and the backend is {kind}", tip=MAKE_ONE)
    if words := too_old(found, now, max_age):
        raise BackendError(words, tip="save one more often, or allow for more")


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise BackendError("is no file", tip=MAKE_ONE)
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BackendError(
            f"cannot be read: {error.strerror}", tip="check the file's permissions, and the disk"
        ) from None
