"""Runs workflows with `act`, which is GitHub's runner for one machine, and tells what came of it.

Actions of others that a workflow uses are replaced by folders in `tests/cases/forges/actions`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
STAND_INS = ROOT / "tests/cases/forges/actions"
OWN = "flakegate/flakegate@v1"
OF_THE_ACTION = ("action.yml", "action", "flakegate", "pyproject.toml")
SCRIPTS = sysconfig.get_path("scripts")
TOKEN = "ghs_forged-for-these-tests"  # noqa: S105 - nobody's


def program(name: str) -> str:
    """Where a tool is that the tests need; skips the test where it is not."""
    found = shutil.which(name, path=f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed; `.ci/run` installs it")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job of a workflow. result: success or failure. steps: each step's result, by its name.

    outputs: of each step, by its id. log: what its steps printed.
    """

    result: str = ""
    log: str = ""
    steps: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    summary: str = ""


def copy_of_the_action(folder: Path) -> Path:
    """What a tag of this repository holds, as far as the action needs it."""
    for name in OF_THE_ACTION:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return folder


def act(  # noqa: PLR0913 - what a run of a workflow has, each by its name
    repository: Path,
    workflow: str,
    *,
    action: Path,
    event: str = "push",
    payload: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    token: str = TOKEN,
) -> dict[str, Job]:
    """Runs `workflow` in `repository`; gives its jobs by their names.

    payload: what GitHub says of the event. env: of the runner. token: of the workflow.
    """
    file = repository / ".github/workflows/tests.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(workflow)
    said = repository.parent / "event.json"
    said.write_text(json.dumps(payload or {"repository": {"default_branch": "main"}}))
    arguments = [
        program("act"), event, "--eventpath", str(said), "--workflows", str(file), "--json",
        "--platform", "ubuntu-latest=-self-hosted", "--no-cache-server", "--no-skip-checkout",
        "--action-cache-path", str(repository.parent / "act"),
        "--secret", f"GITHUB_TOKEN={token}",
        "--local-repository", f"{OWN}={action}",
    ]  # fmt: skip
    for name in _used(workflow + (action / "action.yml").read_text()):
        owner, _, rest = name.partition("/")
        stand_in = STAND_INS / f"{owner}__{rest.partition('@')[0].partition('/')[0]}"
        ref = name.partition("@")[2]
        arguments += ["--local-repository", f"{stand_in.name.replace('__', '/')}@{ref}={stand_in}"]
    for name, value in (env or {}).items():
        arguments += ["--env", f"{name}={value}"]
    done = subprocess.run(
        arguments,
        cwd=repository,
        env=_environment(repository.parent),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    jobs = _jobs(done.stdout)
    assert jobs, done.stdout + done.stderr
    return jobs


def _used(text: str) -> list[str]:
    """The actions of others in a workflow or an action: `owner/name@ref`."""
    found = set(re.findall(r"uses: ([\w./-]+@[\w.-]+)", text))
    return sorted(name for name in found if not name.startswith(OWN.partition("@")[0]))


def _environment(home: Path) -> dict[str, str]:
    """A runner's: nothing of this machine's CI, and no Python of a virtual environment."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FLAKEGATE_", "GITHUB_", "DD_", "CI", "GIT_", "RUNNER_"))
    }
    kept.pop("VIRTUAL_ENV", None)
    return {**kept, "XDG_CONFIG_HOME": str(home / "config"), "NO_COLOR": "1"}


def _jobs(lines: str) -> dict[str, Job]:
    """From act's log, a JSON document a line."""
    logs: dict[str, list[str]] = {}
    found: dict[str, dict[str, Any]] = {}
    for line in lines.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if "jobID" not in said:
            continue
        name = said["job"].rpartition("/")[2].strip()
        job = found.setdefault(name, {"steps": {}, "outputs": {}, "result": "", "summary": ""})
        message = said.get("msg", "")
        if said.get("raw_output"):
            logs.setdefault(name, []).append(message)
        if "jobResult" in said:
            job["result"] = said["jobResult"]
        if "stepResult" in said and said.get("stage") == "Main":
            job["steps"][said["step"].removeprefix("Main ")] = said["stepResult"]
        step = said.get("stepID") or [""]
        if said.get("command") == "set-output" and len(step) == 1:
            job["outputs"].setdefault(step[0], {})[said["name"]] = said["arg"]
        if said.get("command") == "summary" and len(step) > 1:
            job["summary"] += said.get("content", "")
    return {name: Job(log="".join(logs.get(name, [])), **job) for name, job in found.items()}
