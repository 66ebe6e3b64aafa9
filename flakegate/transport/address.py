"""Which addresses may see the keys."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from flakegate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

ALLOW_HTTP = "FLAKEGATE_ALLOW_HTTP"
_LABEL = "[a-z0-9_][a-z0-9_-]{0,62}"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?|[0-9a-f]*:[0-9a-f:.]*")


def checked_address(url: str, *, plain_http: bool = False) -> str:
    """The base address without a trailing slash. Raises UsageError where keys must not go.

    https anywhere; plain http only to this machine, because the keys would travel readable, unless
    that is asked for (`plain_http`).
    """
    tip = "give it as https://HOST, without a user name, a query or a fragment"
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise UsageError("the API address is not a URL", tip=tip) from None
    if parts.username is not None or parts.password is not None or "@" in url:
        raise UsageError("the API address holds a user name or a password", tip=tip)
    known = parts.scheme in {"http", "https"} and not parts.query and not parts.fragment
    if not known or not host or not _HOST.fullmatch(host):
        shown = url.partition("?")[0]  # some put a key behind it
        raise UsageError(f"the API address {shown!r} is not an http(s) URL of a host", tip=tip)
    if parts.scheme == "http" and not plain_http and not _is_loopback(host):
        raise UsageError(
            f"the API address {url!r} is plain http: the keys would travel readable",
            tip=f"use https://{parts.netloc}; if the network between is yours alone,"
            f" {ALLOW_HTTP}=1 allows it",
        )
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def allows_http(env: Mapping[str, str]) -> bool:
    """Whether plain http to other machines is asked for. Raises UsageError if that is unclear."""
    text = env.get(ALLOW_HTTP, "")
    if text not in {"", "0", "1"}:
        raise UsageError(f"{ALLOW_HTTP}={text!r} is neither 1 nor 0", tip="1 allows plain http")
    return text == "1"


def reads_environment(base_url: str) -> bool:
    """Whether the proxies of the environment apply to this address.

    A request in plain http to this machine never leaves it: no proxy may see its keys.
    """
    parts = urlsplit(base_url)
    return parts.scheme == "https" or not _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
