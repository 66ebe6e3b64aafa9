"""GitHub's comments on a pull request, and the check of a commit.

Facts: docs.github.com "REST API endpoints for issue comments", "check runs", "commit statuses":
100 a page; a comment has at most 65,536 characters, a check's summary 65,535 bytes, a status 140
characters; the token of a workflow may not ask who it is, and writes as `github-actions[bot]`; only
apps, workflows among them, create check runs.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flakegate.errors import BackendError
from flakegate.forges.pages import decoded, nonsense, pages
from flakegate.publish.status import ELSEWHERE
from flakegate.publish.sticky import Comment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flakegate.forges.access import Forge
    from flakegate.publish.status import Status
    from flakegate.transport.client import Transport

WORKFLOW = "github-actions[bot]"
_NO_USER = frozenset({403, 404})
_NO_CHECKS = frozenset({403, 404})
_LONGEST_CHECK = 65_535  # bytes
_LONGEST_WORDS = 140  # characters


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

    def author(self, candidates: Sequence[Comment]) -> str | None:
        """Who of these writes with this token. Raises BackendError.

        An app may not ask who it is. Most are the workflow's own; of another one, None.
        """
        try:
            user = decoded(self._get("/user"))
        except BackendError as error:
            if error.status in _NO_USER:
                authors = {each.author for each in candidates}
                apps = {author for author in authors if author.endswith("[bot]")}
                return WORKFLOW if WORKFLOW in apps or not apps else None
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


def set_status(transport: Transport, forge: Forge, status: Status) -> None:
    """Sets the check of a commit: a check run where the token may, else a status.

    Of several jobs of one run the worse counts, whoever comes last: who passes looks, after it said
    so, for one that did not. Raises BackendError.
    """
    try:
        _check_run(transport, forge, status)
        if status.passed and _has_failed_check(transport, forge, status):
            _check_run(transport, forge, replace(status, passed=False, title=ELSEWHERE))
    except BackendError as error:
        if error.status not in _NO_CHECKS:
            raise
        _status(transport, forge, status)
        if status.passed and _has_failed_status(transport, forge, status):
            _status(transport, forge, replace(status, passed=False, title=ELSEWHERE))


def _check_run(transport: Transport, forge: Forge, status: Status) -> None:
    body = {
        "name": status.name,
        "head_sha": status.commit,
        "status": "completed",
        "conclusion": "success" if status.passed else "failure",
        "external_id": status.turn,
        "output": {"title": status.title, "summary": _bounded(status.text)},
        **({"details_url": status.url} if status.url else {}),
    }
    transport.send("POST", f"{forge.repository}/check-runs", json.dumps(body).encode())


def _has_failed_check(transport: Transport, forge: Forge, status: Status) -> bool:
    query = urlencode({"check_name": status.name, "filter": "all", "per_page": "100"})
    path = f"{forge.repository}/commits/{status.commit}/check-runs?{query}"
    answer = decoded(transport.send("GET", path))
    runs = answer.get("check_runs") if isinstance(answer, dict) else None
    if not isinstance(runs, list):
        raise nonsense()
    return any(
        isinstance(run, dict)
        and run.get("external_id") == status.turn
        and run.get("conclusion") == "failure"
        for run in runs
    )


def _status(transport: Transport, forge: Forge, status: Status) -> None:
    body = {
        "state": "success" if status.passed else "failure",
        "context": status.name,
        "description": status.title[:_LONGEST_WORDS],
        **({"target_url": _page(status)} if status.url else {}),
    }
    path = f"{forge.repository}/statuses/{status.commit}"
    transport.send("POST", path, json.dumps(body).encode())


def _has_failed_status(transport: Transport, forge: Forge, status: Status) -> bool:
    path = f"{forge.repository}/commits/{status.commit}/statuses"
    return any(
        row.get("context") == status.name
        and row.get("target_url") == _page(status)
        and row.get("state") == "failure"
        for row in pages(path, partial(transport.send, "GET"))
    )


def _page(status: Status) -> str | None:
    """The page of this attempt, which tells the statuses of one turn from those of another."""
    return f"{status.url}/attempts/{status.attempt}" if status.url else None


def _bounded(text: str) -> str:
    """As much of the beginning as a check's summary can hold, in whole lines; it says so."""
    if len(text.encode()) <= _LONGEST_CHECK:
        return text
    end = "\n\n… cut here; the job summary has all of it"
    room = text.encode()[: _LONGEST_CHECK - len(end.encode())].decode("utf-8", "ignore")
    return room.rpartition("\n")[0] + end


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
