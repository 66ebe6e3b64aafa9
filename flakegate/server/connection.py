"""One connection of the server, which does not wait for ever for the head of a request.

uvicorn ends connections that are idle after an answer, and no others: a client that sends a byte
now and then would hold its place until nobody else finds one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio


class Connection(H11Protocol):
    """patience: seconds in which the head of a request has to come."""

    patience = 10.0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Waits from the first byte of a request until its head is there."""
        if self._late is None and not self._is_answering():
            self._wait()
        super().data_received(data)
        if self._is_answering():
            self._wait_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._late = self.loop.call_later(self.patience, self._hang_up)

    def _wait_no_more(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _hang_up(self) -> None:
        self._late = None
        if not self._is_answering():
            self.transport.close()
