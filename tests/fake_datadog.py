"""A small Datadog on loopback: real HTTP, written from the API reference and nothing of flakegate.

It holds flaky tests, answers search and update as the reference says, refuses every body that the
reference does not allow, records each request, and misbehaves where a test scripts it to.
"""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING, Any

from tests import fake_search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from typing_extensions import Self

API_KEY = "0123456789abcdef-api-secret"
APP_KEY = "fedcba9876543210-application-secret"
KEYS = {"DD_API_KEY": API_KEY, "DD_APP_KEY": APP_KEY}
REPOSITORY = "github.com/acme/shop"
PATH = "/api/v2/test/flaky-test-management/tests"
STATES = frozenset({"active", "quarantined", "disabled", "fixed"})
SORTS = frozenset(
    sign + key
    for sign in ("", "-")
    for key in (
        "fqn", "first_flaked", "last_flaked", "failure_rate", "pipelines_failed",
        "pipelines_duration_lost",
    )
)  # fmt: skip
# A key that ends in "?" may be left out; a set lists the allowed texts; a type is exact.
SEARCH = {
    "data": {
        "type": frozenset({"search_flaky_tests_request"}),
        "attributes": {
            "filter?": {"query?": str, "include_history?": bool},
            "page?": {"limit?": int, "cursor?": str},
            "sort?": SORTS,
        },
    }
}
UPDATE = {
    "data": {
        "type": frozenset({"update_flaky_test_state_request"}),
        "attributes": {"tests": [{"id": str, "new_state": STATES}]},
    }
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it arrived; the names of headers in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def attributes(self) -> Any:
        """`data.attributes` of its JSON."""
        return json.loads(self.body)["data"]["attributes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that a test asks for in place of the real one.

    wait: seconds before it. drip: seconds before each byte of the body. cut: drops the connection
    after so many bytes of the answer. act: carries out the request first.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    drip: float = 0.0
    cut: int | None = None
    act: bool = False


HANG_UP = Reply(cut=0)


def rate_limited(reset: str, name: str = "flaky_tests") -> Reply:
    """A 429 with the headers of the reference."""
    headers = {
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Period": "60",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": reset,
        "X-RateLimit-Name": name,
    }
    return Reply(status=429, body=b'{"errors":["Too many requests"]}', headers=headers)


def flaky(
    test_id: str, *, state: str | None = "active", rate: float | None = None, **attributes: object
) -> dict[str, Any]:
    """One test as a search answers it; further attributes replace those given here."""
    return {
        "id": test_id,
        "type": "flaky_test",
        "attributes": {
            "name": f"test_{test_id}",
            "suite": "tests.test_shop",
            "module": None,
            "flaky_state": state,
            "flaky_category": None,
            "codeowners": ["@acme/shop"],
            "envs": ["ci"],
            "services": ["shop"],
            "test_stats": {"failure_rate_pct": rate},
            **attributes,
        },
    }


def changed(state: str, *, at: float, policy: str) -> dict[str, object]:
    """One entry of a test's history. at: seconds since the epoch."""
    return {"status": state, "timestamp": at * 1000, "commit_sha": "", "policy_id": policy}


@dataclass(slots=True, kw_only=True)
class FakeDatadog:
    """The service; a context manager. Everything a test may set or read is a field.

    script: what to answer to the next requests, one each; None: behave. always: what to answer when
    the script is empty. page_cap: most tests a page, whatever was asked. trailing_page: the last
    page still has a cursor, to an empty one. refuse: error by test id. forget: ids that are changed
    but not mentioned in the answer. clock: seconds since the epoch, when a state is changed.
    """

    tests: list[dict[str, Any]] = field(default_factory=list)
    repository: str = REPOSITORY
    elsewhere: dict[str, str] = field(default_factory=dict)
    permissions: set[str] = field(
        default_factory=lambda: {"test_optimization_read", "test_optimization_write"}
    )
    script: deque[Reply | None] = field(default_factory=deque)
    always: Reply | None = None
    page_cap: int = 1000
    trailing_page: bool = False
    refuse: dict[str, str] = field(default_factory=dict)
    forget: set[str] = field(default_factory=set)
    clock: Callable[[], float] = time.time
    requests: list[Request] = field(default_factory=list)
    _server: _Server | None = None

    def __enter__(self) -> Self:
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()

    @property
    def url(self) -> str:
        """For `--api-url`."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def states(self) -> dict[str, str]:
        """The state of every test, by id."""
        return {test["id"]: test["attributes"]["flaky_state"] for test in self.tests}

    @property
    def patched(self) -> dict[str, str]:
        """The new state that PATCHes asked for, by id."""
        return {
            test["id"]: test["new_state"]
            for request in self.requests
            if request.method == "PATCH"
            for test in request.attributes["tests"]
        }

    def answer(self, request: Request) -> Reply:
        """What the service answers to the request, scripts aside."""
        if refusal := self._refusal(request):
            return refusal
        shape, act = (SEARCH, self._search) if request.method == "POST" else (UPDATE, self._update)
        try:
            body = json.loads(request.body)
        except ValueError:
            return _detailed_error(400, "Invalid JSON", "the body is not JSON")
        if problems := list(mismatches(body, shape, "body")):
            return _detailed_error(400, "Invalid request", "; ".join(problems))
        return act(body["data"]["attributes"])

    def _refusal(self, request: Request) -> Reply | None:
        keys = (request.headers.get("dd-api-key"), request.headers.get("dd-application-key"))
        if keys != (API_KEY, APP_KEY):
            return _error(401, "Unauthorized")
        if request.path != PATH or request.method not in {"POST", "PATCH"}:
            return _error(404, "Not found")
        needed = "read" if request.method == "POST" else "write"
        if f"test_optimization_{needed}" not in self.permissions:
            return _detailed_error(403, "Forbidden", "Failed permission authorization checks")
        if request.headers.get("content-type") != "application/json":
            return _detailed_error(415, "Unsupported Media Type", "expected application/json")
        return None

    def _search(self, attributes: Any) -> Reply:
        page = attributes.get("page", {})
        if not 1 < page.get("limit", 0) < 1000:
            return _error(400, "limit must be greater than 1 and less than 1000")
        query = attributes.get("filter", {}).get("query", "")
        sort = attributes.get("sort", "fqn")
        start = 0
        try:
            matches = fake_search.parse(query) if query else lambda _: True
            if "cursor" in page:
                start = _offset(page["cursor"], query, sort)
        except (fake_search.QueryError, ValueError) as error:
            return _error(400, f"bad search: {error}")
        found = sorted(
            (test for test in self.tests if matches(self._facets(test))),
            key=lambda test: _sort_key(test, sort.lstrip("-")),
            reverse=sort.startswith("-"),
        )
        end = start + min(page["limit"], self.page_cap)
        more = end < len(found) or (self.trailing_page and start < len(found))
        data = found[start:end]
        if not attributes.get("filter", {}).get("include_history"):
            data = [_without_history(test) for test in data]
        answer = {
            "data": data,
            "meta": {"pagination": {"next_page": _cursor(end, query, sort) if more else None}},
        }
        return _json(200, answer)

    def _update(self, attributes: Any) -> Reply:
        by_id = {test["id"]: test for test in self.tests}
        results: list[dict[str, Any]] = []
        for change in attributes["tests"]:
            test_id = change["id"]
            problem = self.refuse.get(test_id) or (None if test_id in by_id else "test not found")
            if problem:
                results.append({"id": test_id, "success": False, "error": problem})
                continue
            seen = by_id[test_id]["attributes"]
            seen["flaky_state"] = change["new_state"]
            entry = changed(change["new_state"], at=self.clock(), policy="ftm_policy.manual")
            seen["history"] = [entry, *seen.get("history", [])]
            if test_id not in self.forget:
                results.append({"id": test_id, "success": True})
        has_errors = not all(result["success"] for result in results)
        said = {"has_errors": has_errors, "results": results}
        data = {"id": "1", "type": "update_flaky_test_state_response", "attributes": said}
        return _json(200, {"data": data})

    def _facets(self, test: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        seen = test["attributes"]
        values: dict[str, Any] = {
            "flaky_test_state": seen.get("flaky_state"),
            "flaky_test_category": seen.get("flaky_category"),
            "@test.name": seen.get("name"),
            "@test.suite": seen.get("suite"),
            "@test.module": seen.get("module"),
            "@test.service": seen.get("services"),
            "@git.repository.id_v2": self.elsewhere.get(test["id"], self.repository),
            "@git.branch": seen.get("last_flaked_branch"),
            "@test.codeowners": seen.get("codeowners"),
            "env": seen.get("envs"),
            "fingerprint_fqn": test["id"],
        }
        return {key: tuple(_texts(value)) for key, value in values.items()}


def mismatches(value: Any, shape: Any, at: str) -> Iterator[str]:
    """Where and how the value differs from the shape."""
    if isinstance(shape, frozenset):
        if not (isinstance(value, str) and value in shape):
            yield f"{at}: {value!r} is not one of {sorted(shape)}"
    elif isinstance(shape, type):
        if type(value) is not shape:
            yield f"{at}: {value!r} is not {shape.__name__}"
    elif type(value) is not type(shape):
        yield f"{at}: {value!r} is not {type(shape).__name__}"
    elif isinstance(shape, list):
        for number, item in enumerate(value):
            yield from mismatches(item, shape[0], f"{at}[{number}]")
    else:
        yield from _key_mismatches(value, shape, at)


def _key_mismatches(value: dict[str, Any], shape: dict[str, Any], at: str) -> Iterator[str]:
    for key, inner in shape.items():
        name = key.rstrip("?")
        if name in value:
            yield from mismatches(value[name], inner, f"{at}.{name}")
        elif name == key:
            yield f"{at}.{name} is missing"
    for name in value.keys() - {key.rstrip("?") for key in shape}:
        yield f"{at}.{name} is unknown"


def _json(status: int, value: object) -> Reply:
    headers = {"Content-Type": "application/vnd.api+json"}
    return Reply(status=status, body=json.dumps(value).encode(), headers=headers)


def _error(status: int, text: str) -> Reply:
    return _json(status, {"errors": [text]})


def _detailed_error(status: int, title: str, detail: str) -> Reply:
    return _json(status, {"errors": [{"status": str(status), "title": title, "detail": detail}]})


def _cursor(offset: int, query: str, sort: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([offset, query, sort]).encode()).decode()


def _offset(cursor: str, query: str, sort: str) -> int:
    offset, *same = json.loads(base64.urlsafe_b64decode(cursor))
    if same != [query, sort]:
        raise ValueError("the cursor is of another search")
    return int(offset)


def _sort_key(test: dict[str, Any], by: str) -> tuple[bool, Any]:
    """Unknown values sort above known ones, so that they come first in a descending list."""
    seen = test["attributes"]
    pipelines = seen.get("pipeline_stats") or {}
    value = {
        "fqn": (seen.get("module") or "", seen.get("suite") or "", seen.get("name") or ""),
        "first_flaked": seen.get("first_flaked_ts"),
        "last_flaked": seen.get("last_flaked_ts"),
        "failure_rate": (seen.get("test_stats") or {}).get("failure_rate_pct"),
        "pipelines_failed": pipelines.get("failed_pipelines"),
        "pipelines_duration_lost": pipelines.get("total_lost_time_ms"),
    }[by]
    return value is None, 0 if value is None else value


def _without_history(test: dict[str, Any]) -> dict[str, Any]:
    seen = {key: value for key, value in test["attributes"].items() if key != "history"}
    return {**test, "attributes": seen}


def _texts(value: Any) -> Iterable[str]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, fake: FakeDatadog) -> None:
        self.fake = fake
        self.lock = threading.Lock()
        self.open: list[socket.socket] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.append(request)
        super().process_request(request, client_address)

    def hang_up(self) -> None:
        """Ends kept connections, so that no thread waits on them for ever."""
        for connection in self.open:
            with suppress(OSError):  # its other end is gone already
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up in the middle is an ordinary event here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        self._serve()

    do_PATCH = do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815 - the base class's names

    def _serve(self) -> None:
        fake = self.server.fake
        with self.server.lock:
            length = int(self.headers.get("Content-Length", 0))
            request = Request(
                method=self.command,
                path=self.path,
                headers={name.lower(): value for name, value in self.headers.items()},
                body=self.rfile.read(length),
            )
            fake.requests.append(request)
            scripted = fake.script.popleft() if fake.script else fake.always
            if scripted is None or scripted.act:
                answer = fake.answer(request)
            reply = answer if scripted is None else scripted
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        time.sleep(reply.wait)
        names = {name.lower() for name in reply.headers}
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if "content-length" not in names and "transfer-encoding" not in names:
            self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Connection", "keep-alive" if reply.cut is None else "close")
        if reply.cut is not None:
            self._headers_buffer: list[bytes]
            whole = b"".join([*self._headers_buffer, b"\r\n", reply.body])
            self.wfile.write(whole[: reply.cut])
            self.close_connection = True
            return
        self.end_headers()
        for at in range(len(reply.body)) if reply.drip else ():
            time.sleep(reply.drip)
            self.wfile.write(reply.body[at : at + 1])
        if not reply.drip:
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Says nothing: tests read `FakeDatadog.requests`."""
