"""The check of a commit: which commit, and which word where several jobs have one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flakegate.forges.access import Forge
from flakegate.publish.github import set_status
from flakegate.publish.status import ELSEWHERE, Status, status_of
from flakegate.transport.client import Transport
from tests.fake_github import OF_FORK, OF_WORKFLOW, REPOSITORY, FakeGitHub, Token
from tests.summaries import PULL, SUMMARIES

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = "b" * 40
PASSES = Status(
    name="flakegate",
    commit=HEAD,
    passed=True,
    title="All 3 tests passed",
    text="### fine",
    url="https://github.com/acme/shop/actions/runs/77",
    run="77",
    attempt="1",
)
FAILS = replace(PASSES, passed=False, title="1 failure blocks this merge")


@pytest.fixture
def hub() -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        yield fake


def tell(hub: FakeGitHub, *statuses: Status, token: str = OF_WORKFLOW) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    forge = Forge(kind="github", base_url=hub.url, repository=REPOSITORY, headers=headers)
    transport = Transport(hub.url, headers=headers)
    for status in statuses:
        set_status(transport, forge, status)
    transport.close()


def last_check(hub: FakeGitHub) -> tuple[str, str]:
    return hub.checks[-1]["conclusion"], hub.checks[-1]["output"]["title"]


def test_a_check_run_where_the_token_may(hub: FakeGitHub) -> None:
    tell(hub, PASSES)
    (check,) = hub.checks
    assert (check["name"], check["head_sha"], check["conclusion"]) == ("flakegate", HEAD, "success")
    assert hub.statuses == []


def test_a_commit_status_where_it_may_not(hub: FakeGitHub) -> None:
    hub.tokens[OF_WORKFLOW].may -= {"checks"}
    tell(hub, replace(FAILS, title="x" * 500))
    (status,) = hub.statuses
    assert (status["context"], status["sha"], status["state"]) == ("flakegate", HEAD, "failure")
    assert status["target_url"].endswith("/actions/runs/77/attempts/1")


@pytest.mark.parametrize("may", [{"checks", "statuses"}, {"statuses"}])
@pytest.mark.parametrize("jobs", [(FAILS, PASSES), (PASSES, FAILS), (PASSES, FAILS, PASSES)])
def test_of_several_jobs_of_a_run_the_worse_counts(
    hub: FakeGitHub, may: set[str], jobs: tuple[Status, ...]
) -> None:
    hub.tokens[OF_WORKFLOW] = Token(login="x", may=frozenset(may))
    tell(hub, *jobs)
    words = [row["conclusion"] for row in hub.checks] or [
        row["state"] for row in hub.statuses[::-1]
    ]
    assert words[-1] == "failure"
    if jobs[-1].passed:
        said = [row["output"]["title"] for row in hub.checks]
        assert (said or [hub.statuses[0]["description"]])[-1] == ELSEWHERE


@pytest.mark.parametrize("may", [{"checks", "statuses"}, {"statuses"}])
def test_a_later_attempt_counts_by_itself(hub: FakeGitHub, may: set[str]) -> None:
    hub.tokens[OF_WORKFLOW] = Token(login="x", may=frozenset(may))
    tell(hub, FAILS, replace(PASSES, attempt="2"))
    words = [row["conclusion"] for row in hub.checks] or [
        row["state"] for row in hub.statuses[::-1]
    ]
    assert words == ["failure", "success"]
    tell(hub, replace(FAILS, name="flakegate: docs", run="78"), replace(PASSES, run="78"))
    assert (hub.checks or hub.statuses[::-1])[-1].get("conclusion", "success") == "success"


def test_a_text_too_long_for_a_check_says_where_it_was_cut(hub: FakeGitHub) -> None:
    tell(hub, replace(PASSES, text="🔥 line\n" * 20_000))
    text = hub.checks[0]["output"]["summary"]
    assert 65_000 < len(text.encode()) <= 65_535
    assert text.endswith("🔥 line\n\n… cut here; the job summary has all of it")


def test_a_token_that_only_reads_sets_nothing(hub: FakeGitHub) -> None:
    with pytest.raises(Exception, match="403 Forbidden"):
        tell(hub, PASSES, token=OF_FORK)


def test_status_of_a_summary() -> None:
    blocked = replace(SUMMARIES["blocked"], context=replace(PULL, status_commit=HEAD))
    status = status_of(blocked, None, "text")
    assert status is not None
    assert (status.name, status.passed, status.commit) == ("flakegate", False, HEAD)
    named = status_of(replace(blocked, exit_code=0), "unit", "text")
    assert named is not None
    assert (named.name, named.passed) == ("flakegate: unit", True)
    assert status_of(replace(blocked, verdict=None), None, "") is None
    assert status_of(replace(blocked, context=PULL), None, "") is None
