"""The only file that speaks HTTP: a request is answered, or explained in words for a person.

Every request that flakegate sends is safe to repeat (it reads, or sets an absolute state), so all
of them are tried again after 408, 429, 5xx and broken connections.
"""

from __future__ import annotations

import ipaddress
import random
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import isfinite
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from flakegate.answers import human
from flakegate.errors import BackendError, NothingChangedError, UsageError
from flakegate.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import requests

MOST_BYTES = 64 * 1024 * 1024
FIRST_WAIT = 0.5  # seconds; doubles with every further attempt
_LABEL = "[a-z0-9_][a-z0-9_-]{0,62}"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?|[0-9a-f]*:[0-9a-f:.]*")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """Time and chance. now: seconds of a monotonic clock. jitter: numbers from 0 to 1."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


PATIENCE = Patience()
TIMER = Timer()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trouble:
    """Why an attempt gave no answer to work with.

    again: another attempt may help. maybe_done: the server may have done what was asked.
    wait: how many seconds the server asks to be left alone. status: of its answer, if there is one.
    """

    why: str
    tip: str | None
    again: bool
    maybe_done: bool
    wait: float | None = None
    status: int | None = None


class Transport:
    """Requests to one base address.

    headers: the credentials; they are never shown, and never follow a redirect. tell: is told, in
    a line, of every wait before another attempt. Raises UsageError for an address that keys must
    not be sent to.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str],
        patience: Patience = PATIENCE,
        tell: Callable[[str], None] = lambda _: None,
        timer: Timer = TIMER,
    ) -> None:
        self.base_url = checked_address(base_url)
        self._headers = dict(headers)
        self._patience = patience
        self._tell = tell
        self._timer = timer
        self._session: requests.Session | None = None

    def __repr__(self) -> str:
        return f"Transport({self.base_url!r})"

    def close(self) -> None:
        """Closes the connections that are kept for the next request."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        tips: Mapping[int, str] | None = None,
    ) -> bytes:
        """Sends one request (body: JSON) and gives the body of its 2xx answer.

        tips: what to do next, by status, where the service knows better than this file. Raises
        BackendError; NothingChangedError where no attempt can have changed anything.
        """
        request = f"{method} {self.base_url}{path.partition('?')[0]}"
        deadline = self._timer.now() + self._patience.total
        maybe_done = False
        attempt = 0
        while True:
            outcome = self._attempt(method, path, body, deadline=deadline, tips=tips or {})
            if isinstance(outcome, bytes):
                return outcome
            maybe_done |= outcome.maybe_done
            wait = self._wait(outcome, attempt)
            attempt += 1
            late = self._timer.now() + wait >= deadline
            if not outcome.again or attempt > self._patience.retries or late:
                break
            self._tell(f"{request}: {outcome.why}; trying again in {wait:.1f} s")
            self._timer.sleep(wait)
        tried = f" ({attempt} attempts)" if attempt > 1 else ""
        kind = BackendError if maybe_done else NothingChangedError
        raise kind(f"{request}: {outcome.why}{tried}", tip=outcome.tip, status=outcome.status)

    def _wait(self, trouble: _Trouble, attempt: int) -> float:
        """Seconds until the next attempt, spread so that parallel jobs do not come back as one."""
        if trouble.wait is not None:
            return (
                min(trouble.wait, self._patience.longest_wait) + self._timer.jitter() * FIRST_WAIT
            )
        backoff = min(FIRST_WAIT * 2.0**attempt, self._patience.longest_wait)
        return backoff * (0.5 + 0.5 * self._timer.jitter())

    def _attempt(
        self,
        method: str,
        path: str,
        body: bytes | None,
        *,
        deadline: float,
        tips: Mapping[int, str],
    ) -> bytes | _Trouble:
        import requests
        import urllib3

        left = max(deadline - self._timer.now(), 0.001)
        patience = self._patience
        try:
            with self._connections().request(
                method,
                self.base_url + path,
                data=body,
                timeout=(min(patience.connect, left), min(patience.read, left)),
                allow_redirects=False,
                stream=True,
            ) as response:
                content = self._content(response, deadline)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return _broken(error)
        if content is None:
            return _Trouble(
                why=f"the answer is larger than {MOST_BYTES // 1024**2} MiB",
                tip="check the API address: this is not an answer of the service",
                again=False,
                maybe_done=True,
            )
        if not HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES:
            return self._refused(response, content, tips)
        declared_empty = response.headers.get("Content-Length") == "0"
        if not content and not declared_empty and response.status_code != HTTPStatus.NO_CONTENT:
            # Python's parser takes headers that break off for all of them, and the body for empty.
            return _broken(ConnectionError())
        return content

    def _content(self, response: requests.Response, deadline: float) -> bytes | None:
        """The body, read as it comes so that a slow drip meets the deadline; None: too large."""
        parts: list[bytes] = []
        size = 0
        while part := response.raw.read1(65536, decode_content=True):
            size += len(part)
            if size > MOST_BYTES:
                return None
            if self._timer.now() >= deadline:
                raise TimeoutError
            parts.append(part)
        return b"".join(parts)

    def _refused(
        self, response: requests.Response, content: bytes, tips: Mapping[int, str]
    ) -> _Trouble:
        status = response.status_code
        headers = response.headers
        again = status in {408, 429} or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        said = human(content, headers.get("Content-Type", ""), redact=self._redact)
        why = " ".join(part for part in (str(status), _phrase(status)) if part)
        if status == HTTPStatus.TOO_MANY_REQUESTS and (limit := headers.get("X-RateLimit-Name")):
            why += f" (rate limit {human(limit.encode(), '', redact=self._redact)})"
        return _Trouble(
            why=f"{why}: {said}" if said else why,
            tip=tips.get(status) or _tip(status),
            again=again,
            maybe_done=status == HTTPStatus.REQUEST_TIMEOUT
            or status >= HTTPStatus.INTERNAL_SERVER_ERROR,
            wait=_asked_wait(status, headers) if again else None,
            status=status,
        )

    def _redact(self, text: str) -> str:
        """Some proxies echo the request they refuse, headers included."""
        for value in self._headers.values():
            for word in (value, *value.split()):
                if len(word) >= 8:  # noqa: PLR2004 - "Bearer" and the like are no secrets
                    text = text.replace(word, "***")
        return text

    def _connections(self) -> requests.Session:
        if self._session is None:
            import requests

            session = requests.Session()
            session.headers.update(
                {
                    "User-Agent": f"flakegate/{VERSION}",
                    "Content-Type": "application/json",
                    "Accept": "application/json",
                    **self._headers,
                }
            )
            # A ~/.netrc entry for the host must not add credentials of its own to the request.
            session.auth = lambda request: request
            # Plain http reaches only loopback: no proxy may see the keys on the way there.
            session.trust_env = self.base_url.startswith("https:")
            self._session = session
        return self._session


