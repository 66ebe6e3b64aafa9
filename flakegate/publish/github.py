"""GitHub's comments on a pull request.

Facts: docs.github.com "REST API endpoints for issue comments": 100 a page; a body has at most
65,536 characters; the token of a workflow may not ask who it is, and writes as
`github-actions[bot]`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flakegate.errors import BackendError
from flakegate.forges.pages import decoded, nonsense, pages
from flakegate.publish.sticky import Comment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flakegate.forges.access import Forge
    from flakegate.transport.client import Transport

WORKFLOW = "github-actions[bot]"
_NO_USER = frozenset({403, 404})


class PullRequest:
    """The comments of one pull request."""

    def __init__(self, transport: Transport, forge: Forge) -> None:
        self._transport = transport
        self._path = f"{forge.repository}/issues"
        self._thread = f"{self._path}/{forge.number}/comments"

    def comments(self) -> tuple[Comment, ...]:
        """All comments, the oldest first. Raises BackendError."""
        rows = pages(self._thread, self._get)
        return tuple(_comment(row) for row in rows)

    def author(self) -> str:
        """Who writes with this token. Raises BackendError."""
        try:
            user = decoded(self._get("/user"))
        except BackendError as error:
            if error.status in _NO_USER:
                return WORKFLOW
            raise
        return _login({"user": user})

    def create(self, body: str) -> Comment:
        """Writes a new comment. Raises BackendError."""
        return _comment(decoded(self._send("POST", self._thread, {"body": body})))

    def update(self, comment: Comment, body: str) -> None:
        """Writes other words into a comment. Raises BackendError."""
        self._send("PATCH", f"{self._path}/comments/{comment.id}", {"body": body})

    def delete(self, comment: Comment) -> None:
        """Deletes a comment. Raises BackendError."""
        self._send("DELETE", f"{self._path}/comments/{comment.id}")

    def _get(self, path: str) -> bytes:
        return self._transport.send("GET", path)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        return self._transport.send(method, path, json.dumps(body).encode() if body else None)


def _comment(row: Any) -> Comment:
    if not isinstance(row, dict) or not isinstance(row.get("id"), int):
        raise nonsense()
    body = row.get("body")
    return Comment(id=row["id"], author=_login(row), body=body if isinstance(body, str) else "")


def _login(row: Mapping[str, Any]) -> str:
    """Who wrote it; "" for a user that was deleted."""
    user = row.get("user")
    login = user.get("login") if isinstance(user, dict) else None
    return login if isinstance(login, str) else ""
