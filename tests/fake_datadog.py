"""A small Datadog on loopback: real HTTP, written from the API reference and nothing of flakegate.

It holds flaky tests, answers search and update as the reference says, refuses every body that the
reference does not allow, and records each request. The faults between it and its clients are those
of `faults.Front`.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests import fake_issues, fake_search
from tests.faults import Front, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.faults import Request

API_KEY = "0123456789abcdef-api-secret"
APP_KEY = "fedcba9876543210-application-secret"
BEARER = "ddpat_0123456789abcdef-token-secret"
KEYS = {"DD_API_KEY": API_KEY, "DD_APP_KEY": APP_KEY}
REPOSITORY = "github.com/acme/shop"
PATH = "/api/v2/test/flaky-test-management/tests"
POLICIES_PATH = "/api/v2/ci/test-optimization/settings/policies"
PERMISSIONS = (
    "test_optimization_read", "test_optimization_write", "error_tracking_read",
    "error_tracking_write", "cases_read", "cases_write",
)  # fmt: skip
STATES = frozenset({"active", "quarantined", "disabled", "fixed"})
SORTS = frozenset(
    sign + key
    for sign in ("", "-")
    for key in (
        "fqn", "first_flaked", "last_flaked", "failure_rate", "pipelines_failed",
        "pipelines_duration_lost",
    )
)  # fmt: skip
# A key that ends in "?" may be left out; a set lists the allowed texts; a type is exact.
SEARCH = {
    "data": {
        "type": frozenset({"search_flaky_tests_request"}),
        "attributes": {
            "filter?": {"query?": str, "include_history?": bool},
            "page?": {"limit?": int, "cursor?": str},
            "sort?": SORTS,
        },
    }
}
UPDATE = {
    "data": {
        "type": frozenset({"update_flaky_test_state_request"}),
        "attributes": {"tests": [{"id": str, "new_state": STATES}]},
    }
}
POLICIES = {
    "data": {
        "type": frozenset({"test_optimization_get_flaky_tests_management_policies_request"}),
        "attributes": {"repository_id": str},
    }
}


def rate_limited(reset: str, name: str = "flaky_tests") -> Reply:
    """A 429 with the headers of the reference."""
    headers = {
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Period": "60",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": reset,
        "X-RateLimit-Name": name,
    }
    return Reply(status=429, body=b'{"errors":["Too many requests"]}', headers=headers)


def flaky(
    test_id: str, *, state: str | None = "active", rate: float | None = None, **attributes: object
) -> dict[str, Any]:
    """One test as a search answers it; further attributes replace those given here."""
    return {
        "id": test_id,
        "type": "flaky_test",
        "attributes": {
            "name": f"test_{test_id}",
            "suite": "tests.test_shop",
            "module": None,
            "flaky_state": state,
            "flaky_category": None,
            "codeowners": ["@acme/shop"],
            "envs": ["ci"],
            "services": ["shop"],
            "test_stats": {"failure_rate_pct": rate},
            **attributes,
        },
    }


def changed(state: str, *, at: float, policy: str) -> dict[str, object]:
    """One entry of a test's history. at: seconds since the epoch."""
    return {"status": state, "timestamp": at * 1000, "commit_sha": "", "policy_id": policy}


