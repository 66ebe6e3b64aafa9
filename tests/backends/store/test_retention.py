"""What leaves the store with time, what stays, and that nothing comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from flakegate.backends.store.recording import Fate
from flakegate.backends.store.retention import drop
from flakegate.backends.store.schema import METADATA
from flakegate.model import State
from flakegate.policy.needs import whole
from tests.backends.store.build import DAY, NOW, flaky, key_of, move, named, open_store, run

if TYPE_CHECKING:
    from pathlib import Path

    from flakegate.backends.store.store import Store

OLD = NOW - 93 * DAY


def counts(store: Store) -> dict[str, int]:
    with store.database.reading() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in METADATA.sorted_tables
        }


def filled(folder: Path) -> Store:
    """Recorded 92 days ago: `a` flaked and was quarantined, `once` failed, `gone` passed."""
    store = open_store(folder, now=OLD)
    store.record([run(1, OLD - 60, a="fp", once="f", gone="p"), run(2, OLD, a="p", b="p")])
    assert store.update([move("a", State.ACTIVE, State.QUARANTINED)])[0].ok
    return store


def a_day_before(folder: Path) -> None:
    """The first run after long: the history ended before it, so nothing is dropped yet."""
    open_store(folder, now=NOW - DAY).record([run(50, NOW - DAY, b="p")])


def test_old_runs_leave_and_states_stay(tmp_path: Path) -> None:
    before = counts(filled(tmp_path))
    assert (before["runs"], before["nonpass"], before["latest"], before["tests"]) == (2, 2, 2, 4)
    a_day_before(tmp_path)
    store = open_store(tmp_path)
    (before_a,) = store.search(whole([State.QUARANTINED]))
    store.record([run(3, NOW, b="p", c="p")])
    after = counts(store)
    assert after["runs"] == 2
    assert (after["nonpass"], after["latest"], after["state_log"], after["flaky"]) == (0, 1, 2, 1)
    assert {each.name for each in store.recorded().values()} == {"a", "b", "c"}
    (after_a,) = store.search(whole([State.QUARANTINED]))
    assert replace(after_a, runs=0, failures=0) == replace(before_a, runs=0, failures=0)
    assert after_a.error_message == "a broke"


def test_a_state_that_a_person_gave_to_a_test_that_never_failed_stays(tmp_path: Path) -> None:
    store = filled(tmp_path)
    assert store.update([move("gone", State.ACTIVE, State.DISABLED, rule=None)])[0].ok
    a_day_before(tmp_path)
    store = open_store(tmp_path)
    store.record([run(3, NOW, b="p")])
    assert counts(store)["runs"] == 2, "none of those in which it ran is left"
    assert flaky(store)["gone"].state is State.DISABLED


def test_it_is_looked_for_once_a_day(tmp_path: Path) -> None:
    store = open_store(tmp_path, now=OLD)
    store.record([run(1, OLD, a="p"), run(2, OLD + 60, a="p")])
    almost = OLD + 91 * DAY - 3600
    open_store(tmp_path, now=almost).record([run(3, almost, a="p")])
    assert counts(store)["runs"] == 3, "within its keep"
    later = almost + DAY - 1
    open_store(tmp_path, now=later).record([run(4, later, a="p")])
    assert counts(store)["runs"] == 4, "looked for less than a day ago"
    later = almost + DAY
    open_store(tmp_path, now=later).record([run(5, later, a="p")])
    assert counts(store)["runs"] == 3


def test_a_run_that_left_does_not_come_back(tmp_path: Path) -> None:
    filled(tmp_path)
    a_day_before(tmp_path)
    old = [run(1, OLD - 60, a="fp", once="f", gone="p"), run(9, OLD, b="fp")]
    store = open_store(tmp_path)
    store.record([run(3, NOW, b="p")])
    before = counts(store)
    assert [each.fate for each in store.record(old).runs] == [Fate.OLD, Fate.OLD]
    assert counts(store) == before


def test_clocks_that_differ_by_hours_bring_nothing_back(tmp_path: Path) -> None:
    filled(tmp_path)
    a_day_before(tmp_path)
    open_store(tmp_path).record([run(3, NOW, b="p")])
    slow = open_store(tmp_path, now=NOW - DAY / 2)
    assert slow.record([run(1, OLD - 60, a="fp", once="f", gone="p")]).runs[0].fate is Fate.OLD


def test_a_known_run_stays_known_however_old(tmp_path: Path) -> None:
    store = open_store(tmp_path, now=OLD)
    record = run(1, OLD, a="p")
    store.record([record])
    assert open_store(tmp_path).record([record]).runs[0].fate is Fate.KNOWN


def test_a_clock_in_the_future_does_not_cost_the_history(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record([run(n, NOW - n * DAY, a="p") for n in range(5)])
    wrong = NOW + 3_000 * DAY
    open_store(tmp_path, now=wrong).record([run(9, wrong, a="p")])
    assert counts(store)["runs"] == 6
    open_store(tmp_path, now=NOW + 60).record([run(10, NOW + 60, a="p")])
    assert counts(store)["runs"] == 7


@pytest.mark.parametrize(("ahead", "fate"), [(DAY, Fate.NEW), (DAY + 1, Fate.REFUSED)])
def test_a_run_from_the_future_is_refused(tmp_path: Path, ahead: float, fate: Fate) -> None:
    (done,) = open_store(tmp_path).record([run(1, NOW + ahead, a="p")]).runs
    assert done.fate is fate
    assert ("from the future" in (done.reason or "")) is (fate is Fate.REFUSED)


def test_a_clock_that_was_ahead_does_not_put_off_the_next_look(tmp_path: Path) -> None:
    open_store(tmp_path).record([run(1, NOW, a="p")])
    open_store(tmp_path, now=NOW + 3_000 * DAY).record([run(2, NOW + 3_000 * DAY, a="p")])
    open_store(tmp_path, now=NOW + 92 * DAY).record([run(3, NOW + 92 * DAY, a="p")])
    assert counts(open_store(tmp_path))["runs"] == 2, "the first one left"


def test_the_number_of_a_run_is_never_given_again(tmp_path: Path) -> None:
    """Else a quarantine of long ago would look as if the new run had caused it."""
    store = open_store(tmp_path, now=NOW - 3 * DAY)
    store.record([run(1, NOW - 3 * DAY, b="p")])
    store.record([run(2, OLD, a="fp")])
    assert store.update([move("a", State.ACTIVE, State.QUARANTINED)])[0].ok
    assert dropped(store, keep=30 * DAY) == 0, "the last row stays, however old"
    assert counts(store)["nonpass"] == 1, "and so does what it says"
    store = open_store(tmp_path, now=NOW + DAY, pipeline="github:github.com/acme/shop:7")
    store.record([run(7, NOW + DAY, a="f")])
    assert store.find([named("a")])[named("a")].state is State.QUARANTINED
    assert dropped(store, keep=30 * DAY) == 1
    assert counts(store)["nonpass"] == 1


def dropped(store: Store, *, keep: float = 90 * DAY) -> int:
    """Drops at the store's time; how many runs."""
    with store.database.writing() as connection:
        return drop(connection, now=store.now, keep=keep)


