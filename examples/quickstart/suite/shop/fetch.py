"""Asks a supplier over HTTP, again if it must."""

from __future__ import annotations

import http.client
import random
import time

FIRST_PAUSE = 0.03
UNAVAILABLE = 503


class SupplierError(Exception):
    """The supplier gave no answer in time, or a refusal."""


def get(host: str, port: int, path: str, *, within: float) -> bytes:
    """The body of the answer. A busy supplier is asked again, until `within` seconds are over.

    Pauses double, and are drawn at random so that many clients do not come back at once.
    Raises SupplierError.
    """
    end = time.monotonic() + within
    longest = FIRST_PAUSE
    while True:
        status, body = _ask(host, port, path, within)
        if time.monotonic() > end:
            raise SupplierError(f"no answer from {path} within {within} s")
        if status == http.client.OK:
            return body
        if status != UNAVAILABLE:
            raise SupplierError(f"{path}: HTTP {status}")
        time.sleep(random.uniform(0, longest))
        longest *= 2


def _ask(host: str, port: int, path: str, timeout: float) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except TimeoutError as error:
        raise SupplierError(f"no answer from {path} within {timeout} s") from error
    finally:
        connection.close()
