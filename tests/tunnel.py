"""A proxy as companies have one: it connects (`CONNECT`), and knows the way to any host."""

from __future__ import annotations

import socket
import threading
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self


@dataclass(slots=True, kw_only=True, eq=False)
class Tunnel:
    """The proxy; a context manager.

    ways: to which port of this machine `host:port` leads; others are refused with 502. login:
    `user:password` that it wants. asked: for which hosts it was asked. seen: all bytes that were
    sent to it outside of a tunnel.
    """

    ways: Mapping[str, int]
    login: str | None = None
    asked: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    _server: _Server | None = None

    def __enter__(self) -> Self:
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        """host:port"""
        assert self._server is not None
        return f"127.0.0.1:{self._server.server_address[1]}"


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, tunnel: Tunnel) -> None:
        self.tunnel = tunnel
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_CONNECT(self) -> None:
        tunnel = self.server.tunnel
        tunnel.asked.append(self.path)
        tunnel.seen.append(f"{self.requestline}\n{self.headers}")
        if tunnel.login is not None:
            wanted = "Basic " + b64encode(tunnel.login.encode()).decode()
            if self.headers.get("Proxy-Authorization") != wanted:
                self.send_error(407)
                return
        if self.path not in tunnel.ways:
            self.send_error(502)
            return
        with socket.create_connection(("127.0.0.1", tunnel.ways[self.path])) as service:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pump, args=(service, self.connection), daemon=True)
            back.start()
            _pump(self.connection, service)
            back.join()
        self.close_connection = True

    def do_POST(self) -> None:
        """A request that was not to be tunnelled: kept, to be found by the test, and refused."""
        self.server.tunnel.seen.append(f"{self.requestline}\n{self.headers}")
        self.send_error(502)

    do_PATCH = do_GET = do_POST  # noqa: N815 - the base class's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Says nothing."""


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