@dataclass(slots=True, kw_only=True, eq=False)
class FakeDatadog(Front):
    """The service; a context manager. Everything a test may set or read is a field.

    page_cap: most tests a page, whatever was asked. trailing_page: the last page still has a
    cursor, to an empty one. gaps: between two pages is an empty one. refuse: error by test id.
    forget: ids that are changed but not mentioned in the answer. clock: seconds since the epoch,
    when a state is changed. policies: the blocks of Datadog's own. refused: by path the status of
    every answer. tracking: its Error Tracking.
    """

    tests: list[dict[str, Any]] = field(default_factory=list)
    repository: str = REPOSITORY
    elsewhere: dict[str, str] = field(default_factory=dict)
    permissions: set[str] = field(default_factory=lambda: set(PERMISSIONS))
    page_cap: int = 1000
    trailing_page: bool = False
    gaps: bool = False
    refuse: dict[str, str] = field(default_factory=dict)
    forget: set[str] = field(default_factory=set)
    clock: Callable[[], float] = time.time
    policies: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    tracking: fake_issues.FakeIssues = field(default_factory=fake_issues.FakeIssues)

    @property
    def states(self) -> dict[str, str]:
        """The state of every test, by id."""
        return {test["id"]: test["attributes"]["flaky_state"] for test in self.tests}

    @property
    def patched(self) -> dict[str, str]:
        """The new state that PATCHes asked for, by id."""
        return {
            test["id"]: test["new_state"]
            for request in self.requests
            if request.method == "PATCH"
            for test in request.attributes["tests"]
        }

    def answer(self, request: Request) -> Reply:
        """What the service answers to the request, scripts aside."""
        if refusal := _stranger(request) or self._refusal(request):
            return refusal
        if request.path.startswith(fake_issues.ROOT):
            return self.tracking.answer(request, self.permissions)
        shape, act = {
            ("POST", PATH): (SEARCH, self._search),
            ("PATCH", PATH): (UPDATE, self._update),
            ("POST", POLICIES_PATH): (POLICIES, self._policies),
        }[request.method, request.path]
        try:
            body = json.loads(request.body)
        except ValueError:
            return _detailed_error(400, "Invalid JSON", "the body is not JSON")
        if problems := list(mismatches(body, shape, "body")):
            return _detailed_error(400, "Invalid request", "; ".join(problems))
        return act(body["data"]["attributes"])

    def _refusal(self, request: Request) -> Reply | None:
        if status := self.refused.get(request.path.partition("?")[0]):
            return _error(status, "Refused")
        if request.path.startswith(fake_issues.ROOT):
            return None
        known = {("POST", PATH), ("PATCH", PATH), ("POST", POLICIES_PATH)}
        if (request.method, request.path) not in known:
            return _error(404, "Not found")
        needed = "read" if request.method == "POST" else "write"
        if f"test_optimization_{needed}" not in self.permissions:
            return _detailed_error(403, "Forbidden", "Failed permission authorization checks")
        if request.headers.get("content-type") != "application/json":
            return _detailed_error(415, "Unsupported Media Type", "expected application/json")
        return None

    def _search(self, attributes: Any) -> Reply:
        page = attributes.get("page", {})
        if not 1 < page.get("limit", 0) < 1000:
            return _error(400, "limit must be greater than 1 and less than 1000")
        query = attributes.get("filter", {}).get("query", "")
        sort = attributes.get("sort", "fqn")
        start, gap = 0, False
        try:
            matches = fake_search.parse(query) if query else lambda _: True
            if "cursor" in page:
                start, gap = _place(page["cursor"], query, sort)
        except (fake_search.QueryError, ValueError) as error:
            return _error(400, f"bad search: {error}")
        found = sorted(
            (test for test in self.tests if matches(self._facets(test))),
            key=lambda test: _sort_key(test, sort.lstrip("-")),
            reverse=sort.startswith("-"),
        )
        end = start if gap else start + min(page["limit"], self.page_cap)
        more = end < len(found) or (self.trailing_page and start < len(found))
        data = found[start:end]
        if not attributes.get("filter", {}).get("include_history"):
            data = [_without_history(test) for test in data]
        cursor = _cursor(end, query, sort, gap=self.gaps and not gap) if more else None
        return _json(200, {"data": data, "meta": {"pagination": {"next_page": cursor}}})

    def _update(self, attributes: Any) -> Reply:
        by_id = {test["id"]: test for test in self.tests}
        results: list[dict[str, Any]] = []
        for change in attributes["tests"]:
            test_id = change["id"]
            problem = self.refuse.get(test_id) or (None if test_id in by_id else "test not found")
            if problem:
                results.append({"id": test_id, "success": False, "error": problem})
                continue
            seen = by_id[test_id]["attributes"]
            seen["flaky_state"] = change["new_state"]
            entry = changed(change["new_state"], at=self.clock(), policy="ftm_policy.manual")
            seen["history"] = [entry, *seen.get("history", [])]
            if test_id not in self.forget:
                results.append({"id": test_id, "success": True})
        has_errors = not all(result["success"] for result in results)
        said = {"has_errors": has_errors, "results": results}
        data = {"id": "1", "type": "update_flaky_test_state_response", "attributes": said}
        return _json(200, {"data": data})

    def _policies(self, attributes: Any) -> Reply:
        repository = attributes["repository_id"]
        if repository != self.repository:
            return _detailed_error(404, "Not found", f"no such repository: {repository}")
        kind = "test_optimization_flaky_tests_management_policies"
        said = {"repository_id": repository, **self.policies}
        return _json(200, {"data": {"id": repository, "type": kind, "attributes": said}})

    def _facets(self, test: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        seen = test["attributes"]
        values: dict[str, Any] = {
            "flaky_test_state": seen.get("flaky_state"),
            "flaky_test_category": seen.get("flaky_category"),
            "@test.name": seen.get("name"),
            "@test.suite": seen.get("suite"),
            "@test.module": seen.get("module"),
            "@test.service": seen.get("services"),
            "@git.repository.id_v2": self.elsewhere.get(test["id"], self.repository),
            "@git.branch": seen.get("last_flaked_branch"),
            "@test.codeowners": seen.get("codeowners"),
            "env": seen.get("envs"),
            "fingerprint_fqn": test["id"],
        }
        return {key: tuple(_texts(value)) for key, value in values.items()}


def _stranger(request: Request) -> Reply | None:
    """The refusal of a request that carries neither both keys nor a token, else None."""
    keys = (request.headers.get("dd-api-key"), request.headers.get("dd-application-key"))
    token = request.headers.get("authorization")
    if (keys, token) in {((API_KEY, APP_KEY), None), ((None, None), f"Bearer {BEARER}")}:
        return None
    return _error(401, "Unauthorized")


def mismatches(value: Any, shape: Any, at: str) -> Iterator[str]:
    """Where and how the value differs from the shape."""
    if isinstance(shape, frozenset):
        if not (isinstance(value, str) and value in shape):
            yield f"{at}: {value!r} is not one of {sorted(shape)}"
    elif isinstance(shape, type):
        if type(value) is not shape:
            yield f"{at}: {value!r} is not {shape.__name__}"
    elif type(value) is not type(shape):
        yield f"{at}: {value!r} is not {type(shape).__name__}"
    elif isinstance(shape, list):
        for number, item in enumerate(value):
            yield from mismatches(item, shape[0], f"{at}[{number}]")
    else:
        yield from _key_mismatches(value, shape, at)


def _key_mismatches(value: dict[str, Any], shape: dict[str, Any], at: str) -> Iterator[str]:
    for key, inner in shape.items():
        name = key.rstrip("?")
        if name in value:
            yield from mismatches(value[name], inner, f"{at}.{name}")
        elif name == key:
            yield f"{at}.{name} is missing"
    for name in value.keys() - {key.rstrip("?") for key in shape}:
        yield f"{at}.{name} is unknown"


def _json(status: int, value: object) -> Reply:
    headers = {"Content-Type": "application/vnd.api+json"}
    return Reply(status=status, body=json.dumps(value).encode(), headers=headers)


def _error(status: int, text: str) -> Reply:
    return _json(status, {"errors": [text]})


def _detailed_error(status: int, title: str, detail: str) -> Reply:
    return _json(status, {"errors": [{"status": str(status), "title": title, "detail": detail}]})


def _cursor(offset: int, query: str, sort: str, *, gap: bool) -> str:
    return base64.urlsafe_b64encode(json.dumps([offset, gap, query, sort]).encode()).decode()


def _place(cursor: str, query: str, sort: str) -> tuple[int, bool]:
    """From where the search goes on, and whether an empty page comes first."""
    offset, gap, *same = json.loads(base64.urlsafe_b64decode(cursor))
    if same != [query, sort]:
        raise ValueError("the cursor is of another search")
    return int(offset), bool(gap)


def _sort_key(test: dict[str, Any], by: str) -> tuple[bool, Any]:
    """Unknown values sort above known ones, so that they come first in a descending list."""
    seen = test["attributes"]
    pipelines = seen.get("pipeline_stats") or {}
    value = {
        "fqn": (seen.get("module") or "", seen.get("suite") or "", seen.get("name") or ""),
        "first_flaked": seen.get("first_flaked_ts"),
        "last_flaked": seen.get("last_flaked_ts"),
        "failure_rate": (seen.get("test_stats") or {}).get("failure_rate_pct"),
        "pipelines_failed": pipelines.get("failed_pipelines"),
        "pipelines_duration_lost": pipelines.get("total_lost_time_ms"),
    }[by]
    return value is None, 0 if value is None else value


def _without_history(test: dict[str, Any]) -> dict[str, Any]:
    seen = {key: value for key, value in test["attributes"].items() if key != "history"}
    return {**test, "attributes": seen}


def _texts(value: Any) -> Iterable[str]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value