def test_it_says_how_many_runs_it_dropped(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert dropped(store) == 0
    store.record([run(n, NOW - n * DAY, a="p") for n in range(80)])
    assert dropped(store, keep=59 * DAY) == 19
    assert dropped(store, keep=59 * DAY) == 0


def test_the_day_that_is_still_kept_is_exact(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record([run(1, NOW - 31 * DAY, a="p"), run(2, NOW - 31 * DAY - 1, a="p")])
    store.record([run(3, NOW, a="p")])
    assert dropped(store, keep=30 * DAY) == 1


def test_what_ran_in_a_run_that_stays_keeps_its_place(tmp_path: Path) -> None:
    """Tests that only ever passed have no row but their own: a bitmap alone remembers them."""
    store = open_store(tmp_path)
    there = replace(run(5, NOW, first="p"), repository="github.com/acme/other")
    store.record([
        run(1, NOW - 60 * DAY, gone="p", failed_once="f"),
        run(2, NOW - 3, early="p"),
        run(3, NOW - 2, broken="f", skipped="s"),
        run(4, NOW - 1, late="p"),
        there,
    ])  # fmt: skip
    assert counts(store)["manifests"] == 5
    assert dropped(store, keep=30 * DAY) == 1
    assert {each.name for each in store.recorded().values()} == {"early", "broken", "late"}
    other = open_store(tmp_path, repository="github.com/acme/other")
    assert {each.name for each in other.recorded().values()} == {"first"}
    after = counts(store)
    assert (after["manifests"], after["latest"], after["nonpass"]) == (4, 1, 1)
    assert store.suite_size() == 3
    # New tests take numbers above, and what ran is still told apart.
    store.record([run(6, NOW, early="fp", new="fp"), run(7, NOW, late="fp")])
    assert {name: test.runs for name, test in flaky(store).items()} == {
        "early": 2,
        "new": 1,
        "late": 2,
    }


def test_thousands_of_tests_leave_at_once(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    names = dict.fromkeys((f"t{number}" for number in range(1_201)), "p")
    store.record([run(1, NOW - 60 * DAY, **names), run(2, NOW, b="p")])
    assert dropped(store, keep=30 * DAY) == 1
    assert {each.name for each in store.recorded().values()} == {"b"}


def test_who_writes_meanwhile_learns_that_tests_were_dropped(tmp_path: Path) -> None:
    """A batch remembers the rows of tests; another process drops them between two transactions."""
    store = open_store(tmp_path)
    store.record([run(1, NOW - 1, b="p")])
    batch = [run(n, NOW - 60 * DAY + n, gone="p") for n in range(100, 160)]

    def others(done: int, of: int | None) -> None:
        if done < (of or 0):
            open_store(tmp_path).record([run(2, NOW, b="p")])
            with store.database.writing() as connection:
                drop(connection, now=NOW + 1, keep=30 * DAY)
            assert key_of("gone") not in store.recorded()

    store.record(batch, others)
    assert key_of("gone") in store.recorded()


def test_the_week_is_as_it_was(tmp_path: Path) -> None:
    store = open_store(tmp_path, now=NOW)
    store.record([run(n, NOW - 89 * DAY + n * DAY, a="fp" if n % 3 else "p") for n in range(90)])
    before = flaky(store)
    later = open_store(tmp_path, now=NOW + 1)
    with later.database.writing() as connection:
        connection.exec_driver_sql("UPDATE meta SET value = '0' WHERE name LIKE 'looked%'")
    replace(later, keep=30 * DAY).record([run(99, NOW, b="p")])
    assert counts(later)["runs"] == 33
    assert flaky(store) == before
