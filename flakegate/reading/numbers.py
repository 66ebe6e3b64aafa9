"""Numbers as reporters of any locale write them."""

from __future__ import annotations

import math
import re

MAX_DIGITS = 9
_LONGEST = 1_000  # characters of a time; no honest one comes near

_TIME = re.compile(r"(?=[.,]?[0-9])([0-9.,]+)([eE][+-]?[0-9]+)?\s*(ms|s)?")


def count(text: str | None) -> int:
    """What a header counts; 0 where it says no number. One that is too long is a large number."""
    digits = text.strip().replace(",", "") if text else ""
    return int(digits[:MAX_DIGITS]) if digits.isdecimal() else 0


def line(text: str | None) -> int | None:
    """The number of a line; None where there is none, or one that no file has."""
    return int(text) if text and text.isdecimal() and len(text) <= MAX_DIGITS else None


def seconds(text: str | None) -> float | None:
    """Seconds of a `time` attribute, None if it has none.

    The last of two different separators, or a lone one, is the decimal one: "0,512", "1,000.5".
    """
    match = _TIME.fullmatch(text.strip()) if text and len(text) < _LONGEST else None
    if match is None:
        return None
    number, exponent, unit = match.groups(default="")
    last = max(number.rfind("."), number.rfind(","))
    grouped = last >= 0 and number.count(number[last]) > 1
    whole, part = (number, "") if last < 0 or grouped else (number[:last], number[last + 1 :])
    digits = whole.replace(",", "").replace(".", "")
    value = float(f"{digits or 0}.{part or 0}{exponent}") / (1000 if unit == "ms" else 1)
    return value if math.isfinite(value) else None
