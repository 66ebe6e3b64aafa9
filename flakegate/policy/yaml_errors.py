"""Why a text is not YAML, in words that name the slip and the way out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import yaml

_QUOTE_IT = "put single quotes around the whole value"
_COLON = (
    "a value that contains `: ` needs single quotes around it; "
    "otherwise check the indentation and the space after each key's `:`"
)
_COLUMN = (
    "keys of one mapping begin in the same column; "
    "a value that goes on after a closing quote needs single quotes around all of it"
)

# What the parser says (its context and problem; PyYAML's two parsers differ a little), whether to
# point at the begin of the context rather than at the problem, what to say, and what to do.
# {char} is the character pointed at, {line} the line where the context begins.
_SLIPS: tuple[tuple[re.Pattern[str], bool, str, str | None], ...] = (
    (
        re.compile("cannot start any token"),
        False,
        "a value cannot begin with `{char}`",
        _QUOTE_IT,
    ),
    (
        re.compile("quoted scalar.*end of stream"),
        True,
        "the quote that opens here is never closed",
        "close it; inside single quotes, a single quote is written twice",
    ),
    (
        re.compile("alphabetic or numeric character"),
        True,
        "a value cannot begin with `{char}`",
        _QUOTE_IT,
    ),
    (
        re.compile("block scalar"),
        True,
        "a value that begins with `{char}` is a block of text on the lines below",
        _QUOTE_IT,
    ),
    (
        re.compile("flow .*',' or"),
        False,
        "expected `,` or the end of what the bracket on line {line} opens",
        "close it; a value inside it that contains brackets or commas needs single quotes",
    ),
    (
        re.compile("mapping values are not allowed"),
        False,
        "a `:` is out of place here",
        _COLON,
    ),
    (
        re.compile("sequence entries are not allowed"),
        False,
        "a list begins on a line of its own",
        "move the `-` to the next line",
    ),
    (
        re.compile("unknown escape"),
        False,
        "unknown escape in double quotes",
        "write single quotes around the value, or `\\\\` for a backslash",
    ),
    (
        re.compile("block mapping"),
        False,
        "expected a key here",
        _COLUMN,
    ),
    (
        re.compile("block collection"),
        False,
        "expected `- ` and the next item of the list here",
        "items of one list begin in the same column",
    ),
    (re.compile("node content"), False, "expected a value here", None),
)


def explain(error: yaml.MarkedYAMLError, text: str) -> tuple[str, int, int, str | None]:
    """What is wrong, from which offset up to which, and what to do."""
    mark, context_mark = error.problem_mark or error.context_mark, error.context_mark
    at = min(mark.index if mark else 0, len(text))
    opened = min(context_mark.index if context_mark else at, at)
    said = f"{error.context or ''}: {error.problem or ''}"
    if "cannot start any token" in said and text[at : at + 1] == "\t":
        return "YAML takes no tab here", at, at + 1, "write spaces"
    for pattern, at_context, message, hint in _SLIPS:
        if pattern.search(said):
            start = opened if at_context else at
            line = text.count("\n", 0, opened) + 1
            return message.format(char=text[start : start + 1], line=line), start, start + 1, hint
    return f"this is not YAML: {error.problem}", at, at + 1, None
