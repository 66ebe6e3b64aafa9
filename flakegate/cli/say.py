"""What flakegate says beside its result: errors, warnings and notes, on standard error."""

from __future__ import annotations

import os
import sys

from flakegate.escape import terminal


def complain(message: str, *, tip: str | None = None) -> None:
    """Says what is wrong and, where there is one, the remedy."""
    _say("error", message)
    if tip:
        _say("tip", tip)


def warn(message: str) -> None:
    """Says what is doubtful although the command goes on."""
    _say("warning", message)


def note(message: str) -> None:
    """Says what is worth knowing."""
    _say("note", message)


def give_up_output() -> None:
    """Nobody takes standard output any more; Python would complain of that again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(label: str, message: str) -> None:
    lines = [terminal(line) for line in message.splitlines()] or [""]
    print(f"{label}: " + "\n".join(lines), file=sys.stderr)
