"""The action against a GitHub: a pull request's comment, and the history of all jobs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from flakegate.hosted import SHARD
from tests.cli.reports import junit, write
from tests.fake_artifacts import TOKEN, FakeArtifacts, Storage, archive
from tests.fake_github import OF_FORK, OF_WORKFLOW, FakeGitHub
from tests.forges.act import ROOT, act, copy_of_the_action
from tests.forges.shop import flakegate, make_shop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults import Front
    from tests.forges.act import Job

CASES = ROOT / "tests/cases/forges"
NOW = "2026-11-20T12:00:00Z"
REMOTE = "https://github.com/acme/shop.git"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """folder: holds the repository, the action, caches and artifacts."""

    folder: Path

    @property
    def shop(self) -> Path:
        return self.folder / "shop"

    def run(self, workflow: str, hub: Front, number: int, **more: Any) -> dict[str, Job]:
        """A run of this number, of a workflow in tests/cases/forges."""
        env = {
            "CHECKOUT_FROM": str(self.shop),
            "CACHES": str(self.folder / "caches"),
            "ARTIFACTS": str(self.folder / "artifacts"),
            "GITHUB_API_URL": hub.url,
            "GITHUB_RUN_ID": str(number),
            "FLAKEGATE_TIME": NOW,
        }
        text = (CASES / workflow).read_text()
        return act(self.shop, text, action=self.folder / "action", env=env, **more)

    def upload(self, hub: FakeArtifacts, run: int) -> None:
        """What the jobs of this run left goes to where GitHub keeps it."""
        for left in sorted((self.folder / "artifacts").iterdir()):
            hub.add(left.name, archive((left / SHARD).read_bytes()), run=run)
            shutil.rmtree(left)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    for name in ("shop", "caches", "artifacts"):
        (tmp_path / name).mkdir()
    make_shop(tmp_path / "shop", REMOTE)
    copy_of_the_action(tmp_path / "action")
    return Place(folder=tmp_path)


def change(head: str = "acme/shop") -> dict[str, Any]:
    """What GitHub says of an event of pull request 12."""
    pull = {
        "number": 12,
        "head": {"sha": "b" * 40, "ref": "faster-cart", "repo": {"full_name": head}},
        "base": {"ref": "main", "repo": {"full_name": "acme/shop"}},
    }
    return {"pull_request": pull, "repository": {"default_branch": "main"}}


def test_one_comment_names_what_is_broken_and_says_so_when_it_is_fixed(place: Place) -> None:
    told = {"event": "pull_request", "token": OF_WORKFLOW}
    with FakeGitHub() as hub:
        job = place.run("change.yml", hub, 1, payload=change(), **told)["unit"]
        assert (job.result, job.outputs["gate"]["verdict"]) == ("failure", "block"), job.log
        (body,) = hub.bodies
        blocking, _, excused = body.partition("<details>")
        assert "test_a" in blocking
        assert "test_flaky" not in blocking
        assert "test_flaky" in excused
        write(place.shop, "broken/unit.xml", junit("test_a", "-test_flaky"))
        job = place.run("change.yml", hub, 2, payload=change(), **told)["unit"]
        assert (job.result, job.outputs["gate"]["verdict"]) == ("success", "pass"), job.log
        assert job.outputs["gate"]["excused"] == "1"
        (fixed,) = hub.bodies
        assert fixed != body
        assert hub.broken == []


def test_a_fork_keeps_its_verdict_and_writes_the_job_summary_only(place: Place) -> None:
    with FakeGitHub() as hub:
        payload = change("stranger/shop")
        jobs = place.run("change.yml", hub, 1, payload=payload, event="pull_request", token=OF_FORK)
        assert (jobs["unit"].result, hub.bodies) == ("failure", []), jobs["unit"].log
        assert "the token of a fork's change only reads" in jobs["unit"].log
        assert "test_a" in jobs["unit"].summary


def test_what_jobs_left_becomes_the_history_and_nothing_is_fetched_twice(place: Place) -> None:
    (place.shop / ".flakegate/history.db").unlink()
    with Storage() as storage, FakeArtifacts(elsewhere=storage) as hub:
        for run in (11, 12):
            place.run("legs.yml", hub, run, event="push")
            place.upload(hub, run)
            storage.requests.clear()
            job = place.run("history.yml", hub, run + 10, event="schedule", token=TOKEN)["history"]
            assert job.result == "success", job.log
            assert "2 new runs, 0 known already" in job.log
            assert len(storage.requests) == 2
    newest = max((place.folder / "caches").iterdir())
    assert newest.name == "flakegate-history-22-1-history"
    info = flakegate(place.shop, "store", "info", "--store", f"sqlite:///{newest / 'history.db'}")
    assert "runs   4, from" in info
