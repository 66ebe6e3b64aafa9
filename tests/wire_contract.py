"""What a request to Datadog may be: a strict reading of its API reference, as JSON Schema.

Written from the reference and nothing of flakegate. Stricter than the service where that does no
harm: what the reference does not name is wrong, and what has to be sent at times always has to.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from tests import fake_search

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.faults import Request

TESTS = "/api/v2/test/flaky-test-management/tests"
POLICIES = "/api/v2/ci/test-optimization/settings/policies"
STATES = ["active", "quarantined", "disabled", "fixed"]
SORTS = [
    "fqn", "first_flaked", "last_flaked", "failure_rate", "pipelines_failed",
    "pipelines_duration_lost",
]  # fmt: skip
ISSUES = "/api/v2/error-tracking/issues"
ISSUE_STATES = ["OPEN", "ACKNOWLEDGED", "RESOLVED", "IGNORED", "EXCLUDED"]
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
REPOSITORY = r"[a-z0-9.-]+\.[a-z]+(/[^/\s\"A-Z]+)+"


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _body(kind: str, attributes: dict[str, Any]) -> dict[str, Any]:
    return _object({"data": _object({"type": {"const": kind}, "attributes": attributes})})


_TEXT = {"type": "string", "minLength": 1}
_SEARCH = _body(
    "search_flaky_tests_request",
    _object(
        {
            "filter": _object(
                {
                    "query": {
                        "type": "string",
                        "pattern": rf'^@git\.repository\.id_v2:"{REPOSITORY}" AND \(',
                        "maxLength": 8_000,
                    }
                },
                {"include_history": {"type": "boolean"}},
            ),
            "page": _object(
                {"limit": {"type": "integer", "minimum": 100, "maximum": 999}}, {"cursor": _TEXT}
            ),
        },
        {"sort": {"enum": [*SORTS, *(f"-{sort}" for sort in SORTS)]}},
    ),
)
_UPDATE = _body(
    "update_flaky_test_state_request",
    _object(
        {
            "tests": {
                "type": "array",
                "minItems": 1,
                "maxItems": 100,
                "items": _object({"id": _TEXT, "new_state": {"enum": STATES}}),
            }
        }
    ),
)
_POLICIES = _body(
    "test_optimization_get_flaky_tests_management_policies_request",
    _object({"repository_id": {"type": "string", "pattern": f"^{REPOSITORY}$"}}),
)
_MOMENT = {"type": "integer", "minimum": 10**12, "maximum": 10**13}  # milliseconds, not seconds
_ISSUES = _body(
    "search_request",
    {
        **_object(
            {"query": _TEXT, "from": _MOMENT, "to": _MOMENT},
            {
                "track": {"enum": ["trace", "logs", "rum"]},
                "persona": {"enum": ["ALL", "BROWSER", "MOBILE", "BACKEND"]},
                "order_by": {
                    "enum": ["TOTAL_COUNT", "FIRST_SEEN", "IMPACTED_SESSIONS", "PRIORITY"]
                },
            },
        ),
        "oneOf": [{"required": ["track"]}, {"required": ["persona"]}],
    },
)
_ID = {"type": "string", "pattern": f"^{UUID}$"}
_STATE = _object(
    {
        "data": _object(
            {
                "id": _ID,
                "type": {"const": "error_tracking_issue"},
                "attributes": _object({"state": {"enum": ISSUE_STATES}}),
            }
        )
    }
)
_ASSIGNEE = _object({"data": _object({"id": _ID, "type": {"const": "assignee"}})})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One of the requests that there are. name: a word for it.

    path: `{issue_id}` stands for an id. parameters: what follows its `?`. schema: of its body;
    None: it has none.
    """

    name: str
    method: str
    path: str
    schema: Mapping[str, Any] | None
    parameters: str = ""


