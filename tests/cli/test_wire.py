"""Every request that any command sends is one that Datadog's reference allows."""

from __future__ import annotations

import copy
import json
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flakegate.cli.main import COMMANDS
from tests import wire_contract
from tests.cli.reports import junit, write
from tests.fake_datadog import API_KEY, APP_KEY, BEARER, KEYS, FakeDatadog, changed, flaky
from tests.fake_issues import USER, issue, issue_id
from tests.faults import Request
from tests.server import described

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Caller

NOON = 1_795_176_000.0  # what FLAKEGATE_TIME says
DAY = 86_400.0
RULES = """\
version: 1
backend: {query: 'env:ci OR -@test.name:"a \\" b"'}
limits: {max_changes: 1000}
cooldown: 1h
exempt: [{when: codeowners has "@acme/pay", reason: must block}]
rules:
  - {id: noisy, to: quarantined, when: failure_rate > 20%}
  - {id: back, from: quarantined, to: active, when: failure_rate < 5% and last_flaked_age > 1d}
"""
REPORTS = "reports: [{paths: '*.xml', suite: '{classname}'}]\n"
AGED = "  - {id: gone, from: quarantined, to: disabled, when: state_age > 30d}\n"
ON_MAIN = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_EVENT_NAME": "schedule",
    "GITHUB_REPOSITORY": "Acme/Shop",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_SHA": "c1",
    "GITHUB_RUN_ID": "1",
    "GITHUB_JOB": "policy",
    "FLAKEGATE_REPOSITORY": "github.com/Acme/Shop",
    "USER": "dana",
}
SUITE = 'classname="tests.test_cart"'
ODD_SUITE = 'classname="odd.&quot;x&quot; \\ AND (y*"'
WRITES_A_REPORT = "import shutil; shutil.copy('red.xml', 'out.xml'); raise SystemExit(1)"
STORE = ("--store", "sqlite:///own.db")

# Of every command the calls that are made, always on the same tests. Those of OFFLINE send nothing.
CALLS: dict[str, tuple[tuple[str, ...], ...]] = {
    "run": (("run", "--dry-run"), ("run", "red.xml"), ("run", "green.xml"), ("run",)),
    "exec": (("exec", "--report", "out.xml", "--", sys.executable, "-c", WRITES_A_REPORT),),
    "gate": (("gate", "red.xml"), ("gate", "green.xml")),
    "check": (("check", "--backend", "datadog"),),
    "plan": (("plan", "--out", "plan.json"), ("plan", "--policy", "aged.yml")),
    "apply": (("plan", "--out", "plan.json"), ("apply", "plan.json"), ("apply",)),
    "list": (("list",), ("list", "--state", "fixed"), ("list", "--where", "state_age > 1d")),
    "doctor": (("doctor", "red.xml", "green.xml"), ("doctor",)),
    "explain": (("explain", 'odd "name" \\ AND (x*'), ("explain", "t-7")),
    "drift": (("drift",),),
    "issues": (
        ("issues", "search", "--query", 'service:"a b" OR service:shop', "--limit", "200"),
        ("issues", "search", "--persona", "backend", "--order-by", "priority", "--from", "1d"),
        ("issues", "show", issue_id(1)),
        ("issues", "set-state", issue_id(1), issue_id(2), "resolved"),
        ("issues", "assign", issue_id(1), USER),
        ("issues", "unassign", issue_id(1)),
    ),
    "set": (("set", 'odd "name" \\ AND (x*', "disabled", "--reason", "hangs"),),
    "undo": (("apply",), ("undo",), ("undo", "last", "--apply")),
    "record": (("record", "green.xml", *STORE),),
    "collect": (
        ("record", "--shard-out", "shards/1.json.gz", "green.xml"),
        ("collect", "shards", *STORE),
    ),
    "store": (("store", "info", *STORE),),
    "serve": (("serve", "--help"),),
    "keys": (
        ("keys", "add", "ci", *STORE),
        ("keys", "list", *STORE),
        ("keys", "revoke", "ci", *STORE),
    ),
    "fields": (("fields",),),
    "schema": (("schema",),),
    "init": (("init", "--print"),),
}
OFFLINE = {
    "check",
    "doctor",
    "record",
    "collect",
    "store",
    "serve",
    "keys",
    "fields",
    "schema",
    "init",
}
ASKS = {
    "run": {"search", "update", "policies"},
    "exec": {"search", "update", "policies"},
    "apply": {"search", "update"},
    "drift": {"search", "policies"},
    "issues": {"search issues", "issue", "set state", "assign", "unassign"},
    "set": {"search", "update"},
    "undo": {"search", "update"},
}


