"""Error Tracking for the small Datadog on loopback, written from its API reference."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests import fake_search
from tests.faults import Reply

if TYPE_CHECKING:
    from tests.faults import Request

ROOT = "/api/v2/error-tracking/issues"
SEARCH_INCLUDE = "issue,issue.assignee,issue.case,issue.team_owners"
GET_INCLUDE = "assignee,case,team_owners"
STATES = ("OPEN", "ACKNOWLEDGED", "RESOLVED", "IGNORED", "EXCLUDED")
TRACKS = ("trace", "logs", "rum")
PERSONAS = ("ALL", "BROWSER", "MOBILE", "BACKEND")
ORDERS = ("TOTAL_COUNT", "FIRST_SEEN", "IMPACTED_SESSIONS", "PRIORITY")
KEYS = {"service", "env", "version", "@error.type", "@error.message", "@issue.id"}
PAGE = 100  # issues that one search answers at most
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_PATH = re.compile(rf"{ROOT}/({_UUID})(/state|/assignee)?(?:\?(.*))?")


def issue_id(number: int) -> str:
    """An id that is told from the others at a glance."""
    return f"c1726a66-0000-0000-0000-{number:012d}"


USER = "87cb11a0-278c-440a-99fe-701223c80296"
DANA = {"id": USER, "name": "Dana Field", "handle": "dana@acme.test", "email": "dana@acme.test"}


def issue(
    number: int, *, seen: list[int] | None = None, track: str = "trace", **attributes: Any
) -> dict[str, Any]:
    """One issue. seen: when its errors occurred, in milliseconds since the epoch.

    Further attributes replace those given here; `assignee`, `case` and `team_owners` are ids.
    """
    related = {name: attributes.pop(name, None) for name in ("assignee", "case", "team_owners")}
    return {
        "id": issue_id(number),
        "seen": seen or [],
        "track": track,
        "related": related,
        "attributes": {
            "state": "OPEN",
            "service": "shop",
            "error_type": "TimeoutError",
            "error_message": f"no answer in {number} s",
            "file_path": "shop/net.py",
            "function_name": "fetch",
            "platform": "BACKEND",
            "languages": ["PYTHON"],
            "is_crash": False,
            "first_seen": min(seen) if seen else 0,
            "last_seen": max(seen) if seen else 0,
            **attributes,
        },
    }


@dataclass(slots=True, kw_only=True)
class FakeIssues:
    """The five endpoints over a list of issues. users, cases, teams: by their ids."""

    issues: list[dict[str, Any]] = field(default_factory=list)
    users: dict[str, dict[str, Any]] = field(default_factory=lambda: {USER: DANA})
    cases: dict[str, dict[str, Any]] = field(default_factory=dict)
    teams: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """The issue with this number."""
        return next(each for each in self.issues if each["id"] == issue_id(number))

    def answer(self, request: Request, permissions: set[str]) -> Reply:
        """What the service answers."""
        path, _, query = request.path.partition("?")
        if (request.method, path) == ("POST", f"{ROOT}/search"):
            return self._guarded(request, permissions, "error_tracking_read") or self._search(
                request, query
            )
        asked = _PATH.fullmatch(request.path)
        known = asked and (request.method, asked[2]) in {
            ("GET", None), ("PUT", "/state"), ("PUT", "/assignee"), ("DELETE", "/assignee"),
        }  # fmt: skip
        if not asked or not known:
            return _error(404, "Not found")
        needed = "error_tracking_read" if request.method == "GET" else "error_tracking_write"
        if refusal := self._guarded(request, permissions, needed):
            return refusal
        found = next((each for each in self.issues if each["id"] == asked[1]), None)
        if found is None:
            return _error(404, "Issue not found")
        return self._about_one(request, found, asked[2], asked[3])

    def _about_one(
        self, request: Request, found: dict[str, Any], part: str | None, query: str | None
    ) -> Reply:
        if query != (f"include={GET_INCLUDE}" if request.method == "GET" else None):
            return _error(400, f"unexpected parameters {query}")
        if request.method == "DELETE":
            found["related"]["assignee"] = None
            return Reply(status=204)
        if request.method == "PUT":
            put = self._put_state if part == "/state" else self._put_assignee
            if not put(found, json.loads(request.body)):
                return _error(400, f"not the body of a PUT: {request.body!r}")
        return self._one(found)

    def _put_state(self, found: dict[str, Any], body: Any) -> bool:
        state = body.get("data", {}).get("attributes", {}).get("state")
        attributes = {"state": state}
        data = {"id": found["id"], "type": "error_tracking_issue", "attributes": attributes}
        if body != {"data": data} or state not in STATES:
            return False
        found["attributes"]["state"] = state
        return True

    def _put_assignee(self, found: dict[str, Any], body: Any) -> bool:
        user = body.get("data", {}).get("id")
        if body != {"data": {"id": user, "type": "assignee"}} or user not in self.users:
            return False
        found["related"]["assignee"] = user
        return True

    def _guarded(self, request: Request, permissions: set[str], needed: str) -> Reply | None:
        if needed not in permissions:
            return _error(403, "Forbidden")
        if request.path.endswith("/assignee") and "cases_write" not in permissions:
            return _error(403, "Forbidden")
        has_body = request.method in {"POST", "PUT"}
        if has_body and request.headers.get("content-type") != "application/json":
            return _error(415, "expected application/json")
        if not has_body and (request.body or "content-type" in request.headers):
            return _error(400, f"a {request.method} has no body")
        return None

    def _search(self, request: Request, query: str) -> Reply:
        if query != f"include={SEARCH_INCLUDE}":
            return _error(400, f"include is {query}")
        try:
            body = json.loads(request.body)
            asked = body["data"]["attributes"]
            matches = _checked(body, asked)
        except (KeyError, TypeError, ValueError, fake_search.QueryError) as error:
            return _error(400, f"bad search: {error!r}")
        since, until = asked["from"], asked["to"]
        matching: list[tuple[int, dict[str, Any]]] = []
        for each in self.issues:
            counted = sum(since <= at < until for at in each["seen"])
            same = asked.get("track", each["track"]) == each["track"]
            if counted and same and matches(_facets(each)):
                matching.append((counted, each))
        order_by = asked.get("order_by", "TOTAL_COUNT")
        matching.sort(key=lambda pair: _rank(pair[0], pair[1], order_by))
        page = matching[:PAGE]
        data = [
            {
                "id": each["id"],
                "type": "error_tracking_search_result",
                "attributes": {"total_count": counted, "impacted_sessions": counted // 2},
                "relationships": {"issue": {"data": {"id": each["id"], "type": "issue"}}},
            }
            for counted, each in page
        ]
        included = [self._resource(each) for _, each in page]
        included += [related for _, each in page for related in self._related(each)]
        return _json(200, {"data": data, "included": included})

    def _one(self, found: dict[str, Any]) -> Reply:
        return _json(200, {"data": self._resource(found), "included": self._related(found)})

    def _resource(self, found: dict[str, Any]) -> dict[str, Any]:
        related = found["related"]
        kinds = {"assignee": "user", "case": "case"}
        relationships: dict[str, Any] = {
            name: {"data": {"id": related[name], "type": kind}}
            for name, kind in kinds.items()
            if related[name]
        }
        if related["team_owners"]:
            teams = [{"id": each, "type": "team"} for each in related["team_owners"]]
            relationships["team_owners"] = {"data": teams}
        return {
            "id": found["id"],
            "type": "issue",
            "attributes": found["attributes"],
            "relationships": relationships,
        }

    def _related(self, found: dict[str, Any]) -> list[dict[str, Any]]:
        related = found["related"]
        there = [
            ("user", related["assignee"], self.users),
            ("case", related["case"], self.cases),
            *(("team", each, self.teams) for each in related["team_owners"] or ()),
        ]
        return [
            {"id": name, "type": kind, "attributes": known[name]}
            for kind, name, known in there
            if name in known
        ]


def _checked(body: Any, asked: Any) -> fake_search.Matches:
    """Raises ValueError for what the reference does not allow."""
    if body != {"data": {"type": "search_request", "attributes": asked}}:
        raise ValueError("more than data, type and attributes")
    allowed = {"query", "from", "to", "track", "persona", "order_by"}
    if asked.keys() - allowed or ("track" in asked) == ("persona" in asked):
        raise ValueError(f"keys {sorted(asked)}")
    for key, words in (("track", TRACKS), ("persona", PERSONAS), ("order_by", ORDERS)):
        if key in asked and asked[key] not in words:
            raise ValueError(f"{key} {asked[key]!r}")
    if type(asked["from"]) is not int or type(asked["to"]) is not int:
        raise ValueError("from and to are whole milliseconds")
    if asked["from"] >= asked["to"]:
        raise ValueError("from is not before to")
    if asked["query"] == "*":
        return lambda _: True
    return fake_search.parse(asked["query"], KEYS)


def _facets(found: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    seen = found["attributes"]
    return {
        "service": (seen.get("service") or "",),
        "@error.type": (seen.get("error_type") or "",),
        "@error.message": (seen.get("error_message") or "",),
        "@issue.id": (found["id"],),
    }


def _rank(counted: int, found: dict[str, Any], order_by: str) -> float:
    if order_by == "FIRST_SEEN":
        return -float(found["attributes"].get("first_seen") or 0)
    return -counted


def _json(status: int, value: object) -> Reply:
    headers = {"Content-Type": "application/vnd.api+json"}
    return Reply(status=status, body=json.dumps(value).encode(), headers=headers)


def _error(status: int, text: str) -> Reply:
    return _json(status, {"errors": [text]})
