"""A small GitHub on loopback: real HTTP, written from its REST reference and nothing of flakegate.

It holds the comments of pull requests, knows tokens and what they may do, refuses every body that
the reference does not allow, and records each request.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.faults import Front, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults import Request

OF_WORKFLOW = "ghs_workflow-token-secret"
OF_FORK = "ghs_token-of-a-fork-secret"
OF_APP = "ghs_token-of-an-app-secret"
OF_DANA = "ghp_token-of-dana-secret"
WORKFLOW = "github-actions[bot]"
REPOSITORY = "/repos/acme/shop"
LONGEST = 65_536  # characters of a comment, an emoji counted twice


@dataclass(slots=True, kw_only=True)
class Token:
    """login: whom it writes as. may: what it may write. asks: it may ask who it is."""

    login: str
    may: frozenset[str]
    asks: bool = False


def tokens() -> dict[str, Token]:
    everything = frozenset({"comments", "checks", "statuses"})
    return {
        OF_WORKFLOW: Token(login=WORKFLOW, may=everything),
        OF_FORK: Token(login=WORKFLOW, may=frozenset()),
        OF_APP: Token(login="our-app[bot]", may=everything),
        OF_DANA: Token(login="dana", may=everything, asks=True),
    }


@dataclass(slots=True, kw_only=True, eq=False)
class FakeGitHub(Front):
    """comments: of pull request 12, as GitHub gives them. broken: what was wrong with requests."""

    tokens: dict[str, Token] = field(default_factory=tokens)
    comments: list[dict[str, Any]] = field(default_factory=list)
    numbers: int = 1_000
    locked: bool = False
    checks: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        """What a job of a pull request has in its environment."""
        return {"GITHUB_API_URL": self.url, "GITHUB_TOKEN": OF_WORKFLOW}

    def add(self, body: str, login: str = WORKFLOW) -> dict[str, Any]:
        """A comment that somebody wrote."""
        self.numbers += 1
        kind = "Bot" if login.endswith("[bot]") else "User"
        row = {"id": self.numbers, "body": body, "user": {"login": login, "type": kind}}
        self.comments.append(row)
        return row

    @property
    def bodies(self) -> list[str]:
        return [row["body"] for row in self.comments]

    def answer(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        word, _, secret = request.headers.get("authorization", "").partition(" ")
        token = self.tokens.get(secret) if word == "Bearer" else None
        if token is None:
            return said(401, "Bad credentials")
        if not request.headers.get("user-agent"):
            return said(403, "Request forbidden by administrative rules")
        for method, pattern, act in ROUTES:
            found = re.fullmatch(pattern, parts.path)
            if found and method == request.method:
                return act(self, token, request, parse_qs(parts.query), *found.groups())
        return said(404, "Not Found")

    def row(self, number: str) -> dict[str, Any] | None:
        return next((row for row in self.comments if row["id"] == int(number)), None)

    def text(self, request: Request) -> str | None:
        """The body of a comment, if the request holds one and nothing else."""
        try:
            document = json.loads(request.body)
        except ValueError:
            document = None
        body = document.get("body") if isinstance(document, dict) else None
        if not isinstance(body, str) or set(document) != {"body"} or not body.strip():
            self.broken.append(f"{request.method} {request.path}: {request.body[:200]!r}")
            return None
        return body


def said(status: int, message: str, **more: Any) -> Reply:
    """An answer in GitHub's words."""
    return document(status, {"message": message, "documentation_url": "https://docs", **more})


def document(status: int, body: Any) -> Reply:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return Reply(status=status, body=json.dumps(body).encode(), headers=headers)


Query = dict[str, list[str]]
FORBIDDEN = said(403, "Resource not accessible by integration")


def page(rows: list[dict[str, Any]], query: Query) -> Reply:
    size = min(int(query.get("per_page", ["30"])[0]), 100)
    number = int(query.get("page", ["1"])[0])
    return document(200, rows[size * (number - 1) : size * number])


def user(hub: FakeGitHub, token: Token, request: Request, query: Query) -> Reply:
    del hub, request, query
    return document(200, {"login": token.login}) if token.asks else FORBIDDEN


def listed(hub: FakeGitHub, token: Token, request: Request, query: Query, number: str) -> Reply:
    del token, request
    return page(hub.comments, query) if number == "12" else said(404, "Not Found")