@pytest.fixture
def datadog(folder: Path) -> Iterator[FakeDatadog]:
    """Hundreds of tests to quarantine, some to release, one that spoils its batch."""
    write(folder, "flakegate.yml", RULES + REPORTS)
    write(folder, "aged.yml", RULES + AGED)
    write(folder, "green.xml", junit("test_a"))
    write(folder, "red.xml", junit("-test_t-7", "test_b").replace(SUITE, ODD_SUITE))
    (folder / "shards").mkdir()
    long_ago = [changed("quarantined", at=NOON - 60 * DAY, policy="ftm_policy.manual")]
    tests = [flaky(f"t-{n}", rate=n / 1.6, history=[]) for n in range(160)]
    tests += [
        flaky(
            f"q-{n}", state="quarantined", rate=1.0, last_flaked_ts=NOON - 9 * DAY, history=long_ago
        )
        for n in range(20)
    ]
    tests += [flaky("odd", rate=90.0, name='odd "name" \\ AND (x*'), flaky("done", state="fixed")]
    with FakeDatadog(tests=tests, page_cap=60, clock=lambda: NOON) as fake:
        hours = [int(NOON - hour * 3600) * 1000 for hour in range(1, 160)]
        fake.tracking.issues = [issue(number, seen=[hours[number]]) for number in range(150)]
        yield fake


@pytest.fixture
def call(flakegate: Caller, datadog: FakeDatadog) -> Any:
    """Calls with the keys and the address; gives what was sent for it."""

    def run(*arguments: str, **env: str) -> list[Request]:
        datadog.requests.clear()
        env = {**KEYS, **ON_MAIN, "FLAKEGATE_API_URL": datadog.url, **env}
        done = flakegate(*arguments, **env)
        assert done.code in {0, 1, 5}, (arguments, done.out, done.err)
        wrong = [each for sent in datadog.requests for each in wire_contract.violations(sent)]
        wrong += [each for sent in datadog.requests for each in described.violations(sent)]
        assert wrong == [], arguments
        return list(datadog.requests)

    return run


def names(sent: list[Request]) -> set[str]:
    """The operations that were asked for."""
    return {known.name for each in sent if (known := wire_contract.operation(each))}


def test_every_command_is_driven() -> None:
    assert list(CALLS) == list(COMMANDS)


def test_every_request_of_every_command_is_allowed(
    call: Any, datadog: FakeDatadog, folder: Path
) -> None:
    everything: list[Request] = []
    tests = copy.deepcopy(datadog.tests)
    for command, calls in CALLS.items():
        datadog.tests = copy.deepcopy(tests)
        shutil.rmtree(folder / ".flakegate", ignore_errors=True)
        sent = [each for arguments in calls for each in call(*arguments)]
        expected = set() if command in OFFLINE else ASKS.get(command, {"search"})
        assert names(sent) == expected, command
        everything += sent
    bodies = [
        json.loads(each.body)["data"].get("attributes", {}) for each in everything if each.body
    ]
    searches = [each for each in bodies if "filter" in each]
    updates = [each["tests"] for each in bodies if "tests" in each]
    assert any("cursor" in each["page"] for each in searches)
    assert {each["filter"]["include_history"] for each in searches} == {True, False}
    assert len({each["sort"] for each in searches}) == 2
    assert max(map(len, updates)) == 100
    assert {test["new_state"] for each in updates for test in each} == {
        "quarantined", "active", "disabled",
    }  # fmt: skip


UNSET = dict.fromkeys(KEYS, "")


