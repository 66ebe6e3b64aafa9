"""Why an attempt gave no answer to work with, in words for a person."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests
import urllib3

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """An attempt that failed.

    tip: what to do next. again: another attempt may help. maybe_done: the server may have done
    what was asked. wait: how many seconds the server asks to be left alone. status: of its answer,
    None where there was none.
    """

    why: str
    tip: str
    again: bool
    maybe_done: bool
    wait: float | None = None
    status: int | None = None


_NETWORK = "check the network, the proxy (HTTPS_PROXY) and the API address, then try again"
_LATER = "try again later"
_CA = "if your organisation has its own CA, name its file in REQUESTS_CA_BUNDLE"
_SOCKS = "`pip install requests[socks]`, or name another proxy in HTTPS_PROXY"
PROXY_TIP = "give it as HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT, or name this host in NO_PROXY"

# The exception, or one inside it; then words, tip, again, maybe_done. The first match counts.
_ROWS: tuple[tuple[type[BaseException], str, str, bool, bool], ...] = (
    (ssl.SSLCertVerificationError, "the server's certificate is not trusted", _CA, False, False),
    (requests.exceptions.InvalidSchema, "no SOCKS proxy can be used", _SOCKS, False, False),
    (socket.gaierror, "the host name cannot be resolved", _NETWORK, True, False),
    (ConnectionRefusedError, "connection refused", _NETWORK, True, False),
    (requests.exceptions.ConnectTimeout, "no connection in time", _NETWORK, True, False),
    (requests.exceptions.ProxyError, "no connection", _NETWORK, True, False),
    (urllib3.exceptions.NewConnectionError, "no connection", _NETWORK, True, False),
    (requests.exceptions.ReadTimeout, "no answer in time", _LATER, True, True),
    (urllib3.exceptions.ReadTimeoutError, "no complete answer in time", _LATER, True, True),
    (TimeoutError, "no complete answer in time", _LATER, True, True),
    (
        http.client.RemoteDisconnected,
        "the connection closed without an answer",
        _LATER,
        True,
        True,
    ),
    (ConnectionError, "the connection broke", _LATER, True, True),
    (http.client.IncompleteRead, "the answer broke off", _LATER, True, True),
    (urllib3.exceptions.IncompleteRead, "the answer broke off", _LATER, True, True),
    (EOFError, "the answer broke off", _LATER, True, True),
    (http.client.BadStatusLine, "the answer is not HTTP", _NETWORK, True, True),
    (http.client.HTTPException, "the answer is not HTTP", _NETWORK, True, True),
    (ssl.SSLEOFError, "the connection broke", _LATER, True, True),
    (ssl.SSLError, "no TLS connection", _NETWORK, True, True),
)


def broken(error: BaseException) -> Trouble:
    """A broken connection in words.

    The exception's own text is not used: it can hold a proxy's password, and it names objects
    instead of causes.
    """
    causes = list(_causes(error))
    at_proxy = any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes)
    if status := next((code for cause in causes if (code := _tunnel_status(cause))), None):
        return _no_tunnel(status)
    for kind, why, tip, again, maybe_done in _ROWS:
        if any(isinstance(cause, kind) for cause in causes):
            words = f"the proxy: {why}" if at_proxy else why
            return Trouble(why=words, tip=tip, again=again, maybe_done=maybe_done)
    name = type(error).__name__
    return Trouble(why=f"no answer ({name})", tip=_NETWORK, again=True, maybe_done=True)


def not_unpacked() -> Trouble:
    """A body that is not the gzip that its header says."""
    return Trouble(why="the answer cannot be decompressed", tip=_LATER, again=True, maybe_done=True)


def too_large(most: int) -> Trouble:
    """An answer that nobody would believe. most: bytes."""
    return Trouble(
        why=f"the answer is larger than {most // 1024**2} MiB",
        tip="check the API address: this is not an answer of the service",
        again=False,
        maybe_done=True,
    )


def web_page(status: int, said: str) -> Trouble:
    """A page for people, where an answer for programs was asked for. said: its title."""
    return Trouble(
        why=f"{status}, but the answer is a web page{': ' if said else ''}{said}",
        tip="check that the API address (DD_SITE, --api-url) is the service's and no proxy's page",
        again=False,
        maybe_done=True,
    )


def no_body() -> Trouble:
    """Python's parser takes headers that break off for all of them, and the body for empty."""
    return broken(ConnectionError())


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and those inside it: the libraries wrap the cause as argument and as reason."""
    todo: list[object] = [error]
    seen: set[int] = set()
    while todo:
        cause = todo.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            todo += [*cause.args, getattr(cause, "reason", None), cause.__cause__]
            todo.append(cause.__context__)


def _tunnel_status(error: BaseException) -> int | None:
    """With what a proxy answered instead of connecting; only the standard library's text has it."""
    found = re.match(r"Tunnel connection failed: (\d{3})\b", str(error))
    return int(found[1]) if isinstance(error, OSError) and found else None


def _no_tunnel(status: int) -> Trouble:
    wants_login = status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
    return Trouble(
        why=f"the proxy refuses the connection: {status} {phrase(status)}".rstrip(),
        tip=PROXY_TIP if wants_login else _NETWORK,
        again=status >= HTTPStatus.INTERNAL_SERVER_ERROR,
        maybe_done=False,
    )


def phrase(status: int) -> str:
    """The usual words for a status, "" if it has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def tip_for(status: int) -> str:
    """What to do about an answer with this status, as far as it can be said of any service."""
    if status in {401, 403}:
        return "check the credentials and their permissions"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "the rate limit is spent: try again later, or run fewer jobs at once"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return "the service is in trouble: try again later"
    if status < HTTPStatus.BAD_REQUEST:
        return "credentials are not sent on to another address: give the right one (--api-url)"
    if status == HTTPStatus.NOT_FOUND:
        return "check the API address (--api-url)"
    return "please report this request as a bug of flakegate"
