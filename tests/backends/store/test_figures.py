"""The last 7 days of a test, with the meaning of Datadog's fields."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.backends.store.build import (
    DAY,
    NOW,
    flaky,
    from_fork,
    key_of,
    on_branch,
    open_store,
    run,
)

if TYPE_CHECKING:
    from pathlib import Path

    from flakegate.model import FlakyTest
    from flakegate.record import RunRecord

LONG_AGO = NOW - 30 * DAY


def figures(folder: Path, *records: RunRecord, rate_from: str = "default_branch") -> FlakyTest:
    """Those of a test that is known as flaky since long ago."""
    store = open_store(folder, rate_from=rate_from)
    store.record([run(0, LONG_AGO, a="fp", b="p"), *records])
    return flaky(store)["a"]


def test_failures_are_runs_in_which_any_attempt_failed(tmp_path: Path) -> None:
    letters = ["p", "f", "e", "fp", "ffp", "ff", "p", "s"]
    test = figures(tmp_path, *(run(n, a=each, b="p") for n, each in enumerate(letters, 1)))
    assert (test.runs, test.failures) == (7, 5)
    assert test.failure_rate == pytest.approx(100 * 5 / 7)
    assert test.failed_pipelines == 5


def test_runs_in_which_it_was_skipped_or_absent_do_not_count(tmp_path: Path) -> None:
    test = figures(tmp_path, run(1, a="s", b="p"), run(2, b="p"), run(3, a="f", b="p"))
    assert (test.runs, test.failures, test.failure_rate) == (1, 1, 100.0)


def test_without_a_counted_run_there_is_no_rate(tmp_path: Path) -> None:
    test = figures(tmp_path, on_branch(run(1, a="f", b="p"), "topic"))
    assert (test.runs, test.failures, test.failure_rate) == (0, 0, None)
    assert test.failed_pipelines == 1


@pytest.mark.parametrize(
    ("rate_from", "runs", "failures"), [("default_branch", 2, 1), ("all", 4, 2)]
)
def test_which_runs_the_rate_counts(
    tmp_path: Path, rate_from: str, runs: int, failures: int
) -> None:
    queue = "gh-readonly-queue/main/pr-7-0a1b2c"
    test = figures(
        tmp_path,
        run(1, a="p", b="p"),
        replace(run(2, a="f", b="p"), branch=queue, is_default=True, queued=True),
        replace(on_branch(run(3, a="p", b="p"), queue.replace("main", "next")), queued=True),
        on_branch(run(4, a="f", b="p"), "topic", "7"),
        from_fork(run(5, a="f", b="p"), "8"),
        rate_from=rate_from,
    )
    assert (test.runs, test.failures) == (runs, failures)
    assert test.failed_pipelines == 2, "on any branch, but not of forks"


def test_failed_pipelines_counts_pipelines_not_jobs(tmp_path: Path) -> None:
    first = run(1, a="f", b="p")
    other_leg = replace(first, key="k2", leg="windows:")
    second_attempt = replace(first, key="k3")
    test = figures(tmp_path, first, other_leg, second_attempt, run(2, a="f", b="p"))
    assert (test.failures, test.failed_pipelines) == (4, 2)


@pytest.mark.parametrize(
    ("ago", "counts"),
    [(0.0, True), (7 * DAY - 1, True), (7 * DAY, False), (8 * DAY, False), (-1.0, False)],
)
def test_the_window_is_the_7_days_before_now(tmp_path: Path, ago: float, counts: bool) -> None:
    test = figures(tmp_path, run(1, NOW - ago, a="f", b="p"))
    assert test.runs == test.failures == test.failed_pipelines == int(counts)


def test_outages_are_left_out(tmp_path: Path) -> None:
    outage = run(1, **{f"t{number}": "f" for number in range(9)}, a="f")
    test = figures(tmp_path, outage, run(2, a="p", b="p"))
    assert (test.runs, test.failures, test.failed_pipelines) == (1, 0, 0)


def test_what_the_store_does_not_know_is_not_zero(tmp_path: Path) -> None:
    test = figures(tmp_path)
    unknown = (test.lost_time, test.category, test.codeowners, test.envs, test.services)
    assert unknown == (None,) * 5
    assert (test.impact_score, test.impact_level) == (None, None)


def test_the_suite_is_what_ran_on_the_default_branch_lately(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert store.suite_size() == 0
    store.record([run(1, LONG_AGO, a="p", b="p", c="s")])
    assert store.suite_size() == 3, "nothing lately: every test that is known"
    store.record([run(2, a="p", b="s"), run(3, b="p", d="p")])
    store.record([on_branch(run(4, x="p", y="p"), "topic")])
    assert store.suite_size() == 3


def test_many_manifests_are_counted_exactly(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    records = [
        run(n, **{f"t{t}": "p" for t in range(40) if (n * t) % 7 != 3}, a="fp" if n == 1 else "p")
        for n in range(1, 61)
    ]
    names = [f"t{t}" for t in range(40)]
    rerun = [
        replace(run(100 + n, NOW - 60, a="p", **{name: "fp"}), leg=f"{n}:")
        for n, name in enumerate(names)
    ]
    store.record([*records, *rerun])
    expected = {
        name: sum(any(each.identity.name == name for each in one.results) for one in records) + 1
        for name in names
    }
    assert {name: test.runs for name, test in flaky(store).items() if name != "a"} == expected
    assert flaky(store)["a"].runs == 100
    assert key_of("a") == flaky(store)["a"].id


@pytest.mark.parametrize("rate_from", ["default_branch", "all"])
def test_what_forks_claim_is_in_no_figure(tmp_path: Path, rate_from: str) -> None:
    store = open_store(tmp_path, rate_from=rate_from)
    store.record([run(1, NOW - 60, a="fp", b="p")])
    before = flaky(store)["a"]
    forks = [run(n, NOW - n, a="f", b="p") for n in range(2, 9)]
    store.record([replace(each, fork=True, is_default=False, branch="theirs") for each in forks])
    after = flaky(store)["a"]
    assert (after.runs, after.failures, after.failed_pipelines) == (1, 1, 1)
    assert after.failure_rate == before.failure_rate
