"""Whether a search query keeps to itself: put in parentheses, all of it stays inside them."""

from __future__ import annotations

import re

_PART = re.compile(r'\\.|"(?:[^"\\]|\\.)*"|["()\\]', re.DOTALL)
_OPEN = {'"': "has a quote that is never closed", "\\": "has a backslash at its end"}


def unbalanced(query: str) -> str | None:
    """What the query leaves open, or closes without having opened it; None if nothing is."""
    depth = 0
    for part in _PART.findall(query):
        if part in _OPEN:
            return _OPEN[part]
        depth += (part == "(") - (part == ")")
        if depth < 0:
            return "has a `)` that closes nothing"
    return "has a `(` that is never closed" if depth else None
