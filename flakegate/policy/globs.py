"""Globs: `*`, `?` and `[..]`, matched without backtracking.

A glob is cut at its stars into pieces of fixed width, each found leftmost after the one before.
That is enough for a right answer, and hostile names and globs cost at most length x length.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_CLASS = r"\[(?:!(?P<others>\][^\]]*|[^\]]+)|(?P<these>\][^\]]*|[^\]!][^\]]*))\]"
_ATOM = re.compile(rf"\*|\?|{_CLASS}|.", re.DOTALL)
_NOTHING = "(?!)."


def matcher(glob: str) -> Callable[[str], bool]:
    """A function that says whether a whole text matches.

    `*` is any text, `?` any character, `[a-z]` one of these and `[!a-z]` one of all others. A `[`
    that is never closed stands for itself, and `[[]`, `[*]`, `[?]` for the character inside.
    """
    pieces = _pieces(glob)
    if len(pieces) == 1:
        whole = pieces[0][0]
        return lambda text: whole.fullmatch(text) is not None
    (head, _), *middle, (tail, tail_width) = pieces

    def matches(text: str) -> bool:
        found = head.match(text)
        for piece, _ in middle:
            if found is None:
                return False
            found = piece.search(text, found.end())
        start = len(text) - tail_width
        return found is not None and found.end() <= start and tail.match(text, start) is not None

    return matches


def _pieces(glob: str) -> list[tuple[re.Pattern[str], int]]:
    """What stands between the stars: a pattern of fixed width each, and that width."""
    pieces: list[list[str]] = [[]]
    for atom in _ATOM.finditer(glob):
        if atom[0] == "*":
            pieces.append([])
        elif atom[0] == "?":
            pieces[-1].append(".")
        elif atom["these"] is not None:
            pieces[-1].append(_one_of(atom["these"], negated=False))
        elif atom["others"] is not None:
            pieces[-1].append(_one_of(atom["others"], negated=True))
        else:
            pieces[-1].append(re.escape(atom[0]))
    return [(re.compile("".join(piece), re.DOTALL), len(piece)) for piece in pieces]


def _one_of(chars: str, *, negated: bool) -> str:
    """A character class as a pattern one character wide; `a-z` is a range, `z-a` is empty."""
    parts = []
    while chars:
        if len(chars) > 2 and chars[1] == "-":  # noqa: PLR2004 - low, dash, high
            low, high, chars = chars[0], chars[2], chars[3:]
            if low <= high:
                parts.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            parts.append(re.escape(chars[0]))
            chars = chars[1:]
    if not parts:
        return "." if negated else _NOTHING
    return f"[{'^' * negated}{''.join(parts)}]"
