"""Times as documents have them. Inside, a time is a number of seconds since the epoch."""

from __future__ import annotations

from datetime import datetime, timezone


def iso(at: float) -> str:
    """ISO 8601, UTC: `2026-11-20T09:12:00Z`. Raises ValueError or so beyond all calendars."""
    return datetime.fromtimestamp(at, timezone.utc).isoformat().replace("+00:00", "Z")
