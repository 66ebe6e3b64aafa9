"""GitLab's notes on a merge request, and the status of a commit in its pipeline.

Facts: docs.gitlab.com "Notes API" and "Commits API": 100 a page; a note has at most 1,000,000
characters; CI_JOB_TOKEN writes neither of them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flakegate.forges.pages import decoded, nonsense, pages
from flakegate.publish.sticky import Comment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flakegate.forges.access import Forge
    from flakegate.publish.status import Status
    from flakegate.transport.client import Transport

_LONGEST_WORDS = 255  # characters of a status' description


class MergeRequest:
    """The notes on one merge request."""

    def __init__(self, transport: Transport, forge: Forge) -> None:
        self._transport = transport
        self._path = f"{forge.path}/notes"

    def comments(self) -> tuple[Comment, ...]:
        """All notes. Raises BackendError."""
        rows = pages(f"{self._path}?sort=asc&order_by=created_at", self._get)
        return tuple(_comment(row) for row in rows)

    def author(self, _: Sequence[Comment]) -> str:
        """Who writes with this token. Raises BackendError."""
        user = decoded(self._get("/user"))
        return _username({"author": user})

    def create(self, body: str) -> Comment:
        """Writes a new note. Raises BackendError."""
        return _comment(decoded(self._send("POST", self._path, {"body": body})))

    def update(self, comment: Comment, body: str) -> None:
        """Writes other words into a note. Raises BackendError."""
        self._send("PUT", f"{self._path}/{comment.id}", {"body": body})

    def delete(self, comment: Comment) -> None:
        """Deletes a note. Raises BackendError."""
        self._send("DELETE", f"{self._path}/{comment.id}")

    def _get(self, path: str) -> bytes:
        return self._transport.send("GET", path)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        return self._transport.send(method, path, json.dumps(body).encode() if body else None)


def set_status(transport: Transport, forge: Forge, status: Status) -> None:
    """Sets the status in the pipeline of this job. Raises BackendError."""
    body = {
        "state": "success" if status.passed else "failed",
        "name": status.name,
        "description": status.title[:_LONGEST_WORDS],
        **({"target_url": status.url} if status.url else {}),
        **({"pipeline_id": int(status.run)} if status.run.isdecimal() else {}),
    }
    path = f"{forge.repository}/statuses/{status.commit}"
    transport.send("POST", path, json.dumps(body).encode())


def _comment(row: Any) -> Comment:
    if not isinstance(row, dict) or not isinstance(row.get("id"), int):
        raise nonsense()
    body = row.get("body")
    return Comment(id=row["id"], author=_username(row), body=body if isinstance(body, str) else "")


def _username(row: Mapping[str, Any]) -> str:
    author = row.get("author")
    name = author.get("username") if isinstance(author, dict) else None
    return name if isinstance(name, str) else ""
