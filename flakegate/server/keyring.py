"""Who may use the server: a file beside the store, with the hashes of keys and never a key.

Beside the store and not in it, because the store travels through caches and exports. A key is 128
random bits or more, so that a plain SHA-256 of it can be kept: there is nothing to guess.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flakegate.backends.store.address import sqlite_path
from flakegate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST_BYTES = 1 << 20


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pair of keys. created: seconds since the epoch. api, app: their SHA-256, in hexadecimal."""

    name: str
    write: bool
    created: float
    api: str
    app: str


class _File(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    version: int
    keys: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The keys themselves, at the one moment when they are known."""

    api: str = field(repr=False)
    app: str = field(repr=False)


def keys_path(store_url: str) -> Path:
    """Where the keys to that store are. Raises UsageError for an odd URL."""
    path = sqlite_path(store_url)
    return path.with_name(path.name + ".keys")


def read(path: Path) -> tuple[Entry, ...] | None:
    """All pairs, in the order in which they were added; None where there is no such file.

    Raises UsageError where it cannot be used.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
        return msgspec.json.decode(content, type=_File).keys
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(
            f"cannot read the keys in {path}: {error.strerror}",
            tip="check its permissions: it belongs to whoever runs the server",
        ) from None
    except msgspec.DecodeError as error:
        raise UsageError(
            f"{path} does not hold keys of flakegate: {error}",
            tip="move it away, and add the keys again with `flakegate keys add NAME`",
        ) from None


def add(path: Path, name: str, *, write: bool, now: float) -> Pair:
    """A new pair of keys under that name. Raises UsageError, also where the name is taken."""
    pair = Pair(api=secrets.token_hex(16), app=secrets.token_hex(20))
    with _changing(path) as change:
        entries = read(path) or ()
        if any(entry.name == name for entry in entries):
            raise UsageError(
                f"there are keys named {name!r} already",
                tip=f"take another name, or `flakegate keys revoke {name}` first",
            )
        entry = Entry(name=name, write=write, created=now, api=_hash(pair.api), app=_hash(pair.app))
        change((*entries, entry))
    return pair


def revoke(path: Path, name: str) -> None:
    """Takes a pair of keys away; servers that run know it with their next request.

    Raises UsageError where there is none of that name.
    """
    with _changing(path) as change:
        entries = read(path) or ()
        left = tuple(entry for entry in entries if entry.name != name)
        if len(left) == len(entries):
            raise UsageError(
                f"there are no keys named {name!r}", tip="`flakegate keys list` shows all"
            )
        change(left)


def owner(entries: tuple[Entry, ...], api: str, app: str) -> Entry | None:
    """Whose keys these are. How long it takes tells nothing of what was right in them."""
    hashes = _hash(api), _hash(app)
    found = None
    for entry in entries:
        api_is_right = hmac.compare_digest(entry.api, hashes[0])
        app_is_right = hmac.compare_digest(entry.app, hashes[1])
        if api_is_right & app_is_right:
            found = entry
    return found


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"cannot write {path}: {error.strerror}",
        tip="check the permissions of its folder, and the room on the disk",
    )


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[Callable[[tuple[Entry, ...]], None]]:
    """Gives what writes the file anew, whole or not at all; nobody else changes it meanwhile."""
    beside = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(
            f"{beside} is there: another `flakegate keys` is changing the keys, or was killed",
            tip="try again; if none is running, remove that file",
        ) from None
    except OSError as error:
        raise _unwritable(beside, error) from None

    def write(entries: tuple[Entry, ...]) -> None:
        content = msgspec.json.format(msgspec.json.encode(_File(version=1, keys=entries)))
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(content + b"\n")
                file.flush()
                os.fsync(descriptor)
            Path.replace(beside, path)
        except OSError as error:
            raise _unwritable(path, error) from None

    try:
        yield write
    finally:
        os.close(descriptor)
        beside.unlink(missing_ok=True)
