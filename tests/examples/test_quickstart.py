"""The quickstart as a newcomer meets it: its own commands, typed into a shell."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
README = (QUICKSTART / "README.md").read_text(encoding="utf-8")
JUDGE_TODAY, JUDGE_REGRESSION, ASK_WHY = re.findall(r"^```sh\n(.+)\n```$", README, re.MULTILINE)
THE_BUGS = dict(re.findall(r"^\| `(test_\w+)\.py::(test_\w+)` \|", README, re.MULTILINE))
REGRESSION = ("tests.test_stock", "test_what_is_put_back_can_be_reserved_again")
LEFT_BY_RUNNING = shutil.ignore_patterns(".*", "__pycache__", "summary.md")
ENV = {
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    "PYTHONDONTWRITEBYTECODE": "1",
}


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=ENV | {"HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def in_json(command: str, folder: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(shell(f". ./today.env && {command}", folder).stdout)
    return answer


def everything(folder: Path) -> list[str]:
    """All that flakegate keeps: the store, row by row, and every other file."""
    state = folder / ".flakegate"
    with closing(sqlite3.connect(state / "history.db")) as store:
        rows = list(store.iterdump())
    others = sorted(path for path in state.rglob("*") if path.name != "history.db")
    return [*rows, *(f"{path.name}: {path.read_text(encoding='utf-8')}" for path in others)]


@dataclass(frozen=True, kw_only=True)
class Played:
    """The main command, typed twice."""

    folder: Path
    first: subprocess.CompletedProcess[str]
    summary: str
    kept: list[str]
    again: subprocess.CompletedProcess[str]
    summary_again: str
    kept_again: list[str]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("newcomer") / "quickstart"
    shutil.copytree(QUICKSTART, folder, ignore=LEFT_BY_RUNNING)
    first = shell(JUDGE_TODAY, folder)
    summary, kept = (folder / "summary.md").read_text(encoding="utf-8"), everything(folder)
    again = shell(JUDGE_TODAY, folder)
    return Played(
        folder=folder,
        first=first,
        summary=summary,
        kept=kept,
        again=again,
        summary_again=(folder / "summary.md").read_text(encoding="utf-8"),
        kept_again=everything(folder),
    )


@pytest.fixture(scope="module")
def flaky_tests(played: Played) -> list[dict[str, Any]]:
    tests: list[dict[str, Any]] = in_json("flakegate list --format json", played.folder)["tests"]
    return tests


def test_the_pull_request_passes_on_quarantines_made_a_moment_before(played: Played) -> None:
    assert played.first.returncode == 0, played.first.stdout + played.first.stderr
    verdict = in_json("flakegate gate --format json today", played.folder)
    assert verdict["verdict"] == "pass"
    assert {(row["decision"], row["rule"]) for row in verdict["failures"]} == {("excused", "noisy")}
    for row in verdict["failures"]:
        assert row["name"] in played.summary


def test_before_the_policy_acted_the_same_failures_block(tmp_path: Path) -> None:
    shutil.copytree(QUICKSTART, tmp_path, ignore=LEFT_BY_RUNNING, dirs_exist_ok=True)
    done = shell(". ./today.env && flakegate collect shards && flakegate gate today", tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr


def test_the_regression_blocks_and_nothing_else(played: Played) -> None:
    done = shell(JUDGE_REGRESSION, played.folder)
    assert done.returncode == 1, done.stdout + done.stderr
    verdict = in_json("flakegate gate --format json today-regression", played.folder)
    blocked = [row for row in verdict["failures"] if row["decision"] == "blocked"]
    assert [(row["classname"], row["name"], row["reason"]) for row in blocked] == [
        (*REGRESSION, "not-flaky")
    ]
    assert len(verdict["failures"]) > len(blocked)


def test_why_a_flaky_test_is_not_quarantined(played: Played) -> None:
    done = shell(ASK_WHY, played.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    missing = re.search(r"rule `noisy`: ([\d.]+ points) are missing", README)
    assert missing
    assert f"failure_rate > 15%: it is 10.5 %, {missing[1]} below 15 %" in done.stdout
    assert done.stdout.strip() in (QUICKSTART.parents[1] / "docs/explain.md").read_text("utf-8")
    for name in ("last_piece_is_sold", "is_put_back_can"):
        lines = shell(f". ./today.env && flakegate explain {name}", played.folder).stdout
        assert 8 < len(lines.splitlines()) <= 24


def test_a_second_time_changes_nothing(played: Played) -> None:
    assert played.again.returncode == 0, played.again.stdout + played.again.stderr
    assert played.kept_again == played.kept
    assert played.summary_again == played.summary


def test_the_store_finds_the_six_bugs_and_nothing_else(flaky_tests: list[dict[str, Any]]) -> None:
    found = {test["suite"].removeprefix("tests."): test["name"] for test in flaky_tests}
    assert found == THE_BUGS
    assert len(flaky_tests) == len(THE_BUGS) == 6


def test_the_policy_holds_where_it_acts(flaky_tests: list[dict[str, Any]]) -> None:
    for test in flaky_tests:
        quarantined = test["failure_rate"] > 15 and test["failed_pipelines"] >= 3
        assert test["state"] == ("quarantined" if quarantined else "active"), test["name"]
    states = [test["state"] for test in flaky_tests]
    assert "Four of the six" in README
    assert (states.count("quarantined"), states.count("active")) == (4, 2)


def test_the_clock_is_set_so_that_a_year_changes_nothing(played: Played) -> None:
    document = in_json("flakegate list --format json", played.folder)
    assert document["taken_at"].startswith("2026-11-20T09:12:00")


def test_the_policy_is_without_error_or_warning(played: Played) -> None:
    done = shell("flakegate check", played.folder)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout + done.stderr


def test_the_history_was_made_from_the_committed_suite() -> None:
    # Commits have fixed times, so the same suite and changes give the same ids anywhere.
    code = """
