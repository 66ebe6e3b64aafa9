"""How long to wait: for an answer, before another attempt, and for a rate limit to come back."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from flakegate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TIMEOUT = "FLAKEGATE_TIMEOUT"
SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 0.1, 3600.0  # seconds
FIRST_WAIT = 0.5  # seconds; doubles with every further attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait, in seconds.

    connect: for a connection. read: for the next bytes on it. total: for a request with all its
    retries. longest_wait: between two attempts, whatever the server asks for. retries: a count.
    """

    connect: float = 10.0
    read: float = 60.0
    total: float = 240.0
    longest_wait: float = 60.0
    retries: int = 4

    def before_retry(self, attempt: int, *, asked: float | None, jitter: float) -> float:
        """Seconds from attempt number `attempt` (the first is 1) to the next one.

        asked: by the server. jitter: 0 to 1, so that parallel jobs do not come back as one.
        """
        if asked is not None:
            return min(asked, self.longest_wait) + jitter * FIRST_WAIT
        backoff = min(FIRST_WAIT * 2.0 ** (attempt - 1), self.longest_wait)
        return backoff * (0.5 + 0.5 * jitter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """Time and chance. now: seconds of a monotonic clock. jitter: numbers from 0 to 1.

    clock: seconds since the epoch, for a server that tells a date and not its own time.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    clock: Callable[[], float] = time.time


PATIENCE = Patience()
TIMER = Timer()


class Hold:
    """The moment before which the service wants no request; shared by the threads that send."""

    def __init__(self) -> None:
        self._until = -inf
        self._lock = threading.Lock()

    def extend(self, until: float) -> None:
        """Holds back until this moment of the monotonic clock, or longer if that was asked for."""
        with self._lock:
            self._until = max(self._until, until)

    def left(self, now: float) -> float:
        """Seconds still to wait."""
        return max(self._until - now, 0.0)


def patience(env: Mapping[str, str]) -> Patience:
    """The usual patience, with the total that FLAKEGATE_TIMEOUT gives. Raises UsageError."""
    text = env.get(TIMEOUT, "").strip()
    if not text:
        return PATIENCE
    try:
        total = float(text)
    except ValueError:
        total = 0.0
    if not SHORTEST_TIMEOUT <= total <= LONGEST_TIMEOUT:
        raise UsageError(
            f"{TIMEOUT}={text!r} is not a number of seconds"
            f" from {SHORTEST_TIMEOUT} to {LONGEST_TIMEOUT:.0f}",
            tip=f"leave it out for {PATIENCE.total:.0f}",
        )
    return Patience(total=total, longest_wait=min(PATIENCE.longest_wait, total))
