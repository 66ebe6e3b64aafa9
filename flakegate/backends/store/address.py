"""The address of a store, checked without opening it: that alone needs no database library."""

from __future__ import annotations

import re
from pathlib import Path

from flakegate.errors import UsageError

_SCHEME = "sqlite:///"
_PASSWORD = re.compile(r"//[^@]*:[^@]*@")


def holds_password(url: str) -> bool:
    """Whether a user's name and password seem to stand in it."""
    return _PASSWORD.search(url) is not None


def sqlite_path(url: str) -> Path:
    """The path in such a URL. Raises UsageError, which never repeats what may hold a password."""
    path = url.removeprefix(_SCHEME)
    odd = path == url or not path or path == ":memory:" or "\0" in path or "?" in path
    if odd or holds_password(url):
        scheme, separator, _ = url.partition("://")
        named = f"a store at {scheme}://…" if separator and scheme.isprintable() else "this store"
        raise UsageError(
            f"{named} is not supported",
            tip="write sqlite:///folder/history.db, or sqlite:////folder/history.db "
            "for a path from the root",
        )
    return Path(path)
