"""Files are written whole or not at all, also on a disk that is full."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flakegate.cli.files import write_whole
from flakegate.errors import UsageError
from tests.cli.reports import SMALLEST, junit, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Caller

TIP = "check that its folder may be written to, and that there is room"


@contextmanager
def full_disk() -> Iterator[None]:
    """No file grows beyond a few bytes, as far as this process is concerned."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_written_and_replaced(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        write_whole(tmp_path / "a/b/f", data, "the plan")
        assert (tmp_path / "a/b/f").read_bytes() == data
    assert names(tmp_path / "a/b") == ["f"]


def test_on_a_full_disk_what_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"before")
    for name in ("f", "new"):
        with full_disk(), pytest.raises(UsageError) as raised:
            write_whole(tmp_path / name, b"x" * 100, "the plan")
        assert raised.value.message.startswith(f"cannot write the plan {tmp_path / name}: File too")
        assert raised.value.tip == TIP
    assert names(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"before"


@pytest.mark.parametrize("name", ["file/f", "folder"])
def test_where_no_file_can_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot write the plan"):
        write_whole(tmp_path / name, b"x", "the plan")
    assert names(tmp_path) == ["file", "folder"]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/f")
    for data in (b"one", b"two"):
        write_whole(tmp_path / "link", data, "the plan")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "there/f").read_bytes() == data


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    path = Path(f"/dev/fd/{writing}")
    write_whole(path, b"through", "the plan")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"through"
    assert names(tmp_path) == []


def test_a_shard_on_a_full_disk_leaves_nothing_behind(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("-test_a"))
    with full_disk():
        done = flakegate("record", report, "--shard-out", "shards/s.json.gz")
    assert done.code == 2
    says = "error: cannot write the shard shards/s.json.gz: File too large"
    assert done.err == f"{says}\ntip: {TIP}\n"
    assert names(folder / "shards") == []


def test_a_plan_on_a_full_disk_leaves_the_one_before(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    flakegate("record", write(folder, "r.xml", junit("test_a")))
    assert flakegate("plan", "--out", "plan.json").code == 0
    before = (folder / "plan.json").read_bytes()
    later = "2026-11-20T13:00:00Z"
    there = names(folder)
    with full_disk():
        done = flakegate("plan", "--out", "plan.json", FLAKEGATE_TIME=later)
    assert done.code == 2
    assert done.err == f"error: cannot write the plan plan.json: File too large\ntip: {TIP}\n"
    assert (folder / "plan.json").read_bytes() == before
    assert names(folder) == there
