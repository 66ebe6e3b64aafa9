"""The newest commits of the default branch that failed a test, for the policy's guard."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from tests.backends.store.build import (
    DAY,
    NOW,
    flaky,
    from_fork,
    on_branch,
    open_store,
    run,
)

if TYPE_CHECKING:
    from pathlib import Path

    from flakegate.record import RunRecord

HOUR = 3_600.0
LONG_AGO = NOW - 30 * DAY


def at(commit: int, job: int = 1, rerun: float = 0.0, /, **letters: str) -> RunRecord:
    """A job on a commit of the default branch. rerun: hours after the commit's first run."""
    when = NOW - 5 * DAY + (commit + rerun) * HOUR
    record = run(commit * 100 + job, when, **letters)
    return replace(record, commit=f"c{commit}", leg=f"job{job}:")


def failing(folder: Path, *records: RunRecord) -> tuple[str, ...] | None:
    """The commits that failed a test which is known as flaky since long ago."""
    store = open_store(folder)
    store.record([run(0, LONG_AGO, a="fp", b="p"), *records])
    return flaky(store)["a"].failing_commits


def test_the_newest_commits_that_failed_it_come_first_and_three_are_enough(tmp_path: Path) -> None:
    assert failing(tmp_path, *(at(n, a="f", b="p") for n in range(1, 6))) == ("c5", "c4", "c3")


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_the_order_in_which_runs_come_in_does_not_matter(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    assert failing(tmp_path, *(at(n, a="f", b="p") for n in order)) == ("c3", "c2", "c1")


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("ffp", ()),
        ("pff", ("c3", "c2")),
        ("fpf", ("c3",)),
        ("ffs", ("c2", "c1")),
        ("pppp", ()),
        ("feffe", ("c5", "c4", "c3")),
    ],
)
def test_they_end_at_the_first_commit_that_passed(
    tmp_path: Path, letters: str, expected: tuple[str, ...]
) -> None:
    records = [at(n, a=letter, b="p") for n, letter in enumerate(letters, 1)]
    assert failing(tmp_path, *records) == expected


def test_commits_count_and_not_runs(tmp_path: Path) -> None:
    records = [at(1, job, a="f", b="p") for job in range(1, 5)]
    assert failing(tmp_path, *records) == ("c1",)


@pytest.mark.parametrize("again", ["p", "fp", "ffp"])
def test_a_commit_that_failed_and_passed_is_not_failing(tmp_path: Path, again: str) -> None:
    records = [at(n, a="f", b="p") for n in (1, 2, 3)]
    assert failing(tmp_path, *records, at(3, 2, a=again, b="p")) == ()


def test_a_commit_on_which_it_did_not_run_says_nothing(tmp_path: Path) -> None:
    records = [at(1, a="f", b="p"), at(2, b="p"), at(3, a="s", b="p"), at(4, a="f", b="p")]
    assert failing(tmp_path, *records) == ("c4", "c1")


def test_an_old_commit_that_is_run_again_stays_an_old_commit(tmp_path: Path) -> None:
    records = [at(1, a="p", b="p"), at(2, a="f", b="p"), at(1, 2, 9, a="p", b="p")]
    assert failing(tmp_path, *records) == ("c2",)


def test_an_outage_neither_fails_nor_passes_a_commit(tmp_path: Path) -> None:
    down = dict.fromkeys("abcdefgh", "f")
    records = [at(1, a="f", b="p"), at(2, **down), at(3, a="f", b="p"), at(4, **down)]
    assert failing(tmp_path, *records) == ("c3", "c1")


def test_only_the_default_branch_itself_counts(tmp_path: Path) -> None:
    queue = "gh-readonly-queue/main/pr-7-0a1b2c"
    records = [
        at(1, a="f", b="p"),
        replace(at(2, a="p", b="p"), branch=queue, queued=True),
        on_branch(at(3, a="p", b="p"), "topic"),
        from_fork(at(4, a="p", b="p"), "8"),
        replace(at(5, a="p", b="p"), commit=None),
    ]
    assert failing(tmp_path, *records) == ("c1",)


def test_each_test_has_commits_of_its_own(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record([run(0, LONG_AGO, a="fp", b="fp", c="fp", d="p")])
    store.record([at(1, a="f", b="p", c="p", d="f"), at(2, a="f", b="f", c="p", d="f")])
    found = {name: test.failing_commits for name, test in flaky(store).items()}
    assert found == {"a": ("c2", "c1"), "b": ("c2",), "c": ()}
