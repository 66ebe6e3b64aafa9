"""Who sends a request, and whether they may."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flakegate.server import keyring
from flakegate.server.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flakegate.server.keyring import Entry

ANYBODY = "local"  # the name of whoever needs no keys
_HOST = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?")  # of this machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sent a request."""

    name: str
    write: bool


class Doorkeeper:
    """path: of the keys. open_without: where no keys were ever added, everybody may do everything.

    That is for a server that only this machine reaches.
    """

    def __init__(self, path: Path, *, open_without: bool) -> None:
        self._path = path
        self._open_without = open_without
        self._seen: tuple[int, int, int] | None = None
        self._entries: tuple[Entry, ...] | None = None

    def admit(self, headers: Mapping[str, str]) -> Caller:
        """Who this is, by the headers (names in lower case). Raises Refusal: 401, 403."""
        entries = self._current()
        if entries is None and self._open_without:
            host = headers.get("host", "")
            if not _HOST.fullmatch(host):
                # A page in a browser of this machine could name us by an address of its own.
                raise Refusal(403, f"without keys, only for this machine: not as {host!a}")
            return Caller(name=ANYBODY, write=True)
        api, app = headers.get("dd-api-key", ""), headers.get("dd-application-key", "")
        if not (api and app):
            raise Refusal(401, "both headers are needed: DD-API-KEY and DD-APPLICATION-KEY")
        entry = keyring.owner(entries or (), api, app)
        if entry is None:
            raise Refusal(401, "these keys are not known here; they may have been revoked")
        return Caller(name=entry.name, write=entry.write)

    def _current(self) -> tuple[Entry, ...] | None:
        """The keys as they are now; the file is read again when it has changed."""
        try:
            found = self._path.stat()
            seen = found.st_ino, found.st_mtime_ns, found.st_size
        except FileNotFoundError:
            self._seen = self._entries = None
            return None
        if seen != self._seen:
            self._entries = keyring.read(self._path)
            self._seen = seen
        return self._entries


def needs(caller: Caller, permission: str, *, write: bool) -> None:
    """Raises Refusal where the caller's keys lack the permission."""
    if write and not caller.write:
        raise Refusal(403, f"the keys named {caller.name!a} may only read: {permission} is missing")
