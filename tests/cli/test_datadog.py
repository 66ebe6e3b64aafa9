"""The policy job against Datadog, over real HTTP on loopback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.reports import SMALLEST, junit, write
from tests.fake_datadog import API_KEY, APP_KEY, KEYS, FakeDatadog, changed, flaky
from tests.faults import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Caller, Done

DEFAULT_BRANCH = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_EVENT_NAME": "schedule",
    "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_SHA": "c1",
    "GITHUB_RUN_ID": "1",
    "GITHUB_JOB": "policy",
}

NOON = 1_795_176_000.0  # what FLAKEGATE_TIME says


@pytest.fixture
def datadog(folder: Path) -> Iterator[FakeDatadog]:
    """Fifty tests of every kind; those that the smallest policy is about are `want-…`."""
    write(folder, "flakegate.yml", SMALLEST)
    tests = [flaky(f"want-{rate}", rate=rate) for rate in (20.1, 21.0, 55.5, 99.9)]
    tests += [flaky(f"below-{n}", rate=n / 2) for n in range(40)]
    tests += [flaky("at-the-bound", rate=20.0), flaky("null-rate", rate=None)]
    tests += [
        flaky(f"already-{state}", state=state, rate=90.0)
        for state in ("quarantined", "disabled", "fixed")
    ]
    tests += [flaky("new-state", state="on_hold", rate=90.0)]
    with FakeDatadog(tests=tests, page_cap=7, clock=lambda: NOON) as fake:
        yield fake


@pytest.fixture
def call(flakegate: Caller, datadog: FakeDatadog) -> Caller:
    """Calls with both keys and the loopback address."""

    def run(*arguments: str, **env: str) -> Done:
        done = flakegate(*arguments, "--api-url", datadog.url, **{**KEYS, **env})
        assert API_KEY not in done.out + done.err
        assert APP_KEY not in done.out + done.err
        return done

    return run


WANTED = ["want-20.1", "want-21.0", "want-55.5", "want-99.9"]


def test_plan_sends_no_patch(call: Caller, datadog: FakeDatadog) -> None:
    done = call("plan", "--format", "json")
    assert done.code == 0
    assert [each["test_id"] for each in json.loads(done.out)["transitions"]] == WANTED
    assert {request.method for request in datadog.requests} == {"POST"}
    assert call("plan", "--detailed-exitcode").code == 10


@pytest.mark.parametrize("command", [("apply",), ("run",)])
def test_exactly_the_active_tests_above_the_bound_are_patched(
    call: Caller, datadog: FakeDatadog, command: tuple[str, ...], folder: Path
) -> None:
    done = call(*command, **DEFAULT_BRANCH)
    assert done.code == 0, done.out + done.err
    assert datadog.patched == dict.fromkeys(WANTED, "quarantined")
    assert datadog.states["null-rate"] == "active"
    journal = (folder / ".flakegate/journal.jsonl").read_text()
    assert [json.loads(line)["event"] for line in journal.splitlines()] == ["intent", "result"]
    assert API_KEY not in journal
    assert call(*command, **DEFAULT_BRANCH).code == 0
    assert len([each for each in datadog.requests if each.method == "PATCH"]) == 1


def test_run_changes_nothing_on_a_pull_request(call: Caller, datadog: FakeDatadog) -> None:
    event = {**DEFAULT_BRANCH, "GITHUB_EVENT_NAME": "pull_request"}
    done = call("run", **event)
    assert done.code == 0
    assert "not applied" in done.out
    assert datadog.patched == {}


def test_a_saved_plan_is_applied_exactly(call: Caller, datadog: FakeDatadog, folder: Path) -> None:
    assert call("plan", "--out", "plan.json").code == 0
    datadog.tests.append(flaky("new", rate=80.0))
    assert call("apply", "plan.json").code == 0
    assert sorted(datadog.patched) == WANTED
    write(folder, "flakegate.yml", SMALLEST.replace("20%", "30%"))
    stale = call("apply", "plan.json")
    assert stale.code == 7
    assert "changed since" in stale.err
    write(folder, "flakegate.yml", SMALLEST)
    late = call("apply", "plan.json", FLAKEGATE_TIME="2026-11-22T12:00:00Z")
    assert late.code == 7
    assert call("apply", "plan.json", FLAKEGATE_REPOSITORY="github.com/acme/other").code == 7
    assert call("apply", write(folder, "not-a-plan.json", "{}")).code == 2


def test_a_saved_plan_leaves_what_was_moved_meanwhile(call: Caller, datadog: FakeDatadog) -> None:
    call("plan", "--out", "plan.json")
    for test in datadog.tests:
        if test["id"] == "want-21.0":
            test["attributes"]["flaky_state"] = "fixed"
    done = call("apply", "plan.json")
    assert done.code == 5
    assert "want-21.0" in done.out
    assert sorted(datadog.patched) == [each for each in WANTED if each != "want-21.0"]


def test_a_saved_plan_passes_no_limit_and_no_later_exemption(
    call: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    write(folder, "flakegate.yml", SMALLEST + "limits: {max_changes: 4}\n")
    assert call("plan", "--out", "plan.json").code == 0
    assert call("apply", "plan.json").code == 0
    again = call("apply", "plan.json")
    assert again.code == 7
    assert "none of its changes holds any more" in again.err
    for test in datadog.tests:
        test["attributes"]["flaky_state"] = "active"
    patches = len([each for each in datadog.requests if each.method == "PATCH"])
    assert call("apply", "plan.json").code == 6
    forged = (folder / "plan.json").read_text().replace("want-55.5", "null-rate")
    assert call("apply", write(folder, "forged.json", forged)).code in {5, 6}
    assert datadog.states["null-rate"] == "active"
    assert len([each for each in datadog.requests if each.method == "PATCH"]) == patches


def test_beyond_a_limit_nothing_leaves_the_gate(
    call: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    release = "  - {id: back, from: quarantined, to: active, when: failure_rate > 80%}\n"
    rules = "rules:\n  - {id: noisy, to: quarantined, when: failure_rate > 20%}\n" + release
    write(folder, "flakegate.yml", "version: 1\nlimits: {max_changes: 3}\n" + rules)
    plan = call("plan")
    assert plan.code == 0
    assert "max_changes" in plan.out
    assert call("plan", "--detailed-exitcode").code == 10
    done = call("apply")
    assert done.code == 6
    assert datadog.patched == {"already-quarantined": "active"}


def test_moves_of_the_last_day_count(call: Caller, datadog: FakeDatadog, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST + "limits: {max_changes: 5}\n")
    assert call("apply").code == 0
    datadog.tests += [flaky(f"more-{n}", rate=50.0) for n in range(2)]
    assert call("apply", FLAKEGATE_TIME="2026-11-20T13:00:00Z").code == 6
    assert call("apply", FLAKEGATE_TIME="2026-11-21T13:00:00Z").code == 0


def test_partly_applied_says_which(call: Caller, datadog: FakeDatadog) -> None:
    datadog.refuse = {"want-55.5": "locked by support"}
    done = call("apply")
    assert done.code == 5
    assert "want-55.5" in done.out
    assert "locked by support" in done.out


def test_the_gate_refuses_to_guess(call: Caller, folder: Path, datadog: FakeDatadog) -> None:
    done = call("gate", write(folder, "r.xml", junit("-test_want-55.5")), "--format", "json")
    assert done.code == 1
    assert json.loads(done.out)["failures"][0]["reason"] == "ambiguous"
    assert datadog.requests == []


def test_list_is_a_snapshot(call: Caller) -> None:
    document = json.loads(call("list", "--format", "json").out)
    assert (document["version"], document["backend"]) == (1, "datadog")
    assert document["repository"] == "github.com/acme/shop"
    assert document["taken_at"] == "2026-11-20T12:00:00Z"
    rates = {test["id"]: test["failure_rate"] for test in document["tests"]}
    assert len(rates) == 49
    assert rates["want-55.5"] == 55.5
    assert rates["null-rate"] is None
    only = json.loads(call("list", "--format", "json", "--state", "disabled").out)
    assert [test["id"] for test in only["tests"]] == ["already-disabled"]
    assert only["digest"] != document["digest"]


def test_set_is_a_persons_change(call: Caller, datadog: FakeDatadog, folder: Path) -> None:
    done = call("set", "null-rate", "disabled", "--reason", "hangs", USER="dana")
    assert done.code == 0, done.err
    assert datadog.patched == {"null-rate": "disabled"}
    intent = json.loads((folder / ".flakegate/journal.jsonl").read_text().splitlines()[0])
    assert intent["changes"][0]["actor"] == "dana"
    datadog.refuse = {"null-rate": "locked by support"}
    refused = call("set", "null-rate", "active", "--reason", "x")
    assert refused.code == 4
    assert refused.out.rstrip().endswith("stays made: flakegate set … active --reason …")
    several = call("set", "below", "disabled", "--reason", "x")
    assert several.code == 2
    assert "40 tests match" in several.err


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(status=403, body=b'{"errors":["Forbidden"]}'), "test_optimization_read"),
        (Reply(status=401, body=b'{"errors":["Unauthorized"]}'), "DD_API_KEY"),
        (Reply(status=200, body=b"<html>proxy</html>"), "/api/v2/test/flaky-test-management"),
        (Reply(status=200, body=b'{"data": 7}'), "/api/v2/test/flaky-test-management"),
        (Reply(status=302, headers={"Location": "http://127.0.0.1:9/"}), "302"),
    ],
)
def test_a_refusing_or_confused_backend(
    call: Caller, datadog: FakeDatadog, reply: Reply, says: str
) -> None:
    datadog.always = reply
    done = call("plan")
    assert done.code == 4
    assert says in done.err
    assert done.out == ""


def test_trouble_after_a_passing_verdict_is_a_warning(
    call: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    datadog.always = Reply(status=403)
    report = write(folder, "r.xml", junit("test_a"))
    done = call("run", report, **DEFAULT_BRANCH)
    assert done.code == 0
    assert "test_optimization_read" in done.out
    assert call("run", report, "--strict", **DEFAULT_BRANCH).code == 4
    red = write(folder, "red.xml", junit("-test_a"))
    assert call("run", red, "--strict", **DEFAULT_BRANCH).code == 1
    assert call("run", **DEFAULT_BRANCH).code == 4


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"DD_API_KEY": "k"}, "DD_APP_KEY is not set"),
        ({"DD_APP_KEY": "k"}, "DD_API_KEY is not set"),
        ({**KEYS, "DD_SITE": "example.com"}, "is not a Datadog site"),
    ],
)
def test_half_a_configuration_is_named(
    flakegate: Caller, folder: Path, env: dict[str, str], says: str
) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    done = flakegate("plan", **env)
    assert done.code == 4
    assert says in done.err


def test_datadog_without_keys(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    done = flakegate("plan", "--backend", "datadog")
    assert done.code == 4
    assert "DD_API_KEY and DD_APP_KEY are not set" in done.err


BOTH = """\
version: 1
rules:
  - {id: noisy, to: quarantined, when: failure_rate > 20%}
  - {id: back, from: quarantined, to: active, when: failure_rate < 5%}
