"""From an offset in the value of a YAML scalar back to its offset in the file.

Escapes, doubled quotes, folded lines and stripped indentation make the value shorter than what is
written; a message about the value must still point at what is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flakegate.policy.document import Scalar

_WIDE_ESCAPES = {"x": 4, "u": 6, "U": 10}
_BREAKS = "\r\n"


def offsets(text: str, scalar: Scalar) -> list[int]:
    """For each character of the value, and for its end, the offset in the file's text."""
    written = text[scalar.start : scalar.end]
    if written == scalar.text:
        return list(range(scalar.start, scalar.end + 1))
    position, end = scalar.start + len(scalar.style), scalar.end
    if scalar.style in ("|", ">"):
        position = text.find("\n", scalar.start, end) + 1 or end
    found: list[int] = []
    for char in scalar.text:
        position = _skip(text, position, end, char, scalar.style)
        found.append(min(position, end))
        position += _width(text, position, end, scalar.style)
    found.append(min(position, end))
    return found


def _skip(text: str, position: int, end: int, char: str, style: str) -> int:
    """Past what stands in the file for nothing in the value, before this character of it."""
    while position < end:
        here = text[position]
        if style == '"' and here == "\\" and text[position + 1 : position + 2] in ("\r", "\n"):
            position += 1
        elif here not in " \t\r\n" or char in " \t\n":
            break
        position += 1
    return position


def _width(text: str, position: int, end: int, style: str) -> int:
    """How many characters of the file stand for this one character of the value."""
    here = text[position : min(position + 2, end)]
    if style == "'" and here == "''":
        return 2
    if style == '"' and here[:1] == "\\":
        return _WIDE_ESCAPES.get(here[1:], 2)
    return 1
