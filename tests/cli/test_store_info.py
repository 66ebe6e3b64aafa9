"""`flakegate store info`: in one screen, for hostile names too, and without writing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cli.reports import junit, write
from tests.cli.test_store import record_flake

if TYPE_CHECKING:
    from tests.conftest import Caller

DB = ".flakegate/history.db"
ODD = "::error::\x1b[31m\u202e##[error]evil"


def test_what_is_in_the_store(flakegate: Caller, folder: Path) -> None:
    for run in ("1", "2"):
        record_flake(flakegate, folder, f"test_{run}", run)
    flakegate("set", "test_1", "quarantined", "--reason", "x", USER="dana")
    before = (folder / DB).read_bytes()
    done = flakegate("store", "info")
    assert done.code == 0
    size = f"{len(before) / 1000:.0f} kB"
    assert done.out == (
        f"{DB}: {size}, schema 2\n"
        "runs are kept for 90 days (store.keep); older ones were last looked for: on 20 Nov\n"
        "\n"
        "github.com/acme/shop\n"
        "  runs   4, from 20 Nov to 20 Nov (0 outages, 0 of forks)\n"
        "  tests  3\n"
        "  flaky  2: 1 active, 1 quarantined\n"
        "  log    3 changes of states\n"
    )
    document = json.loads(flakegate("store", "info", "--format", "json").out)
    (shop,) = document.pop("repositories")
    assert document == {
        "version": 1,
        "store": DB,
        "exists": True,
        "bytes": len(before),
        "schema": 2,
        "keep": 90 * 86_400,
        "looked_for_old_runs": "2026-11-20T12:00:00Z",
    }
    assert shop["flaky"] == {"active": 1, "quarantined": 1, "disabled": 0, "fixed": 0}
    assert (shop["runs"], shop["newest_run"]) == (4, "2026-11-20T12:00:00Z")
    assert (folder / DB).read_bytes() == before


def test_where_there_is_none(flakegate: Caller, folder: Path) -> None:
    done = flakegate("store", "info")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{DB}: there is no store yet; `flakegate record` or `collect` makes it\n"
    document = json.loads(flakegate("store", "info", "--format", "json").out)
    assert (document["exists"], document["repositories"]) == (False, [])
    assert list(folder.iterdir()) == []


def test_an_older_store_is_read_as_it_is(flakegate: Caller, folder: Path) -> None:
    old = (Path(__file__).parents[1] / "cases/store/schema-1.db").read_bytes()
    (folder / "old.db").write_bytes(old)
    where = ("--store", "sqlite:///old.db")
    assert "schema 1\n" in flakegate("store", "info", *where).out
    assert json.loads(flakegate("store", "info", *where, "--format", "json").out)["schema"] == 1
    assert "(--dry-run)" in flakegate("store", "vacuum", "--dry-run", *where).out
    assert flakegate("store", "export", "out.gz", *where).code == 0
    assert (folder / "old.db").read_bytes() == old
    new = ("--store", "sqlite:///new.db")
    assert flakegate("store", "import", "out.gz", *new).code == 0
    listed = [json.loads(flakegate("list", "--format", "json", *each).out) for each in (where, new)]
    assert listed[0] == listed[1]
    assert sorted(path.name for path in folder.iterdir()) == ["new.db", "old.db", "out.gz"]


def test_what_is_kept_is_of_the_policy(flakegate: Caller, folder: Path) -> None:
    record_flake(flakegate, folder, "test_a", "1")
    write(folder, "flakegate.yml", "version: 1\nrules: []\nstore: {keep: 45d}\n")
    assert "kept for 45 days" in flakegate("store", "info").out


def test_hostile_names_and_many_repositories(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("test_a"))
    for number in range(9):
        name = f"{ODD}{number}" * (50 if number == 8 else 1)
        flakegate("record", report, FLAKEGATE_RUN_ID=str(number), FLAKEGATE_REPOSITORY=name)
    done = flakegate("store", "info")
    assert "\x1b" not in done.out
    assert "\n::" not in done.out
    assert "##[" not in done.out
    assert "\u202e" not in done.out
    assert len(done.out.splitlines()) <= 24
    assert "and 6 more repositories with 6 runs" in done.out
    assert max(map(len, done.out.splitlines())) < 300
    assert len(json.loads(flakegate("store", "info", "--format", "json").out)["repositories"]) == 9


def test_a_wrong_subcommand(flakegate: Caller) -> None:
    done = flakegate("store", "vaccum")
    assert (done.code, done.out) == (2, "")
    assert "Did you mean 'vacuum'?" in done.err
    nothing = flakegate("store")
    assert (nothing.code, nothing.out) == (2, "")
    assert "Commands:" in nothing.err
    assert "export" in nothing.err
