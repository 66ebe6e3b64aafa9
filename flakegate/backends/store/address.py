"""The address of a store, checked without opening it: that alone needs no database library."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from flakegate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "sqlite:///.flakegate/history.db"
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


def store_location(option: str | None, env: Mapping[str, str]) -> str:
    """The store's URL: option, environment, default. A password in the option is refused."""
    if option and holds_password(option):
        raise UsageError(
            "--store carries a password, which every process of this machine can read",
            tip="put the URL into the environment variable FLAKEGATE_STORE instead",
        )
    url = option or env.get("FLAKEGATE_STORE") or DEFAULT
    sqlite_path(url)  # raises for what is none
    return url
