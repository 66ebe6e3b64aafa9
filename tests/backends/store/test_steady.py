"""What is left of a test's week without regressions and outages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.backends.store.steady import is_regression
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

    from flakegate.model import Steady
    from flakegate.record import RunRecord

HOUR = 3_600.0
KNOWN = run(0, NOW - 30 * DAY, a="fp", b="p")  # flaky since long ago
CALM = [f"t{number}" for number in range(94)]


def week(letters: str, leg: str = "tests:", first: int = 1, test: str = "a") -> list[RunRecord]:
    """A run an hour, a letter each: p(assed), f(ailed), r(etried), s(kipped), - (not there)."""
    outcomes = {"r": "fp", "-": ""}
    return [
        replace(
            run(
                first + number,
                NOW - 5 * DAY + number * HOUR,
                **({test: said} if (said := outcomes.get(letter, letter)) else {"b": "p"}),
            ),
            leg=leg,
        )
        for number, letter in enumerate(letters)
    ]


def steady(folder: Path, *records: RunRecord, rate_from: str = "default_branch") -> Steady | None:
    store = open_store(folder, rate_from=rate_from)
    store.record([KNOWN, *records])
    return flaky(store)["a"].steady


def crowd(number: int, hour: float, failing: int, *, of: int = 94, **more: str) -> RunRecord:
    """A run in which so many other tests failed."""
    others = {name: "f" if place < failing else "p" for place, name in enumerate(CALM[:of])}
    return run(number, NOW - 5 * DAY + hour * HOUR, **others, **more)


def left(found: Steady | None) -> tuple[int, int, int, int] | None:
    """failures, runs, and what was set aside."""
    return None if found is None else (found.failures, found.runs, found.in_a_row, found.together)


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("p" * 30 + "ffffff" + "p" * 10, (0, 40, 6, 0)),
        ("pppfp" * 6 + "ffffffff" + "pppfp" * 2, (8, 40, 8, 0)),
        ("p" * 30 + "ff" + "p" * 10, None),  # two in a row prove nothing
        ("pf" * 20, None),
        ("rpprp" * 6 + "fff" + "pp", None),  # it fails as often as that, retries or not
        ("ppppffff" * 5, None),  # as often as that it is no accident
        ("p" * 30 + "ffrfff" + "p" * 10, (3, 43, 3, 0)),  # a retry that passed ends it, and counts
        ("p" * 30 + "ff-fff" + "p" * 10, (0, 40, 5, 0)),  # where it did not run says nothing
        ("p" * 30 + "ffsfff" + "p" * 10, (0, 40, 5, 0)),
        ("p" * 30 + "ffffff", (0, 30, 6, 0)),  # it still lasts
        ("ffffff" + "p" * 30, (0, 30, 6, 0)),
        ("p" * 20 + "fffff" + "p" * 20 + "fffffff" + "p" * 9, (0, 49, 12, 0)),
    ],
)
def test_failures_in_a_row(
    tmp_path: Path, letters: str, expected: tuple[int, int, int, int] | None
) -> None:
    assert left(steady(tmp_path, *week(letters))) == expected


def test_a_row_is_of_one_leg(tmp_path: Path) -> None:
    linux = week("p" * 20 + "ffffff" + "p" * 10, "linux:")
    windows = week("p" * 36, "windows:", first=101)
    assert left(steady(tmp_path, *linux, *windows)) == (0, 66, 6, 0)


def test_a_pass_in_another_leg_does_not_end_it_and_a_failure_there_is_no_part_of_it(
    tmp_path: Path,
) -> None:
    linux = week("p" * 25 + "f" + "p" * 10, "linux:")
    windows = [
        replace(each, commit=beside.commit)
        for each, beside in zip(
            week("p" * 25 + "ff" + "p" * 9, "windows:", first=101), linux, strict=True
        )
    ]
    assert steady(tmp_path, *linux, *windows) is None


@pytest.mark.parametrize("legs", [2, 4, 9])
@pytest.mark.parametrize(
    "letters", ["p" * 9 + "fff" + "pp", "ppfff" + "pp", "p" * 7 + "fffff" + "pp"]
)
def test_the_legs_of_a_matrix_do_not_excuse_each_other(
    tmp_path: Path, letters: str, legs: int
) -> None:
    matrix = [week(letters, f"leg-{leg}:", first=1 + 100 * leg) for leg in range(legs)]
    failures = letters.count("f") * legs
    passes = len(letters) * legs - failures
    found = steady(tmp_path, *(each for leg in matrix for each in leg))
    assert left(found) == (0, passes, failures, 0)


def test_how_often_it_fails_otherwise_is_asked_of_the_same_leg(tmp_path: Path) -> None:
    linux = week("p" * 20 + "fff" + "p" * 10, "linux:")
    windows = week("pf" * 16, "windows:", first=101)
    assert left(steady(tmp_path, *linux, *windows)) == (16, 62, 3, 0)


def split(letters: str, size: int = 3) -> list[RunRecord]:
    """A commit for each letter, tested in so many shards: the test is in another one each time."""
    jobs = [
        week("".join(x if n % size == shard else "-" for n, x in enumerate(letters)), first=1000)
        for shard in range(size)
    ]
    return [
        replace(each, leg=f"tests:{shard}", key=f"{each.key}{shard}")
        for shard, job in enumerate(jobs)
        for each in job
    ]


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("p" * 9 + "fff" + "pp", (0, 11, 3, 0)),
        ("p" * 9 + "ffffff" + "pp", (0, 11, 6, 0)),
        ("pppf" * 4, None),
        ("p" * 9 + "ffpf" + "pp", None),
        ("p" * 9 + "frff" + "pp", None),
        ("p" * 9 + "fsff" + "pp", (0, 11, 3, 0)),
    ],
)
def test_a_test_that_is_in_another_shard_every_time(
    tmp_path: Path, letters: str, expected: tuple[int, int, int, int] | None
) -> None:
    assert left(steady(tmp_path, *split(letters))) == expected


def test_a_commit_that_passes_in_one_leg_is_not_broken_in_all(tmp_path: Path) -> None:
    turns = ["ppppfppppppp", "pppppfpppppp", "ppppppfppppp"]
    matrix = [
        replace(each, leg=f"leg-{leg}:", key=f"{each.key}{leg}")
        for leg, letters in enumerate(turns)
        for each in week(letters)
    ]
    assert steady(tmp_path, *matrix) is None


def test_how_often_it_runs_is_asked_of_the_same_leg(tmp_path: Path) -> None:
    """Three of nine runs, and not of the ninety that its job had."""
    assert steady(tmp_path / "seldom", *week("ppfff" + "-" * 80)) is None
    assert left(steady(tmp_path / "often", *week("pppppfff" + "-" * 80))) == (0, 5, 3, 0)


def test_a_row_ends_with_its_leg(tmp_path: Path) -> None:
    linux = week("p" * 20 + "ff", "linux:")
    windows = week("ff" + "p" * 20, "windows:", first=101)
    assert steady(tmp_path, *linux, *windows) is None


def test_the_order_in_which_runs_come_in_does_not_matter(tmp_path: Path) -> None:
    runs = week("p" * 12 + "fffff" + "p" * 12)
    store = open_store(tmp_path)
    for each in (*runs[::2], KNOWN, *runs[1::2]):
        store.record([each])
    assert left(flaky(store)["a"].steady) == (0, 24, 5, 0)


def test_only_runs_that_the_rate_counts_make_a_row(tmp_path: Path) -> None:
    runs = week("p" * 20 + "fffff" + "p" * 10)
    changes = [on_branch(each, f"feature/{number}") for number, each in enumerate(runs)]
    assert steady(tmp_path / "default", *changes) is None
    assert left(steady(tmp_path / "all", *changes, rate_from="all")) == (0, 30, 5, 0)


def test_what_is_broken_on_one_branch_passes_meanwhile_on_others(tmp_path: Path) -> None:
    others = week("p" * 30)
    mine = [on_branch(each, "feature/1") for each in week("f" * 9, first=301)]
    assert left(steady(tmp_path, *others, *mine, rate_from="all")) == (0, 30, 9, 0)


def test_what_is_broken_for_a_while_on_every_branch_is_a_row_in_time(tmp_path: Path) -> None:
    runs = week("p" * 20 + "fffff" + "p" * 10)
    changes = [on_branch(each, f"feature/{number * 8 % 35}") for number, each in enumerate(runs)]
    assert left(steady(tmp_path, *changes, rate_from="all")) == (0, 30, 5, 0)


def test_what_forks_claim_changes_nothing(tmp_path: Path) -> None:
    runs = week("p" * 20 + "ff" + "p" * 10)
    claims = [from_fork(each, "9") for each in week("f" * 32, first=201)]
    assert steady(tmp_path, *runs, *claims) is None


def test_pipelines_are_those_of_what_is_left(tmp_path: Path) -> None:
    changes = [on_branch(each, "feature/1") for each in week("fp", first=301)]
    found = steady(tmp_path, *week("p" * 20 + "fffff" + "pp"), *changes)
    assert found is not None
    assert found.failed_pipelines == 1
    assert found.failure_rate == 0


def test_what_failed_beside_unusually_many_others_is_set_aside(tmp_path: Path) -> None:
    calm = week("ppfpppp" * 3)
    down = [crowd(100 + number, 30.0 + number, 7, a="f") for number in range(2)]
    assert left(steady(tmp_path, *calm, *down)) == (3, 21, 0, 2)


def test_of_a_change_that_the_rate_does_not_count_neither_do_its_crowds(tmp_path: Path) -> None:
    calm = week("ppfpppp" * 3)
    down = on_branch(crowd(100, 30.0, 7, a="f"), "feature/1")
    assert left(steady(tmp_path, *calm, down)) == (3, 21, 0, 1)


def test_such_a_run_is_no_part_of_a_row_and_does_not_end_one(tmp_path: Path) -> None:
    calm = week("p" * 20 + "fff" + "--" + "fff" + "p" * 10)
    down = [crowd(100, 23.5, 7, a="f"), crowd(101, 24.5, 7, a="p")]
    assert left(steady(tmp_path, *calm, *down)) == (0, 31, 6, 1)


def test_where_much_is_flaky_much_fails_every_day(tmp_path: Path) -> None:
    usual = [crowd(100 + number, number, 5, a="pf"[number % 2]) for number in range(20)]
    assert steady(tmp_path / "usual", *usual) is None
    down = crowd(200, 21, 8, a="f")
    assert steady(tmp_path / "little-more", *usual, down) is None
    seldom = [crowd(300 + number, number, 3, a="pf"[number % 2]) for number in range(20)]
    assert left(steady(tmp_path / "more", *seldom, down)) == (10, 20, 0, 1)


def test_the_gate_does_without(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record([KNOWN, *week("p" * 20 + "fffff")])
    test = flaky(store)["a"]
    assert test.steady is not None
    identity = KNOWN.results[0].identity
    assert store.find([identity])[identity].steady is None


@pytest.mark.parametrize(
    ("length", "failures", "runs", "expected"),
    [
        (3, 3, 40, True),
        (2, 2, 40, False),
        (3, 6, 40, True),  # 40 runs x (4/39) ** 3 = 0.04
        (3, 7, 40, False),  # 0.08
        (3, 3, 4, False),  # a single pass does not make it a test that never fails
        (3, 3, 8, True),
        (9, 9, 9, True),
        (8, 8, 8, True),
        (7, 7, 7, False),  # may fail every second time, as far as anybody knows
    ],
)
def test_what_is_more_than_chance(length: int, failures: int, runs: int, *, expected: bool) -> None:
    assert is_regression(length, failures=failures, runs=runs) is expected


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200))
def test_a_longer_row_is_never_less_of_a_regression(more: int, length: int, passes: int) -> None:
    failures = length + more
    if is_regression(length, failures=failures, runs=failures + passes):
        assert length >= 3
        longer = {"failures": failures + 1, "runs": failures + passes + 1}
        assert is_regression(length + 1, **longer)


@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 200))
def test_more_failures_elsewhere_never_make_it_one(length: int, more: int, passes: int) -> None:
    runs = length + more + 1 + passes
    if is_regression(length, failures=length + more + 1, runs=runs):
        assert is_regression(length, failures=length + more, runs=runs)
