"""Writes to standard output: the summary for people, or one document for programs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from flakegate.escape import json_text
from flakegate.render import terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flakegate.render import Load
    from flakegate.summary import Summary


def show(
    summary: Summary, load: Load, *, stream: TextIO, env: Mapping[str, str], whole: bool = False
) -> None:
    """Prints the summary, in colour where that can be seen. load, whole: see `render`."""
    colour, width = has_colour(stream, env), columns(stream)
    text = terminal(summary, load, colour=colour, width=width, whole=whole)
    _write(text, stream)


def document(json: str, *, stream: TextIO) -> None:
    """Prints one JSON document and nothing else."""
    _write(json_text(json.rstrip("\n")) + "\n", stream)


def has_colour(stream: TextIO, env: Mapping[str, str]) -> bool:
    """Only on a terminal that knows colours, and not against the user's wish (no-color.org)."""
    return stream.isatty() and not env.get("NO_COLOR") and env.get("TERM") != "dumb"


def columns(stream: TextIO) -> int | None:
    """The width of a terminal; None for a log or a file, where no line has to fit."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def _write(text: str, stream: TextIO) -> None:
    """Prints what the stream's encoding lacks as an escape rather than not at all."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
