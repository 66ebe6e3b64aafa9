"""The one name of a repository, however its address is written."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_SCP = re.compile(
    r"(?:[^@/\s]+@)?(?P<host>[^:/@\s]{2,}|\[[^\]\s]+\]):(?!:|//)(?P<path>.+)", re.DOTALL
)


def repository_id(remote: str) -> str | None:
    """The id that Datadog also uses: "github.com/datadog/shopist". None for a path on disk."""
    remote = remote.strip()
    if "://" in remote:
        try:
            parts = urlsplit(remote)
            host, path = parts.hostname, parts.path
        except ValueError:
            return None
        if parts.scheme.lower() not in {"http", "https", "ssh", "git", "git+ssh", "git+https"}:
            return None
    elif scp := _SCP.fullmatch(remote):
        host, path = scp["host"], scp["path"]
    else:
        return None
    path = _plain_path(path)
    return f"{host}/{path}".lower() if host and path else None


def _plain_path(path: str) -> str:
    """Lower-case, without `.git` at the end and without slashes that separate nothing."""
    plain = "/".join(part for part in path.lower().split("/") if part)
    return plain.removesuffix(".git").rstrip("/")
