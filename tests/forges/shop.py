"""A repository to run the action and the component in: reports, a policy and a store."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from flakegate.ci.repository import repository_id
from tests.cli.reports import SMALLEST, junit, write
from tests.forges.act import program

if TYPE_CHECKING:
    from pathlib import Path

# A change is never read here: there is no forge that would tell.
POLICY = SMALLEST + "gate: {changed_tests: excuse}\n"
BEFORE = "2026-11-20T09:00:00Z"


def make_shop(folder: Path, remote: str, store: str = "sqlite:///.flakegate/history.db") -> Path:
    """A repository whose store knows `test_flaky` as quarantined."""
    write(folder, "green/unit.xml", junit("test_a", "test_b"))
    write(folder, "flaky/unit.xml", junit("test_a", "-test_flaky"))
    write(folder, "broken/unit.xml", junit("-test_a", "-test_flaky"))
    write(folder, "flakegate.yml", POLICY)
    write(folder, ".gitignore", ".flakegate/\n.gitlab-ci-local/\n")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "remote", "add", "origin", remote)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all")
    of = ("--repository", repository_id(remote) or "", "--store", store)
    flakegate(folder, "record", "flaky", *of)
    flakegate(folder, "set", "test_flaky", "quarantined", "--reason", "being rewritten", *of)
    return folder


def flakegate(folder: Path, *arguments: str) -> str:
    """Calls flakegate in `folder`, outside of any CI; gives what it printed."""
    mine = ("FLAKEGATE_", "GITHUB_", "GITLAB_", "CI")
    env = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    done = subprocess.run(
        [sys.executable, "-m", "flakegate", *arguments],
        cwd=folder,
        env={**env, "FLAKEGATE_RUN_ID": "of-before", "FLAKEGATE_TIME": BEFORE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=dana", "-c", "user.email=dana@example.com")
    subprocess.run([program("git"), *who, *arguments], cwd=folder, check=True, capture_output=True)
