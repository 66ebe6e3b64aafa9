"""Changes the states of flaky tests in Datadog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.backends.datadog import wire
from flakegate.backends.datadog.access import KEYS_TIP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flakegate.model import Transition, UpdateResult
    from flakegate.transport.client import Transport

BATCH_SIZE = 100  # Datadog documents no maximum
TIPS = {401: KEYS_TIP, 403: f"the application key needs test_optimization_write; or {KEYS_TIP}"}


def update(transport: Transport, changes: Sequence[Transition]) -> list[UpdateResult]:
    """Carries out one batch; one result for each change, in their order. Raises BackendError."""
    answer = transport.send("PATCH", wire.PATH, wire.encode_update(changes), tips=TIPS)
    return wire.decode_update(answer, changes, f"PATCH {transport.base_url}{wire.PATH}")
