"""No lie of a job passes: each of `lies.py`, beside a quarantined failure that would be excused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.lies import HONEST, LIES, Lie
from tests.cli.reports import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Caller

    Judge = Callable[[Lie, str], tuple[int, set[str]]]


def execute(folder: Path, script: str) -> tuple[int, str]:
    """A process of its own: what `exec` starts writes to real files, not to those of pytest."""
    call = [sys.executable, "-m", "flakegate", "exec", "--report", "reports", "--format", "json"]
    env = {**os.environ, "FLAKEGATE_RUN_ID": "2"}
    done = subprocess.run(
        [*call, "--", "sh", "-c", script], cwd=folder, env=env, capture_output=True, check=False
    )
    return done.returncode, done.stdout.decode()


@pytest.fixture
def judge(flakegate: Caller, folder: Path) -> Judge:
    """Does one job with a command; gives its exit code, and all code words of what is no pass."""
    write(folder, "red", HONEST)
    assert flakegate("record", "red", FLAKEGATE_RUN_ID="1").code == 0
    assert flakegate("set", "test_b", "quarantined", "--reason", "r", USER="dana").code == 0
    (folder / "reports").mkdir()
    (folder / "empty").mkdir()

    def call(lie: Lie, command: str) -> tuple[int, set[str]]:
        write(folder, "flakegate.yml", f"version: 1\nrules: []\ngate: {lie.gate}\n")
        for name, report in lie.reports.items():
            content = report if isinstance(report, bytes) else report.encode()
            (folder / "reports" / name).write_bytes(content)
        if command == "exec":
            code, out = execute(folder, lie.script)
        else:
            options = ("--format", "json", *lie.options)
            done = flakegate(command, "reports", *options, FLAKEGATE_RUN_ID="2")
            code, out = done.code, done.out
        document = json.loads(out)
        verdict = document.get("gate", document)
        assert verdict["exit_code"] == code
        blocked = [row for row in verdict["failures"] if row["decision"] == "blocked"]
        return code, {
            *(row["reason"] for row in blocked),
            *(row["problem"] for row in verdict["evidence"]),
        }

    return call


@pytest.mark.parametrize("command", ["gate", "run"])
def test_the_honest_job_passes(judge: Judge, command: str) -> None:
    honest = Lie(says="", code=0, reports={"unit.xml": HONEST}, options=("--test-exit-code", "1"))
    assert judge(honest, command) == (0, set())


def test_the_honest_job_passes_where_flakegate_runs_it(judge: Judge) -> None:
    honest = Lie(says="", code=0, script="cp red reports/unit.xml; exit 1")
    assert judge(honest, "exec") == (0, set())


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_does_not_pass(judge: Judge, lie: str) -> None:
    told = LIES[lie]
    for command in ["exec"] if told.script else ["gate", "run"]:
        assert judge(told, command) == (told.code, {told.says}), command
