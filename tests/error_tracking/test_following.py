"""Follow-ups carried out over real sockets: where something fails, and where it is stopped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flakegate.error_tracking.client import ErrorTracking
from flakegate.error_tracking.following import follow
from flakegate.error_tracking.followups import FollowUp, follow_ups
from flakegate.error_tracking.issue import IssueState
from flakegate.journal import Journal
from flakegate.transport.client import Transport
from flakegate.transport.waiting import Patience
from tests.error_tracking.build import NOW, flaky, move, policy
from tests.fake_datadog import API_KEY, APP_KEY, FakeDatadog
from tests.fake_issues import USER, issue, issue_id
from tests.faults import DONE_AND_HANG_UP, HANG_UP, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flakegate.error_tracking.followups import Followed

KEYS = {"DD-API-KEY": API_KEY, "DD-APPLICATION-KEY": APP_KEY}
SEEN = [int(NOW * 1000) - 1]


@pytest.fixture
def datadog() -> Iterator[FakeDatadog]:
    with FakeDatadog() as fake:
        fake.tracking.issues = [
            issue(1, seen=SEEN),
            issue(2, seen=SEEN, service="web", case="c", team_owners=["t"]),
        ]
        yield fake


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(
        path=tmp_path / "journal.jsonl",
        run="r",
        backend="datadog",
        repository="github.com/acme/shop",
        clock=lambda: NOW,
    )


def wishes(*services: str, settings: str = "{state: RESOLVED, assign: owner}") -> list[FollowUp]:
    """The follow-ups of a test in each of these services, all with the same error."""
    tests = [flaky(f"test_{n}", services=(each,)) for n, each in enumerate(services)]
    moves = [move(test) for test in tests]
    return list(follow_ups(policy(settings), moves, {test.id: test for test in tests}, NOW))


def followed(
    datadog: FakeDatadog, journal: Journal, some: list[FollowUp], **given: Any
) -> tuple[Followed, ...]:
    patience = Patience(retries=0, total=5.0)
    tracking = ErrorTracking(Transport(datadog.url, headers=KEYS, patience=patience))
    try:
        return follow(some, tracking, journal, **given)
    finally:
        tracking.close()


def outcomes(journal: Journal) -> list[str]:
    return [each.outcome for event in journal.events() for each in event.results]


def test_each_in_its_place(datadog: FakeDatadog, journal: Journal) -> None:
    one, two, three, four = followed(datadog, journal, wishes("shop", "web", "no", "shop"))
    assert one.done == ("OPEN → RESOLVED", "assigned to Dana Field")
    assert four.done == ()  # the same issue has all that it wants
    assert (four.issue, four.failed) == (one.issue, False)
    assert two.issue is not None
    assert (two.issue.id, two.issue.state, str(two.issue.assignee)) == (
        issue_id(2), "RESOLVED", "Dana Field",
    )  # fmt: skip
    assert two.issue.case is not None
    assert (three.issue, three.failed) == (None, False)
    assert [each.method for each in datadog.requests] == ["POST"] * 3 + ["PUT"] * 4
    assert outcomes(journal) == ["done"] * 4
    assert (journal.past(), journal.open()) == ([], [])  # no test's state was changed by it


def test_a_search_that_is_refused_costs_no_other(datadog: FakeDatadog, journal: Journal) -> None:
    datadog.scripts["POST"] = [Reply(status=400, body=b'{"errors": ["bad query"]}')]
    one, two = followed(datadog, journal, wishes("shop", "web"))
    assert (one.failed, "bad query" in (one.problem or "")) == (True, True)
    assert two.done != ()


@pytest.mark.parametrize("trouble", [Reply(status=403), Reply(status=503), HANG_UP])
def test_trouble_of_all_is_met_once(datadog: FakeDatadog, journal: Journal, trouble: Reply) -> None:
    datadog.always = trouble
    found = followed(datadog, journal, wishes("shop", "web", "no"))
    assert [each.failed for each in found] == [True] * 3
    assert len(datadog.requests) == 1


def test_a_change_that_fails_stops_the_rest_of_its_issue(
    datadog: FakeDatadog, journal: Journal
) -> None:
    datadog.scripts["PUT"] = [Reply(status=404, body=b'{"errors": ["gone"]}')]
    one, two = followed(datadog, journal, wishes("shop", "web"))
    assert (one.done, one.failed) == ((), True)
    assert two.done == ("OPEN → RESOLVED", "assigned to Dana Field")
    assert outcomes(journal) == ["failed", "done", "done"]


def test_a_change_without_an_answer_is_perhaps_made(datadog: FakeDatadog, journal: Journal) -> None:
    datadog.scripts["PUT"] = [DONE_AND_HANG_UP]
    one, two = followed(datadog, journal, wishes("shop", "web"))
    assert (one.failed, two.failed) == (True, True)
    assert outcomes(journal) == ["unknown"]


@pytest.mark.parametrize(("requests", "done"), [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2)])
def test_a_signal_ends_it_before_the_next_request(
    datadog: FakeDatadog, journal: Journal, requests: int, done: int
) -> None:
    found = followed(
        datadog, journal, wishes("shop", "web"), stop=lambda: len(datadog.requests) >= requests
    )
    assert len(datadog.requests) == requests
    assert sum(len(each.done) for each in found) == done
    assert all(each.failed for each in found[1:])
    assert all("stopped by a signal" in (each.problem or "") for each in found[1:])


def test_what_tests_disagree_about_is_not_touched(datadog: FakeDatadog, journal: Journal) -> None:
    one, other = wishes("shop", "shop")
    found = followed(datadog, journal, [one, replace(other, state=IssueState.OPEN)])
    assert [each.done for each in found] == [(), ()]
    assert all(each.issue is not None for each in found)
    assert {each.method for each in datadog.requests} == {"POST"}


def test_a_journal_that_cannot_be_written_changes_nothing(
    datadog: FakeDatadog, journal: Journal
) -> None:
    journal.path.mkdir()
    (one,) = followed(datadog, journal, wishes("shop"))
    assert one.failed
    assert "journal" in (one.problem or "")
    assert datadog.tracking[1]["attributes"]["state"] == "OPEN"
    assert datadog.tracking[1]["related"]["assignee"] != USER