def created(hub: FakeGitHub, token: Token, request: Request, query: Query, number: str) -> Reply:
    del query
    if number != "12":
        return said(404, "Not Found")
    if "comments" not in token.may:
        return FORBIDDEN
    if hub.locked:
        return said(403, "Unable to create comment because issue is locked.")
    body = hub.text(request)
    if body is None or len(body.encode("utf-16-le")) // 2 > LONGEST:
        return said(422, "Validation Failed", errors=[{"field": "body", "code": "custom"}])
    return document(201, hub.add(body, token.login))


def changed(hub: FakeGitHub, token: Token, request: Request, query: Query, number: str) -> Reply:
    del query
    row = hub.row(number)
    if row is None:
        return said(404, "Not Found")
    if "comments" not in token.may:
        return FORBIDDEN
    if request.method == "DELETE":
        hub.comments.remove(row)
        return Reply(status=204, headers={"Content-Length": "0"})
    body = hub.text(request)
    if body is None or len(body.encode("utf-16-le")) // 2 > LONGEST:
        return said(422, "Validation Failed", errors=[{"field": "body", "code": "custom"}])
    row["body"] = body
    return document(200, row)


CHECK = {"name", "head_sha", "status", "conclusion", "external_id", "output"}


def check(hub: FakeGitHub, token: Token, request: Request, query: Query) -> Reply:
    del query
    if "checks" not in token.may:
        return FORBIDDEN
    given = json.loads(request.body)
    output = given["output"]
    assert set(given) - {"details_url"} == CHECK, given
    assert given["conclusion"] in {"success", "failure"}
    assert re.fullmatch("[0-9a-f]{40}", given["head_sha"])
    assert set(output) == {"title", "summary"}
    if len(output["summary"].encode()) > 65_535:
        return said(422, "Only 65535 characters are allowed")
    hub.checks.append(given)
    return document(201, given)


def checks(hub: FakeGitHub, token: Token, request: Request, query: Query, commit: str) -> Reply:
    del token, request
    name = query["check_name"][0]
    rows = [row for row in hub.checks if row["head_sha"] == commit and row["name"] == name]
    return document(200, {"total_count": len(rows), "check_runs": rows})


def status(hub: FakeGitHub, token: Token, request: Request, query: Query, commit: str) -> Reply:
    del query
    if "statuses" not in token.may:
        return FORBIDDEN
    given = json.loads(request.body)
    assert set(given) - {"target_url"} == {"state", "context", "description"}, given
    assert given["state"] in {"success", "failure", "error", "pending"}
    assert len(given["description"]) <= 140
    hub.statuses.insert(0, {"sha": commit, **given})
    return document(201, given)


def statuses(hub: FakeGitHub, token: Token, request: Request, query: Query, commit: str) -> Reply:
    del token, request
    return page([row for row in hub.statuses if row["sha"] == commit], query)


def pulls(hub: FakeGitHub, token: Token, request: Request, query: Query) -> Reply:
    del token, request
    assert query["state"] == ["open"]
    owner, _, branch = query["head"][0].partition(":")
    return page(
        [
            row
            for row in hub.pulls
            if row["head"]["ref"] == branch
            and row["head"]["repo"]["full_name"].partition("/")[0] == owner
        ],
        query,
    )


ROUTES: tuple[tuple[str, str, Callable[..., Reply]], ...] = (
    ("GET", "/user", user),
    ("GET", rf"{REPOSITORY}/issues/(\d+)/comments", listed),
    ("POST", rf"{REPOSITORY}/issues/(\d+)/comments", created),
    ("PATCH", rf"{REPOSITORY}/issues/comments/(\d+)", changed),
    ("DELETE", rf"{REPOSITORY}/issues/comments/(\d+)", changed),
    ("POST", f"{REPOSITORY}/check-runs", check),
    ("GET", rf"{REPOSITORY}/commits/(\w+)/check-runs", checks),
    ("POST", rf"{REPOSITORY}/statuses/(\w+)", status),
    ("GET", rf"{REPOSITORY}/commits/(\w+)/statuses", statuses),
    ("GET", f"{REPOSITORY}/pulls", pulls),
)
