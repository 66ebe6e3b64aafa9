"""What an answer's headers say about when to come back."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOMENT = 1e9  # seconds since the epoch, in 2001; nobody is asked to wait that long
TIMEOUT, TOO_MANY, SERVER_ERROR = 408, 429, 500


def is_passing(status: int) -> bool:
    """Whether the same request may be answered otherwise a little later."""
    return status in {TIMEOUT, TOO_MANY} or status >= SERVER_ERROR


def asked_wait(status: int, headers: Mapping[str, str], *, clock: float) -> float | None:
    """Seconds that the service asks to be left alone (not negative, finite), None if it does not.

    By `Retry-After` where coming back may help, and by `X-RateLimit-Reset` (seconds from now, also
    fractions, or the moment itself) after a 429 and after any answer that leaves no request of the
    limit (`X-RateLimit-Remaining: 0`). clock: seconds since the epoch. Headers that make no sense
    count as missing.
    """
    asked: list[float | None] = []
    if is_passing(status):
        asked.append(_retry_after(headers, clock))
    remaining = _number(headers.get("X-RateLimit-Remaining"))
    if status == TOO_MANY or (remaining is not None and remaining <= 0):
        asked.append(_reset(headers.get("X-RateLimit-Reset"), clock))
    return max((wait for wait in asked if wait is not None), default=None)


def _reset(text: str | None, clock: float) -> float | None:
    """Datadog gives the seconds that are left, GitHub the moment itself."""
    value = _seconds(text)
    return max(value - clock, 0.0) if value is not None and value >= _MOMENT else value


def _retry_after(headers: Mapping[str, str], clock: float) -> float | None:
    """Seconds, or an HTTP date: measured by the server's own clock, where it tells that."""
    text = headers.get("Retry-After")
    if (wait := _seconds(text)) is not None:
        return wait
    until = _date(text)
    if until is None:
        return None
    now = _date(headers.get("Date"))
    return max(until - (clock if now is None else now), 0.0)


def _date(text: str | None) -> float | None:
    """Seconds since the epoch."""
    try:
        return parsedate_to_datetime(text or "").timestamp()
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def _seconds(text: str | None) -> float | None:
    value = _number(text)
    return value if value is not None and value >= 0 else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if isfinite(value) else None
