"""`flakegate store vacuum`: what it says, and that --dry-run changes no byte."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from tests.cli.reports import junit, write
from tests.cli.test_store import record_flake

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Caller, Done

DB = ".flakegate/history.db"


def filled(flakegate: Caller, folder: Path) -> bytes:
    """Two runs of February, after which test_a is quarantined, and one of today."""

    def then(*arguments: str, **env: str) -> Done:
        return flakegate(*arguments, **{"FLAKEGATE_TIME": "2026-02-01T12:00:00Z", **env})

    record_flake(then, folder, "test_a", "1")
    then("set", "test_a", "quarantined", "--reason", "x")
    report = write(folder, "r.xml", junit("test_b"))
    flakegate("record", report, FLAKEGATE_RUN_ID="7", FLAKEGATE_TIME="2026-04-01T12:00:00Z")
    with closing(sqlite3.connect(folder / DB)) as connection:
        connection.execute("UPDATE runs SET at = 1795000000 WHERE id = 3")
        connection.execute("DELETE FROM meta WHERE name LIKE 'looked%'")
        connection.commit()
    return (folder / DB).read_bytes()


def test_it_says_what_left_and_the_sizes(flakegate: Caller, folder: Path) -> None:
    before = filled(flakegate, folder)
    dry = flakegate("store", "vacuum", "--dry-run")
    what = "2 runs older than 90 days, with 1 failure and 1 test"
    assert (dry.code, dry.out) == (0, f"{DB}: would drop {what} (--dry-run)\n")
    document = json.loads(flakegate("store", "vacuum", "--dry-run", "--format", "json").out)
    assert document["dropped"] == {"runs": 2, "failures": 1, "tests": 1}
    assert (document["result"], document["bytes_after"]) == ("dry-run", None)
    assert (folder / DB).read_bytes() == before
    done = flakegate("store", "vacuum")
    assert done.code == 0
    assert done.out.startswith(f"{DB}: dropped {what}; ")
    assert done.out.endswith("kB after\n")
    again = json.loads(flakegate("store", "vacuum", "--format", "json").out)
    assert again["dropped"] == {"runs": 0, "failures": 0, "tests": 0}
    assert again["bytes_before"] == again["bytes_after"] == (folder / DB).stat().st_size
    assert "quarantined" in flakegate("list").out
    assert (
        "dropped nothing, as no run is older than 90 days, counted back from the newest; "
        in flakegate("store", "vacuum").out
    )


def test_where_there_is_no_store(flakegate: Caller, folder: Path) -> None:
    for arguments in ((), ("--dry-run",)):
        done = flakegate("store", "vacuum", *arguments)
        assert (done.code, done.out) == (0, f"{DB}: there is no store, so nothing to drop\n")
    assert list(folder.iterdir()) == []


def test_what_is_no_store_is_left_alone(flakegate: Caller, folder: Path) -> None:
    write(folder, "notes.db", "no database, but long enough to look at" * 50)
    done = flakegate("store", "vacuum", "--store", "sqlite:///notes.db")
    assert done.code == 4
    assert "not a SQLite database" in done.err
