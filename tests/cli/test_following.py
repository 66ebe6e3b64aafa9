"""Issues follow the rules: `plan`, `apply` and `run` with `error_tracking`, against a Datadog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import wire_contract
from tests.cli.reports import junit, write
from tests.fake_datadog import KEYS, FakeDatadog, flaky
from tests.fake_issues import ROOT, USER, issue, issue_id
from tests.faults import page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Caller, Done

NOW = 1_795_176_000_000  # what FLAKEGATE_TIME says
RULES = f"""\
version: 1
owners: {{"@acme/shop": {USER}}}
rules:
  - id: noisy
    to: quarantined
    when: failure_rate > 20%
    error_tracking: {{state: ACKNOWLEDGED, assign: owner}}
  - id: back
    from: quarantined
    to: active
    when: failure_rate < 5%
    error_tracking: {{query: 'service:"{{{{ test.services[0] }}}}"', state: OPEN}}
  - {{id: plain, to: quarantined, when: failure_rate > 10%}}
"""
ON_MAIN = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_EVENT_NAME": "schedule",
    "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_REF": "refs/heads/main",
    "FLAKEGATE_DEFAULT_BRANCH": "main",
    "GITHUB_SHA": "c1",
    "GITHUB_RUN_ID": "1",
    "GITHUB_JOB": "policy",
}


def failing(test_id: str, message: str, **attributes: Any) -> dict[str, Any]:
    """A flaky test that failed with this message."""
    return flaky(test_id, test_run_metadata={"error_message": message}, **attributes)


@pytest.fixture
def datadog(folder: Path) -> Iterator[FakeDatadog]:
    write(folder, "flakegate.yml", RULES)
    with FakeDatadog(clock=lambda: NOW / 1000) as fake:
        fake.tests = [
            failing("slow", "TimeoutError: no answer in 7 s", rate=50.0),
            failing("calm", "KeyError: 'abc'", rate=1.0, state="quarantined"),
            failing("other", "boom", rate=60.0),
            failing("plain", "TimeoutError: no answer in 7 s", rate=15.0),
        ]
        fake.tracking.issues = [
            issue(1, seen=[NOW - 1], case="c", team_owners=["t"]),
            issue(
                2,
                seen=[NOW - 1],
                error_type="KeyError",
                error_message="'abc'",
                state="ACKNOWLEDGED",
            ),
            issue(3, seen=[NOW - 1], service="web"),
        ]
        jira = {"issue_key": "PAY-12", "issue_url": "https://acme.test/browse/PAY-12"}
        fake.tracking.cases = {"c": {"key": "CASE-7", "jira_issue": {"result": jira}}}
        fake.tracking.teams = {"t": {"name": "Payments"}}
        yield fake
        wrong = [each for sent in fake.requests for each in wire_contract.violations(sent)]
        assert wrong == []


@pytest.fixture
def call(flakegate: Caller, datadog: FakeDatadog) -> Callable[..., Done]:
    def run(*arguments: str, **env: str) -> Done:
        return flakegate(*arguments, **{**KEYS, "FLAKEGATE_API_URL": datadog.url, **env})

    return run


def asked(datadog: FakeDatadog) -> list[str]:
    """What Error Tracking was asked, one word each."""
    return [each.method for each in datadog.requests if each.path.startswith(ROOT)]


def issues(datadog: FakeDatadog) -> list[tuple[str, str | None]]:
    """State and assignee of every issue."""
    return [
        (each["attributes"]["state"], each["related"]["assignee"])
        for each in datadog.tracking.issues
    ]


BEFORE: list[tuple[str, str | None]] = [("OPEN", None), ("ACKNOWLEDGED", None), ("OPEN", None)]
AFTER: list[tuple[str, str | None]] = [("ACKNOWLEDGED", USER), ("OPEN", None), ("OPEN", None)]


def rows(done: Done) -> dict[str, dict[str, Any]]:
    """The follow-ups of a JSON document, by test."""
    return {each["test_id"]: each for each in json.loads(done.out)["error_tracking"]}


def test_a_plan_says_what_would_be_searched_and_asks_nothing(
    call: Callable[..., Done], datadog: FakeDatadog
) -> None:
    done = call("plan")
    assert 'test_slow: would search trace: service:"shop", then ACKNOWLEDGED' in done.out
    assert "assigned to @acme/shop" in done.out
    found = rows(call("plan", "--format", "json"))
    assert set(found) == {"slow", "calm", "other"}
    assert found["slow"]["query"] == 'service:"shop"'
    assert (found["slow"]["state"], found["slow"]["assign"]) == ("ACKNOWLEDGED", USER)
    assert asked(datadog) == []


def test_issues_follow_once_the_states_are_changed(
    call: Callable[..., Done], datadog: FakeDatadog
) -> None:
    done = call("apply", "--summary", "summary.md")
    assert (done.code, done.err) == (0, "")
    assert issues(datadog) == AFTER
    assert asked(datadog) == ["POST", "PUT", "PUT", "PUT"]
    kinds = [(each.method, each.path.startswith(ROOT)) for each in datadog.requests]
    assert kinds.index(("PATCH", False)) < kinds.index(("POST", True))
    assert "OPEN → ACKNOWLEDGED · assigned to Dana Field · Payments · CASE-7 · PAY-12" in done.out
    assert "test_other: searched trace" in done.out
    assert "no issue is proven to be its own" in done.out
    assert "[PAY-12](https://acme.test/browse/PAY-12)" in Path("summary.md").read_text()


def test_it_is_told_as_json(call: Callable[..., Done]) -> None:
    found = rows(call("apply", "--format", "json"))
    assert found["slow"]["done"] == ["OPEN → ACKNOWLEDGED", "assigned to Dana Field"]
    assert found["slow"]["issue"]["id"] == issue_id(1)
    assert found["slow"]["issue"]["case"]["jira_key"] == "PAY-12"
    assert found["slow"]["matched_by"] == "service and error"
    assert found["calm"]["done"] == ["ACKNOWLEDGED → OPEN"]
    assert found["other"]["issue"] is None
    assert not any(each["failed"] for each in found.values())


def test_it_is_recorded(call: Callable[..., Done]) -> None:
    call("apply")
    lines = Path(".flakegate/journal.jsonl").read_text().splitlines()
    changes = [each for line in lines for each in json.loads(line).get("issues", ())]
    assert [(each["test"], each["what"], each["after"], each["rule"]) for each in changes] == [
        ("calm", "state", "OPEN", "back"),
        ("slow", "state", "ACKNOWLEDGED", "noisy"),
        ("slow", "assignee", USER, "noisy"),
    ]
    undone = call("undo", "last", "--format", "json")
    assert len(json.loads(undone.out)["plan"]["transitions"]) == 4  # of states, as before


def test_what_is_so_already_is_not_touched(call: Callable[..., Done], datadog: FakeDatadog) -> None:
    datadog.tracking[1]["attributes"]["state"] = "ACKNOWLEDGED"
    datadog.tracking[1]["related"]["assignee"] = USER
    datadog.tracking[2]["attributes"]["state"] = "OPEN"
    assert call("apply").code == 0
    assert asked(datadog) == ["POST"]


def test_only_changes_that_were_made_are_followed(
    call: Callable[..., Done], datadog: FakeDatadog
) -> None:
    datadog.refuse = {"slow": "it is locked"}
    done = call("apply", "--format", "json")
    assert done.code == 5
    assert set(rows(done)) == {"calm", "other"}
    assert issues(datadog)[0] == ("OPEN", None)


def test_a_rehearsal_asks_nothing(call: Callable[..., Done], datadog: FakeDatadog) -> None:
    done = call("apply", "--dry-run")
    assert "would search" in done.out
    assert (asked(datadog), issues(datadog)) == ([], BEFORE)


def test_a_saved_plan_is_followed_too(call: Callable[..., Done], datadog: FakeDatadog) -> None:
    call("plan", "--out", "plan.json")
    assert call("apply", "plan.json").code == 0
    assert issues(datadog) == AFTER


@pytest.mark.parametrize("missing", ["error_tracking_read", "error_tracking_write"])
def test_trouble_is_a_warning(
    call: Callable[..., Done], datadog: FakeDatadog, missing: str
) -> None:
    datadog.permissions.remove(missing)
    done = call("apply")
    assert done.code == 0
    assert datadog.states["slow"] == "quarantined"
    assert "follow-ups in Error Tracking failed" in done.out
    assert "403 Forbidden" in done.out
    assert issues(datadog) == BEFORE
    assert len(asked(datadog)) == (1 if missing.endswith("read") else 2)  # not once for each test


def test_an_owner_who_cannot_be_assigned_keeps_nothing_else(
    call: Callable[..., Done], datadog: FakeDatadog
) -> None:
    datadog.permissions.remove("cases_write")
    done = call("apply", "--format", "json")
    assert done.code == 0
    assert rows(done)["slow"]["done"] == ["OPEN → ACKNOWLEDGED"]
    assert rows(done)["slow"]["failed"] is True
    assert issues(datadog)[:2] == [("ACKNOWLEDGED", None), ("OPEN", None)]


def test_a_page_of_a_proxy_is_a_warning(call: Callable[..., Done], datadog: FakeDatadog) -> None:
    datadog.scripts["PUT"] = [page("Sign in")]
    done = call("apply", "--format", "json")
    assert done.code == 0
    assert "web page: Sign in" in done.err


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--strict",), 5)])
def test_the_policy_job(
    call: Callable[..., Done], datadog: FakeDatadog, arguments: tuple[str, ...], code: int
) -> None:
    datadog.permissions.remove("error_tracking_read")
    assert call("run", *arguments, **ON_MAIN).code == code
    assert datadog.states["slow"] == "quarantined"


def test_run_follows_where_it_may_apply(call: Callable[..., Done], datadog: FakeDatadog) -> None:
    write(Path.cwd(), "green.xml", junit("test_a"))
    pull = {**ON_MAIN, "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/3/merge"}
    done = call("run", "green.xml", **pull)
    assert (done.code, asked(datadog)) == (0, [])
    assert "would search" in done.out
    assert call("run", "green.xml", "--strict", **ON_MAIN).code == 0
    assert issues(datadog) == AFTER


def test_several_issues_are_left_alone(call: Callable[..., Done], datadog: FakeDatadog) -> None:
    datadog.tracking.issues.append(issue(4, seen=[NOW - 1]))
    done = call("apply")
    assert "2 issues could be its own, so none is touched" in done.out
    assert issues(datadog)[0] == ("OPEN", None)


def test_a_search_that_is_not_complete_proves_nothing(
    call: Callable[..., Done], datadog: FakeDatadog
) -> None:
    datadog.tracking.issues += [issue(number, seen=[NOW - 1]) for number in range(10, 120)]
    done = call("apply")
    assert "more issues than could be read" in done.out
    assert issues(datadog)[:3] == BEFORE
    assert len(asked(datadog)) <= 20


def test_what_a_test_is_called_widens_no_search(
    call: Callable[..., Done], datadog: FakeDatadog
) -> None:
    for test in datadog.tests:
        test["attributes"]["services"] = ['shop" OR service:*']
    assert call("apply").code == 0
    assert issues(datadog) == BEFORE
    queries = {each.attributes["query"] for each in datadog.requests if each.path.startswith(ROOT)}
    assert queries == {'service:"shop\\" OR service:*"'}


def test_the_store_has_no_issues(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", RULES.replace("failure_rate > 20%", 'state == "active"'))
    write(folder, "red.xml", junit("-test_a"))
    for number in range(1, 4):
        run = {"FLAKEGATE_RUN_ID": str(number), "FLAKEGATE_COMMIT": f"c{number}"}
        branch = {"FLAKEGATE_BRANCH": f"b{number}", "FLAKEGATE_DEFAULT_BRANCH": "main"}
        assert flakegate("record", "red.xml", **run, **branch).code == 0
    done = flakegate("apply", "--format", "json")
    document = json.loads(done.out)
    assert (done.code, len(document["applied"]["done"])) == (0, 1)
    assert document["error_tracking"] == []
    assert "with the store nothing comes of it" in done.err
