"""`flakegate issues` from the command line, against a Datadog on loopback."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.fake_datadog import KEYS, FakeDatadog
from tests.fake_issues import USER, issue, issue_id
from tests.faults import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Caller, Done

NOW = 1_795_176_000_000  # what FLAKEGATE_TIME says
HOUR = 3_600_000
OTHER = "00000000-0000-0000-0000-00000000000b"
HOSTILE = "boom\n::error::x \x1b[31m <b>"


@pytest.fixture
def datadog() -> Iterator[FakeDatadog]:
    with FakeDatadog() as fake:
        fake.tracking.issues = [
            issue(1, seen=[NOW - HOUR, NOW - 2 * HOUR]),
            issue(2, seen=[NOW - 30 * HOUR], service="web", error_message=HOSTILE),
            issue(3, seen=[NOW - HOUR], track="logs"),
            issue(4, seen=[NOW - HOUR], case="c", assignee=USER, team_owners=["t"]),
        ]
        jira = {"issue_key": "PAY-12", "issue_url": "https://acme.test/browse/PAY-12"}
        fake.tracking.cases = {
            "c": {"key": "CASE-7", "status": "OPEN", "jira_issue": {"result": jira}}
        }
        fake.tracking.teams = {"t": {"name": "Payments"}}
        yield fake


@pytest.fixture
def issues(flakegate: Caller, datadog: FakeDatadog) -> Callable[..., Done]:
    def call(*arguments: str, **env: str) -> Done:
        env = {**KEYS, "FLAKEGATE_API_URL": datadog.url, "USER": "dana", **env}
        return flakegate("issues", *arguments, **env)

    return call


def shown(done: Done) -> list[str]:
    """The numbers of the issues in a JSON document."""
    return [each["id"][-1] for each in json.loads(done.out)["issues"]]


def states(datadog: FakeDatadog) -> list[str]:
    return [each["attributes"]["state"] for each in datadog.tracking.issues]


def journal() -> list[dict[str, Any]]:
    path = Path(".flakegate/journal.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_every_command_of_the_page_works(issues: Callable[..., Done], datadog: FakeDatadog) -> None:
    page = Path(__file__).parents[2] / "docs/error-tracking.md"
    datadog.tracking.issues.append({**issue(5), "id": USER})  # the id that the page shows
    lines = re.findall(r"^flakegate issues (.+)$", page.read_text(), re.MULTILINE)
    assert len(lines) == 7
    for line in lines:
        words = [
            {"ISSUE…": issue_id(1), "USER": USER}.get(each, each) for each in shlex.split(line)
        ]
        assert issues(*words).code == 0, line


def test_search_is_a_table(issues: Callable[..., Done]) -> None:
    done = issues("search")
    assert done.code == 0
    assert done.out.splitlines()[0].split() == [
        "issue", "error", "service", "state", "errors", "last", "seen", "assignee", "case",
    ]  # fmt: skip
    assert "TimeoutError: no answer in 1 s" in done.out
    assert "Dana Field  CASE-7 (PAY-12)" in done.out
    assert "\x1b" not in done.out
    assert done.err == ""


def test_search_is_json(issues: Callable[..., Done], datadog: FakeDatadog) -> None:
    done = issues("search", "--format", "json")
    document = json.loads(done.out)
    assert shown(done) == ["1", "2", "4"]
    assert (document["version"], document["complete"], document["track"]) == (1, True, "trace")
    assert (document["from"], document["to"]) == ("2026-11-13T12:00:00Z", "2026-11-20T12:00:00Z")
    last = document["issues"][-1]
    assert last["case"] == {
        "id": "c",
        "key": "CASE-7",
        "status": "OPEN",
        "jira_key": "PAY-12",
        "jira_url": "https://acme.test/browse/PAY-12",
    }
    assert last["assignee"] == {"id": USER, "name": "Dana Field"}
    assert last["first_seen"] == "2026-11-20T11:00:00Z"
    assert datadog.requests[0].attributes["from"] == NOW - 7 * 24 * HOUR


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--query", "service:web"), ["2"]),
        (("--from", "1d"), ["1", "4"]),
        (("--from", "2026-11-19", "--to", "2026-11-20T11:00:00+00:00"), ["1", "2"]),
        (("--to", "1d"), ["2"]),
        (("--track", "logs"), ["3"]),
        (("--persona", "all"), ["1", "2", "3", "4"]),
        (("--order-by", "first_seen"), ["4", "1", "2"]),
        (("--limit", "1"), ["1"]),
        (("--query", "service:no"), []),
    ],
)
def test_search_finds(
    issues: Callable[..., Done], arguments: tuple[str, ...], expected: list[str]
) -> None:
    assert shown(issues("search", "--format", "json", *arguments)) == expected


def test_nothing_found_says_where_it_was_looked_for(issues: Callable[..., Done]) -> None:
    done = issues("search", "--query", "service:no")
    assert (done.code, done.out) == (0, "")
    assert "no issue matches 'service:no' from 2026-11-13T12:00:00Z" in done.err


def test_more_than_the_limit_is_said(issues: Callable[..., Done]) -> None:
    done = issues("search", "--limit", "1", "--format", "json")
    assert "more than these 1 issues" in done.err
    assert json.loads(done.out)["complete"] is False


def test_more_than_one_answer_holds(issues: Callable[..., Done], datadog: FakeDatadog) -> None:
    datadog.tracking.issues = [issue(number, seen=[NOW - number]) for number in range(1, 251)]
    done = issues("search", "--limit", "1000", "--format", "json")
    assert len(json.loads(done.out)["issues"]) == 250
    assert json.loads(done.out)["complete"] is True


def test_more_than_can_be_read(issues: Callable[..., Done], datadog: FakeDatadog) -> None:
    datadog.tracking.issues = [issue(number, seen=[NOW - 1]) for number in range(101)]
    done = issues("search", "--limit", "1000", "--from", "2h", "--format", "json")
    assert "more issues than could be read: in 1 parts of the time" in done.err
    assert json.loads(done.out)["complete"] is False


def test_show(issues: Callable[..., Done]) -> None:
    done = issues("show", issue_id(4))
    rows = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert rows["case"].strip() == "CASE-7 (PAY-12)"
    assert rows["jira"].strip() == "https://acme.test/browse/PAY-12"
    assert rows["assignee"].strip() == f"Dana Field ({USER})"
    assert rows["teams"].strip() == "Payments"
    document = json.loads(issues("show", issue_id(4).upper(), "--format", "json").out)
    assert document["issue"]["id"] == issue_id(4)


def test_what_others_wrote_is_harmless(issues: Callable[..., Done]) -> None:
    for done in (issues("show", issue_id(2)), issues("search")):
        assert "\x1b" not in done.out
        assert not any(line.lstrip().startswith("::") for line in done.out.splitlines())


def test_states_are_set_once_and_recorded(
    issues: Callable[..., Done], datadog: FakeDatadog
) -> None:
    datadog.tracking[2]["attributes"]["state"] = "RESOLVED"
    arguments = ("set-state", issue_id(1), issue_id(2), "resolved", "--reason", "released")
    done = issues(*arguments)
    assert done.code == 0
    assert done.out.splitlines()[0].startswith(f"{issue_id(1)}  OPEN → RESOLVED")
    assert "is so already" in done.out.splitlines()[1]
    assert states(datadog) == ["RESOLVED", "RESOLVED", "OPEN", "OPEN"]
    intent, result = journal()
    assert intent["issues"] == [
        {
            "issue": issue_id(1),
            "what": "state",
            "before": "OPEN",
            "after": "RESOLVED",
            "rule": None,
            "reason": "released",
            "actor": "dana",
        }
    ]
    assert result["results"] == [{"test": issue_id(1), "outcome": "done"}]
    sent = len(datadog.requests)
    issues(*arguments)
    assert {each.method for each in datadog.requests[sent:]} == {"GET"}


def test_a_rehearsal_writes_nothing(issues: Callable[..., Done], datadog: FakeDatadog) -> None:
    for arguments in (("set-state", issue_id(1), "IGNORED"), ("assign", issue_id(1), USER)):
        done = issues(*arguments, "--dry-run")
        assert (done.code, "(--dry-run)" in done.out) == (0, True)
    assert {each.method for each in datadog.requests} == {"GET"}
    assert journal() == []


def test_assign_and_unassign(issues: Callable[..., Done], datadog: FakeDatadog) -> None:
    assert "assigned to Dana Field" in issues("assign", issue_id(1), USER).out
    assert datadog.tracking[1]["related"]["assignee"] == USER
    document = json.loads(issues("unassign", issue_id(1), "--format", "json").out)
    assert document["changes"] == [
        {
            "issue": issue_id(1),
            "outcome": "done",
            "what": "assignee",
            "before": USER,
            "after": None,
            "error": None,
        }
    ]
    assert datadog.tracking[1]["related"]["assignee"] is None
    assert "is so already" in issues("unassign", issue_id(1)).out


def test_somebody_is_named_as_the_policy_does(
    issues: Callable[..., Done], datadog: FakeDatadog
) -> None:
    Path("flakegate.yml").write_text(f'version: 1\nowners: {{"@org/payments": {USER}}}\n')
    done = issues("assign", issue_id(1), "@org/paymnts")
    assert (done.code, datadog.requests) == (2, [])
    assert "did you mean `@org/payments`?" in done.err
    assert "names @org/payments" in issues("assign", issue_id(1), "x").err
    assert issues("assign", issue_id(1), "@Org/Payments").code == 0
    assert datadog.tracking[1]["related"]["assignee"] == USER


def test_one_that_is_not_there_keeps_no_other_from_its_state(
    issues: Callable[..., Done], datadog: FakeDatadog
) -> None:
    done = issues("set-state", issue_id(7), issue_id(1), "RESOLVED", "--format", "json")
    assert done.code == 5
    assert [each["outcome"] for each in json.loads(done.out)["changes"]] == ["failed", "done"]
    assert states(datadog)[0] == "RESOLVED"
    assert f"{issue_id(7)}: GET" in done.err


def test_what_is_refused_altogether_is_asked_once(
    issues: Callable[..., Done], datadog: FakeDatadog
) -> None:
    datadog.permissions.remove("error_tracking_write")
    done = issues("set-state", issue_id(1), issue_id(2), issue_id(4), "RESOLVED")
    assert done.code == 4
    assert "needs error_tracking_write" in done.err
    assert done.out.count("not sent") == 2
    assert [each["event"] for each in journal()] == ["intent", "result"]
    assert journal()[1]["results"][0]["outcome"] == "failed"


def test_an_answer_that_says_otherwise_is_no_success(
    issues: Callable[..., Done], datadog: FakeDatadog
) -> None:
    body = json.dumps({"data": {"id": issue_id(1), "attributes": {"state": "OPEN"}}}).encode()
    datadog.scripts["PUT"] = [Reply(body=body)]
    done = issues("set-state", issue_id(1), "RESOLVED")
    assert done.code == 4
    assert "answers that it is OPEN" in done.err


def test_the_journal_comes_first(issues: Callable[..., Done], datadog: FakeDatadog) -> None:
    Path(".flakegate/journal.jsonl").mkdir(parents=True)
    done = issues("set-state", issue_id(1), "RESOLVED")
    assert done.code == 4
    assert "journal" in done.err
    assert states(datadog)[0] == "OPEN"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("set-state", issue_id(1), "aknowledged"), "did you mean `ACKNOWLEDGED`?"),
        (("set-state", issue_id(1), "x"), "states are OPEN, ACKNOWLEDGED"),
        (("set-state", "17", "OPEN"), "'17' is not the id of an issue"),
        (("set-state", issue_id(1) + "0", "OPEN"), "not the id of an issue"),
        (("set-state", "OPEN"), "Missing argument"),
        (("show", "../../v1/validate"), "not the id of an issue"),
        (("assign", issue_id(1), "dana"), "names of people and teams go into `owners`"),
        (("search", "--from", "yesterday"), "--from 'yesterday' is not a time"),
        (("search", "--from", "-1d"), "is not a time"),
        (("search", "--to", "99999-01-01"), "is not a time"),
        (("search", "--from", "999999999w"), "is not a time"),
        (("search", "--from", "1d", "--to", "2d"), "--from 1d is not before --to 2d"),
        (("search", "--query", " "), "--query is empty"),
        (("search", "--track", "rum", "--persona", "ALL"), "give one"),
        (("search", "--limit", "0"), "--limit"),
        (("serch",), "Did you mean 'search'?"),
    ],
)
def test_wrong_usage(
    issues: Callable[..., Done], datadog: FakeDatadog, arguments: tuple[str, ...], said: str
) -> None:
    done = issues(*arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert datadog.requests == []


@pytest.mark.parametrize("name", ["search", "show", "set-state", "assign", "unassign"])
def test_without_keys_it_says_so(flakegate: Caller, name: str) -> None:
    more = {"set-state": [issue_id(1), "OPEN"], "assign": [issue_id(1), USER], "search": []}
    done = flakegate("issues", name, *more.get(name, [issue_id(1)]))
    assert (done.code, done.out) == (4, "")
    assert "Error Tracking is Datadog's, and its keys are not set" in done.err


def test_a_fork_changes_nothing(issues: Callable[..., Done], datadog: FakeDatadog) -> None:
    event = Path("event.json")
    event.write_text(
        json.dumps({"pull_request": {"head": {"repo": {"fork": True, "full_name": "eve/shop"}}}})
    )
    env = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_EVENT_PATH": str(event),
    }
    done = issues("set-state", issue_id(1), "RESOLVED", **env)
    assert done.code == 2
    assert "issues are not changed here" in done.err
    assert datadog.requests == []
