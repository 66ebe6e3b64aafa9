from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import struct
import termios

import pytest

from flakegate.publish.console import columns, document, has_colour, show
from tests.summaries import HOSTILE, SUMMARIES, load


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm"}, True),
    ],
)
def test_colour_is_for_terminals(env: dict[str, str], expected: bool) -> None:
    assert has_colour(Terminal(), env) is expected
    assert not has_colour(io.StringIO(), env)


def test_a_log_has_no_width_and_a_terminal_has_its_own() -> None:
    assert columns(io.StringIO()) is None
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("4H", 24, 93, 0, 0))
    with os.fdopen(leader, "rb"), os.fdopen(follower, "w") as stream:
        assert columns(stream) == 93


def test_show() -> None:
    stream = io.StringIO()
    show(SUMMARIES["blocked"], load, stream=stream, env={})
    assert "blocked: 1 failure is not excused (exit 1)" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    stream = Terminal()
    show(SUMMARIES["blocked"], load, stream=stream, env={})
    assert "\x1b[31;1mblocked" in stream.getvalue()


def test_what_an_encoding_lacks_is_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    show(SUMMARIES["planned"], load, stream=stream, env={})
    stream.flush()
    assert b"active \\u2192 quarantined" in raw.getvalue()


@pytest.mark.parametrize("name", HOSTILE)
def test_one_document_and_nothing_else(name: str) -> None:
    stream = io.StringIO()
    document(json.dumps({"name": HOSTILE[name]}, ensure_ascii=False), stream=stream)
    assert json.loads(stream.getvalue()) == {"name": HOSTILE[name]}
    assert stream.getvalue().endswith("}\n")
    assert "##" not in stream.getvalue()