OPERATIONS = (
    Operation(name="search", method="POST", path=TESTS, schema=_SEARCH),
    Operation(name="update", method="PATCH", path=TESTS, schema=_UPDATE),
    Operation(name="policies", method="POST", path=POLICIES, schema=_POLICIES),
    Operation(
        name="search issues",
        method="POST",
        path=f"{ISSUES}/search",
        schema=_ISSUES,
        parameters="include=issue,issue.assignee,issue.case,issue.team_owners",
    ),
    Operation(
        name="issue",
        method="GET",
        path=f"{ISSUES}/{{issue_id}}",
        schema=None,
        parameters="include=assignee,case,team_owners",
    ),
    Operation(name="set state", method="PUT", path=f"{ISSUES}/{{issue_id}}/state", schema=_STATE),
    Operation(
        name="assign", method="PUT", path=f"{ISSUES}/{{issue_id}}/assignee", schema=_ASSIGNEE
    ),
    Operation(
        name="unassign", method="DELETE", path=f"{ISSUES}/{{issue_id}}/assignee", schema=None
    ),
)


def operation(request: Request) -> Operation | None:
    """Which one it is; None: none that there is."""
    return next((each for each in OPERATIONS if _asks(request, each)), None)


def violations(request: Request) -> Iterator[str]:
    """Everything about the request that the reference does not allow."""
    known = operation(request)
    if known is None:
        yield f"there is no {request.method} {request.path}"
        return
    yield from _header_violations(request.headers, has_body=known.schema is not None)
    if known.schema is None:
        if request.body:
            yield f"a body where there is none: {request.body!r}"
        return
    try:
        body = json.loads(request.body.decode("utf-8"), object_pairs_hook=_unique)
    except ValueError as error:
        yield f"the body: {error}"
        return
    found = sorted(Draft202012Validator(known.schema).iter_errors(body), key=str)
    yield from (f"{each.json_path}: {each.message}" for each in found)
    if not found:
        yield from _beyond_the_schema(known, request, body["data"])


def _asks(request: Request, known: Operation) -> bool:
    path, _, parameters = request.path.partition("?")
    pattern = re.escape(known.path).replace(r"\{issue_id\}", UUID)
    same = re.fullmatch(pattern, path) and parameters == known.parameters
    return bool(same) and request.method == known.method


def _header_violations(headers: Mapping[str, str], *, has_body: bool) -> Iterator[str]:
    if headers.get("content-type") != ("application/json" if has_body else None):
        yield f"Content-Type: {headers.get('content-type')}"
    if "application/json" not in headers.get("accept", ""):
        yield f"Accept: {headers.get('accept')}"
    if not re.fullmatch(r"flakegate/\d+(\.\d+)+\S*", headers.get("user-agent", "")):
        yield f"User-Agent: {headers.get('user-agent')}"
    keys = {"dd-api-key", "dd-application-key"}
    sent = {name for name in (*keys, "authorization") if headers.get(name)}
    if sent not in (keys, {"authorization"}):
        yield f"neither both keys nor a token and nothing else: {sorted(sent)}"
    if "authorization" in sent and not re.fullmatch(r"Bearer \S+", headers["authorization"]):
        yield "Authorization is no Bearer token"
    if "cookie" in headers:
        yield "a cookie is sent"


def _beyond_the_schema(known: Operation, request: Request, data: Any) -> Iterator[str]:
    attributes = data.get("attributes", {})
    if known.name == "set state" and data["id"] not in request.path:
        yield f"the state of {data['id']} is set at {request.path}"
    if known.name == "search issues" and attributes["from"] >= attributes["to"]:
        yield f"a time that ends before it begins: {attributes}"
    if known.name == "search":
        try:
            fake_search.parse(attributes["filter"]["query"])
        except fake_search.QueryError as error:
            yield f"the query: {error}"
    if known.name == "update":
        ids = [test["id"] for test in attributes["tests"]]
        if len(set(ids)) < len(ids):
            yield f"an id twice in one batch: {sorted(ids)}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key twice in {[key for key, _ in pairs]}")
    return found
