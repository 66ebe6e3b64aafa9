"""Takes secrets out of a text before anybody sees it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SECRETS = (
    "DD_API_KEY", "DD_APP_KEY", "DD_APPLICATION_KEY", "DATADOG_API_KEY", "DATADOG_APP_KEY",
    "DATADOG_APPLICATION_KEY", "DD_ACCESS_TOKEN", "DATADOG_ACCESS_TOKEN",
    "GITHUB_TOKEN", "GITLAB_TOKEN", "FLAKEGATE_STORE",
)  # fmt: skip
URLS = ("FLAKEGATE_STORE", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_LOGIN = re.compile(r"://[^/\s@]+@")
_SHORTEST = 8  # "Bearer", "user" and the like are no secrets, and are parts of many words


def redacted(text: str, secrets: Iterable[str]) -> str:
    """The text with `***` for each secret of 8 characters or more, and for the login of any URL."""
    # A secret may be a part of another one: the longest first, or its rest would stay.
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, "***")
    return _LOGIN.sub("://***@", text)


def blotted(body: bytes, secrets: Iterable[str]) -> bytes:
    """The bytes with `***` for each secret of 8 characters or more."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            body = body.replace(secret.encode(), b"***")
    return body


def secrets_of(env: Mapping[str, str]) -> list[str]:
    """Every secret that the environment holds: keys, tokens, and the passwords in its URLs."""
    found = [value.strip() for name in SECRETS if (value := env.get(name))]
    for name in URLS:
        for url in (env.get(name), env.get(name.lower())):
            found += _passwords(url or "")
    return found


def _passwords(url: str) -> list[str]:
    """The password in a URL, as written there and as it is sent."""
    try:
        written = urlsplit(url if "://" in url else f"//{url}").password
    except ValueError:
        return []
    return [written, unquote(written)] if written else []
