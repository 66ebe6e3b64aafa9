"""What the action and the component start, without them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from flakegate.cli.hosted import main
from flakegate.hosted import PREFIX
from flakegate.record import decode_shard
from tests.cli.reports import SMALLEST, junit, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., int]


@pytest.fixture
def start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts it with these inputs, in a folder with reports and a policy."""
    write(folder, "flakegate.yml", SMALLEST)
    write(folder, "green.xml", junit("test_a"))
    write(folder, "red.xml", junit("-test_a"))
    write(folder, "broken.xml", "<testsuite")

    def call(**given: str) -> int:
        with monkeypatch.context() as patch:
            patch.setenv("FLAKEGATE_DOTENV", str(folder / "left/job.env"))
            patch.setenv(f"{PREFIX}FOLDER", str(folder / "left"))
            patch.setenv("FLAKEGATE_SHARD", "")
            for name, value in given.items():
                patch.setenv(PREFIX + name.upper(), value)
            return main()

    return call


@pytest.mark.parametrize(
    ("inputs", "code", "left"),
    [
        ({"reports": "green.xml"}, 0, True),
        ({"reports": "red.xml"}, 1, True),
        ({"reports": "red.xml", "mode": "record"}, 0, True),
        ({"reports": "red.xml", "mode": "gate"}, 1, False),
        ({"reports": "broken.xml"}, 3, False),
        ({"reports": "green.xml", "test_outcome": "failed"}, 2, False),
        ({"reports": "green.xml", "args": "--nope"}, 2, False),
        ({"reports": "green.xml", "store": "sqlite:///mine.db"}, 0, False),
        ({"reports": "green.xml", "args": "'"}, 2, False),
        ({"mode": "collect"}, 2, False),
    ],
)
def test_what_is_left_for_the_history(
    start: Start, folder: Path, inputs: dict[str, str], code: int, left: bool
) -> None:
    assert start(**inputs) == code
    shard = folder / "left/shard.json.gz"
    assert shard.exists() == left
    assert (folder / "left/job.env").read_text().splitlines()[-1] == f"FLAKEGATE_EXIT_CODE={code}"


def test_each_part_of_a_job_is_another_leg(start: Start, folder: Path) -> None:
    legs = set()
    for shard in ('{"os": "linux"}', '{"os": "mac"}', "unit"):
        assert start(reports="green.xml", shard=shard) == 0
        legs.add(decode_shard((folder / "left/shard.json.gz").read_bytes(), "it").leg)
    assert legs == {":linux", ":mac", ":unit"}


def test_states_are_not_changed_in_a_copy_of_the_history(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    def not_applied(**more: str) -> object:
        assert start(reports="green.xml", args="--format json", **more) == 0
        document, _ = json.JSONDecoder().raw_decode(capsys.readouterr().out)
        return document["not_applied"]

    assert not_applied() == "--no-apply"
    assert not_applied(apply="true") is None
    assert not_applied(store="sqlite:///mine.db", apply="false") == "--no-apply"
    assert not_applied(store="sqlite:///mine.db") == (
        "no CI says what started this run; --apply allows it"
    )
