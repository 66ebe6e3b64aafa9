"""The server as a process of its own, over real sockets, on a real store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from flakegate.cli.main import run as call
from flakegate.wire import flaky_tests, policies
from tests.backends.store.build import DAY, NOW, key_of, open_store, run
from tests.server.running import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.server.running import Running

A, B, C = key_of("test_a"), key_of("test_b"), key_of("test_c")
REPOSITORY = '@git.repository.id_v2:"github.com/acme/shop"'


def fill(folder: Path) -> Path:
    """Three flaky tests: each failed and then passed; of 4 runs in 7 days one or two."""
    store = open_store(folder)
    store.record([run(n, NOW - (5 - n) * DAY, test_a="p", test_b="p", test_c="p") for n in (1, 2)])
    store.record([run(3, NOW - DAY, test_a="fp", test_b="p", test_c="fp")])
    store.record([run(4, NOW - DAY / 2, test_a="fp", test_b="fp", test_c="p")])
    return folder / "history.db"


@pytest.fixture
def store(folder: Path) -> Path:
    return fill(folder)


@pytest.fixture
def server(store: Path) -> Iterator[Running]:
    with serving(store) as running:
        yield running


def keys(store: Path, *arguments: str, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    capsys.readouterr()
    url = f"sqlite:///{store}"
    assert call(["keys", "add", *arguments, "--store", url, "--format", "json"]) == 0
    pair = json.loads(capsys.readouterr().out)
    assert pair.keys() == {"api_key", "app_key"}
    return {"DD-API-KEY": pair["api_key"], "DD-APPLICATION-KEY": pair["app_key"]}


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [test["id"] for test in answer.json()["data"]]


def states(server: Running) -> dict[str, str]:
    tests = server.search().json()["data"]
    return {test["id"]: test["attributes"]["flaky_state"] for test in tests}


def detail(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/vnd.api+json"
    (problem,) = answer.json()["errors"]
    assert problem.keys() == {"status", "title", "detail"}
    assert problem["status"] == str(status)
    said: str = problem["detail"]
    return said


def test_a_search_tells_what_the_store_knows(server: Running) -> None:
    answer = server.search(f"{REPOSITORY} AND (flaky_test_state:active)", sort="-failure_rate")
    assert answer.headers["Content-Type"] == "application/vnd.api+json"
    assert set(ids(answer)) == {A, B, C}
    first = answer.json()["data"][0]
    assert first["id"] == A
    assert first["type"] == "flaky_test"
    assert first["attributes"] == {
        "name": "test_a",
        "suite": "tests.test_shop",
        "module": None,
        "flaky_state": "active",
        "flaky_category": None,
        "attempt_to_fix_id": None,
        "codeowners": [],
        "envs": [],
        "services": [],
        "first_flaked_branch": "main",
        "first_flaked_ts": NOW - DAY,
        "last_flaked_branch": "main",
        "last_flaked_ts": NOW - DAY / 2,
        "impact_level": None,
        "impact_score": None,
        "pipeline_stats": {"failed_pipelines": 2, "total_lost_time_ms": None},
        "test_stats": {"failure_rate_pct": 50.0},
        "test_run_metadata": {
            "duration_ms": 1500,
            "error_message": "test_a broke",
            "source_file": "tests/test_shop.py",
        },
    }
    assert answer.json()["meta"] == {"pagination": {"next_page": None}}


def test_pages_follow_their_cursors_and_refuse_those_of_other_searches(server: Running) -> None:
    page = server.search(page={"limit": 2}, sort="-last_flaked")
    cursor = page.json()["meta"]["pagination"]["next_page"]
    rest = server.search(page={"limit": 2, "cursor": cursor}, sort="-last_flaked")
    assert sorted(ids(page) + ids(rest)) == sorted([A, B, C])
    assert rest.json()["meta"]["pagination"]["next_page"] is None
    for other in (
        {"page": {"limit": 2, "cursor": cursor}},
        {"page": {"limit": 2, "cursor": cursor[:-4] + "AAAA"}, "sort": "-last_flaked"},
        {"page": {"limit": 2, "cursor": "é"}, "sort": "-last_flaked"},
    ):
        assert "cursor" in detail(server.search(**other), 400)


def test_a_change_of_a_state_is_made_told_and_remembered(server: Running) -> None:
    answer = server.update(**{A: "quarantined", "nobody": "fixed"})
    assert answer.status_code == 200
    said = answer.json()["data"]
    assert said["type"] == "update_flaky_test_state_response"
    assert said["attributes"] == {
        "has_errors": True,
        "results": [
            {"id": A, "success": True},
            {"id": "nobody", "success": False, "error": "there is no flaky test with this id"},
        ],
    }
    assert states(server) == {A: "quarantined", B: "active", C: "active"}
    assert server.update(**{A: "quarantined"}).json()["data"]["attributes"]["has_errors"] is False
    answer = server.search(
        f"fingerprint_fqn:{A}",
        filter={
            "query": f"fingerprint_fqn:{A}",
            "include_history": True,
        },
    )
    (test,) = answer.json()["data"]
    newest, oldest = test["attributes"]["history"]
    assert newest == {
        "status": "quarantined",
        "timestamp": NOW * 1000,
        "commit_sha": "",
        "policy_id": "ftm_policy.manual",
    }
    assert (oldest["status"], oldest["policy_id"]) == ("active", "unknown")


def test_two_servers_and_other_writers_of_one_store_agree(store: Path, server: Running) -> None:
    with serving(store) as other:
        first = server.search(page={"limit": 2})
        cursor = first.json()["meta"]["pagination"]["next_page"]
        assert len(ids(other.search(page={"limit": 2, "cursor": cursor}))) == 1
        other.update(**{B: "disabled"})
        assert states(server)[B] == "disabled"
        server.update(**{C: "fixed"})
        assert states(other) == states(server)
        open_store(store.parent).record([run(9, NOW - DAY / 4, test_d="fp")])
        assert key_of("test_d") in states(server)
        assert states(other) == states(server)


def test_the_servers_own_policies_are_off(server: Running) -> None:
    kind = "test_optimization_get_flaky_tests_management_policies_request"
    asked = {"data": {"type": kind, "attributes": {"repository_id": "github.com/acme/shop"}}}
    said = server.send("POST", policies.PATH, asked).json()["data"]
    assert said["attributes"]["quarantined"] == said["attributes"]["disabled"] == {"enabled": False}


def test_keys_are_asked_for_and_told_apart(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read, write = keys(store, "ci", capsys=capsys), keys(store, "bot", "--write", capsys=capsys)
    with serving(store) as server:
        assert "DD-API-KEY" in detail(server.search(), 401)
        server.keys = {**read, "DD-APPLICATION-KEY": write["DD-APPLICATION-KEY"]}
        assert "not known" in detail(server.search(), 401)
        server.keys = read
        assert len(ids(server.search())) == 3
        assert "test_optimization_write is missing" in detail(server.update(**{A: "fixed"}), 403)
        assert states(server)[A] == "active"
        server.keys = write
        assert server.update(**{A: "fixed"}).status_code == 200
        assert call(["keys", "revoke", "bot", "--store", f"sqlite:///{store}"]) == 0
        assert "revoked" in detail(server.search(), 401)
        _, said = server.stop()
    for secret in (*read.values(), *write.values()):
        assert secret not in said
        assert secret not in store.with_name("history.db.keys").read_text()
    assert "bot PATCH /api/v2/test/flaky-test-management/tests 200" in said


def test_it_stops_when_told_to(server: Running) -> None:
    assert server.send("GET", "/healthz").json() == {"status": "ok"}
    code, said = server.stop()
    assert code == 0
    assert said.splitlines()[-1] == "stopped"


LIMIT = "limit must be greater than 1 and less than 1000"
GOOD = {"page": {"limit": 100}}


def body(attributes: Any, kind: str = "search_flaky_tests_request") -> bytes:
    return json.dumps({"data": {"type": kind, "attributes": attributes}}).encode()


ODD = (
    (body({}), LIMIT),
    (body({"page": {}}), LIMIT),
    (body({"page": {"limit": 1}}), LIMIT),
    (body({"page": {"limit": 1000}}), LIMIT),
    (body(GOOD, "something"), "type"),
    (body({**GOOD, "sort": "name"}), "sort"),
    (body({**GOOD, "sorted": "fqn"}), "sorted"),
    (body({**GOOD, "filter": {"query": '@test.name:"a'}}), "a quote is not closed"),
    (body({**GOOD, "filter": {"query": "a:b " * 10_000}}), "no key 'a'"),
    (body({**GOOD, "filter": {"query": "env:b " * 10_000}}), "more than 1000 terms"),
    (body({**GOOD, "filter": {"query": "(" * 10_000}}), "deep"),
    (b'{"data":' * 100_000, "data"),
    (b'{"data":{"type":' + b"[" * 500_000, "type"),
    (b"\xff\xfe", "JSON"),
    (b"", "truncated"),
    (b"null", "null"),
)


def test_odd_searches_are_refused(server: Running) -> None:
    for content, said in ODD:
        assert said in detail(server.send("POST", flaky_tests.PATH, content), 400), content[:99]


def test_odd_requests_are_refused_and_change_nothing(server: Running) -> None:
    path = flaky_tests.PATH
    kind = "update_flaky_test_state_request"
    both = [{"id": A, "new_state": "fixed"}, {"id": B, "new_state": "gone"}]
    assert "new_state" in detail(server.send("PATCH", path, body({"tests": both}, kind)), 400)
    assert detail(server.send("PATCH", path, body({"tests": []}, kind)), 400)
    assert "text/plain" in detail(server.send("POST", path, body(GOOD), **TEXT), 415)
    assert "1,048,576" in detail(server.send("POST", path, b" " * (1 << 20) + body(GOOD)), 413)
    assert detail(server.send("GET", path), 405)
    assert detail(server.send("POST", "/api/v2/error-tracking/issues/search", {}), 404)
    assert "evil" in detail(server.send("POST", path, body(GOOD), Host="evil.example"), 403)
    assert set(states(server).values()) == {"active"}


TEXT = {"Content-Type": "text/plain"}


def test_who_asks_too_often_is_told_when_to_come_back(store: Path) -> None:
    with serving(store, "--rate-limit", "2") as server:
        headers = server.search().headers
        assert headers["X-RateLimit-Remaining"] == "1"
        server.search()
        answer = server.search()
        assert "2 requests" in detail(answer, 429)
        assert 0 < float(answer.headers["X-RateLimit-Reset"]) <= 60
        assert answer.headers["X-RateLimit-Period"] == "60"
        assert server.send("GET", "/healthz").status_code == 200


def test_a_store_that_is_gone_or_spoilt_is_trouble_and_its_return_is_none(
    store: Path, server: Running
) -> None:
    content = store.read_bytes()
    assert len(ids(server.search())) == 3
    beside = store.with_name("beside")
    beside.write_bytes(b"no database" * 1_000)
    beside.replace(store)
    assert "see its log" in detail(server.search(), 503)
    assert detail(server.update(**{A: "fixed"}), 503)
    assert detail(server.send("GET", "/healthz"), 503)
    store.unlink()
    assert detail(server.search(), 503)
    store.write_bytes(content)
    assert set(states(server).values()) == {"active"}
    _, said = server.stop()
    assert "not a SQLite database" in said
    assert "Traceback" not in said
