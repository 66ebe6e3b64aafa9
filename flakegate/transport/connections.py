"""The sessions of `requests` that send: proxies, certificates and headers are decided here."""

from __future__ import annotations

import ssl
from collections import deque
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from requests.utils import select_proxy

from flakegate.errors import NothingChangedError
from flakegate.transport.adapter import Adapter
from flakegate.transport.address import reads_environment
from flakegate.transport.trouble import PROXY_TIP
from flakegate.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_PROXIES = {"http", "https", "socks4", "socks4a", "socks5", "socks5h"}


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: `requests` reads a target that it is not to follow, too, and may choke on it."""
        del resp


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
        session = _Session()
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
        session.mount("https://", Adapter())
        session.mount("http://", Adapter())
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
