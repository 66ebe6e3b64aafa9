"""How many requests one pair of keys may send."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

PERIOD = 60.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What is left after a request. reset: seconds until all is there again."""

    limit: int
    remaining: int
    reset: float
    allowed: bool

    def headers(self) -> dict[str, str]:
        """As the API tells it."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Period": str(int(PERIOD)),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(ceil(self.reset)),
            "X-RateLimit-Name": "flakegate",
        }


@dataclass(slots=True, kw_only=True)
class Limits:
    """limit: requests in a period of each name, the period beginning with its first request."""

    limit: int
    _began: dict[str, tuple[float, int]] = field(default_factory=dict)

    def take(self, name: str, now: float) -> Quota:
        """Counts one request. now: seconds on a clock that never goes back."""
        began, used = self._began.get(name, (now, 0))
        if now - began >= PERIOD:
            began, used = now, 0
        allowed = used < self.limit
        used += allowed
        self._began[name] = began, used
        return Quota(
            limit=self.limit,
            remaining=self.limit - used,
            reset=began + PERIOD - now,
            allowed=allowed,
        )
