"""Every sentence of when a test is flaky, as a row."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.backends.store.detection import (
    DAY,
    Seen,
    detect,
    is_crowded,
    is_outage,
    may_spread,
)

LEG = "tests:"
T = 1_000 * DAY


def main(at: float, *, failed: bool = False, commit: str | None = None, leg: str = LEG) -> Seen:
    return Seen(
        at=at,
        failed=failed,
        passed=not failed,
        commit=commit or f"m{at}",
        leg=leg,
        branch="main",
        is_default=True,
    )


def failing(branch: str | None, at: float = T, pull_request: str | None = None) -> Seen:
    return Seen(
        at=at,
        failed=True,
        passed=False,
        commit=f"{branch}{pull_request}{at}",
        leg=LEG,
        branch=branch,
        pull_request=pull_request,
    )


def fork(pull_request: str, at: float = T) -> Seen:
    return replace(failing("patch-1", at, pull_request), fork=True)


def queue(target: str, number: int) -> Seen:
    return failing(f"gh-readonly-queue/{target}/pr-{number}-0a1b2c")


RED = main(T, failed=True, commit="c1")
GREEN = main(T + 60, commit="c1")
RETRY = replace(RED, passed=True)
THREE = [failing("a"), failing("b", T + DAY), failing("c", T + 2 * DAY)]
REGRESSION = [main(T - 9, failed=True), main(T - 8, failed=True), main(T - 7)]

FLAKY: dict[str, list[Seen]] = {
    "the same commit and leg failed, then passed": [RED, GREEN],
    "the same commit and leg passed, then failed": [replace(GREEN, at=T - 60), RED],
    "a failed attempt, then a pass, in one run": [RETRY],
    "a retry needs no commit": [replace(RETRY, commit=None)],
    "a retry on a branch": [replace(RETRY, is_default=False, branch="a")],
    "a broken leg elsewhere does not hide a mixed commit": [main(T - 1, failed=True), RED, GREEN],
    "three branches within 7 days": THREE,
    "three pull requests, whose branches are not known": [
        failing(None, T + number, str(number)) for number in range(3)
    ],
    "exactly 7 days apart": [failing("a"), failing("b"), failing("c", T + 7 * DAY)],
    "any window of 7 days will do, not only the last": [*THREE, main(T + 90 * DAY)],
    "two branches, and one that a merge queue is for": [*THREE[:2], queue("release", 7)],
    "three branches while main was fine": [main(T - 1), *THREE],
    "main failed it before, and passed since": [main(T - 2, failed=True), main(T - 1), *THREE],
    "main's retry is a pass": [replace(main(T - 1, failed=True), passed=True), *THREE],
    "main failed one commit twice, and passed since": [
        main(T - 3, failed=True, commit="m1"),
        main(T - 2, failed=True, commit="m1"),
        main(T - 1),
        *THREE,
    ],
    "main failed it in a row, more than a week before": [
        *(replace(run, at=run.at - 7 * DAY) for run in REGRESSION),
        *THREE,
    ],
    "main failed it in a row, and now and then as well": [
        *(main(T - n, failed=n % 2 == 0) for n in range(20, 10, -1)),
        *REGRESSION,
        *THREE,
    ],
    "main failed it on two commits, one in each leg": [
        main(T - 9, failed=True),
        main(T - 8, failed=True, leg="windows:"),
        main(T - 7),
        main(T - 6, leg="windows:"),
        *THREE,
    ],
    "many failed together now and then": [replace(THREE[0], crowded=True, at=T - 1), *THREE],
    "a pass beside many failures is a pass": [RED, replace(GREEN, crowded=True)],
    "main broke only afterwards": [
        *THREE,
        main(T + 2.5 * DAY),
        main(T + 3 * DAY, failed=True),
    ],
    "one failure of our own beside two forks'": [failing("a"), fork("7"), fork("8")],
    "what a fork says of main is not believed": [
        replace(main(T - 1, failed=True), fork=True),
        *THREE,
    ],
    "a queue's failure does not tell how main was": [
        replace(main(T - 1, failed=True), queued=True),
        *THREE,
    ],
}

NOT_FLAKY: dict[str, list[Seen]] = {
    "it never ran": [],
    "it only passed": [GREEN],
    "it only failed": [RED, replace(RED, at=T + 60)],
    "another commit passed": [RED, replace(GREEN, commit="c2")],
    "another leg of the same commit passed": [RED, replace(GREEN, leg="windows:")],
    "another shard of the same job passed": [RED, replace(GREEN, leg="tests:2")],
    "edited files are not the same commit": [
        replace(RED, commit=None),
        replace(GREEN, commit=None),
    ],
    "a fork's retry alone": [replace(RETRY, fork=True)],
    "a fork's pass beside our failure": [RED, replace(GREEN, fork=True)],
    "a fork's failure beside our pass": [replace(RED, fork=True), GREEN],
    "two branches": THREE[:2],
    "one branch three times": [failing("a", T + number) for number in range(3)],
    "three branches in more than 7 days": [*THREE[:2], failing("c", T + 7 * DAY + 1)],
    "one pull request, whose branch was renamed": [
        failing(name, T + number, "7") for number, name in enumerate("abc")
    ],
    "a branch pushed, and its pull request": [failing("a"), failing("a", T, "7"), failing("b")],
    "two pull requests of one branch": [
        failing("a", T, "7"),
        failing("a", T, "8"),
        failing("b", T, "9"),
    ],
    "main's own failures are no branch's": [*THREE[:2], main(T + 3 * DAY, failed=True)],
    "nor are the merge queue's before main": [
        *THREE[:2],
        replace(queue("main", 7), is_default=True, queued=True),
    ],
    "merge queues of one target count once": [queue("release", number) for number in range(3)],
    "neither branch nor pull request is known": [failing(None, T + number) for number in range(3)],
    "main had a regression, mended since; not all have rebased": [*REGRESSION, *THREE],
    "a regression of one leg": [*(replace(run, leg="windows:") for run in REGRESSION), *THREE],
    "two regressions within the week": [
        *(replace(run, at=run.at - DAY) for run in REGRESSION),
        *REGRESSION,
        *THREE,
    ],
    "many other tests failed with it": [replace(RED, crowded=True), GREEN],
    "many retried together": [replace(RETRY, crowded=True)],
    "on one of three branches many failed together": [
        *THREE[:2],
        replace(THREE[2], crowded=True),
    ],
    "main was failing it, and much else": [
        replace(main(T - 1, failed=True), crowded=True),
        *THREE,
    ],
    "main failed one commit in two legs, and was mended since": [
        main(T - 9, failed=True, commit="m1"),
        main(T - 8, failed=True, commit="m1", leg="windows:"),
        main(T - 7),
        main(T - 6, leg="windows:"),
        *THREE,
    ],
    "main was failing it": [main(T - 1, failed=True), *THREE],
    "main was failing it since long": [main(T - 30 * DAY, failed=True), *THREE],
    "main failed it in the same second": [
        main(T, failed=True),
        *(replace(run, at=T) for run in THREE),
    ],
    "main was failing it in another leg": [
        main(T - 2, failed=True, leg="windows:"),
        main(T - 1),
        *THREE,
    ],
    "one of three is shared with the base": [
        THREE[0],
        main(T + 1, failed=True),
        THREE[1],
        main(T + DAY + 1),
        THREE[2],
    ],
    "forks alone": [fork("7"), fork("8"), fork("9")],
    "one fork's branch name is not another's": [failing("patch-1"), fork("7"), fork("7")],
}


@pytest.mark.parametrize("name", FLAKY)
def test_flaky(name: str) -> None:
    assert detect(FLAKY[name])


@pytest.mark.parametrize("name", NOT_FLAKY)
def test_not_flaky(name: str) -> None:
    assert detect(NOT_FLAKY[name]) is None


@pytest.mark.parametrize("name", [*FLAKY, *NOT_FLAKY])
def test_the_order_of_runs_does_not_matter(name: str) -> None:
    runs = (FLAKY | NOT_FLAKY)[name]
    orders = list(itertools.islice(itertools.permutations(runs), 120))
    assert [detect(order) for order in orders] == [detect(runs)] * len(orders)


@pytest.mark.parametrize("name", [*FLAKY, *NOT_FLAKY])
def test_the_quick_question_never_hides_a_spread(name: str) -> None:
    runs = (FLAKY | NOT_FLAKY)[name]
    flake = detect(runs)
    if flake and "branches" in flake.reason:
        assert may_spread(runs)


def test_first_is_the_earliest_failing_run_that_is_evidence() -> None:
    before = failing("z", T - 8 * DAY)
    flake = detect([main(T - 9 * DAY), before, *THREE])
    assert flake
    assert flake.first == THREE[0]
    retry = replace(THREE[0], at=T - 1, passed=True)
    for runs in ([*THREE, retry], [*THREE[:2], replace(THREE[2], passed=True)]):
        flake = detect(runs)
        assert flake
        assert flake.first.at == min(run.at for run in runs)


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        ([RED, GREEN], "failed and passed on commit c1 in job tests"),
        (
            [replace(RED, leg="unit: all:2"), replace(GREEN, leg="unit: all:2")],
            "failed and passed on commit c1 in job unit: all, shard 2",
        ),
        ([replace(RETRY, leg=":")], "failed and passed on retry in job (unnamed)"),
        (THREE, "failed on 3 branches within 7 days: a, b, c"),
        (
            [failing(None, T, "7"), failing("b"), fork("9")],
            "failed on 3 branches within 7 days: #7, #9, b",
        ),
    ],
)
def test_the_reason_in_words(runs: list[Seen], reason: str) -> None:
    flake = detect(runs)
    assert flake
    assert flake.reason == reason


@pytest.mark.parametrize(
    ("runs", "again"),
    [
        ([RED, GREEN], False),
        ([replace(RED, at=T + 100), replace(GREEN, at=T - 100)], True),
        ([replace(RED, at=T + 10), GREEN], False),
        (THREE, False),
        ([replace(run, at=run.at + 11) for run in THREE], True),
        ([THREE[0], *(replace(run, at=run.at + 11) for run in THREE[1:])], False),
    ],
)
def test_only_failures_after_a_fix_are_a_new_flake(runs: list[Seen], again: bool) -> None:
    assert bool(detect(runs, after=T + 10)) is again
    assert detect(runs)


@pytest.mark.parametrize(
    ("failed", "total", "outage"),
    [(4, 5, False), (5, 5, True), (5, 50, False), (5, 49, True), (0, 0, False), (10, 100, False),
     (11, 100, True)],
)  # fmt: skip
def test_an_outage_is_more_than_a_tenth_and_at_least_five(
    failed: int, total: int, outage: bool
) -> None:
    assert is_outage(failed, total) is outage


@pytest.mark.parametrize(
    ("failed", "total", "crowded"),
    [(4, 5, False), (5, 99, True), (5, 100, False), (6, 119, True), (6, 120, False)],
)
def test_a_crowd_is_more_than_a_twentieth_and_at_least_five(
    failed: int, total: int, crowded: bool
) -> None:
    assert is_crowded(failed, total) is crowded


SEEN = st.builds(
    Seen,
    at=st.integers(0, 40).map(lambda n: n * DAY / 2),
    failed=st.just(True),
    passed=st.booleans(),
    commit=st.sampled_from([None, "1", "2"]),
    leg=st.sampled_from(["x:", "y:"]),
    branch=st.sampled_from([None, "a", "b", "c"]),
    pull_request=st.sampled_from([None, "1", "2", "3"]),
    is_default=st.booleans(),
    queued=st.booleans(),
    fork=st.just(True),
)


@given(st.lists(SEEN))
def test_forks_alone_never_make_a_test_flaky(runs: list[Seen]) -> None:
    assert detect(runs) is None
