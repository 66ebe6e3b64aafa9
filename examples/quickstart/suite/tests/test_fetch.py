from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from shop import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"


class Supplier(HTTPServer):
    """Answers with these statuses, one a request, then always with the last one."""

    def __init__(self) -> None:
        super().__init__((HOST, 0), Answer)
        self.statuses = [200]
        self.asked = 0


class Answer(BaseHTTPRequestHandler):
    server: Supplier

    def do_GET(self) -> None:
        statuses = self.server.statuses
        self.send_response(statuses[min(self.server.asked, len(statuses) - 1)])
        self.server.asked += 1
        self.end_headers()
        self.wfile.write(b"12 left")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def supplier() -> Iterator[Supplier]:
    with Supplier() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_answer_comes_back(supplier: Supplier) -> None:
    assert fetch.get(HOST, supplier.server_port, "/tea", within=5) == b"12 left"


def test_a_refusal_is_not_asked_again(supplier: Supplier) -> None:
    supplier.statuses = [404, 200]
    with pytest.raises(fetch.SupplierError, match="HTTP 404"):
        fetch.get(HOST, supplier.server_port, "/spoon", within=5)
    assert supplier.asked == 1


def test_a_supplier_that_stays_busy_is_given_up(supplier: Supplier) -> None:
    supplier.statuses = [503]
    with pytest.raises(fetch.SupplierError, match="no answer"):
        fetch.get(HOST, supplier.server_port, "/tea", within=0.02)


def test_a_busy_supplier_is_asked_again(supplier: Supplier) -> None:
    supplier.statuses = [503, 503, 200]
    assert fetch.get(HOST, supplier.server_port, "/tea", within=0.07) == b"12 left"
    assert supplier.asked == 3
