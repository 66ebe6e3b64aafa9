"""What is in a store at a glance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flakegate.backends.store.survey import Survey, survey
from flakegate.model import State
from tests.backends.store.build import DAY, NOW, from_fork, move, on_branch, open_store, run

if TYPE_CHECKING:
    from pathlib import Path


def seen(folder: Path) -> Survey:
    with open_store(folder, write=False).database.reading() as connection:
        return survey(connection)


def test_an_absent_store_holds_nothing(tmp_path: Path) -> None:
    assert seen(tmp_path) == Survey(holdings=(), looked=None)
    assert list(tmp_path.iterdir()) == []


def test_everything_is_counted_for_each_repository(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    outage = run(3, NOW - 3600, **{f"t{n}": "f" for n in range(6)})
    fork = from_fork(run(4, NOW - 1800, a="p"), "7")
    own = [run(1, NOW - 2 * DAY, a="fp", b="p", c="fp"), outage, fork]
    other = replace(
        on_branch(run(2, NOW - DAY, x="p"), "b"), repository="github.com/acme/till", key="k"
    )
    store.record([*own, other])
    assert store.update([move("a", State.ACTIVE, State.QUARANTINED)])[0].ok
    shop, till = seen(tmp_path).holdings
    assert (shop.repository, till.repository) == ("github.com/acme/shop", "github.com/acme/till")
    assert (shop.runs, shop.outages, shop.forks, shop.tests, shop.changes) == (3, 1, 1, 9, 3)
    assert (shop.oldest, shop.newest) == (NOW - 2 * DAY, NOW - 1800)
    assert {state.value: n for state, n in shop.flaky.items()} == {
        "active": 1, "quarantined": 1, "disabled": 0, "fixed": 0,
    }  # fmt: skip
    assert (till.runs, till.outages, till.forks, till.tests, till.changes) == (1, 0, 0, 1, 0)
    assert not any(till.flaky.values())
    assert seen(tmp_path).looked == NOW
    assert seen(tmp_path).totals() == {"repositories": 2, "runs": 4, "tests": 10, "flaky": 2}
