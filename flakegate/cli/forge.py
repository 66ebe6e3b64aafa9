"""The way to the forge: a connection of its own, with its own token and less patience."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flakegate.cli.say import note

if TYPE_CHECKING:
    from flakegate.cli.call import Call
    from flakegate.forges.access import Forge
    from flakegate.transport.client import Transport

PATIENCE = 30.0  # seconds for one request with all its attempts: a verdict can do without


def to_forge(call: Call, forge: Forge) -> Transport:
    """Requests with the token of the forge. Raises UsageError where that must not go there."""
    from flakegate.transport.address import allows_http
    from flakegate.transport.client import Transport
    from flakegate.transport.waiting import patience

    usual = patience(call.env)
    return Transport(
        forge.base_url,
        headers=forge.headers,
        plain_http=allows_http(call.env),
        patience=replace(
            usual,
            total=min(PATIENCE, usual.total),
            longest_wait=min(PATIENCE / 3, usual.longest_wait),
        ),
        tell=note,
        log=note if call.verbose else lambda _: None,
    )