def checked_address(url: str) -> str:
    """The base address without a trailing slash. Raises UsageError where keys must not go.

    https anywhere; plain http only to this machine, because the keys would travel readable.
    """
    tip = "give it as https://HOST, without a user name, a query or a fragment"
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise UsageError("the API address is not a URL", tip=tip) from None
    if parts.username is not None or parts.password is not None or "@" in url:
        raise UsageError("the API address holds a user name or a password", tip=tip)
    known = parts.scheme in {"http", "https"} and not parts.query and not parts.fragment
    if not known or not host or not _HOST.fullmatch(host):
        raise UsageError(f"the API address {url!r} is not an http(s) URL of a host", tip=tip)
    if parts.scheme == "http" and not _is_loopback(host):
        raise UsageError(
            f"the API address {url!r} is plain http: the keys would travel readable",
            tip=f"use https://{parts.netloc}; plain http is only for this machine (127.0.0.1)",
        )
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _tip(status: int) -> str:
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


def _asked_wait(status: int, headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: `Retry-After`, and on 429 `X-RateLimit-Reset`."""
    asked = [_retry_after(headers)]
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        asked.append(_seconds(headers.get("X-RateLimit-Reset")))
    known = [wait for wait in asked if wait is not None]
    return max(known, default=None)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, or an HTTP date, which is measured against the server's own clock."""
    text = headers.get("Retry-After")
    if text is None or (wait := _seconds(text)) is not None:
        return wait if text is not None else None
    try:
        until = parsedate_to_datetime(text)
        wait = (until - parsedate_to_datetime(headers["Date"])).total_seconds()
    except (KeyError, ValueError, TypeError):
        return None
    return max(wait, 0.0)


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if isfinite(value) and value >= 0 else None


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


def _broken(error: BaseException) -> _Trouble:
    """A broken connection in words.

    The exception's own text is not used: it can hold a proxy's password, and it names objects
    instead of causes.
    """
    import http.client
    import socket
    import ssl

    import requests
    import urllib3

    network = "check the network, the proxy (HTTPS_PROXY) and the API address, then try again"
    later = "try again later"
    rows: tuple[tuple[type[BaseException], str, str, bool], ...] = (
        (socket.gaierror, "the host name cannot be resolved", network, False),
        (ConnectionRefusedError, "connection refused", network, False),
        (requests.exceptions.ConnectTimeout, "no connection in time", network, False),
        (requests.exceptions.ProxyError, "the proxy gave no connection", network, False),
        (urllib3.exceptions.NewConnectionError, "no connection", network, False),
        (requests.exceptions.ReadTimeout, "no answer in time", later, True),
        (urllib3.exceptions.ReadTimeoutError, "no complete answer in time", later, True),
        (TimeoutError, "no complete answer in time", later, True),
        (
            http.client.RemoteDisconnected,
            "the connection closed without an answer",
            later,
            True,
        ),
        (ConnectionError, "the connection broke", later, True),
        (http.client.IncompleteRead, "the answer broke off", later, True),
        (urllib3.exceptions.IncompleteRead, "the answer broke off", later, True),
        (urllib3.exceptions.DecodeError, "the answer cannot be decompressed", later, True),
    )
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return _Trouble(
            why="the server's certificate is not trusted",
            tip="if your organisation has its own CA, name its file in REQUESTS_CA_BUNDLE",
            again=False,
            maybe_done=False,
        )
    for kind, why, tip, maybe_done in rows:
        if any(isinstance(cause, kind) for cause in causes):
            return _Trouble(why=why, tip=tip, again=True, maybe_done=maybe_done)
    name = type(error).__name__
    return _Trouble(why=f"no answer ({name})", tip=network, again=True, maybe_done=True)