import pathlib, sys, tempfile, changes, make_history
with tempfile.TemporaryDirectory() as folder:
    shop = make_history.Shop(pathlib.Path(folder) / "shop")
    runs = [*make_history.history(shop), *make_history.pushes(shop, changes.TODAY)]
print(len(runs), runs[-2].commit)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=QUICKSTART,
        env=ENV,
        capture_output=True,
        text=True,
        check=True,
    )
    runs, commit = done.stdout.split()
    # If this fails: run make_history.py again, and commit what it leaves.
    assert f"FLAKEGATE_COMMIT={commit}\n" in (QUICKSTART / "today.env").read_text(encoding="utf-8")
    recorded = {path.name.split("-")[1] for path in (QUICKSTART / "shards").iterdir()}
    assert len(recorded) == int(runs) - 2  # without today's two


def test_the_suite_passes_where_it_is_not_flaky(tmp_path: Path) -> None:
    shutil.copytree(QUICKSTART / "suite", tmp_path, ignore=LEFT_BY_RUNNING, dirs_exist_ok=True)
    flaky = [f"--deselect=tests/{file}.py::{test}" for file, test in THE_BUGS.items()]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *flaky],
        cwd=tmp_path,
        env=ENV,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert f" {len(flaky)} deselected" in done.stdout


def committed() -> dict[str, str]:
    """Every file's text, shards unpacked; without what running and checking leave behind."""
    texts: dict[str, str] = {}
    for path in sorted(path for path in QUICKSTART.rglob("*") if path.is_file()):
        name = path.relative_to(QUICKSTART)
        if name.name == "summary.md" or any(part[0] in "._" for part in name.parts[:-1]):
            continue
        data = path.read_bytes()
        texts[name.as_posix()] = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return texts


def test_no_file_names_a_machine() -> None:
    texts = committed()
    assert any(name.startswith("shards/") for name in texts)
    machine = re.compile(r"/(home|root|tmp|Users|var|usr|opt|work|private)/|[A-Z]:\\|site-packages")
    assert {
        name: machine.search(text) for name, text in texts.items() if machine.search(text)
    } == {}
    hosts = {host for text in texts.values() for host in re.findall(r' hostname="(.*?)"', text)}
    assert hosts == {"ci"}


def test_the_files_stay_small() -> None:
    size = sum((QUICKSTART / name).stat().st_size for name in committed())
    assert size <= 1_000_000


def test_the_readme_counts_right() -> None:
    cases = len(list(ET.parse(QUICKSTART / "today" / "unit.xml").iter("testcase")))  # noqa: S314 - our own file
    assert f"its {cases} tests by now" in README
