"""The five endpoints over real sockets: what is asked, and what is said where that fails."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from flakegate.error_tracking.client import MOST_REQUESTS, ErrorTracking
from flakegate.error_tracking.issue import IssueState, Question
from flakegate.errors import BackendError
from flakegate.transport.client import Transport
from flakegate.transport.waiting import Patience
from tests import wire_contract
from tests.fake_datadog import API_KEY, APP_KEY, FakeDatadog, rate_limited
from tests.fake_issues import USER, issue, issue_id
from tests.faults import HANG_UP, Reply, page

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = 3_600_000
NOW = 1_795_176_000_000
KEYS = {"DD-API-KEY": API_KEY, "DD-APPLICATION-KEY": APP_KEY}
PATIENCE = Patience(retries=1, longest_wait=0.01, total=5.0)


@pytest.fixture
def datadog() -> Iterator[FakeDatadog]:
    with FakeDatadog() as fake:
        yield fake


@pytest.fixture
def tracking(datadog: FakeDatadog) -> Iterator[ErrorTracking]:
    client = ErrorTracking(Transport(datadog.url, headers=KEYS, patience=PATIENCE))
    yield client
    client.close()
    assert [each for sent in datadog.requests for each in wire_contract.violations(sent)] == []


def question(hours: float = 168, **given: Any) -> Question:
    return Question(query="*", since=NOW - int(hours * HOUR), until=NOW, **given)


def test_there_and_back(datadog: FakeDatadog, tracking: ErrorTracking) -> None:
    datadog.tracking.issues = [issue(1, seen=[NOW - 1]), issue(2, seen=[NOW])]
    found = tracking.search(question())
    assert [each.id for each in found.issues] == [issue_id(1)]
    assert (found.requests, found.complete) == (1, True)
    assert tracking.set_state(issue_id(1), IssueState.RESOLVED).state == "RESOLVED"
    assigned = tracking.assign(issue_id(1), USER)
    assert str(assigned.assignee) == "Dana Field"
    tracking.unassign(issue_id(1))
    assert tracking.get(issue_id(1)).assignee is None
    assert tracking.get(issue_id(1)).state == "RESOLVED"


def test_an_answer_without_a_body_or_its_length(
    datadog: FakeDatadog, tracking: ErrorTracking
) -> None:
    datadog.script.append(Reply(raw=b"HTTP/1.1 204 No Content\r\n\r\n"))
    tracking.unassign(issue_id(1))
    assert [request.method for request in datadog.requests] == ["DELETE"]
    assert not datadog.script


def test_a_time_with_more_issues_is_split_until_all_are_found(
    datadog: FakeDatadog, tracking: ErrorTracking
) -> None:
    datadog.tracking.issues = [
        issue(number, seen=[NOW - number * HOUR // 2, NOW - (number + 9) * HOUR // 2])
        for number in range(1, 321)
    ]
    found = tracking.search(question())
    assert len(found.issues) == 320
    assert {each.total_count for each in found.issues} == {2}  # no error is counted twice
    assert found.complete
    assert 7 <= found.requests <= 31


def test_issues_of_one_millisecond_stay_more_than_can_be_told(
    datadog: FakeDatadog, tracking: ErrorTracking
) -> None:
    datadog.tracking.issues = [issue(number, seen=[NOW - 1]) for number in range(130)]
    found = tracking.search(question())
    assert len(found.issues) == 100
    assert not found.complete
    assert [(each.since, each.until) for each in found.full] == [(NOW - 1, NOW)]
    assert found.requests < 2 * 31


def test_issues_that_never_rest_do_not_split_for_ever(
    datadog: FakeDatadog, tracking: ErrorTracking
) -> None:
    always = list(range(NOW - 24 * HOUR, NOW, 60_000))
    datadog.tracking.issues = [issue(number, seen=always) for number in range(101)]
    found = tracking.search(question(24))
    assert not found.complete
    assert MOST_REQUESTS - 2 <= found.requests <= MOST_REQUESTS
    asked = Counter(each.attributes["from"] for each in datadog.requests)
    assert sum(asked.values()) == found.requests


def test_what_is_enough_is_not_split(datadog: FakeDatadog, tracking: ErrorTracking) -> None:
    datadog.tracking.issues = [issue(number, seen=[NOW - number]) for number in range(1, 200)]
    found = tracking.search(question(), enough=100)
    assert (len(found.issues), found.requests, found.complete) == (100, 1, False)


@pytest.mark.parametrize(
    ("missing", "act"),
    [
        ("error_tracking_read", lambda client: client.search(question())),
        ("error_tracking_read", lambda client: client.get(issue_id(1))),
        ("error_tracking_write", lambda client: client.set_state(issue_id(1), IssueState.OPEN)),
        ("error_tracking_write", lambda client: client.assign(issue_id(1), USER)),
        ("cases_write", lambda client: client.assign(issue_id(1), USER)),
        ("cases_write", lambda client: client.unassign(issue_id(1))),
    ],
)
def test_a_missing_permission_is_named(
    datadog: FakeDatadog, tracking: ErrorTracking, missing: str, act: Any
) -> None:
    datadog.tracking.issues = [issue(1)]
    datadog.permissions.remove(missing)
    with pytest.raises(BackendError, match="403 Forbidden") as caught:
        act(tracking)
    assert missing in (caught.value.tip or "")
    assert caught.value.status == 403


def test_an_issue_that_is_not_there(tracking: ErrorTracking) -> None:
    with pytest.raises(BackendError, match="404 Not Found: Issue not found") as caught:
        tracking.get(issue_id(1))
    assert "check the id" in (caught.value.tip or "")


def test_passing_trouble_is_passed(datadog: FakeDatadog, tracking: ErrorTracking) -> None:
    datadog.tracking.issues = [issue(1, seen=[NOW - 1])]
    for trouble in (rate_limited("0.01"), Reply(status=503), HANG_UP):
        datadog.script.append(trouble)
        assert len(tracking.search(question()).issues) == 1


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (page("Sign in"), "the answer is a web page: Sign in"),
        (Reply(body=b'{"data": "no"}'), "not what Datadog's API gives"),
        (Reply(body=b'{"data": [{"id": 7}]}'), "an issue without an id"),
        (Reply(status=400, body=b'{"errors": [{"detail": "bad query"}]}'), "bad query"),
    ],
)
def test_an_answer_that_is_none_of_datadog(
    datadog: FakeDatadog, tracking: ErrorTracking, spoilt: Reply, said: str
) -> None:
    datadog.always = spoilt
    with pytest.raises(BackendError, match=said):
        tracking.search(question())
