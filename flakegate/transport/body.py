"""The body of an answer: read to its end, unpacked, and bounded in size and time."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

MOST_BYTES = 64 * 1024 * 1024
_CHUNK = 65536
_GZIP = 31  # zlib's word for "a gzip header, and its checksum at the end"


class TooLargeError(Exception):
    """More than MOST_BYTES, packed or unpacked."""


def read(response: requests.Response, *, late: Callable[[], bool]) -> bytes:
    """The whole body of an answer that has been asked for as a stream.

    late: whether the time is up; asked after every piece, so that a slow drip meets the deadline.
    Raises TooLargeError, TimeoutError, EOFError for a gzip that ends too early, zlib.error for one
    that is none, and what requests and urllib3 raise.
    """
    parts: list[bytes] = []
    size = 0
    while part := response.raw.read1(_CHUNK, decode_content=False):
        size += len(part)
        if size > MOST_BYTES:
            raise TooLargeError
        if late():
            raise TimeoutError
        parts.append(part)
    body = b"".join(parts)
    packed = response.headers.get("Content-Encoding", "").strip().lower() in {"gzip", "x-gzip"}
    return unpacked(body) if packed else body


def unpacked(packed: bytes) -> bytes:
    """What gzip packed, in one or several members. Raises as `read` does.

    Other readers take a gzip that was cut off for a short text; here its end must be there.
    """
    parts: list[bytes] = []
    room = MOST_BYTES
    while packed:
        member = zlib.decompressobj(_GZIP)
        part = member.decompress(packed, room + 1)
        room -= len(part)
        if room < 0:
            raise TooLargeError
        if not member.eof:
            raise EOFError
        parts.append(part)
        packed = member.unused_data.lstrip(b"\0")
    return b"".join(parts)
