"""What a pull request is told, from the command line to the forge and back."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.reports import junit, write
from tests.fake_github import FakeGitHub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Caller, Done

PULL = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_EVENT_NAME": "pull_request",
    "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_REF": "refs/pull/12/merge",
    "GITHUB_SHA": "a" * 40,
    "GITHUB_JOB": "unit",
    "GITHUB_RUN_ID": "77",
    "GITHUB_RUN_ATTEMPT": "1",
    "GITHUB_HEAD_REF": "faster-cart",
    "GITHUB_BASE_REF": "main",
}


@pytest.fixture
def hub() -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        yield fake


class Job:
    """One job of one run, which fails or passes."""

    def __init__(self, flakegate: Caller, folder: Path, hub: FakeGitHub) -> None:
        self.flakegate, self.folder, self.hub = flakegate, folder, hub
        self.of_fork("acme/shop")

    def of_fork(self, repository: str) -> None:
        pull = {
            "number": 12,
            "head": {"sha": "b" * 40, "ref": "faster-cart", "repo": {"full_name": repository}},
            "base": {"ref": "main", "repo": {"full_name": "acme/shop"}},
        }
        event = {"pull_request": pull, "repository": {"default_branch": "main"}}
        write(self.folder, "event.json", json.dumps(event))

    def __call__(self, *arguments: str, fails: bool = True, run: str = "77", **env: str) -> Done:
        write(self.folder, "r.xml", junit("test_a", *(["-test_b"] if fails else [])))
        given = {**PULL, **self.hub.env, "GITHUB_RUN_ID": run, **env}
        given["GITHUB_EVENT_PATH"] = str(self.folder / "event.json")
        return self.flakegate("gate", "r.xml", *arguments, **given)


@pytest.fixture
def job(flakegate: Caller, folder: Path, hub: FakeGitHub) -> Job:
    return Job(flakegate, folder, hub)


def test_a_failure_is_told_once_and_the_comment_is_kept_up_to_date(
    job: Job, hub: FakeGitHub
) -> None:
    assert job().code == 1
    (comment,) = hub.comments
    assert "1 failure blocks this merge" in comment["body"]
    assert job(run="78").code == 1
    assert job(run="79", fails=False).code == 0
    assert [row["id"] for row in hub.comments] == [comment["id"]]
    assert "passed" in hub.bodies[0]
    assert "blocks" not in re.sub("<!--.*?-->", "", hub.bodies[0])
    assert hub.broken == []
