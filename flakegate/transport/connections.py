"""The sessions of `requests` that send: proxies, certificates and headers are decided here."""

from __future__ import annotations

import io
import ssl
import time
from collections import deque
from contextlib import contextmanager
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from flakegate.errors import NothingChangedError
from flakegate.transport.address import reads_environment
from flakegate.transport.trouble import PROXY_TIP
from flakegate.version import VERSION

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

    from typing_extensions import Buffer
    from urllib3 import PoolManager

_PROXIES = {"http", "https", "socks4", "socks4a", "socks5", "socks5h"}


class Connections:
    """Sessions to one base address, for any number of threads.

    `requests` promises nothing about a session that threads share. So each is lent to one thread at
    a time, and kept with its connections for whichever thread comes next.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        self._base_url = base_url
        self._headers = headers
        self._idle: deque[requests.Session] = deque()

    @contextmanager
    def one(self) -> Iterator[requests.Session]:
        """Lends a session. Raises NothingChangedError where the environment is at fault."""
        try:
            session = self._idle.pop()
        except IndexError:
            session = self._new()
        try:
            yield session
        finally:
            self._idle.append(session)

    def close(self) -> None:
        """Closes what is not lent; a later request opens anew."""
        while self._idle:
            self._idle.pop().close()

    def _new(self) -> requests.Session:
        session = requests.Session()
        session.headers.update(
            {
                "User-Agent": f"flakegate/{VERSION}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                **self._headers,
            }
        )
        # A ~/.netrc entry for the host must not add credentials of its own to the request.
        session.auth = lambda request: request
        # Nothing that an earlier answer left behind is sent along.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.trust_env = reads_environment(self._base_url)
        session.mount("https://", _Adapter())
        session.mount("http://", _Adapter())
        settings = session.merge_environment_settings(self._base_url, {}, None, None, None)
        if isinstance(settings["verify"], str):
            _check_certificates(settings["verify"])
        if proxy := select_proxy(self._base_url, settings["proxies"]):
            _check_proxy(proxy)
        return session


def _check_certificates(place: str) -> None:
    """`requests` would speak of this in the middle of a connection, and in words of its own."""
    try:
        if not Path(place).is_dir():
            ssl.create_default_context(cafile=place)
    except OSError as error:
        why = "holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise NothingChangedError(
            f"REQUESTS_CA_BUNDLE (or CURL_CA_BUNDLE) names {place!r}: {why}",
            tip="name the file with your organisation's CA certificate, or unset the variable",
        ) from None


def _check_proxy(proxy: str) -> None:
    """Likewise. The address is not shown: it can hold a password."""
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        known = parts.hostname and parts.port != 0 and parts.scheme in _PROXIES
    except ValueError:
        known = False
    if not known:
        raise NothingChangedError(
            "the proxy that HTTPS_PROXY (or ALL_PROXY) names is not the address of one",
            tip=PROXY_TIP,
        )


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


class _Adapter(HTTPAdapter):
    """The adapter of `requests` with connections that read as above."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _read_hastily(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return _read_hastily(super().proxy_manager_for(*args, **kwargs))


def _read_hastily(manager: PoolManager) -> PoolManager:
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
    return manager
