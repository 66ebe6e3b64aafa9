"""Progress: a line with every thousand in a log, a bar on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

from flakegate.cli.progress import progress

if TYPE_CHECKING:
    import pytest

READ = """
from flakegate.cli.progress import progress
with progress("reading flaky tests") as tell:
    for done in range(0, 5001, 500):
        tell(done, 5000 if done > 4000 else None)
"""


def test_a_line_with_every_thousand_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("reading flaky tests") as tell:
        for done in (400, 999, 1_000, 1_500, 4_200, 4_300):
            tell(done, None)
        tell(5_000, 5_000)
    assert capsys.readouterr().err.splitlines() == [
        "reading flaky tests: 1,000",
        "reading flaky tests: 4,200",
        "reading flaky tests: 5,000 of 5,000",
    ]


def test_a_bar_on_a_terminal_that_is_gone_at_the_end() -> None:
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    subprocess.run([sys.executable, "-c", READ], stderr=theirs, check=True, timeout=60, env=env)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65_536):
            shown += part
    except OSError:  # its other end is closed
        pass
    os.close(ours)
    assert b"reading flaky tests" in shown
    assert b"5,000 of 5,000" in shown
    assert shown.rstrip().endswith(b"\x1b[2K"), "the line is erased"
