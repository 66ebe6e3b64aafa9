"""The clock of a call, where the environment sets it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from flakegate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def clock(env: Mapping[str, str]) -> float | None:
    """FLAKEGATE_TIME in seconds since the epoch; without an offset it is UTC. None if not set.

    Raises UsageError where it is not ISO 8601.
    """
    text = env.get("FLAKEGATE_TIME", "").strip()
    if not text:
        return None
    try:
        # Python 3.10 does not read the Z.
        at = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1] in "Zz" else text)
        at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
        return at.astimezone(timezone.utc).timestamp()
    except (ValueError, OverflowError):
        raise UsageError(
            f"FLAKEGATE_TIME is not a time in ISO 8601: {text!a}",
            tip="write it like FLAKEGATE_TIME=2026-07-01T12:00:00Z",
        ) from None
