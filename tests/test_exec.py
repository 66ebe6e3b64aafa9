from __future__ import annotations

import sys
import time

import pytest

from flakegate.errors import UsageError
from flakegate.exec import run

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_end_of_the_command_is_known_exactly(code: int) -> None:
    ended = run([sys.executable, "-c", f"raise SystemExit({code})"])
    assert (ended.exit_code, ended.killed, ended.outcome) == (code, None, None)


def test_a_signal_is_told_from_an_exit_code() -> None:
    assert run(["sh", "-c", "kill -9 $$"]).exit_code == -9


def test_what_does_not_listen_is_ended_all_the_same() -> None:
    start = time.monotonic()
    ended = run([sys.executable, "-c", STUBBORN], timeout=0.5, grace=0.2)
    assert ended.exit_code == -9
    assert ended.killed == "was still running after 0.5 s (--timeout), and was ended"
    assert time.monotonic() - start < 30


def test_what_ends_in_time_is_not_touched() -> None:
    assert run(["true"], timeout=60).killed is None


def test_a_nul_byte_is_no_command() -> None:
    with pytest.raises(UsageError, match="nothing was run"):
        run(["a\0b"])
