"""The adapter of `requests`, with connections that wait for the head of an answer only once."""

from __future__ import annotations

import io
import time
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    import socket

    from typing_extensions import Buffer
    from urllib3 import PoolManager


class _Head(io.RawIOBase):
    """The bytes of a socket. While the head of an answer is read, one timeout is for all of it.

    http.client waits that long for each single byte of it anew, so a slow drip would never end.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)
        self._timeout = sock.gettimeout()
        self._deadline = None if self._timeout is None else time.monotonic() + self._timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int | None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
        return self._file.readinto(buffer)

    def is_over(self) -> None:
        """What follows is the body, which has a deadline of its own."""
        if self._deadline is not None:
            self._deadline = None
            self._sock.settimeout(self._timeout)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self._head = _Head(sock)
        self.fp = io.BufferedReader(self._head)

    def begin(self) -> None:
        super().begin()
        self._head.is_over()


class _HTTPConnection(HTTPConnection):
    response_class = _Response


class _HTTPSConnection(HTTPSConnection):
    response_class = _Response


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class Adapter(HTTPAdapter):
    """The adapter of `requests` with connections that read as above; SOCKS has its own."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """For what is reached directly."""
        super().init_poolmanager(*args, **kwargs)
        _read_hastily(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """For what is reached through a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        if isinstance(manager, ProxyManager):
            _read_hastily(manager)
        return manager


def _read_hastily(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
