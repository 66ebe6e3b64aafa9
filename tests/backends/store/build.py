"""Small runs and stores for the tests: what a test does not say is the plainest there is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flakegate.backends.store.store import Store
from flakegate.identity import test_id as id_of
from flakegate.junit import Outcome
from flakegate.model import FlakyTest, Identity, State, Transition
from flakegate.policy.needs import whole
from flakegate.record import RunRecord
from flakegate.record import TestRecord as Recorded  # pytest would collect it by its own name

if TYPE_CHECKING:
    from pathlib import Path

REPOSITORY = "github.com/acme/shop"
DAY = 86_400.0
NOW = 1_750_000_000.0
LETTERS = {
    "p": Outcome.PASSED,
    "f": Outcome.FAILURE,
    "e": Outcome.ERROR,
    "s": Outcome.SKIPPED,
}
MAIN = RunRecord(
    key="",
    pipeline="github:github.com/acme/shop:1",
    leg="tests:",
    repository=REPOSITORY,
    commit=None,
    branch="main",
    is_default=True,
    pull_request=None,
    fork=False,
    at=NOW - DAY,
    results=(),
)


def named(name: str) -> Identity:
    return Identity(module="", suite="tests.test_shop", name=name, source_file="tests/test_shop.py")


def key_of(name: str) -> str:
    return id_of(REPOSITORY, named(name))


def run(number: int, at: float = MAIN.at, /, **outcomes: str) -> RunRecord:
    """A run on main with a pipeline and commit of its own; outcomes: a letter an attempt."""
    return replace(
        MAIN,
        key=f"github:github.com/acme/shop:{number}:1:tests:",
        pipeline=f"github:github.com/acme/shop:{number}",
        commit=f"{number:040x}",
        at=at,
        results=tuple(result(name, letters) for name, letters in outcomes.items()),
    )


def result(name: str, letters: str) -> Recorded:
    failed = not {"f", "e"}.isdisjoint(letters)
    return Recorded(
        identity=named(name),
        attempts=tuple(LETTERS[letter] for letter in letters),
        duration=1.5 if failed else None,
        message=f"{name} broke" if failed else None,
    )


def on_branch(record: RunRecord, branch: str, pull_request: str | None = None) -> RunRecord:
    return replace(record, branch=branch, pull_request=pull_request, is_default=False)


def from_fork(record: RunRecord, pull_request: str) -> RunRecord:
    return replace(on_branch(record, "patch-1", pull_request), fork=True)


def open_store(  # noqa: PLR0913 - all but the folder have a value
    folder: Path,
    *,
    now: float = NOW,
    pipeline: str | None = "github:github.com/acme/shop:999",
    repository: str = REPOSITORY,
    rate_from: str = "default_branch",
    write: bool = True,
) -> Store:
    return Store.open(
        f"sqlite:///{folder / 'history.db'}",
        repository=repository,
        pipeline=pipeline,
        now=now,
        rate_from=rate_from,
        write=write,
    )


def flaky(store: Store) -> dict[str, FlakyTest]:
    """All flaky tests by their plain names."""
    return {test.name: test for test in store.search(whole())}


def move(name: str, before: State, after: State, rule: str | None = "noisy") -> Transition:
    return Transition(
        test_id=key_of(name),
        fqn=name,
        from_state=before,
        to_state=after,
        rule=rule,
        reason="because",
        actor=None if rule else "ada",
    )
