"""The action, run by `act` as GitHub would run it: all its jobs side by side."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.reports import junit, write
from tests.forges.act import ROOT, act, copy_of_the_action, program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.forges.act import Job

CASES = ROOT / "tests/cases/forges"
WORKFLOW = (CASES / "tests.yml").read_text()


def flakegate(folder: Path, *arguments: str) -> None:
    """Calls flakegate in `folder`, outside of any CI."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("FLAKEGATE_")}
    subprocess.run(
        [sys.executable, "-m", "flakegate", *arguments],
        cwd=folder,
        env={**env, "FLAKEGATE_REPOSITORY": "github.com/acme/shop", "FLAKEGATE_RUN_ID": "1"},
        capture_output=True,
        check=True,
    )


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=dana", "-c", "user.email=dana@example.com")
    subprocess.run([program("git"), *who, *arguments], cwd=folder, check=True, capture_output=True)


def project(folder: Path) -> Path:
    """A repository whose store knows `test_flaky` as quarantined."""
    write(folder, "green/unit.xml", junit("test_a", "test_b"))
    write(folder, "flaky/unit.xml", junit("test_a", "-test_flaky"))
    write(folder, "broken/unit.xml", junit("-test_a", "-test_flaky"))
    flakegate(folder, "record", "flaky")
    flakegate(folder, "set", "test_flaky", "quarantined", "--reason", "being rewritten")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "remote", "add", "origin", "https://github.com/acme/shop.git")
    write(folder, ".gitignore", ".flakegate/\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all")
    return folder


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    folder = tmp_path_factory.mktemp("action")
    for name in ("shop", "action"):
        (folder / name).mkdir()
    repository = project(folder / "shop")
    action = copy_of_the_action(folder / "action")
    return act(repository, WORKFLOW, action=action, env={"CHECKOUT_FROM": str(repository)})


@pytest.mark.parametrize(
    ("name", "result", "code", "words"),
    [
        ("green", "success", "0", "passed: 2 tests"),
        ("excused", "success", "0", "1 flaky failure excused"),
        ("blocked", "failure", "1", "test_a"),
        ("incomplete", "failure", "3", "nothing-here: no report there"),
    ],
)
def test_verdicts(jobs: dict[str, Job], name: str, result: str, code: str, words: str) -> None:
    job = jobs[name]
    assert (job.result, job.outputs["gate"]["exit-code"]) == (result, code), job.log
    assert words in job.log
