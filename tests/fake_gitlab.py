"""A small GitLab on loopback: the notes of one merge request, as its REST reference says.

A note whose text would act is refused: a line that starts with `/` and a word is a quick action.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.faults import Front, Reply

if TYPE_CHECKING:
    from tests.faults import Request

OF_PROJECT = "glpat-token-of-the-project-secret"
OF_JOB = "glcbt-token-of-the-job-secret"
BOT = "project_42_bot_0f3c"
NOTES = "/api/v4/projects/42/merge_requests/7/notes"
LONGEST = 1_000_000  # characters of a note


def quick_actions(text: str) -> list[str]:
    """The commands that GitLab would carry out; it is easily wrong about where code ends."""
    return re.findall(r"^/\w+.*$", text, re.MULTILINE)


@dataclass(slots=True, kw_only=True, eq=False)
class FakeGitLab(Front):
    """notes: of merge request 7 of project 42. acted: the quick actions that notes held."""

    notes: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    numbers: int = 5_000
    forbidden: bool = False
    acted: list[str] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return {"CI_API_V4_URL": f"{self.url}/api/v4", "GITLAB_TOKEN": OF_PROJECT}

    @property
    def bodies(self) -> list[str]:
        return [row["body"] for row in self.notes]

    def add(self, body: str, username: str = BOT) -> dict[str, Any]:
        self.numbers += 1
        author = {"id": 1, "username": username}
        row = {"id": self.numbers, "body": body, "author": author, "system": False}
        self.notes.append(row)
        return row

    def answer(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        if request.headers.get("private-token") != OF_PROJECT:
            return reply(401, {"message": "401 Unauthorized"})
        if status := re.fullmatch(r"/api/v4/projects/42/statuses/([0-9a-f]{40})", parts.path):
            return self._status(status[1], request)
        if request.method == "GET":
            return self._read(parts.path, parse_qs(parts.query))
        found = re.fullmatch(rf"{NOTES}(?:/(\d+))?", parts.path)
        if found and self.forbidden:
            return reply(403, {"message": "403 Forbidden"})
        return self._write(request, found[1]) if found else NOT_FOUND

    def _status(self, commit: str, request: Request) -> Reply:
        given = json.loads(request.body)
        assert set(given) <= {"state", "name", "description", "target_url", "pipeline_id"}
        assert given["state"] in {"pending", "running", "success", "failed", "canceled"}
        self.statuses.append({"sha": commit, **given})
        return reply(201, given)

    def _read(self, path: str, query: dict[str, list[str]]) -> Reply:
        if path == "/api/v4/user":
            return reply(200, {"username": BOT})
        if path != NOTES:
            return NOT_FOUND
        assert query["sort"] == ["asc"]
        size, number = min(int(query["per_page"][0]), 100), int(query["page"][0])
        return reply(200, self.notes[size * (number - 1) : size * number])

    def _write(self, request: Request, number: str | None) -> Reply:
        row = next((row for row in self.notes if number and row["id"] == int(number)), None)
        if number and row is None:
            return NOT_FOUND
        if request.method == "DELETE":
            assert row is not None
            self.notes.remove(row)
            return Reply(status=204, headers={"Content-Length": "0"})
        given = json.loads(request.body)
        assert set(given) == {"body"}
        if len(given["body"]) > LONGEST:
            return reply(400, {"message": {"note": ["is too long"]}})
        self.acted += quick_actions(given["body"])
        if row is None:
            assert request.method == "POST"
            return reply(201, self.add(given["body"]))
        assert request.method == "PUT"
        row["body"] = given["body"]
        return reply(200, row)


def reply(status: int, body: Any) -> Reply:
    headers = {"Content-Type": "application/json"}
    return Reply(status=status, body=json.dumps(body).encode(), headers=headers)


NOT_FOUND = reply(404, {"message": "404 Not found"})