@pytest.mark.parametrize(
    "env",
    [
        {"DATADOG_API_KEY": API_KEY, "DATADOG_APP_KEY": APP_KEY},
        {"DATADOG_API_KEY": API_KEY, "DATADOG_APPLICATION_KEY": APP_KEY},
        {"DD_API_KEY": API_KEY, "DD_APPLICATION_KEY": APP_KEY},
        {"DD_ACCESS_TOKEN": BEARER},
        {"DATADOG_ACCESS_TOKEN": BEARER, "DD_API_KEY": "of-the-tracer"},
    ],
)
def test_every_spelling_of_the_keys_is_as_good(call: Any, env: dict[str, str]) -> None:
    assert names(call("drift", **{**UNSET, **env})) == {"search", "policies"}


@pytest.mark.parametrize(
    "env",
    [
        {"DD_API_KEY": API_KEY},
        {"DATADOG_APP_KEY": APP_KEY},
        {"DD_API_KEY": API_KEY, "DD_APPLICATION_KEY": "  "},
        {"DD_ACCESS_TOKEN": f"Bearer {BEARER}"},
    ],
)
@pytest.mark.parametrize("arguments", [("plan",), ("gate", "red.xml"), ("drift",)])
def test_half_of_them_is_exit_4_and_nothing_is_sent(
    flakegate: Caller, datadog: FakeDatadog, env: dict[str, str], arguments: tuple[str, ...]
) -> None:
    done = flakegate(*arguments, "--api-url", datadog.url, **env)
    assert done.code == 4
    assert not {API_KEY, APP_KEY, BEARER} & set((done.out + done.err).split())
    assert datadog.requests == []


HEADERS = {
    "content-type": "application/json",
    "accept": "application/json",
    "user-agent": "flakegate/0.1.0",
    "dd-api-key": "k",
    "dd-application-key": "k",
}
QUERY = '@git.repository.id_v2:"github.com/acme/shop" AND (flaky_test_state:active)'


def search(page: object = None, **attributes: object) -> bytes:
    whole = {"filter": {"query": QUERY}, "page": page or {"limit": 500}, **attributes}
    return json.dumps(
        {"data": {"type": "search_flaky_tests_request", "attributes": whole}}
    ).encode()


def update(*tests: object) -> bytes:
    kind = "update_flaky_test_state_request"
    return json.dumps({"data": {"type": kind, "attributes": {"tests": tests}}}).encode()


def policies(repository: object) -> bytes:
    kind = "test_optimization_get_flaky_tests_management_policies_request"
    attributes = {"repository_id": repository}
    return json.dumps({"data": {"type": kind, "attributes": attributes}}).encode()


ONE = {"id": "a", "new_state": "fixed"}
ABOUT_ONE = f"{wire_contract.ISSUES}/{issue_id(1)}"
INCLUDED = "?include=issue,issue.assignee,issue.case,issue.team_owners"


def issues(**attributes: object) -> Request:
    whole = {"query": "*", "from": 1_795_000_000_000, "to": 1_795_176_000_000, **attributes}
    body = json.dumps({"data": {"type": "search_request", "attributes": whole}}).encode()
    return request(body, path=f"{wire_contract.ISSUES}/search{INCLUDED}")


def state(word: str, of: str = issue_id(1)) -> Request:
    data = {"id": of, "type": "error_tracking_issue", "attributes": {"state": word}}
    return request(json.dumps({"data": data}).encode(), "PUT", f"{ABOUT_ONE}/state")


def assignee(user: object) -> Request:
    body = json.dumps({"data": {"id": user, "type": "assignee"}}).encode()
    return request(body, "PUT", f"{ABOUT_ONE}/assignee")


def bare(method: str, path: str) -> Request:
    headers = {name: value for name, value in HEADERS.items() if name != "content-type"}
    return Request(method=method, path=path, headers=headers, body=b"")


def request(body: bytes, method: str = "POST", path: str = wire_contract.TESTS) -> Request:
    return Request(method=method, path=path, headers=HEADERS, body=body)


