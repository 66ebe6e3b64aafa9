"""What every backend can do. `registry.py` makes one from the command's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

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

    Progress = Callable[[int, int | None], None]


class Backend(Protocol):
    """A list of flaky tests with states that can be changed. All methods raise BackendError."""

    @property
    def kind(self) -> str:
        """The word for it in the policy: "datadog" or "store"."""
        ...

    @property
    def place(self) -> str:
        """Where it is, for the first line of output: a file's path or a site. No secrets."""
        ...

    @property
    def fields(self) -> frozenset[str]:
        """The fields of `when` that it can supply."""
        ...

    @property
    def by_identity(self) -> bool:
        """Whether a report's cases are looked up by their identities, with `find`.

        Else `in_suites` finds what they may be, and `matching.resolve` tells which of it they are.
        """
        ...

    @property
    def batch_size(self) -> int:
        """The most changes that one `update` takes."""
        ...

    def search(self, wanted: Wanted, progress: Progress | None = None) -> list[FlakyTest]:
        """The repository's flaky tests that are wanted, in the order of their ids, each once.

        A backend may find more of them: what may be left out is for those that read far.
        """
        ...

    def find(self, identities: Sequence[Identity]) -> dict[Identity, FlakyTest]:
        """The flaky tests that these identities are, exactly. Absent: not known to be flaky."""
        ...

    def in_suites(self, candidates: Collection[Candidate]) -> list[FlakyTest]:
        """Every flaky test of the suites that these candidates name, in whatever state."""
        ...

    def update(self, changes: Sequence[Transition]) -> list[UpdateResult]:
        """Carries out one batch of at most `batch_size` changes; one result for each."""
        ...

    def last_changes(self, tests: Sequence[FlakyTest]) -> dict[str, StateCause]:
        """By id, who or what last changed the state of these tests, which `search` returned.

        Only what `search` could not tell: it costs requests. Absent: not known. A change that looks
        manual may be our own, which only the journal knows.
        """
        ...

    def own_rules(self) -> tuple[OwnRule, ...]:
        """The rules by which the backend changes states itself; none where only flakegate does."""
        ...

    def suite_size(self) -> int | None:
        """How many tests the repository has, where the backend knows."""
        ...

    def recent_changes(self, since: float) -> int | None:
        """How often rules moved a test into quarantined or disabled since then (epoch seconds).

        None: the backend keeps no such log, and only the journal knows.
        """
        ...

    def recorded(self) -> dict[str, Identity]:
        """The tests by id that a person may name beside the flaky ones; empty if there are none."""
        ...

    def history(self, test_id: str) -> History | None:
        """What is recorded of a test, flaky or not; None where nothing is."""
        ...

    def close(self) -> None:
        """Gives back what is held open."""
        ...
