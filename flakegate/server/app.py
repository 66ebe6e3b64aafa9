"""The server as an ASGI application: routes, limits of time and size, and the access log.

Importing this module loads Starlette, which only the extra `server` brings.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from flakegate.errors import FlakegateError
from flakegate.escape import terminal
from flakegate.server.admission import needs
from flakegate.server.description import describe
from flakegate.server.refusal import Refusal
from flakegate.server.service import OPERATIONS, carry_out
from flakegate.wire import errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from flakegate.server.admission import Doorkeeper
    from flakegate.server.holdings import Holdings
    from flakegate.server.limits import Limits
    from flakegate.server.service import Operation

    Handler = Callable[[Request], Awaitable[Response]]

MOST_BYTES = 1 << 20  # of a request's body
_DRAINED = 8 << 20  # of a body that is too large: closing at once could lose the answer
_JSON = ("application/json", "application/vnd.api+json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What answers requests.

    steady: seconds on a clock that never goes back. patience: seconds in which a body has to come.
    log: takes a line about trouble. log_access: a line for each request. Never a secret.
    """

    holdings: Holdings
    door: Doorkeeper
    limits: Limits
    steady: Callable[[], float]
    log: Callable[[str], None]
    log_access: Callable[[str], None]
    patience: float = 10.0

    def app(self) -> Starlette:
        """The application."""
        document = msgspec.json.encode(describe(OPERATIONS))
        by_path: dict[str, dict[str, Operation]] = {}
        for operation in OPERATIONS:
            by_path.setdefault(operation.path, {})[operation.method] = operation

        async def description(_: Request) -> Response:
            return Response(document, media_type="application/json")

        async def health(_: Request) -> Response:
            await run_in_threadpool(self.holdings.check)
            return Response(b'{"status":"ok"}', media_type="application/json")

        routes = [
            Route(path, self._logged(self._endpoint(known)), methods=list(known))
            for path, known in by_path.items()
        ]
        routes += [
            Route("/openapi.json", self._logged(description)),
            Route("/healthz", self._logged(health)),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: self._no_such})

    def _endpoint(self, known: Mapping[str, Operation]) -> Handler:
        async def answer(request: Request) -> Response:
            operation = known[request.method]
            caller = self.door.admit(request.headers)
            request.state.caller = caller.name
            quota = self.limits.take(caller.name, self.steady())
            headers = quota.headers()
            if not quota.allowed:
                raise Refusal(429, f"more than {quota.limit} requests in a minute", headers)
            needs(caller, operation.permission, write=operation.changes)
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind not in _JSON:
                raise Refusal(415, f"the body must be application/json, not {kind!a}")
            body = await self._body(request)
            good = await run_in_threadpool(carry_out, operation, self.holdings, caller, body)
            return Response(good, media_type=errors.MEDIA_TYPE, headers=headers)

        return answer

    async def _body(self, request: Request) -> bytes:
        """Raises Refusal where it is too large, or comes too slowly."""
        try:
            return await asyncio.wait_for(_read(request), self.patience)
        except (asyncio.TimeoutError, TimeoutError):
            raise Refusal(
                408, f"the body did not come within {self.patience:g} s", {"Connection": "close"}
            ) from None

    def _logged(self, handler: Handler) -> Handler:
        async def logged(request: Request) -> Response:
            began = self.steady()
            try:
                response = await handler(request)
            except Refusal as refusal:
                response = _refused(refusal.status, refusal.detail, refusal.headers)
            except FlakegateError as error:
                self.log(f"error: {error.message}")
                response = _refused(503, "the server cannot use its store or keys: see its log")
            except ClientDisconnect:
                response = _refused(400, "the client hung up")
            except Exception as bug:  # noqa: BLE001 - one request must not end the others
                self.log(f"error: a bug of flakegate: {_where(bug)}")
                response = _refused(500, "a bug of flakegate: see the server's log")
            self._log_access(request, response.status_code, self.steady() - began)
            return response

        return logged

    async def _no_such(self, request: Request, error: Exception) -> Response:
        """A path or a method that there is not."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = error.headers if isinstance(error, HTTPException) else None
        self._log_access(request, status, 0.0)
        return _refused(status, f"there is no {request.method} {request.url.path!a}", headers)

    def _log_access(self, request: Request, status: int, seconds: float) -> None:
        caller = getattr(request.state, "caller", "-")
        path = request.url.path[:200]
        self.log_access(f"{caller} {request.method} {path} {status} {seconds * 1000:.0f} ms")


def log_line(text: str) -> None:
    """One line on standard error, whatever is in it."""
    sys.stderr.write(terminal(text) + "\n")
    sys.stderr.flush()


async def _read(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= MOST_BYTES:
            parts.append(part)
        elif size > _DRAINED:
            break
    if size > MOST_BYTES:
        raise Refusal(413, f"the body has more than {MOST_BYTES:,} bytes", {"Connection": "close"})
    return b"".join(parts)


def _refused(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    content = errors.encode(status, HTTPStatus(status).phrase, detail)
    return Response(content, status, headers=headers, media_type=errors.MEDIA_TYPE)


def _where(bug: Exception) -> str:
    """Its type and place. Not its message, which may hold what a request held."""
    frames = traceback.extract_tb(bug.__traceback__)
    return f"{type(bug).__name__} at {frames[-1].filename}:{frames[-1].lineno}"
