"""Runs the test command: its output untouched, its signals passed on, its end known exactly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flakegate.errors import UsageError
from flakegate.gate import CommandEnd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

GRACE = 10.0  # seconds between asking a command to end and ending it

# What a CI or a terminal sends to end a job. SIGINT of a terminal reaches the command by itself.
_PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_ENDING = frozenset({"SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"})


@dataclass(slots=True, kw_only=True)
class _Child:
    """The running command. own_group: its processes can be signalled together.

    received: the signals that asked this call to end, by name.
    """

    process: subprocess.Popen[bytes]
    own_group: bool
    received: list[str] = field(default_factory=list)

    def send(self, number: int) -> None:
        """Signals the command and, where that is possible, all that it started."""
        try:
            if self.own_group and sys.platform != "win32":
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)
        except (ProcessLookupError, PermissionError):
            pass  # it has ended meanwhile


def run(
    argv: Sequence[str],
    *,
    timeout: float | None = None,
    grace: float = GRACE,
    output_to_stderr: bool = False,
) -> CommandEnd:
    """Runs the command to its end: standard input, output and error are simply handed to it.

    timeout: seconds after which its process group is asked to end, and after `grace` more is ended.
    On a terminal the command shares our process group, so that Ctrl-C and Ctrl-Z work; elsewhere it
    has one of its own, to which signals are passed on. Raises UsageError where nothing could be
    started.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    own_group = sys.platform != "win32" and not os.isatty(0)
    process = _start(argv, own_group=own_group, output_to_stderr=output_to_stderr)
    child = _Child(process=process, own_group=own_group)
    with _passing_on(child):
        late = not _wait(child, timeout)
        if late:
            child.send(signal.SIGTERM)
            if not _wait(child, grace):
                child.send(getattr(signal, "SIGKILL", signal.SIGTERM))
                child.process.wait()
    killed = None
    if late:
        killed = f"was still running after {timeout:g} s (--timeout), and was ended"
    elif child.received:
        killed = f"was to end early: flakegate was sent {child.received[0]}"
    return CommandEnd(exit_code=child.process.returncode, killed=killed)


def _start(
    argv: Sequence[str], *, own_group: bool, output_to_stderr: bool
) -> subprocess.Popen[bytes]:
    """Raises UsageError: nothing ran, so there is nothing to judge."""
    # In the child only async-signal-safe calls are made, and no thread of ours is running.
    prepare = os.setpgrp if own_group and sys.platform != "win32" else None
    try:
        return subprocess.Popen(  # noqa: S603 - running what the caller names is the purpose
            list(argv),
            stdout=sys.stderr.fileno() if output_to_stderr else None,
            preexec_fn=prepare,  # noqa: PLW1509 - see above
        )
    except FileNotFoundError:
        raise UsageError(
            f"the test command cannot be started: {argv[0]} is not found; nothing was run",
            tip="check its name and PATH; shell syntax needs a shell: -- sh -c '…'",
        ) from None
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"the test command cannot be started: {argv[0]}: {words}; nothing was run",
            tip="check that the file is executable, and its first line",
        ) from None


def _wait(child: _Child, seconds: float | None) -> bool:
    """Whether it ended within that time."""
    try:
        child.process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


@contextmanager
def _passing_on(child: _Child) -> Iterator[None]:
    """While the command runs, what signals this process gets are for the command."""

    def receive(number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if name in _ENDING:
            child.received.append(name)
        if child.own_group or name != "SIGINT":
            child.send(number)

    known = [getattr(signal, name) for name in _PASSED_ON if hasattr(signal, name)]
    # What is ignored here, as under nohup, the command ignores as well.
    heard = [number for number in known if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, receive) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
