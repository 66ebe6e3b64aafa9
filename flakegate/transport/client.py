"""Sends requests: each is answered, or explained in words for a person.

Every request that flakegate sends is safe to repeat (it reads, sets an absolute state, or is looked
after: of comments written twice one is deleted), so all of them are tried again after 408, 429, 5xx
and broken connections.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests
import urllib3

from flakegate.answers import human
from flakegate.errors import BackendError, NothingChangedError
from flakegate.redaction import blotted, redacted
from flakegate.transport import body as bodies
from flakegate.transport.address import checked_address
from flakegate.transport.connections import Connections
from flakegate.transport.limits import asked_wait, is_passing
from flakegate.transport.trouble import (
    Trouble,
    broken,
    no_body,
    not_unpacked,
    phrase,
    tip_for,
    too_large,
    web_page,
)
from flakegate.transport.waiting import FIRST_WAIT, PATIENCE, TIMER, Hold, Patience, Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WORTH_TELLING = 1.0  # seconds of waiting
REDIRECTS = {301, 302, 303, 307, 308}
DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    content: bytes


class Transport:
    """Requests to one base address, from any number of threads.

    headers: the credentials; they are never shown, and never follow a redirect. plain_http: allows
    http to other machines. tell: is told at once, in a line, of every wait. log: likewise of every
    attempt and what came of it. Raises UsageError for an address that keys must not be sent to.
    """

    def __init__(  # noqa: PLR0913 - all but two are seldom given
        self,
        base_url: str,
        *,
        headers: Mapping[str, str],
        plain_http: bool = False,
        patience: Patience = PATIENCE,
        tell: Callable[[str], None] = lambda _: None,
        log: Callable[[str], None] = lambda _: None,
        timer: Timer = TIMER,
    ) -> None:
        self.base_url = checked_address(base_url, plain_http=plain_http)
        # The whole headers, and the words in them: "Bearer TOKEN" holds a secret of its own.
        self._secrets = [word for value in headers.values() for word in (value, *value.split())]
        self._connections = Connections(self.base_url, headers)
        self._patience = patience
        self._tell = tell
        self._log = log
        self._timer = timer
        self._hold = Hold()

    def __repr__(self) -> str:
        return f"Transport({self.base_url!r})"

    def close(self) -> None:
        """Closes the connections that are kept for the next request."""
        self._connections.close()

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        tips: Mapping[int, str] | None = None,
        moved: bool = False,
    ) -> bytes:
        """Sends one request (body: JSON) and gives the body of its 2xx answer.

        Waits first where an earlier answer, to any thread, left no request of the rate limit.
        tips: what to do next, by status, where the service knows better than this file. moved: a
        redirect is the answer that is wanted, and the address that it names is given; it may be
        anybody's, so ask there without these headers. Raises BackendError; NothingChangedError
        where no attempt can have changed anything.
        """
        request = f"{method} {self.base_url}{path.partition('?')[0]}"
        self._hold_back(request)
        deadline = self._timer.now() + self._patience.total
        maybe_done = False
        attempt = 1
        while True:
            began = self._timer.now()
            outcome = self._attempt(
                method, path, body, deadline=deadline, tips=tips or {}, moved=moved
            )
            self._note(request, outcome, attempt, self._timer.now() - began)
            if isinstance(outcome, _Answer):
                return outcome.content
            maybe_done |= outcome.maybe_done
            wait = self._before_retry(outcome, attempt)
            late = self._timer.now() + wait >= deadline
            if not outcome.again or attempt > self._patience.retries or late:
                break
            self._tell(f"{request}: {outcome.why}; trying again in {wait:.1f} s")
            self._timer.sleep(wait)
            attempt += 1
        tried = f" ({attempt} attempts)" if attempt > 1 else ""
        kind = BackendError if maybe_done else NothingChangedError
        asked = outcome.wait if outcome.again else None
        later = f"; it asks to wait {asked:.0f} s" if asked and late and asked < DAY else ""
        raise kind(
            f"{request}: {outcome.why}{later}{tried}", tip=outcome.tip, status=outcome.status
        )

    def _hold_back(self, request: str) -> None:
        """Waits once: what other threads are told meanwhile does not keep this one for ever."""
        left = self._hold.left(self._timer.now())
        if not left:
            return
        if left >= WORTH_TELLING:
            self._tell(f"{request}: the rate limit is spent; going on in {left:.1f} s")
        self._timer.sleep(left + self._timer.jitter() * FIRST_WAIT)

    def _before_retry(self, trouble: Trouble, attempt: int) -> float:
        wait = self._patience.before_retry(attempt, asked=trouble.wait, jitter=self._timer.jitter())
        return max(wait, self._hold.left(self._timer.now()))

    def _note(self, request: str, outcome: _Answer | Trouble, attempt: int, took: float) -> None:
        said = (
            f"{outcome.status}, {len(outcome.content):,} bytes"
            if isinstance(outcome, _Answer)
            else outcome.why
        )
        self._log(f"{request}: {said}, {took:.2f} s (attempt {attempt})")

    def _attempt(  # noqa: PLR0913 - all that is known of one attempt
        self,
        method: str,
        path: str,
        body: bytes | None,
        *,
        deadline: float,
        tips: Mapping[int, str],
        moved: bool,
    ) -> _Answer | Trouble:
        left = max(deadline - self._timer.now(), 0.001)
        patience = self._patience
        try:
            with (
                self._connections.one() as session,
                session.request(
                    method,
                    self.base_url + path,
                    data=body,
                    headers={"Content-Type": None} if body is None else {},
                    timeout=(min(patience.connect, left), min(patience.read, left)),
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                content = bodies.read(response, late=lambda: self._timer.now() >= deadline)
        except bodies.TooLargeError:
            return too_large(bodies.MOST_BYTES)
        except zlib.error:
            return not_unpacked()
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
            EOFError,
        ) as error:
            return broken(error)
        if moved and response.status_code in REDIRECTS and (to := response.headers.get("Location")):
            return _Answer(status=response.status_code, content=to.encode("utf-8", "replace"))
        return self._judged(response, content, tips)

    def _judged(
        self, response: requests.Response, content: bytes, tips: Mapping[int, str]
    ) -> _Answer | Trouble:
        """The answer, if it is one to work with; what it says of limits holds for all threads."""
        status, headers = response.status_code, response.headers
        wait = asked_wait(status, headers, clock=self._timer.clock())
        if wait is not None:
            self._hold.extend(self._timer.now() + min(wait, self._patience.longest_wait))
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return self._refused(response, content, tips, wait)
        declared_empty = headers.get("Content-Length") == "0"
        if not content and not declared_empty and status != HTTPStatus.NO_CONTENT:
            return no_body()
        if "html" in headers.get("Content-Type", "").lower() or content[:1] == b"<":
            return web_page(status, human(content, "html", redact=self._redact))
        # What repeats the keys would be shown and journalled: a refused change's reason, a name.
        return _Answer(status=status, content=blotted(content, self._secrets))

    def _refused(
        self,
        response: requests.Response,
        content: bytes,
        tips: Mapping[int, str],
        wait: float | None,
    ) -> Trouble:
        status, headers = response.status_code, response.headers
        said = human(content, headers.get("Content-Type", ""), redact=self._redact)
        why = " ".join(part for part in (str(status), phrase(status)) if part)
        if status == HTTPStatus.TOO_MANY_REQUESTS and (limit := headers.get("X-RateLimit-Name")):
            why += f" (rate limit {human(limit.encode(), '', redact=self._redact)})"
        return Trouble(
            why=f"{why}: {said}" if said else why,
            tip=tips.get(status) or tip_for(status),
            again=is_passing(status),
            maybe_done=status == HTTPStatus.REQUEST_TIMEOUT
            or status >= HTTPStatus.INTERNAL_SERVER_ERROR,
            wait=wait,
            status=status,
        )

    def _redact(self, text: str) -> str:
        """Some proxies echo the request they refuse, headers included."""
        return redacted(text, self._secrets)
