"""Clients that drip, hang up or come in numbers; the server in a thread, with little patience."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
import requests
import uvicorn

from flakegate.backends.store.database import open_database
from flakegate.server.admission import Doorkeeper
from flakegate.server.app import Server
from flakegate.server.connection import Connection
from flakegate.server.holdings import Holdings
from flakegate.server.limits import Limits
from flakegate.wire.flaky_tests import PATH
from tests.backends.store.build import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 0.4  # seconds
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class Hasty(Connection):
    patience = PATIENCE


@contextmanager
def listening(folder: Path, log: list[str]) -> Iterator[int]:
    """Its port."""
    database = open_database(f"sqlite:///{folder / 'history.db'}", write=True)
    holdings = Holdings(database, clock=lambda: NOW, rate_from="all")
    server = Server(
        holdings=holdings,
        door=Doorkeeper(folder / "keys", open_without=True),
        limits=Limits(limit=1_000),
        steady=time.monotonic,
        log=log.append,
        log_access=log.append,
        patience=PATIENCE,
    )
    config = uvicorn.Config(
        server.app(), http=Hasty, ws="none", loop="asyncio", lifespan="off", log_config=None
    )
    running = uvicorn.Server(config)
    with closing(socket.create_server(("127.0.0.1", 0))) as place:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [place]})
        thread.start()
        try:
            yield place.getsockname()[1]
        finally:
            running.should_exit = True
            thread.join(10)
            holdings.close()


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def port(tmp_path: Path, log: list[str]) -> Iterator[int]:
    with listening(tmp_path, log) as number:
        yield number


def connected(port: int, text: str) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(text.encode())
    return client


def rest(client: socket.socket) -> bytes:
    """All that comes until the server hangs up."""
    with closing(client):
        parts = []
        while part := client.recv(65536):
            parts.append(part)
        return b"".join(parts)


def is_up(port: int) -> bool:
    return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10).status_code == 200


def test_a_body_that_does_not_come_is_refused(port: int) -> None:
    answer = rest(connected(port, f"{HEAD}Content-Length: 100\r\n\r\n" + "{"))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"errors":[{"status":"408"' in answer
    assert is_up(port)


def test_a_head_that_does_not_come_is_hung_up_on(port: int) -> None:
    assert rest(connected(port, HEAD[:30])) == b""
    assert rest(connected(port, "")) == b""
    assert is_up(port)


def test_a_second_request_has_no_more_time_than_the_first(port: int) -> None:
    client = connected(port, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert client.recv(65536).startswith(b"HTTP/1.1 200")
    client.sendall(HEAD[:30].encode())
    began = time.monotonic()
    rest(client)
    assert time.monotonic() - began < 4  # uvicorn alone would wait for ever


def test_a_client_that_hangs_up_harms_nobody(port: int, log: list[str]) -> None:
    for text in ("", HEAD[:30], f"{HEAD}Content-Length: 100\r\n\r\n" + "{", "\0" * 1_000):
        connected(port, text).close()
    assert is_up(port)
    assert not any("bug" in line for line in log)


def test_many_that_drip_keep_nobody_out(port: int) -> None:
    dripping = [connected(port, HEAD[:-9]) for _ in range(100)]
    assert is_up(port)
    for client in dripping:
        client.close()


def test_what_a_path_holds_is_one_line_of_the_log(port: int, log: list[str]) -> None:
    rest(
        connected(
            port, "GET /a%0Ab%1B[31m?key=secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
    )
    (line,) = [each for each in log if "GET" in each]
    assert "secret" not in line
