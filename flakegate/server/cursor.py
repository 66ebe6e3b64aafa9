"""Where a search goes on: after which test, in which order. Bound to its query and sort.

A cursor names the last test of a page by what it is sorted by, and not by a number of pages: tests
that come, go or move between two pages shift no other. Every server that has the store can read
the cursors of another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

import msgspec

from flakegate.server.listed import BY_TEXT
from flakegate.server.refusal import Refusal

_SIZE = 16  # bytes of the digest
_LONGEST = 16_384  # characters; a test's whole name is in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The last test that was given. value: of what the list is sorted by; None: not known."""

    value: str | float | None
    id: str


class _Position(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    value: str | float | None
    id: str


_POSITION = msgspec.json.Decoder(_Position)


def write(place: Place, *, query: str, sort: str) -> str:
    """The cursor for the page after that place."""
    position = msgspec.json.encode(_Position(place.value, place.id))
    digest = _digest(position, query, sort)
    return base64.urlsafe_b64encode(digest + position).rstrip(b"=").decode()


def read(cursor: str, *, query: str, sort: str) -> Place:
    """The place in it. Raises Refusal where no server gave it for this query and this sort."""
    found = _position(cursor, query, sort)
    by_text = sort.lstrip("-") == BY_TEXT
    if found is None or (found.value is not None and isinstance(found.value, str) != by_text):
        raise Refusal(400, "page.cursor is not one that was given for this query and this sort")
    return Place(value=found.value, id=found.id)


def _position(cursor: str, query: str, sort: str) -> _Position | None:
    if len(cursor) > _LONGEST:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        content = base64.b64decode(padded, altchars=b"-_", validate=True)
        digest, position = content[:_SIZE], content[_SIZE:]
        if not hmac.compare_digest(digest, _digest(position, query, sort)):
            return None
        return _POSITION.decode(position)
    except (ValueError, msgspec.DecodeError):
        return None


def _digest(position: bytes, query: str, sort: str) -> bytes:
    bound = msgspec.json.encode([query, sort])
    return hashlib.blake2b(position, digest_size=_SIZE, key=hashlib.sha256(bound).digest()).digest()
