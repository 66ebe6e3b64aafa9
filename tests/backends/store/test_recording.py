"""Runs into the store: each once, in any order, and what they show about their tests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from flakegate.backends.store import bitmap
from flakegate.backends.store import store as store_module
from flakegate.backends.store.detection import Seen, detect, is_outage
from flakegate.backends.store.recording import Fate, record_run
from flakegate.backends.store.schema import (
    METADATA,
    manifests,
    nonpass,
    runs,
    state_log,
    tests,
)
from flakegate.model import State
from tests.backends.store.build import (
    DAY,
    NOW,
    flaky,
    from_fork,
    key_of,
    move,
    named,
    on_branch,
    open_store,
    result,
    run,
)

if TYPE_CHECKING:
    import random

    from flakegate.backends.store.store import Store
    from flakegate.model import FlakyTest
    from flakegate.record import RunRecord

T = NOW - 5 * DAY


def log(store: Store) -> list[tuple[object, ...]]:
    columns = state_log.c
    with store.database.reading() as connection:
        found = select(
            columns.from_state, columns.to_state, columns.at, columns.actor, columns.reason
        ).order_by(columns.id)
        return [tuple(row) for row in connection.execute(found)]


def contents(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    with store.database.reading() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in METADATA.sorted_tables
        }


def retried(name: str = "a") -> RunRecord:
    return run(1, T, **{name: "fp", "other": "p"})


# Once, and only once


def test_the_same_run_again_changes_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert store.record([retried()]).runs[0].fate is Fate.NEW
    before = contents(store)
    again = store.record([replace(retried(), at=T + 60), retried()])
    assert [one.fate for one in again.runs] == [Fate.KNOWN, Fate.KNOWN]
    assert contents(store) == before


@pytest.mark.parametrize(
    "other",
    [
        run(1, T, a="f", other="p"),
        run(1, T, a="fp"),
        run(1, T, a="fp", other="p", more="s"),
        replace(retried(), commit="another"),
        replace(retried(), fork=True),
    ],
)
def test_the_same_key_with_other_content_is_refused(tmp_path: Path, other: RunRecord) -> None:
    store = open_store(tmp_path)
    store.record([retried()])
    before = contents(store)
    done = store.record([other, run(2, T, b="p")])
    refused, new = done.runs
    assert refused.fate is Fate.REFUSED
    assert refused.reason
    assert "FLAKEGATE_SHARD" in refused.reason
    assert retried().key in refused.reason
    assert new.fate is Fate.NEW, "nothing else of the batch is lost"
    assert done.of(Fate.REFUSED) == (refused,)
    after = contents(store)
    assert set(before["runs"]) < set(after["runs"])
    assert len(after["runs"]) == 2
    assert after["nonpass"] == before["nonpass"]


def test_a_batch_answers_in_the_order_it_was_given(tmp_path: Path) -> None:
    batch = [run(number, T - number, a="p") for number in range(120)]
    done: list[tuple[int, int | None]] = []
    recorded = open_store(tmp_path).record(batch, lambda now, of: done.append((now, of)))
    assert [one.key for one in recorded.runs] == [one.key for one in batch]
    assert done == [(50, 120), (100, 120), (120, 120)]


def test_of_two_runs_with_one_key_in_a_batch_the_earlier_counts(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    later, earlier = run(1, T + 1, a="p"), run(1, T, a="f")
    assert [one.fate for one in store.record([later, earlier]).runs] == [Fate.REFUSED, Fate.NEW]


def test_repositories_in_one_file_do_not_meet(tmp_path: Path) -> None:
    here = open_store(tmp_path)
    there = open_store(tmp_path, repository="github.com/acme/other")
    elsewhere = replace(run(2, T, a="fp", b="p"), repository="github.com/acme/other")
    here.record([run(1, T, a="p", z="p"), elsewhere])
    assert flaky(here) == {}
    assert set(flaky(there)) == {"a"}
    assert here.suite_size() == there.suite_size() == 2
    assert set(here.recorded()) == {key_of("a"), key_of("z")}
    assert set(there.recorded()).isdisjoint(here.recorded())
    assert there.find([named("a")])[named("a")].runs == 1
    assert here.find([named("a")]) == {}


# Detection, sticky


def test_detected_tests_enter_as_active_and_the_log_says_why(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert store.record([retried()]).runs[0].detected == (key_of("a"),)
    assert log(store) == [
        (None, "active", T, "detection", "failed and passed on retry in job tests")
    ]
    test = flaky(store)["a"]
    assert (test.state, test.state_since) == (State.ACTIVE, T)
    assert test.cause
    assert (test.cause.rule, test.cause.actor) == (None, "detection")
    assert (test.first_flaked_at, test.first_flaked_branch) == (T, "main")


def test_a_pass_can_complete_the_evidence(tmp_path: Path) -> None:
    store = open_store(tmp_path, now=NOW + 5 * DAY)
    red = run(1, T, a="f", b="p")
    store.record([red])
    assert flaky(store) == {}
    green = replace(run(2, T + 9 * DAY, a="p", b="p"), commit=red.commit)
    assert store.record([green]).runs[0].detected == (key_of("a"),)
    assert flaky(store)["a"].first_flaked_at == T, "the failing run, and only that"


def test_it_sticks(tmp_path: Path) -> None:
    store = open_store(tmp_path, now=NOW + 60 * DAY)
    store.record([retried(), *(run(n, T + n * DAY, a="p", other="p") for n in range(2, 60))])
    assert flaky(store)["a"].state is State.ACTIVE
    assert len(log(store)) == 1


def test_skips_are_not_failures(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    cascade = run(1, T, a="s", b="s")
    store.record([cascade, replace(run(2, T, a="p", b="p"), commit=cascade.commit)])
    store.record([on_branch(run(n, T, a="s", b="s"), f"b{n}") for n in range(3, 9)])
    assert flaky(store) == {}


def test_a_skip_after_a_failure_is_no_pass(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record([run(1, T, a="fs")])
    assert flaky(store) == {}


def test_an_outage_proves_nothing_and_counts_nowhere(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    names = [f"t{number}" for number in range(20)]
    outage = run(1, T, **dict.fromkeys(names, "f"))
    fine = replace(run(2, T + 60, **dict.fromkeys(names, "p")), commit=outage.commit)
    recorded = store.record([outage, fine])
    assert [one.infra for one in recorded.runs] == [True, False]
    assert store.record([outage]).runs[0].infra, "known as one"
    assert flaky(store) == {}
    again = replace(run(3, T + 99, t0="f", t1="p"), commit=outage.commit)
    store.record([again])
    found = flaky(store)["t0"]
    assert (found.runs, found.failures, found.failed_pipelines) == (2, 1, 1)
    assert found.first_flaked_at == T + 99
    assert store.suite_size() == 20


def test_retries_that_saved_every_test_were_an_outage_all_the_same(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    blip = run(1, T, **{f"t{number}": "fp" for number in range(20)})
    assert store.record([blip]).runs[0].infra
    assert flaky(store) == {}


def test_skipped_tests_do_not_water_down_an_outage(tmp_path: Path) -> None:
    stopped = run(1, T, **{f"t{n}": "f" if n < 5 else "s" for n in range(100)})
    assert open_store(tmp_path).record([stopped]).runs[0].infra


def test_a_fixed_test_that_flakes_again_is_active_again(tmp_path: Path) -> None:
    store = open_store(tmp_path, now=NOW)
    store.record([retried()])
    store.update([move("a", State.ACTIVE, State.FIXED, rule=None)])
    assert store.record([run(2, NOW - 60, a="fp", other="p")]).runs[0].detected == ()
    assert flaky(store)["a"].state is State.FIXED, "a failure from before the fix is no news"
    assert store.record([run(3, NOW + 60, a="f", other="p")]).runs[0].detected == ()
    assert store.record([run(4, NOW + 90, a="fp", other="p")]).runs[0].detected == (key_of("a"),)
    assert flaky(store)["a"].state is State.ACTIVE
    retry = "failed and passed on retry in job tests"
    assert log(store)[1:] == [
        ("active", "fixed", NOW, "ada", "because"),
        ("fixed", "active", NOW + 90, "detection", retry),
    ]
    assert flaky(store)["a"].first_flaked_at == T


def test_a_quarantined_test_that_flakes_stays_quarantined(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record([retried()])
    store.update([move("a", State.ACTIVE, State.QUARANTINED)])
    assert store.record([run(2, NOW, a="fp", other="p")]).runs[0].detected == ()
    assert flaky(store)["a"].state is State.QUARANTINED
    assert len(log(store)) == 2


def test_what_a_person_named_keeps_its_state_when_it_is_detected(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record([run(1, T, a="p", other="p")])
    store.update([move("a", State.ACTIVE, State.QUARANTINED, rule=None)])
    assert flaky(store)["a"].first_flaked_at is None
    store.record([run(2, T + 60, a="fp", other="p")])
    assert flaky(store)["a"].state is State.QUARANTINED
    assert flaky(store)["a"].first_flaked_at == T + 60


def test_the_last_flake_is_the_latest_failure(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    broken = on_branch(run(2, T + DAY, a="f", other="p"), "topic")
    early = run(3, T - DAY, a="f", other="p")
    store.record([retried()])
    store.record([broken])
    store.record([early])
    test = flaky(store)["a"]
    assert (test.last_flaked_at, test.last_flaked_branch) == (T + DAY, "topic")
    outage = run(4, T + 2 * DAY, **{f"t{number}": "f" for number in range(9)}, a="f")
    store.record([outage])
    assert flaky(store)["a"].last_flaked_at == T + DAY


def test_earlier_evidence_that_comes_late_moves_the_first_flake(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record([retried()])
    store.record([on_branch(run(2, T - DAY, a="ep", other="p"), "topic")])
    test = flaky(store)["a"]
    assert (test.first_flaked_at, test.first_flaked_branch) == (T - DAY, "topic")
    assert test.state_since == T - DAY
    assert [line[2] for line in log(store)] == [T, T - DAY], "what was written stays in the log"


def test_words_and_duration_are_of_the_latest_failure_that_has_any(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    plain = replace(result("a", "fp"), message=None, duration=None)
    store.record([retried(), replace(run(2, T + 1), results=(plain,))])
    test = flaky(store)["a"]
    assert (test.error_message, test.duration, test.last_flaked_at) == ("a broke", 1.5, T + 1)
    new = replace(plain, message="worse", duration=0.0)
    store.record([replace(run(3, T + 2), results=(new,))])
    assert (flaky(store)["a"].error_message, flaky(store)["a"].duration) == ("worse", 0.0)


def test_a_fork_chooses_no_words_that_a_rule_could_ask_for(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    said = replace(result("a", "f"), message="Timeout: quarantine me", duration=9.0)
    store.record([retried(), from_fork(replace(run(2, T + 1), results=(said,)), "7")])
    test = flaky(store)["a"]
    assert (test.error_message, test.duration) == ("a broke", 1.5)
    assert test.last_flaked_at == T + 1


def test_forks_alone_detect_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record([from_fork(run(n, T, a="fp", b="p"), str(n)) for n in range(1, 9)])
    assert flaky(store) == {}


def test_a_broken_default_branch_is_no_flake_of_the_branches(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record([run(1, T - 30 * DAY, a="f", other="p")])
    store.record([on_branch(run(n, T + n, a="f", other="p"), f"b{n}") for n in range(2, 6)])
    assert flaky(store) == {}
    # The default branch was mended in between, but nobody had told the store.
    late = run(9, T - DAY, a="p", other="p")
    assert store.record([late]).runs[0].detected == (key_of("a"),)
    assert flaky(store)["a"].first_flaked_branch == "b2"


def three_branches(start: float) -> list[RunRecord]:
    return [on_branch(run(n, start + n, a="f", other="p"), f"b{n}") for n in (91, 92, 93)]


@pytest.mark.parametrize("ago", [30 * DAY, 8 * DAY, 3 * DAY, 60.0])
def test_a_default_branch_that_was_mended_is_no_excuse(tmp_path: Path, ago: float) -> None:
    store = open_store(tmp_path)
    store.record([run(1, T - ago, a="f", other="p"), run(2, T - ago + 30, a="p", other="p")])
    store.record(three_branches(T))
    assert set(flaky(store)) == {"a"}


@pytest.mark.parametrize("ago", [30 * DAY, 8 * DAY, 3 * DAY, 60.0])
def test_nor_is_one_that_only_flaked(tmp_path: Path, ago: float) -> None:
    store = open_store(tmp_path, now=T - 10)
    store.record([run(1, T - ago, a="f", b="p"), run(2, T - ago + 30, a="fp", b="p")])
    store.update([move("a", State.ACTIVE, State.FIXED, rule=None)])
    store.record(three_branches(T))
    assert flaky(store)["a"].state is State.ACTIVE


@pytest.mark.parametrize("ago", [30 * DAY, 600.0])
def test_every_leg_of_the_default_branch_is_mended_by_itself(tmp_path: Path, ago: float) -> None:
    store = open_store(tmp_path)
    times = [T - ago + 60 * number for number in range(4)]
    main = [
        run(n, at, a=letter, other="p")
        for n, (at, letter) in enumerate(zip(times, "fpfp", strict=True))
    ]
    windows = [replace(one, leg="windows:") for one in main[:2]]
    store.record([windows[0], *main[1:], *three_branches(T)])
    assert flaky(store) == {}, "the pass on Linux said nothing of Windows"
    store = open_store(tmp_path, repository="github.com/acme/other")
    records = [*windows, *main[2:], *three_branches(T)]
    store.record([replace(one, repository=store.repository, key=f"{one.key}o") for one in records])
    assert set(flaky(store)) == {"a"}


def test_a_retry_on_edited_files_is_a_flake_too(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert store.record([replace(retried(), commit=None)]).runs[0].detected == (key_of("a"),)


@pytest.mark.parametrize(("ago", "found"), [(30 * DAY, {"a"}), (11 * DAY, set()), (3600.0, set())])
def test_a_regression_lately_mended_may_still_be_in_the_branches(
    tmp_path: Path, ago: float, found: set[str]
) -> None:
    store = open_store(tmp_path)
    red = [run(n, T - ago + n, a="f", other="p") for n in (1, 2)]
    store.record([*red, run(3, T - ago + 3, a="p", other="p")])
    one, two, three = three_branches(T)
    store.record([replace(one, at=T - 5 * DAY), two, three])
    assert set(flaky(store)) == found


def test_many_failures_together_prove_nothing_but_count(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    sound = {f"s{n}": "p" for n in range(80)}
    down = {f"d{n}": "f" for n in range(6)}
    red = run(1, T, a="fp", **sound, **down)
    green = replace(run(2, T + 60, a="p", **sound, **dict.fromkeys(down, "p")), commit=red.commit)
    crowd = store.record([red, green])
    assert [one.infra for one in crowd.runs] == [False, False]
    assert flaky(store) == {}
    store.record([run(3, T + 90, a="fp", **sound)])
    assert flaky(store)["a"].failures == 2


@pytest.mark.parametrize("ago", [30 * DAY, 60.0])
def test_a_pass_in_an_outage_mends_nothing(tmp_path: Path, ago: float) -> None:
    store = open_store(tmp_path)
    down = {f"t{number}": "f" for number in range(9)}
    red = run(1, T - ago, a="f", other="p")
    outage = replace(run(2, T - ago + 30, a="p", **down), commit=red.commit)
    recorded = store.record([red, outage, *three_branches(T)])
    assert [one.infra for one in recorded.runs] == [False, True, False, False, False]
    assert flaky(store) == {}


def test_a_branch_whose_run_comes_late_is_judged_by_its_own_time(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    early, middle, late = three_branches(T)
    store.record([early, late, run(1, T + DAY, a="f", other="p")])
    assert flaky(store) == {}
    assert store.record([middle]).runs[0].detected == (key_of("a"),)


def test_a_small_run_in_a_large_repository(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record([run(1, T, **dict.fromkeys((f"t{number}" for number in range(99)), "p"))])
    store.record([run(2, T + 1, t7="p", t8="fp", new="p")])
    store.record([run(3, T + 2, t9="p", new="fp")])
    with store.database.reading() as connection:
        numbers = list(
            connection.execute(select(tests.c.number).order_by(tests.c.number)).scalars()
        )
    assert numbers == list(range(100)), "no gaps: the numbers are places in bitmaps"
    assert {name: test.runs for name, test in flaky(store).items()} == {"t8": 2, "new": 2}


def test_writers_side_by_side_record_each_run_once(tmp_path: Path) -> None:
    open_store(tmp_path)
    batch = [
        run(n, T + n, **{f"t{test}": "fp" if test == n else "p" for test in range(n, n + 9)})
        for n in range(12)
    ]

    def write(part: int) -> list[Fate]:
        store = open_store(tmp_path)
        return [store.record([one]).runs[0].fate for one in batch[part:] + batch[:part]]

    with ThreadPoolExecutor(4) as pool:
        fates = [fate for fates in pool.map(write, (0, 3, 6, 9)) for fate in fates]
    assert sorted(fates) == [Fate.KNOWN] * 36 + [Fate.NEW] * 12
    store = open_store(tmp_path)
    assert len(contents(store)["runs"]) == 12
    assert set(flaky(store)) == {f"t{n}" for n in range(12)}
    assert store.suite_size() == 20


# What comes late


def test_a_broken_base_that_comes_late_takes_back_what_it_explains(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record(three_branches(T))
    assert flaky(store)["a"].first_flaked_branch == "b91"
    late = store.record([run(1, T - 60, a="f", other="p")]).runs[0]
    assert (late.detected, late.withdrawn) == ((), (key_of("a"),))
    assert flaky(store) == {}
    assert log(store) == []
    found = store.record([run(2, T + 60, a="fp", other="p")]).runs[0]
    assert (found.detected, found.withdrawn) == ((key_of("a"),), ())
    assert flaky(store)["a"].first_flaked_at == T + 60


def test_a_third_spell_that_comes_late_makes_it_flaky_there_as_well(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    base = [run(n, T - DAY + 60 * n, a=letter, other="p") for n, letter in enumerate("ffpfp", 1)]
    store.record([*base, *three_branches(T)])
    assert flaky(store) == {}, "it may be the regression of a day ago"
    late = [run(n, T - 3600 + n, a=letter, other="p") for n, letter in enumerate("fp", 7)]
    assert store.record(late[1:]).runs[0].detected == ()
    assert store.record(late[:1]).runs[0].detected == (key_of("a"),)


def test_of_one_second_the_base_is_first(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record(three_branches(T))
    assert store.record([run(1, T + 93, a="f", other="p")]).runs[0].withdrawn == (key_of("a"),)


def test_a_base_mended_in_the_same_second_is_mended(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record([run(1, T - 30 * DAY, a="f", other="p")])
    store.record([replace(one, at=T) for one in three_branches(T)])
    assert store.record([run(2, T, a="p", other="p")]).runs[0].detected == (key_of("a"),)


def test_later_evidence_stands_where_the_first_is_taken_back(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record([*three_branches(T), run(2, T + DAY, a="fp", other="p")])
    assert flaky(store)["a"].first_flaked_at == T + 91
    late = store.record([run(1, T - 60, a="f", other="p")]).runs[0]
    assert (late.detected, late.withdrawn) == ((), ())
    test = flaky(store)["a"]
    assert (test.first_flaked_at, test.first_flaked_branch) == (T + DAY, "main")
    assert test.state_since == T + DAY


def test_what_comes_late_and_changes_nothing_leaves_no_line(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record(three_branches(T))
    before = log(store)
    store.record([on_branch(run(1, T + 92.5, a="f", other="p"), "b91")])
    assert log(store) == before


@pytest.mark.parametrize("rule", ["noisy", None])
def test_what_was_moved_is_not_taken_back(tmp_path: Path, rule: str | None) -> None:
    store = open_store(tmp_path)
    store.record(three_branches(T))
    assert store.update([move("a", State.ACTIVE, State.QUARANTINED, rule)])[0].ok
    before = log(store)
    assert store.record([run(1, T - 60, a="f", other="p")]).runs[0].withdrawn == ()
    (test,) = flaky(store).values()
    assert (test.state, test.first_flaked_at) == (State.QUARANTINED, T + 91)
    assert log(store) == before


def test_what_runs_showed_that_have_left_is_not_taken_back(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    one, two, three = three_branches(T)
    store.record([replace(one, at=T - 6 * DAY), two, three])
    with store.database.writing() as connection:
        gone = select(runs.c.id).where(runs.c.at < T - DAY).scalar_subquery()
        connection.execute(nonpass.delete().where(nonpass.c.run == gone))
        connection.execute(runs.delete().where(runs.c.at < T - DAY))
    assert store.record([run(1, T - 60, a="p", other="p")]).runs[0].withdrawn == ()
    assert flaky(store)["a"].first_flaked_at == T - 6 * DAY


def test_a_pass_that_comes_late_but_before_shows_nothing_new(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record(three_branches(T))
    before = summary(store)
    assert store.record([on_branch(run(1, T - 60, a="p", other="p"), "b1")]).runs[0].detected == ()
    assert summary(store) == before


# In any order, whatever the pieces

BRANCHES = ["main", "a", "b", "c", "gh-readonly-queue/release/pr-7-0a"]


@st.composite
def histories(draw: st.DrawFn) -> list[RunRecord]:
    many = draw(st.integers(1, 14))
    records = []
    for number in range(many):
        branch = draw(st.sampled_from(BRANCHES))
        outcomes = draw(
            st.dictionaries(
                st.sampled_from("xy"), st.sampled_from(["p", "p", "f", "f", "fp", "s"]), min_size=1
            )
        )
        records.append(
            replace(
                run(number, T + draw(st.integers(0, 60)) * DAY / 3, **outcomes),
                branch=branch,
                is_default=branch == "main",
                queued=draw(st.integers(0, 9)) == 0,
                commit=draw(st.sampled_from(["c1", "c2", None, f"{number}", f"{number}"])),
                leg=draw(st.sampled_from(["x:", "x:", "y:"])),
                pull_request=draw(st.sampled_from([None, None, "1", "2"])),
                fork=draw(st.integers(0, 4)) == 0,
            )
        )
    return sorted(records, key=lambda record: (record.at, record.key))


def seen(record: RunRecord, name: str) -> Seen | None:
    for one in record.results:
        letters = "".join(outcome.value[0] for outcome in one.attempts)
        if one.identity.name == name and letters != "s":
            return Seen(
                at=record.at,
                failed="f" in letters,
                passed="p" in letters,
                commit=record.commit,
                leg=record.leg,
                branch=record.branch,
                pull_request=record.pull_request,
                is_default=record.is_default,
                queued=record.queued,
                fork=record.fork,
            )
    return None


def first_flake(records: list[RunRecord], name: str) -> tuple[float, str | None] | None:
    """When the whole history, second after second, first shows that the test is flaky."""
    for now in sorted({record.at for record in records}):
        so_far = [seen(record, name) for record in records if record.at <= now]
        if flake := detect(one for one in so_far if one is not None):
            return flake.first.at, flake.first.branch
    return None


def one_by_one(store: Store, records: list[RunRecord]) -> None:
    """In one transaction, because the disk is slow."""
    with store.database.writing() as connection:
        for record in records:
            record_run(connection, record, known={})


def summary(store: Store, *, words: bool = True) -> dict[str, FlakyTest]:
    """Every field of every test, also since when and why it is listed."""
    found = flaky(store)
    if words:
        return found
    return {name: replace(test, error_message=None, duration=None) for name, test in found.items()}


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_what_is_fetched_as_evidence_decides_as_the_whole_history_would(
    records: list[RunRecord],
) -> None:
    with TemporaryDirectory() as folder:
        store = open_store(Path(folder), now=NOW + 20 * DAY)
        one_by_one(store, records)
        found = {
            name: (test.first_flaked_at, test.first_flaked_branch)
            for name, test in flaky(store).items()
        }
    expected = {name: flake for name in "xy" if (flake := first_flake(records, name))}
    assert found == expected


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes minutes
)
@given(histories(), st.randoms(use_true_random=False), st.booleans())
def test_neither_order_nor_calls_matter(
    records: list[RunRecord], dice: random.Random, forks: bool
) -> None:
    """Rebuilt from the same runs, in any order, in one call or several, some of them twice.

    Only words depend on it, and only where the latest failure has none that count: a fork's.
    """
    if not forks:
        records = [replace(record, fork=False) for record in records]
    deliveries = [*records, *dice.choices(records, k=3)]
    dice.shuffle(deliveries)
    cuts = sorted(dice.sample(range(1, len(deliveries)), min(3, len(deliveries) - 1)))
    with (
        TemporaryDirectory() as first,
        TemporaryDirectory() as second,
        TemporaryDirectory() as last,
    ):
        in_time, in_calls, in_pieces = (
            open_store(Path(each), now=NOW + 20 * DAY) for each in (first, second, last)
        )
        in_time.record(deliveries)
        for start, end in zip([0, *cuts], [*cuts, len(deliveries)], strict=True):
            in_calls.record(deliveries[start:end])
        one_by_one(in_pieces, deliveries)
        for other in (in_calls, in_pieces):
            assert summary(other, words=not forks) == summary(in_time, words=not forks)
            assert other.suite_size() == in_time.suite_size()
            assert what_ran(other) == what_ran(in_time)


def what_ran(store: Store) -> set[tuple[object, ...]]:
    """Of each run all that is kept, with tests by name and not by number."""
    with store.database.reading() as connection:
        names = dict(tuple(row) for row in connection.execute(select(tests.c.number, tests.c.name)))
        kept = [column.name for column in runs.c if column.name not in {"id", "manifest"}]
        rows = {tests_row.id: tests_row.name for tests_row in connection.execute(select(tests))}
        failed = {
            run_id: {
                (rows[row.test], row.attempts)
                for row in connection.execute(select(nonpass).where(nonpass.c.run == run_id))
            }
            for run_id in connection.execute(select(runs.c.id)).scalars()
        }
        return {
            (
                *(getattr(row, name) for name in kept),
                frozenset(failed[row.id]),
                frozenset(
                    name for n, name in names.items() if bitmap.has(bitmap.expand(row.bits), n)
                ),
            )
            for row in connection.execute(select(runs, manifests.c.bits).join(manifests))
        }


def test_a_batch_of_many_transactions_is_in_order_too(tmp_path: Path) -> None:
    base = [run(n, T + n, a="f", other="p") for n in range(0, 100, 2)]
    shared = [on_branch(run(n, T + n, a="f", other="p"), f"b{n}") for n in range(1, 100, 2)]
    assert len(base + shared) > store_module.CHUNK
    store = open_store(tmp_path)
    store.record([*shared, *base])
    assert flaky(store) == {}


@pytest.mark.parametrize(("failed", "passed"), [(0, 0), (1, 0), (4, 1), (5, 0), (5, 44), (5, 45)])
def test_runs_know_how_many_tests_ran_and_failed(tmp_path: Path, failed: int, passed: int) -> None:
    names = [f"t{number}" for number in range(failed + passed)]
    letters = {name: "f" if number < failed else "p" for number, name in enumerate(names)}
    store = open_store(tmp_path)
    store.record([run(1, T, **letters, skipped="s")])
    with store.database.reading() as connection:
        row = connection.execute(select(runs)).one()
    assert (row.n_failed, row.n_total) == (failed, failed + passed)
    assert row.infra is is_outage(failed, failed + passed)