@pytest.mark.parametrize(
    "allowed",
    [
        request(search()),
        request(search({"limit": 999, "cursor": "c"}, sort="-failure_rate")),
        request(search(filter={"query": QUERY, "include_history": True})),
        request(update(ONE), "PATCH"),
        request(policies("gitlab.com/acme/shop/web"), path=wire_contract.POLICIES),
        issues(track="trace"),
        issues(persona="ALL", order_by="PRIORITY"),
        bare("GET", f"{ABOUT_ONE}?include=assignee,case,team_owners"),
        state("EXCLUDED"),
        assignee(USER),
        bare("DELETE", f"{ABOUT_ONE}/assignee"),
    ],
)
def test_what_the_reference_allows(allowed: Request) -> None:
    assert list(wire_contract.violations(allowed)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        request(search({"limit": 1})),
        request(search({"limit": 1000})),
        request(search({"limit": True})),
        request(search({"limit": "500"})),
        request(search({"cursor": "c"})),
        request(search({"limit": 500, "cursor": None})),
        request(search(sort="rate")),
        request(search(sort=None)),
        request(search(more=1)),
        request(search(filter={"query": QUERY, "include_history": 1})),
        request(search(filter={"query": "flaky_test_state:active"})),
        request(search(filter={"query": QUERY.replace("acme", "Acme")})),
        request(search(filter={"query": f"{QUERY} AND colour:red"})),
        request(search(filter={"query": f"{QUERY} AND ("})),
        request(search(filter={"query": QUERY + " OR env:ci" * 1000})),
        request(search().replace(b"search_flaky", b"find_flaky")),
        request(search().replace(b'"limit"', b'"limit": 500, "limit"')),
        request(b""),
        request(b"\xff"),
        request(b"[]"),
        request(update(), "PATCH"),
        request(update(ONE, ONE), "PATCH"),
        request(update(ONE, {"id": "a", "new_state": "active"}), "PATCH"),
        request(update({"id": "", "new_state": "fixed"}), "PATCH"),
        request(update({"id": 7, "new_state": "fixed"}), "PATCH"),
        request(update({"id": "a", "new_state": "broken"}), "PATCH"),
        request(update({"id": "a"}), "PATCH"),
        request(update({**ONE, "reason": "x"}), "PATCH"),
        request(update(*({"id": f"{n}", "new_state": "fixed"} for n in range(101))), "PATCH"),
        request(update(ONE)),
        request(policies("https://github.com/acme/shop"), path=wire_contract.POLICIES),
        request(policies(None), path=wire_contract.POLICIES),
        request(policies("github.com/acme/shop"), "PATCH", wire_contract.POLICIES),
        request(search(), path=f"{wire_contract.TESTS}?page=1"),
        request(b"", "GET"),
        issues(),
        issues(track="trace", persona="ALL"),
        issues(track="traces"),
        issues(track="trace", order_by=None),
        issues(track="trace", query=""),
        issues(track="trace", limit=10),
        issues(track="trace", to=1_794_000_000_000),
        issues(track="trace", to=1_795_176_000),
        issues(track="trace", to=1_795_176_000_000.5),
        replace(issues(track="trace"), path=f"{wire_contract.ISSUES}/search"),
        bare("GET", ABOUT_ONE),
        bare("GET", f"{wire_contract.ISSUES}/1?include=assignee,case,team_owners"),
        request(b"", "GET", f"{ABOUT_ONE}?include=assignee,case,team_owners"),
        state("OPENED"),
        state("OPEN", of=issue_id(2)),
        replace(state("OPEN"), path=f"{ABOUT_ONE}/assignee"),
        assignee("dana"),
        assignee(None),
        request(b"{}", "DELETE", f"{ABOUT_ONE}/assignee"),
        *(
            replace(request(search()), headers={**HEADERS, name: value})
            for name, value in (
                ("content-type", "text/json"),
                ("accept", "*/*"),
                ("user-agent", "python-requests/2"),
                ("dd-api-key", ""),
                ("authorization", "Bearer t"),
                ("cookie", "a=b"),
            )
        ),
        replace(
            request(search()),
            headers={**HEADERS, "dd-api-key": "", "dd-application-key": "", "authorization": "t"},
        ),
    ],
)
def test_what_it_does_not(wrong: Request) -> None:
    assert list(wire_contract.violations(wrong)) != []
