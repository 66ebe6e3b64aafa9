"""`flakegate store export` and `import`: files, standard streams, and what is refused."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.reports import write
from tests.cli.test_files import TIP, full_disk, names
from tests.cli.test_store import record_flake

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Caller

FLAKEGATE = (sys.executable, "-m", "flakegate")
DB = ".flakegate/history.db"
NEW = ("--store", "sqlite:///new.db")


def filled(flakegate: Caller, folder: Path) -> bytes:
    record_flake(flakegate, folder, "test_a", "1")
    flakegate("set", "test_a", "quarantined", "--reason", "x", USER="dana")
    return (folder / DB).read_bytes()


def test_there_and_back(flakegate: Caller, folder: Path) -> None:
    before = filled(flakegate, folder)
    done = flakegate("store", "export", "deep/out.gz")
    assert (done.code, done.err) == (0, "")
    what = "1 repository with 2 runs of 2 tests, 1 of them flaky"
    size = f"{(folder / 'deep/out.gz').stat().st_size} bytes"
    assert done.out == f"deep/out.gz ({size}): exported {what}\n"
    assert (folder / DB).read_bytes() == before
    back = flakegate("store", "import", "deep/out.gz", *NEW)
    assert (back.code, back.out, back.err) == (0, f"new.db: imported {what}\n", "")
    listed = flakegate("list", "--format", "json").out
    assert flakegate("list", "--format", "json", *NEW).out == listed
    assert "dana" in flakegate("list", *NEW).out
    again = json.loads(flakegate("store", "export", "again.gz", *NEW, "--format", "json").out)
    assert (again["runs"], again["flaky"], again["file"]) == (2, 1, "again.gz")
    assert (folder / "again.gz").read_bytes() == (folder / "deep/out.gz").read_bytes()


def test_through_standard_streams(flakegate: Caller, folder: Path) -> None:
    filled(flakegate, folder)
    flakegate("store", "export", "out.gz")
    for arguments in ((), ("-",)):
        export = [*FLAKEGATE, "store", "export", *arguments]
        done = subprocess.run(export, capture_output=True, check=True)
        assert (done.stdout, done.stderr) == ((folder / "out.gz").read_bytes(), b"")
    fill = [*FLAKEGATE, "store", "import", "-", *NEW, "--format", "json"]
    back = subprocess.run(fill, input=done.stdout, capture_output=True, check=True)
    assert json.loads(back.stdout)["file"] == "standard input"
    assert json.loads(back.stdout)["tests"] == 2


def test_a_terminal_gets_no_binary(flakegate: Caller, folder: Path) -> None:
    filled(flakegate, folder)
    ours, theirs = pty.openpty()
    for arguments in (("export",), ("import", "-")):
        done = subprocess.run(
            [*FLAKEGATE, "store", *arguments, *NEW],
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
        assert done.returncode == 2
        assert b"terminal" in done.stderr
        assert b"tip: name a file" in done.stderr
    os.close(ours)
    os.close(theirs)
    assert not (folder / "new.db").exists()


def test_the_store_itself_is_not_overwritten(flakegate: Caller, folder: Path) -> None:
    before = filled(flakegate, folder)
    (folder / "link").symlink_to(DB)
    for name in (DB, f"./{DB}", "link"):
        done = flakegate("store", "export", name)
        assert done.code == 2
        assert "is the store itself" in done.err
    assert (folder / DB).read_bytes() == before


def test_a_document_needs_standard_output_for_itself(flakegate: Caller) -> None:
    done = flakegate("store", "export", "--format", "json")
    assert (done.code, done.out) == (2, "")
    assert "name a FILE" in done.err


def test_an_export_of_no_store_says_so(flakegate: Caller, folder: Path) -> None:
    done = flakegate("store", "export", "out.gz")
    assert done.code == 0
    assert done.err == f"note: there is no store at {DB}: the export is one of nothing\n"
    assert names(folder) == ["out.gz"]
    assert flakegate("store", "import", "out.gz").code == 0


def test_on_a_full_disk_the_export_before_stays(flakegate: Caller, folder: Path) -> None:
    filled(flakegate, folder)
    write(folder, "out.gz", "before")
    there = names(folder)
    with full_disk():
        done = flakegate("store", "export", "out.gz")
    assert done.code == 2
    assert done.err == f"error: cannot write the export out.gz: File too large\ntip: {TIP}\n"
    assert (folder / "out.gz").read_text() == "before"
    assert names(folder) == there


def test_a_store_that_holds_something_is_not_filled(flakegate: Caller, folder: Path) -> None:
    before = filled(flakegate, folder)
    flakegate("store", "export", "out.gz")
    done = flakegate("store", "import", "out.gz")
    assert (done.code, done.out) == (2, "")
    assert "collect" in done.err
    assert (folder / DB).read_bytes() == before


@pytest.mark.parametrize("part", [0, 1, 9, 200, -1])
def test_half_an_export_leaves_no_file(flakegate: Caller, folder: Path, part: int) -> None:
    filled(flakegate, folder)
    flakegate("store", "export", "out.gz")
    data = (folder / "out.gz").read_bytes()
    (folder / "half.gz").write_bytes(data[:part])
    done = flakegate("store", "import", "half.gz", "--store", "sqlite:///deep/new.db")
    assert (done.code, done.out) == (3, "")
    assert "half.gz: not a whole export of flakegate: it is cut short" in done.err
    assert not (folder / "deep").exists()


def test_other_files_are_refused_in_words(flakegate: Caller, folder: Path) -> None:
    filled(flakegate, folder)
    record_flake(flakegate, folder, "test_b", "2", out="shards")
    write(folder, "notes.txt", "hello")
    (folder / "bomb.gz").write_bytes(gzip.compress(bytes(50_000_000)))
    for name, says in (
        (DB, "it is a store itself: name it with --store"),
        ("shards/2-1.json.gz", "it is a shard: `flakegate collect` folds it in"),
        ("notes.txt", "it is not gzip"),
        ("bomb.gz", "it has a line of more than"),
    ):
        done = flakegate("store", "import", name, *NEW)
        assert (done.code, done.out) == (3, ""), name
        assert says in done.err, name
    for name in ("none.gz", "shards"):
        done = flakegate("store", "import", name, *NEW)
        assert (done.code, done.out) == (2, ""), name
        assert f"cannot read the export {name}" in done.err
    assert not (folder / "new.db").exists()
