"""What is wrong with a policy, and where: values that format themselves for people."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_WINDOW = 100
_BEFORE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in a file. Both count from 1; a column is one character."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyProblem:
    """One error or warning of a policy file.

    severity: "error" or "warning". length: how many characters of `source` it is about.
    source: the whole line, "" where there is none to show. hint: what to do about it.
    """

    severity: str
    file: str
    place: Place
    message: str
    length: int = 1
    source: str = ""
    hint: str | None = None

    @property
    def is_error(self) -> bool:
        """An error, so that the policy cannot be used; otherwise a warning."""
        return self.severity == "error"

    def __str__(self) -> str:
        """`file:line:column: error: …`, the source line, a caret below it, and the hint."""
        at = f"{self.file}:{self.place.line}:{self.place.column}"
        lines = [f"{at}: {self.severity}: {self.message}"]
        if self.source.strip():
            lines += [f"    {line}" for line in self._pointed()]
        if self.hint:
            lines.append(f"  {self.hint}")
        return "\n".join(lines)

    def _pointed(self) -> tuple[str, str]:
        """The source line and the carets under it; of a very long line only the part around."""
        column = self.place.column - 1
        cut = 0 if len(self.source) <= _WINDOW else max(0, column - _BEFORE)
        shown = self.source[cut : cut + _WINDOW]
        start = column - cut
        end = max(start + 1, min(start + self.length, len(shown)))
        pad = "".join(_blank(char) for char in shown[:start])
        carets = "~" * (sum(len(_blank(char)) for char in shown[start:end]) - 1)
        clean = "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in shown)
        return clean.rstrip(), f"{pad}^{carets}"


def _blank(char: str) -> str:
    """As much empty space as the character takes on a screen."""
    if char == "\t":
        return "\t"
    return "  " if unicodedata.east_asian_width(char) in "WF" else " "
