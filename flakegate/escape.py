"""Makes text from reports harmless where it is shown: terminal, CI log, Markdown.

Names and messages of tests are written by whoever opens a pull request. None of them may become a
link, a mention, markup, a quick action, a control sequence or a command to the CI's runner.
"""

from __future__ import annotations

import re

# Controls, format characters (bidirectional overrides, zero-width, tags), line separators, halves
# of surrogates: what changes how other text is shown, or cannot be seen itself.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u070f\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff"
    "\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")

# The runners of GitHub and Azure obey these: at the start of a line after blanks, and anywhere.
_COMMAND_AT_START = re.compile(r"^(\s*):(?=:)", re.MULTILINE)
_COMMAND_ANYWHERE = re.compile(r"##(?=\w*\[)")

# What a forge makes of finished text by itself: @user, #1, !1, &1, $1, %1, ~label, ^alert, GH-1,
# addresses, :emoji:. A zero-width blank after its first sign breaks it; Markdown escapes do not.
_REFERENCE = re.compile(
    r"@|[#!~%&$^](?=[\w\"{])|#(?=[#\[])|:(?=:|//|[\w+-]+:)|(?i:(?<!\w)gh-(?=\d)|www(?=\.))"
)
_BREAK = "\u200b"
_MARKUP = str.maketrans(
    {sign: f"\\{sign}" for sign in "\\`*_[]{}~$"}
    | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
)
_BLOCK_START = re.compile(r"^(\s*)([#+=/-]|\d+(?=[.)](?:\s|$)))")
_EDGES = re.compile(r"^\s+|\s+$")  # four blanks would be a code block, two a line break
_BACKTICKS = re.compile("`+")


def visible(text: str) -> str:
    r"""One line in which whatever could not be seen is written as an escape such as `\x1b`."""
    return _UNSEEN.sub(_as_escape, text)


def terminal(text: str) -> str:
    """One line, safe on a terminal and in a CI log at any place of a line."""
    return without_commands(visible(text))


def without_commands(text: str) -> str:
    """Text of any number of lines in which no line is a command to a CI's runner."""
    return _COMMAND_ANYWHERE.sub("# #", _COMMAND_AT_START.sub(r"\1: ", text))


def command_data(text: str) -> str:
    """The message of a workflow command (`::error …::message`) on one line; GitHub shows several.

    What the runner unescapes is escaped, so that no part of it ends the command or begins another.
    """
    lines = "\n".join(block(text))
    return lines.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def command_property(text: str) -> str:
    """A property of a workflow command: a comma would end it, a colon all of them."""
    return command_data(text).replace(":", "%3A").replace(",", "%2C")


def json_text(document: str) -> str:
    """The same JSON document, but with no command to a CI's runner in its strings."""
    return document.replace("##", "#\\u0023")


def markdown(text: str) -> str:
    """One line of plain text for GitHub's or GitLab's Markdown, table cells included."""
    text = _EDGES.sub(" ", visible(text)).replace("@", f"{_BREAK}@")
    text = _REFERENCE.sub(rf"\g<0>{_BREAK}", text).translate(_MARKUP)
    return _BLOCK_START.sub(_not_a_block, text)


def code(text: str) -> str:
    """A code span, in table cells too. "" stays empty: a span cannot be."""
    text = terminal(text)
    if not text.strip():
        return ""
    if "|" in text:
        # A pipe ends a table's cell in a span too, and the ways to escape it there disagree.
        return f"<code>{markdown(text)}</code>"
    ticks = _longer_than_any(text, 1)
    pad = " " if "`" in (text[0], text[-1]) or " " in (text[0], text[-1]) else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def fence(text: str, language: str = "text") -> str:
    """A code block of its own lines. language: ours, never from a report."""
    lines = block(text)
    ticks = _longer_than_any(text, 3)
    # GitLab looks for quick actions in the raw note and is easily wrong about where code ends.
    body = "\n".join(f" {line}" if line.startswith("/") else line for line in lines)
    return f"{ticks}{language}\n{body}\n{ticks}"


def block(text: str) -> list[str]:
    """The lines of a text, each safe on a terminal; tabs are four blanks."""
    text = _LINE_ENDS.sub("\n", text).replace("\t", "    ")
    return [terminal(line.rstrip(" ")) for line in text.split("\n")]


def _as_escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def _not_a_block(match: re.Match[str]) -> str:
    blanks, start = match.groups()
    # A digit cannot be escaped, and GitLab's quick actions do not know backslashes.
    return blanks + (
        f"&#{ord(start[0])};{start[1:]}" if start[0] in "/0123456789" else f"\\{start}"
    )


def _longer_than_any(text: str, least: int) -> str:
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    return "`" * max(least, longest + 1)
