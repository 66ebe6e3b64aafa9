"""Work to do later: mails and parcels."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

Job = Callable[[], None]
ATTEMPTS = 3


@dataclass(kw_only=True)
class Lane:
    """Jobs done one after the other, first come, first served."""

    waiting: deque[Job] = field(default_factory=deque)
    given_up: list[Job] = field(default_factory=list)

    def put(self, job: Job) -> None:
        """Queues a job."""
        self.waiting.append(job)

    def work(self) -> int:
        """Does all that waits, and returns how many jobs were done."""
        done = 0
        while self.waiting:
            done += self._tried(self.waiting.popleft())
        return done

    def _tried(self, job: Job) -> bool:
        for _ in range(ATTEMPTS):
            try:
                job()
            except ConnectionError:
                continue
            return True
        self.given_up.append(job)
        return False


@dataclass(kw_only=True)
class Lanes:
    """Several lanes. All jobs of a customer go to the same one, so that they stay in order."""

    lanes: list[Lane]

    def of(self, customer: str) -> Lane:
        """The customer's lane."""
        return self.lanes[hash(customer) % len(self.lanes)]
