"""`flakegate drift`, and what `run` says of it, against Datadog over real HTTP on loopback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.reports import SMALLEST, junit, write
from tests.fake_datadog import (
    API_KEY,
    APP_KEY,
    BEARER,
    KEYS,
    PATH,
    POLICIES_PATH,
    FakeDatadog,
    changed,
    flaky,
)
from tests.faults import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Caller, Done

NOON = 1_795_176_000.0  # what FLAKEGATE_TIME says
DAY = 86_400.0
ON_MAIN = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_EVENT_NAME": "schedule",
    "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_SHA": "c1",
    "GITHUB_RUN_ID": "1",
    "GITHUB_JOB": "policy",
}
AT_TEN = {
    "quarantined": {"enabled": True, "failure_rate_rule": {"enabled": True, "threshold": 0.1}}
}
AT_TWENTY = {
    "quarantined": {"enabled": True, "failure_rate_rule": {"enabled": True, "threshold": 0.2}}
}


def moved(test_id: str, state: str, policy: str | None, rate: float = 50.0) -> dict[str, Any]:
    history = [] if policy is None else [changed(state, at=NOON - DAY, policy=policy)]
    return flaky(test_id, state=state, rate=rate, history=history)


@pytest.fixture
def datadog(folder: Path) -> Iterator[FakeDatadog]:
    """Tests that all sorts of actors moved, and policies that quarantine sooner than ours."""
    write(folder, "flakegate.yml", SMALLEST)
    tests = [
        flaky("between", rate=15.0),
        moved("by-datadog", "quarantined", "ftm_policy.quarantine.failure_rate"),
        moved("by-dana", "disabled", "ftm_policy.manual"),
        moved("by-somebody", "quarantined", "unknown"),
        moved("by-nobody", "disabled", None),
        moved("fixed", "fixed", "ftm_policy.fixed"),
        flaky("noisy", rate=60.0),
    ]
    with FakeDatadog(tests=tests, policies=AT_TEN, page_cap=3, clock=lambda: NOON) as fake:
        yield fake


@pytest.fixture
def call(flakegate: Caller, datadog: FakeDatadog) -> Caller:
    def run(*arguments: str, **env: str) -> Done:
        done = flakegate(*arguments, "--api-url", datadog.url, **{**KEYS, **env})
        assert API_KEY not in done.out + done.err
        assert APP_KEY not in done.out + done.err
        return done

    return run


def findings(done: Done) -> dict[str, list[str]]:
    """By code, the ids of the tests that are concerned."""
    assert done.code == 0, done.err
    found = json.loads(done.out)["findings"]
    return {each["code"]: [test["id"] for test in each["tests"]] for each in found}


def test_what_fights_and_what_nobody_explains(call: Caller, datadog: FakeDatadog) -> None:
    done = call("drift", "--format", "json")
    assert findings(done) == {"also": ["between"], "unexplained": ["by-nobody", "by-somebody"]}
    document = json.loads(done.out)
    assert document["version"] == 1
    assert document["moved_by"] == {"rules": 0, "people": 1, "datadog": 1, "nobody": 2}
    assert [each["id"] for each in document["own_rules"]] == ["quarantine.failure_rate", "fixed"]
    assert document["own_rules"][0] == {
        "id": "quarantine.failure_rate",
        "from": ["active"],
        "to": "quarantined",
        "when": "failure_rate >= 10%",
        "note": "",
        "optional": True,
    }
    assert datadog.patched == {}


def test_what_we_did_ourselves_is_explained_by_the_journal(
    call: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    assert call("apply").code == 0
    assert datadog.patched == {"noisy": "quarantined"}
    moved_by = json.loads(call("drift", "--format", "json").out)["moved_by"]
    assert (moved_by["rules"], moved_by["people"]) == (1, 1)
    (folder / ".flakegate/journal.jsonl").unlink()
    moved_by = json.loads(call("drift", "--format", "json").out)["moved_by"]
    assert (moved_by["rules"], moved_by["people"]) == (0, 2)


def test_as_text(call: Caller, datadog: FakeDatadog) -> None:
    datadog.tests[0]["attributes"]["name"] = "\x1b[31mred ::error::x"
    done = call("drift")
    assert done.code == 0
    assert "active → quarantined" in done.out
    assert "out of the gate: 1 by people, 1 by Datadog, 2 by nobody known" in done.out
    assert "also: Datadog's `quarantine.failure_rate` moves a test to quarantined" in done.out
    assert "tip: turn `quarantine.failure_rate` off" in done.out
    assert r"\x1b[31mred" in done.out
    assert "\x1b" not in done.out
    assert done.out.endswith("2 findings\n")
    assert max(map(len, done.out.splitlines())) <= 100


def test_many_tests_are_not_all_shown(call: Caller, datadog: FakeDatadog) -> None:
    datadog.tests += [flaky(f"more-{n}", rate=15.0) for n in range(9)]
    assert "and 5 more (-v shows all)" in call("drift").out
    whole = call("drift", "-v").out
    assert whole.count("· active · more-") == 9
    assert "more (-v" not in whole


def test_exit_codes(call: Caller, datadog: FakeDatadog) -> None:
    assert call("drift").code == 0
    assert call("drift", "--detailed-exitcode").code == 10
    datadog.policies = AT_TWENTY
    datadog.tests = datadog.tests[:3]
    calm = call("drift", "--detailed-exitcode")
    assert calm.code == 0
    assert "nothing to report" in calm.out


def test_the_store_has_nothing_to_compare(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    done = flakegate("drift")
    assert done.code == 2
    assert "only flakegate changes states" in done.err
    assert not (folder / ".flakegate").exists()


def test_without_a_policy_there_is_nothing_either(call: Caller, folder: Path) -> None:
    (folder / "flakegate.yml").unlink()
    done = call("drift")
    assert done.code == 2
    assert "flakegate init" in done.err


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(status=403, body=b'{"errors":["Forbidden"]}'), "test_optimization_read"),
        (Reply(status=404, body=b'{"errors":["Not found"]}'), "look at them in its settings"),
        (Reply(status=200, body=b'{"data": 7}'), POLICIES_PATH),
        (Reply(status=200, body=b"<html>proxy</html>"), POLICIES_PATH),
    ],
)
def test_policies_that_cannot_be_read(
    call: Caller, datadog: FakeDatadog, reply: Reply, says: str
) -> None:
    datadog.script.append(reply)
    done = call("drift")
    assert done.code == 4
    assert says in done.err
    assert done.out == ""


def asked(datadog: FakeDatadog) -> int:
    """How often the policies were asked for."""
    return [request.path for request in datadog.requests].count(POLICIES_PATH)


@pytest.mark.parametrize("arguments", [("run",), ("run", "--dry-run"), ("run", "green.xml")])
def test_run_warns_in_one_line(
    call: Caller, datadog: FakeDatadog, folder: Path, arguments: tuple[str, ...]
) -> None:
    write(folder, "green.xml", junit("test_a"))
    done = call(*arguments, "--format", "json", **ON_MAIN)
    assert done.code == 0
    (warning,) = [line for line in json.loads(done.out)["warnings"] if "flakegate drift" in line]
    assert warning.startswith(
        "Datadog's own policies fight with the policy: Datadog's `quarantine."
    )
    assert asked(datadog) == 1


def test_run_is_silent_where_nothing_fights(call: Caller, datadog: FakeDatadog) -> None:
    datadog.policies = AT_TWENTY
    done = call("run", **ON_MAIN)
    assert "Datadog's own" not in done.out + done.err
    assert asked(datadog) == 1


def test_who_changes_nothing_does_not_ask(call: Caller, datadog: FakeDatadog, folder: Path) -> None:
    write(folder, "green.xml", junit("test_a"))
    assert call("run", **{**ON_MAIN, "GITHUB_EVENT_NAME": "pull_request"}).code == 0
    assert call("plan").code == 0
    assert asked(datadog) == 0
    datadog.requests.clear()
    assert call("gate", "green.xml").code == 0
    assert datadog.requests == []


@pytest.mark.parametrize("status", [403, 404, 400])
def test_run_goes_on_where_the_policies_cannot_be_read(
    call: Caller, datadog: FakeDatadog, status: int
) -> None:
    datadog.refused = {POLICIES_PATH: status}
    done = call("run", "--strict", "--format", "json", **ON_MAIN)
    assert done.code == 0
    assert datadog.patched == {"noisy": "quarantined"}
    (warning,) = json.loads(done.out)["warnings"]
    assert warning.startswith("whether Datadog's own policies fight with the policy is not known")
    assert str(status) in warning


def test_an_access_token_is_all_it_takes(flakegate: Caller, datadog: FakeDatadog) -> None:
    done = flakegate("drift", "--api-url", datadog.url, DD_ACCESS_TOKEN=BEARER)
    assert done.code == 0
    assert {request.path for request in datadog.requests} == {PATH, POLICIES_PATH}
    assert all("dd-api-key" not in request.headers for request in datadog.requests)
    datadog.always = Reply(status=403, body=f"no: Bearer {BEARER}".encode())
    refused = flakegate("drift", "--api-url", datadog.url, DD_ACCESS_TOKEN=BEARER)
    assert refused.code == 4
    assert BEARER not in refused.out + refused.err
