"""What stands between a client and a fake service: it passes on, or spoils, what comes back.

Real TCP on loopback. A script says what becomes of each request, one entry a request, and reads as
the story that it is: `[PASS, rate_limited("1"), RESET, PASS]`.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from typing_extensions import Self

FOR_EVER = 600.0  # seconds, or until the server is closed


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
    """What is sent for one request, and how.

    status, body, headers: an answer in place of the service's own. own: the service's own after
    all. act: the service carries out the request although another answer is sent. raw: these bytes,
    HTTP or not. spoil: makes another answer of it. wait: seconds before it. drip: seconds before
    each byte (of the body; with drip_head of all). cut: ends the connection there, as a slice:
    after so many bytes, or so many before the end (negative). reset: ends it by a TCP reset.
    leave: from then on nobody listens, so that new connections are refused.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    own: bool = False
    act: bool = False
    raw: bytes | None = None
    spoil: Callable[[Reply], Reply] | None = None
    wait: float = 0.0
    drip: float = 0.0
    drip_head: bool = False
    cut: int | None = None
    reset: bool = False
    leave: bool = False

    @property
    def acts(self) -> bool:
        """Whether the service sees the request."""
        return self.own or self.act or self.spoil is not None


def truncated_gzip(reply: Reply) -> Reply:
    """The same, packed, its last bytes missing and its length as if they never had been."""
    headers = {**reply.headers, "Content-Encoding": "gzip"}
    return replace(reply, body=gzip.compress(reply.body)[:-12], headers=headers)


def page(text: str, status: int = 200) -> Reply:
    """A web page, as a proxy or a login puts it in the place of an answer."""
    body = f"<!doctype html><html><head><title>{text}</title></head></html>".encode()
    return Reply(status=status, body=body, headers={"Content-Type": "text/html"})


PASS = Reply(own=True)
HANG_UP = Reply(cut=0)  # the service never saw it
RESET = Reply(cut=0, reset=True)  # likewise
DONE_AND_HANG_UP = Reply(act=True, cut=0)
DONE_AND_RESET = Reply(act=True, cut=0, reset=True)
RESET_IN_THE_MIDDLE = Reply(own=True, cut=-10, reset=True)
BREAK_OFF_IN_THE_MIDDLE = Reply(own=True, cut=-10)
RESET_AFTERWARDS = Reply(own=True, reset=True)
LEAVE = Reply(own=True, leave=True)  # answers, and is gone
NEVER = Reply(act=True, wait=FOR_EVER)
TRUNCATED_GZIP = Reply(spoil=truncated_gzip)


@dataclass(slots=True, kw_only=True, eq=False)
class Front:
    """What stands on loopback in front of a service, which a fake gives by overriding `answer`.

    A context manager. script: what becomes of the next requests, one each (None: passed on).
    scripts: likewise of the next POSTs, PATCHes and so on, which come first. always: what becomes
    of all after the scripts; None: they are passed on. tls: it speaks TLS with that. requests: as
    they arrived, those included that never reached the service.
    """

    script: deque[Reply | None] = field(default_factory=deque)
    scripts: dict[str, list[Reply]] = field(default_factory=dict)
    always: Reply | None = None
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    _server: _Server | None = None

    def answer(self, request: Request) -> Reply:
        """What the service answers; one request at a time."""
        raise NotImplementedError(request.path)

    def __enter__(self) -> Self:
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        self._running().hang_up()

    @property
    def url(self) -> str:
        """For `--api-url`."""
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """On 127.0.0.1."""
        return int(self._running().server_address[1])

    @property
    def connections(self) -> int:
        """How many were accepted so far."""
        return len(self._running().open)

    def settle(self) -> None:
        """Waits until all that clients sent is dealt with, those that were killed included."""
        server = self._running()
        with server.change:
            assert server.change.wait_for(lambda: not server.served, timeout=60)

    def leave(self) -> None:
        """From now on nobody listens: connections are refused."""
        self._running().leave()

    def reply(self, request: Request) -> Reply:
        """What the script makes of the request."""
        self.requests.append(request)
        scripted = self._scripted(request.method) or PASS
        if not scripted.acts:
            return scripted
        answer = self.answer(request)
        if scripted.spoil is not None:
            return scripted.spoil(answer)
        if not scripted.own:
            return scripted
        return replace(
            scripted, status=answer.status, body=answer.body, headers=answer.headers, own=False
        )

    def _scripted(self, method: str) -> Reply | None:
        if scripts := self.scripts.get(method):
            return scripts.pop(0)
        return self.script.popleft() if self.script else self.always

    def _running(self) -> _Server:
        assert self._server is not None
        return self._server


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, front: Front) -> None:
        self.front = front
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.open: list[socket.socket] = []
        self.served = 0  # connections, now
        self.left: socket.socket | None = None
        self.change = threading.Condition()
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.front.tls is not None:
            connection = self.front.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        self.open.append(connection)
        with self.change:
            self.served += 1
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self.change:
            self.served -= 1
            self.change.notify_all()

    def leave(self) -> None:
        """Nobody listens there any more, nor will another server that asks for any free port."""
        self.shutdown()
        self.server_close()
        if self.left is None:
            self.left = socket.socket()
            self.left.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):  # somebody was faster
                self.left.bind(self.server_address)

    def hang_up(self) -> None:
        """Ends what goes on, so that no thread waits for ever."""
        self.closing.set()
        if self.left is not None:
            self.left.close()
        for connection in self.open:
            with suppress(OSError):  # its other end is gone already
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up in the middle is an ordinary event here."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        request = Request(
            method=self.command,
            path=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("Content-Length", 0))),
        )
        if len(request.body) < int(self.headers.get("Content-Length", 0)):
            self.close_connection = True  # a client that was killed has not asked for anything
            return
        with self.server.lock:
            reply = self.server.front.reply(request)
        self._send(reply)

    do_PATCH = do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815 - the base class's names

    def _send(self, reply: Reply) -> None:
        if reply.wait and self.server.closing.wait(reply.wait):
            self.close_connection = True
            return
        head = self._head(reply)
        whole = head + reply.body if reply.raw is None else reply.raw
        at_once = 0 if reply.drip_head or reply.raw is not None else len(head)
        self._write(whole[: reply.cut], at_once, reply.drip)
        if reply.leave:
            self.server.leave()
        if reply.reset:
            self._reset()
        if reply.leave or reply.cut is not None or reply.raw is not None:
            self.close_connection = True

    def _head(self, reply: Reply) -> bytes:
        known = {name.lower() for name in reply.headers}
        ends = reply.cut is not None or reply.leave
        headers = {
            "Date": self.date_time_string(),
            "Connection": "close" if ends else "keep-alive",
            **reply.headers,
        }
        if not known & {"content-length", "transfer-encoding"}:
            headers["Content-Length"] = str(len(reply.body))
        phrase = HTTPStatus(reply.status).phrase if reply.status in set(HTTPStatus) else ""
        lines = [f"HTTP/1.1 {reply.status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")

    def _write(self, data: bytes, at_once: int, drip: float) -> None:
        if not drip:
            self.wfile.write(data)
            return
        self.wfile.write(data[:at_once])
        for at in range(at_once, len(data)):
            if self.server.closing.wait(drip):
                return
            self.wfile.write(data[at : at + 1])

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.wfile.close()
        self.connection.close()
        raise ConnectionAbortedError  # nothing further is read or written here

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Says nothing: tests read `Front.requests`."""