"""


def test_a_persons_change_is_left_alone_and_our_own_is_not(
    call: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    write(folder, "flakegate.yml", BOTH)
    by_hand = [changed("active", at=datadog.clock() - 86_400, policy="ftm_policy.manual")]
    datadog.tests = [flaky("ours", rate=50.0), flaky("dana", rate=50.0, history=by_hand)]
    first = json.loads(call("apply", "--format", "json", **DEFAULT_BRANCH).out)["plan"]
    assert [each["test_id"] for each in first["transitions"]] == ["ours"]
    assert [(each["test_id"], each["reason"]) for each in first["skipped"]] == [("dana", "manual")]
    assert "somebody in Datadog" in first["skipped"][0]["detail"]
    for test in datadog.tests:
        test["attributes"]["test_stats"]["failure_rate_pct"] = 1.0
    again = json.loads(call("plan", "--format", "json").out)
    assert [(each["test_id"], each["to"]) for each in again["transitions"]] == [("ours", "active")]
    (folder / ".flakegate/journal.jsonl").unlink()
    forgot = json.loads(call("plan", "--format", "json").out)
    assert [(each["test_id"], each["reason"]) for each in forgot["skipped"]] == [("ours", "manual")]
    write(folder, "flakegate.yml", BOTH + "respect_manual: 0\n")
    assert len(json.loads(call("plan", "--format", "json").out)["transitions"]) == 1


def test_histories_are_asked_of_the_tests_about_to_change_only(
    call: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    call("plan")
    asked = [
        request.attributes["filter"]["query"]
        for request in datadog.requests
        if request.attributes["filter"]["include_history"]
    ]
    assert len(asked) == 1
    assert asked[0].count("fingerprint_fqn:") == len(WANTED)
    datadog.requests.clear()
    write(folder, "flakegate.yml", SMALLEST + "respect_manual: 0\n")
    call("plan")
    assert not any(each.attributes["filter"]["include_history"] for each in datadog.requests)


def test_the_journal_knows_what_a_person_chose_for_a_time(
    call: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    """Datadog knows no dates. No rule is for disabled tests, and the end comes all the same."""
    write(folder, "flakegate.yml", SMALLEST + "respect_manual: 0\n")
    for test_id, state in (("want-55.5", "active"), ("below-1", "disabled")):
        done = call("set", test_id, state, "--reason", "r", "--until", "2026-12-24", USER="dana")
        assert done.code == 0, done.err
    during, after = "2026-12-24T23:59:59Z", "2026-12-25T00:00:00Z"

    def planned(**env: str) -> dict[str, tuple[str, str | None]]:
        told = json.loads(call("plan", "--format", "json", **env).out)
        return {each["test_id"]: (each["to"], each["actor"]) for each in told["transitions"]}

    noisy = dict.fromkeys(WANTED, ("quarantined", None))
    held = {each: move for each, move in noisy.items() if each != "want-55.5"}
    assert planned(FLAKEGATE_TIME=during) == held
    assert planned(FLAKEGATE_TIME=after) == noisy | {"below-1": ("active", "expiry")}
    listed = json.loads(call("list", "--state", "disabled", "--format", "json").out)["tests"]
    assert {each["id"]: each["until"] for each in listed} == {
        "below-1": "2026-12-24",
        "already-disabled": None,
    }
    assert call("apply", FLAKEGATE_TIME=after).code == 0
    assert datadog.states["below-1"] == "active"
    assert planned(FLAKEGATE_TIME=after) == {}


def test_what_others_set_since_has_no_date(call: Caller, datadog: FakeDatadog) -> None:
    call("set", "below-1", "disabled", "--reason", "r", "--until", "2026-12-24", USER="dana")
    (test,) = (each for each in datadog.tests if each["id"] == "below-1")
    by_hand = changed("disabled", at=NOON + 86_400, policy="ftm_policy.manual")
    test["attributes"]["history"].insert(0, by_hand)
    told = call("plan", "--format", "json", FLAKEGATE_TIME="2026-12-25T00:00:00Z").out
    assert "below-1" not in {each["test_id"] for each in json.loads(told)["transitions"]}


def test_a_date_can_be_moved_there_too(call: Caller) -> None:
    def put(*more: str) -> None:
        done = call("set", "already-quarantined", "quarantined", "--reason", "r", *more)
        assert done.code == 0, done.err

    def until() -> str | None:
        listed = json.loads(call("list", "--state", "quarantined", "--format", "json").out)
        (date,) = (each["until"] for each in listed["tests"])
        return date if date is None else str(date)

    for date in ("2026-12-24", "2027-01-31"):
        put("--until", date)
        assert until() == date
    put()
    assert until() is None


def searched(datadog: FakeDatadog) -> dict[str, tuple[str, bool]]:
    """Which states were searched, each in which order and with histories or not."""
    found = {}
    for request in datadog.requests:
        asked = request.attributes
        query = asked["filter"]["query"]
        if "flaky_test_state" in query:
            state = query.partition("flaky_test_state:")[2].partition(")")[0]
            found[state] = asked["sort"], asked["filter"]["include_history"]
    datadog.requests.clear()
    return found


def test_no_more_is_read_than_the_policy_needs(
    call: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    whole, worst = ("fqn", False), ("-failure_rate", False)
    assert call("plan").code == 0
    assert searched(datadog) == {"active": worst}
    write(folder, "flakegate.yml", SMALLEST + "limits: {max_quarantined: 50}\n")
    assert call("plan").code == 0
    assert searched(datadog) == {"active": worst, "quarantined": whole}
    release = "- {id: back, from: quarantined, to: active, when: state_age > 7d}\n"
    write(folder, "flakegate.yml", f"version: 1\nrules:\n  {release}")
    assert call("plan").code == 0
    assert searched(datadog) == {"quarantined": ("fqn", True)}
    for command in (["explain", "want-21.0"], ["list", "--where", "state_age > 7d"]):
        assert call(*command).code == 0
        assert set(searched(datadog).values()) == {("fqn", True)}
    assert call("list").code == 0
    assert searched(datadog) == dict.fromkeys(("active", "quarantined", "disabled", "fixed"), whole)


def test_a_state_is_as_old_as_its_last_change(
    call: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    rule = "{id: back, from: quarantined, to: active, when: state_age > 7d}"
    write(folder, "flakegate.yml", f"version: 1\nrules: [{rule}]\n")
    for name, days in (("old", 8), ("young", 6)):
        history = [changed("quarantined", at=NOON - days * 86_400, policy="unknown")]
        datadog.tests.append(flaky(name, state="quarantined", history=history))
    done = call("plan", "--format", "json", FLAKEGATE_TIME="2026-11-20T12:00:00Z")
    assert [each["test_id"] for each in json.loads(done.out)["transitions"]] == ["old"]
