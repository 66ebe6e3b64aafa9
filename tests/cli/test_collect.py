"""`flakegate collect`: whose shards, how many, and what a person or a disk can do to them."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flakegate.cli.collect import PORTION, TOLD
from flakegate.record import MAX_INFLATED, encode_shard
from tests.backends.store.build import DAY, from_fork, run

if TYPE_CHECKING:
    from pathlib import Path

    from flakegate.record import RunRecord
    from tests.conftest import Caller

NOW = 1_795_176_000.0  # FLAKEGATE_TIME of the fixture
OTHER = "github.com/acme/other"


def at(number: int, ago: float = 60.0, **outcomes: str) -> RunRecord:
    return run(number, NOW - ago, **(outcomes or {"a": "p"}))


def of(repository: str, record: RunRecord) -> RunRecord:
    return replace(record, repository=repository, key=f"{repository}:{record.key}")


def put(folder: Path, *records: RunRecord) -> None:
    """One shard for each, in `shards`."""
    (folder / "shards").mkdir(exist_ok=True)
    for number, record in enumerate(records):
        (folder / f"shards/{number:04}.json.gz").write_bytes(encode_shard(record))


def contents(folder: Path) -> list[str]:
    """The store as SQL, but for when it was last tidied up."""
    with closing(sqlite3.connect(folder / ".flakegate/history.db")) as connection:
        return [line for line in connection.iterdump() if "looked_for_old_runs" not in line]


# Whose shards, and how many


def test_several_repositories_are_told_one_by_one(flakegate: Caller, folder: Path) -> None:
    put(folder, at(1, a="fp"), at(2), from_fork(at(3), "7"), of(OTHER, at(1, a="fp", b="fp")))
    told = json.loads(flakegate("collect", "shards", "--format", "json").out)
    none = {"known": 0, "too_old": 0, "outages": 0, "withdrawn": 0}
    shop = {**none, "new": 3, "forks": 1, "detected": 1, "refused": []}
    other = {**none, "new": 1, "forks": 0, "detected": 2, "refused": []}
    assert told.pop("repositories") == {"github.com/acme/shop": shop, OTHER: other}
    assert told.pop("store").endswith("history.db")
    totals = {"new": 4, "forks": 1, "detected": 3, "refused": [], "broken": 0, "left_out": 0}
    assert told == {"version": 1, **none, **totals}
    assert flakegate("collect", "shards").out.splitlines()[1:] == [
        "  github.com/acme/other: 0 new runs, 1 known already",
        "  github.com/acme/shop: 0 new runs, 3 known already",
    ]


def test_one_repository_takes_one_line(flakegate: Caller, folder: Path) -> None:
    outage = run(4, NOW - 60, **{f"t{number}": "f" for number in range(9)})
    put(folder, at(1), from_fork(at(2), "7"), from_fork(at(3), "8"), outage, at(5, 99 * DAY))
    assert flakegate("collect", "shards").out == (
        ".flakegate/history.db: 4 new runs, 0 known already; 1 outage; 2 of forks: data only; "
        "1 too old\n"
    )


def test_a_repository_leaves_out_the_others(flakegate: Caller, folder: Path) -> None:
    put(folder, at(1), of(OTHER, at(2)), of(OTHER, at(3)), of("github.com/acme/third", at(4)))
    named = ("collect", "shards", "--repository", "https://github.com/Acme/Other.git")
    rehearsed = flakegate(*named, "--dry-run").out
    assert rehearsed == (
        "2 shards would be folded in, so far as new (--dry-run); 2 of other repositories left out\n"
    )
    told = json.loads(flakegate(*named, "--dry-run", "--format", "json").out)
    assert (told["shards"], told["left_out"]) == (2, 2)
    assert not (folder / ".flakegate").exists()
    assert flakegate(*named).out == (
        ".flakegate/history.db: 2 new runs, 0 known already; 2 of other repositories left out\n"
    )
    told = json.loads(flakegate(*named, "--format", "json").out)
    assert (told["known"], told["left_out"], list(told["repositories"])) == (2, 2, [OTHER])
    assert "2 new runs, 2 known" in flakegate("collect", "shards").out, "without it all are taken"


def test_only_shards_of_other_repositories(flakegate: Caller, folder: Path) -> None:
    put(folder, at(1), at(2), of(OTHER, at(2)))
    named = ("collect", "shards", "--repository", "github.com/acme/thrid")
    done = flakegate(*named)
    assert done.code == 2
    assert "no shard of github.com/acme/thrid among these 3 shards" in done.err
    assert "github.com/acme/shop (2), github.com/acme/other (1)" in done.err
    assert flakegate(*named, "--dry-run").code == 2
    assert not (folder / ".flakegate").exists()
    (folder / "shards/x.json.gz").write_bytes(b"")
    assert flakegate(*named).code == 3, "it may be the broken one that was meant"


def test_names_in_shards_are_escaped(flakegate: Caller, folder: Path) -> None:
    put(folder, at(1), of("evil\x1b[2J\nnew", at(2)))
    assert "\x1b" not in flakegate("collect", "shards").out
    done = flakegate("collect", "shards", "--repository", "none/none")
    assert "\x1b" not in done.err
    assert done.err.count("\n") == 2
    evil = replace(at(2, -2 * DAY), key="1\n::error::gotcha\x1b[2J")
    (folder / "shards/no\n::error::file.json.gz").write_bytes(b"")
    (folder / "shards/key.json.gz").write_bytes(encode_shard(evil))
    lines = flakegate("collect", "shards").err.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["error", "tip", "error"]
    assert "\x1b" not in "".join(lines)


def test_more_shards_than_are_in_memory_at_once(flakegate: Caller, folder: Path) -> None:
    """The default branch fails first of all, in the last file: what follows has it from there."""
    many = [replace(at(n, 9_000 - n, a="f", b="p"), branch=f"b{n}", is_default=False)
            for n in range(PORTION + 5)]  # fmt: skip
    put(folder, *many, at(9_999, 9_500, a="f", b="p"))
    assert f"{PORTION + 6} new runs, 0 known already\n" in flakegate("collect", "shards").out
    assert f"0 new runs, {PORTION + 6} known already\n" in flakegate("collect", "shards").out


def test_what_a_later_call_takes_back(flakegate: Caller, folder: Path) -> None:
    branches = [replace(at(n, 600 - n, a="f", b="p"), branch=f"b{n}", is_default=False)
                for n in (1, 2, 3)]  # fmt: skip
    put(folder, *branches)
    assert flakegate("collect", "shards").out.endswith("; 1 test found to be flaky\n")
    put(folder, *branches, at(9, 900, a="f", b="p"))
    assert flakegate("collect", "shards").out.endswith(
        "1 new run, 3 known already; 1 test not flaky after all\n"
    )


# Shards that are none, or not to be believed

SHARD = encode_shard(at(1, a="fp", b="p"))


def stored(flakegate: Caller, folder: Path) -> list[str]:
    """A store with one run; what is in it."""
    put(folder, at(50, a="p"))
    assert flakegate("collect", "shards").code == 0
    return contents(folder)


def test_cut_short_anywhere(flakegate: Caller, folder: Path) -> None:
    before = stored(flakegate, folder)
    for length in range(len(SHARD)):
        (folder / f"shards/cut-{length}.json.gz").write_bytes(SHARD[:length])
    done = flakegate("collect", "shards")
    assert done.code == 3
    assert done.out.endswith(f"0 new runs, 1 known already; {len(SHARD)} broken\n")
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == len(SHARD)
    assert all(": not a whole shard of flakegate: " in line for line in errors)
    assert contents(folder) == before


def test_one_bit_flipped_anywhere(flakegate: Caller, folder: Path) -> None:
    """Few bits of gzip mean nothing; flipped or not, the run is never another one."""
    before = stored(flakegate, folder)
    for place in range(len(SHARD)):
        altered = bytearray(SHARD)
        altered[place] ^= 1 << place % 8
        (folder / f"shards/bit-{place}.json.gz").write_bytes(altered)
    done = flakegate("collect", "shards", "--format", "json")
    told = json.loads(done.out)
    assert done.code == 3
    assert told["refused"] == []
    assert told["new"] <= 1
    assert told["broken"] + told["new"] + told["known"] == len(SHARD) + 1
    assert told["broken"] > len(SHARD) - 16
    (folder / "shards/1.json.gz").write_bytes(SHARD)
    whole = flakegate("collect", "shards/1.json.gz", "--format", "json")
    assert whole.code == 0, "what was taken of the altered ones, if any, was this very run"
    assert len(contents(folder)) > len(before)


def bomb() -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = b" " * (1 << 20)
    many = MAX_INFLATED // len(piece) + 1
    return b"".join(deflater.compress(piece) for _ in range(many)) + deflater.flush()


def test_a_folder_full_of_rubbish(flakegate: Caller, folder: Path) -> None:
    before = stored(flakegate, folder)
    shards = folder / "shards"
    (shards / "notes.txt").write_text("not looked at")
    (shards / "text.json.gz").write_text("not a shard")
    (shards / "empty.json.gz").write_bytes(b"")
    (shards / "bomb.json.gz").write_bytes(bomb())
    (shards / "dir.json.gz").mkdir()
    (shards / "loop.json.gz").symlink_to("loop.json.gz")
    (shards / "gone.json.gz").symlink_to("nowhere")
    (shards / "zero.json.gz").symlink_to("/dev/zero")
    (shards / "same.json.gz").symlink_to("0000.json.gz")
    os.mkfifo(shards / "pipe.json.gz")
    with (shards / "huge.json.gz").open("wb") as file:
        file.truncate((64 << 20) + 1)
    done = flakegate("collect", "shards")
    assert done.code == 3
    assert done.out.endswith("0 new runs, 2 known already; 9 broken\n")
    for name, why in [
        ("text", "it is not gzip"),
        ("empty", "it is cut short"),
        ("bomb", "it inflates to more than"),
        ("dir", "it is not a regular file"),
        ("loop", "it cannot be read: Too many levels"),
        ("gone", "it cannot be read: No such file"),
        ("zero", "it is not a regular file"),
        ("pipe", "it is not a regular file"),
        ("huge", "it is larger than 64 MiB"),
    ]:
        assert f"error: shards/{name}.json.gz: not a whole shard of flakegate: {why}" in done.err
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (at(50, a="f"), "is recorded already, with other results"),
        (at(50, a="p", b="p"), "is recorded already, with other results"),
        (at(51, -1.1 * DAY), "is from the future, more than a day ahead"),
    ],
)
def test_a_shard_that_is_refused(
    flakegate: Caller, folder: Path, record: RunRecord, why: str
) -> None:
    before = stored(flakegate, folder)
    put(folder, at(50, a="p"), record)
    done = flakegate("collect", "shards")
    assert done.code == 2
    assert f"error: {record.key} {why}" in done.err
    assert done.out.endswith("0 new runs, 1 known already; 1 refused\n")
    assert contents(folder) == before
    (folder / "shards/x.json.gz").write_bytes(b"")
    assert flakegate("collect", "shards").code == 3, "broken evidence before refused runs"


def test_a_clock_that_is_wrong_does_not_flood_the_screen(flakegate: Caller, folder: Path) -> None:
    put(folder, *(at(number, -2 * DAY) for number in range(TOLD + 5)))
    done = flakegate("collect", "shards")
    assert done.code == 2
    assert done.err.count("is from the future") == TOLD
    assert "error: 5 more runs are refused\n" in done.err
    told = json.loads(flakegate("collect", "shards", "--format", "json").out)
    assert len(told["refused"]) == TOLD + 5


def test_clocks_hours_apart(flakegate: Caller, folder: Path) -> None:
    put(folder, at(1, -20 * 3_600, a="p"), at(2, 20 * 3_600, a="f"))
    twin = replace(at(3, 2 * 3_600, a="p"), commit=at(2).commit)
    (folder / "shards/3.json.gz").write_bytes(encode_shard(twin))
    done = flakegate("collect", "shards")
    assert done.code == 0
    assert done.out.endswith("3 new runs, 0 known already; 1 test found to be flaky\n")


def test_paths_that_are_none(flakegate: Caller, folder: Path) -> None:
    (folder / "empty").mkdir()
    for path in ("empty", "nowhere", "x" * 5_000, "nul/" * 2_000):
        done = flakegate("collect", path)
        assert done.code == 2, path[:9]
        assert "no shard there" in done.err
