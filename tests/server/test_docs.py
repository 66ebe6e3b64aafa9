"""docs/server.md leads a stranger to a gate: its commands are run, its policy is valid."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flakegate.server.serve import PORT
from flakegate.server.service import OPERATIONS
from tests.cli.reports import write
from tests.server.running import TIME, serving
from tests.server.test_serve import fill

if TYPE_CHECKING:
    from tests.conftest import Caller

PAGE = (Path(__file__).parents[2] / "docs/server.md").read_text()
CASE = '<testcase classname="tests.test_shop" name="{}" file="tests/test_shop.py"{}'


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_from_nothing_to_a_gate(flakegate: Caller, folder: Path) -> None:
    fill(folder)
    (commands,) = blocks("sh")
    keys, serve = (shlex.split(line)[1:] for line in commands.splitlines())
    made = flakegate(*keys)
    assert made.code == 0, made.err
    pair = dict(line.split("=") for line in made.out.splitlines()[1:])
    assert serve[:1] == ["serve"]
    assert serve[1:] == ["--store", "sqlite:///history.db"]
    (policy,) = blocks("yaml")
    write(folder, "flakegate.yml", policy)
    red = CASE.format("test_a", '><failure message="x"/></testcase>') + CASE.format("test_b", "/>")
    write(folder, "reports/a.xml", f'<testsuite name="s">{red}</testsuite>')
    _, gate = (shlex.split(line)[1:] for line in "".join(blocks("text")).splitlines())
    with serving(folder / "history.db") as server:
        assert str(PORT) in " ".join(gate)
        call = [server.url if part.endswith(f":{PORT}") else part for part in gate]
        env = {**pair, "FLAKEGATE_TIME": TIME}
        assert flakegate(*call, **env).code == 1
        policy_job = ("--backend", "datadog", "--api-url", server.url)
        assert "3 state changes" in flakegate("apply", *policy_job, **env).out
        assert flakegate(*call, **env).code == 0


def test_every_request_is_told() -> None:
    for operation in OPERATIONS:
        assert operation.path in PAGE
        assert f"`{operation.permission}`" in PAGE


def test_without_the_extra_it_is_said_how_to_install_it(folder: Path) -> None:
    program = (
        "import sys; sys.modules['starlette'] = None\n"
        "from flakegate.cli.main import run; sys.exit(run(['serve']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "needs starlette, which is not installed" in done.stderr
    assert "pip install 'flakegate[server]'" in done.stderr
    assert not list(folder.iterdir())
