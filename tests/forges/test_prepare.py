"""The action's own environment, where the runner has uv and where it has not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.forges.act import copy_of_the_action, program

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = ("bash", "cat", "mkdir", "rm", "sed", "sh", "tr")


class Runner:
    """A runner with a few tools, and its temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        for tool in TOOLS:
            self.give(tool, program(tool))

    def give(self, name: str, place: str) -> None:
        (self.folder / "bin" / name).symlink_to(place)

    def prepare(self, action: Path, **env: str) -> tuple[int, str, dict[str, str]]:
        """Its exit code, what it printed, and its outputs."""
        output = self.folder / "output"
        output.write_text("")
        mine = ("FLAKEGATE_", "GITHUB_", "DD_", "DATADOG_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(mine)}
        done = subprocess.run(
            [program("bash"), str(action / "action/prepare.sh")],
            env={
                **kept,
                "PATH": str(self.folder / "bin"),
                "GITHUB_ACTION_PATH": str(action),
                "GITHUB_OUTPUT": str(output),
                "RUNNER_TEMP": str(self.folder),
                **env,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        said = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return done.returncode, done.stdout + done.stderr, said


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.fixture(scope="module")
def action(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_action(tmp_path_factory.mktemp("tag"))


@pytest.mark.parametrize("uv", [True, False])
def test_it_is_made_once_and_runs_the_code_of_the_tag(
    runner: Runner, action: Path, uv: bool
) -> None:
    runner.give("python3", os.path.realpath(sys.executable))
    if uv:
        runner.give("uv", program("uv"))
    code, said, outputs = runner.prepare(action)
    assert code == 0, said
    place = "import flakegate, sys; print(flakegate.__file__)"
    done = subprocess.run(
        [outputs["python"], "-I", "-c", place], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(action / "flakegate/__init__.py")
    assert runner.prepare(action) == (0, "", outputs)  # nothing is left to do
    assert shutil.which("flakegate", path=str(runner.folder / "bin")) is None


def test_a_python_that_is_too_old_is_told_of(runner: Runner, action: Path) -> None:
    for name in ("python3", "python", "py"):
        old = runner.folder / "bin" / name
        old.write_text("#!/bin/sh\nexit 1\n")
        old.chmod(0o755)
    code, said, outputs = runner.prepare(action)
    assert (code, outputs) == (2, {})
    assert said == (
        "::error title=flakegate::flakegate needs Python 3.10 or newer;"
        " add actions/setup-python before this step\n"
    )


@pytest.mark.parametrize(
    ("env", "history"),
    [
        ({}, "true"),
        ({"FLAKEGATE_INPUT_BACKEND": "store", "DD_API_KEY": "k"}, "true"),
        ({"FLAKEGATE_INPUT_BACKEND": "datadog"}, "false"),
        ({"DD_API_KEY": "k"}, "false"),
        ({"DD_ACCESS_TOKEN": "k"}, "false"),
        ({"FLAKEGATE_INPUT_STORE": "sqlite:///a.db"}, "false"),
        ({"FLAKEGATE_STORE": "sqlite:///a.db"}, "false"),
        ({"FLAKEGATE_INPUT_MODE": "record"}, "false"),
    ],
)
def test_the_history_is_fetched_where_it_is_carried(
    runner: Runner, action: Path, env: dict[str, str], history: str
) -> None:
    made = runner.folder / "flakegate/venv"
    made.mkdir(parents=True)
    (made / "of").write_text(f"{action}\n")
    code, said, outputs = runner.prepare(action, **env)
    assert (code, outputs["history"]) == (0, history), said
