"""What a merge request is told, from the command line to the forge and back."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

import pytest

from tests.cli.reports import junit, write
from tests.fake_gitlab import BOT, OF_JOB, FakeGitLab, quick_actions
from tests.summaries import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Caller, Done

MERGE = {
    "GITLAB_CI": "true",
    "CI_SERVER_HOST": "gitlab.example.com",
    "CI_PROJECT_PATH": "acme/shop",
    "CI_PROJECT_ID": "42",
    "CI_PIPELINE_ID": "1001",
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_JOB_ID": "55501",
    "CI_JOB_NAME": "unit 1/2",
    "CI_NODE_INDEX": "1",
    "CI_JOB_URL": "https://gitlab.example.com/acme/shop/-/jobs/55501",
    "CI_COMMIT_SHA": "c" * 40,
    "CI_MERGE_REQUEST_IID": "7",
    "CI_MERGE_REQUEST_PROJECT_ID": "42",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "42",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "faster-cart",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
}


@pytest.fixture
def lab() -> Iterator[FakeGitLab]:
    with FakeGitLab() as fake:
        yield fake


class Job:
    def __init__(self, flakegate: Caller, folder: Path, lab: FakeGitLab) -> None:
        self.flakegate, self.folder, self.lab = flakegate, folder, lab

    def __call__(self, *arguments: str, fails: bool = True, **env: str) -> Done:
        write(self.folder, "r.xml", junit("test_a", *(["-test_b"] if fails else [])))
        return self.flakegate("gate", "r.xml", *arguments, **{**MERGE, **self.lab.env, **env})


@pytest.fixture
def job(flakegate: Caller, folder: Path, lab: FakeGitLab) -> Job:
    return Job(flakegate, folder, lab)


def test_one_note_kept_up_to_date(job: Job, lab: FakeGitLab) -> None:
    lab.add("hello", "dana")
    assert job().code == 1
    assert "<!-- flakegate:unit -->" in lab.bodies[1]
    forged = lab.add(lab.bodies[1], "mallory")["body"]
    assert job(fails=False, CI_PIPELINE_ID="1002").code == 0
    assert "passed" in lab.bodies[1]
    assert lab.bodies[2] == forged
    assert len(lab.notes) == 3


def test_parts_of_a_parallel_job_share_the_note(job: Job, lab: FakeGitLab) -> None:
    job()
    job(fails=False, CI_JOB_ID="55502", CI_JOB_NAME="unit 2/2", CI_NODE_INDEX="2")
    (note,) = lab.notes
    assert "blocks this merge" in note["body"]
    job(fails=False, CI_JOB_ID="55503")  # the first part again, in the same pipeline
    assert "blocks this merge" not in lab.bodies[0]
    assert lab.notes[0]["author"]["username"] == BOT


def test_a_jobs_token_writes_no_notes(job: Job, lab: FakeGitLab) -> None:
    done = job("--status", GITLAB_TOKEN="", CI_JOB_TOKEN=OF_JOB)
    assert done.code == 1
    assert "no comment and no status: GITLAB_TOKEN is not set" in done.err
    assert "CI_JOB_TOKEN writes neither" in done.err
    assert "note: no comment: GITLAB_TOKEN" in job(GITLAB_TOKEN="").err
    assert lab.requests == []


def test_what_is_forbidden_is_said_and_changes_nothing(job: Job, lab: FakeGitLab) -> None:
    lab.forbidden = True
    done = job()
    assert done.code == 1
    assert "403 Forbidden" in done.err
    assert "scope `api`" in done.err
    fork = job(CI_MERGE_REQUEST_SOURCE_PROJECT_ID="666")
    assert "note: no comment: the token of a fork's change only reads; the log" in fork.err
    assert "warning: the comment" not in fork.err


def test_the_status_is_of_this_pipeline(job: Job, lab: FakeGitLab) -> None:
    job("--status")
    job("--status", fails=False)
    assert [row["state"] for row in lab.statuses] == ["failed", "success"]
    assert {(row["sha"], row["name"], row["pipeline_id"]) for row in lab.statuses} == {
        ("c" * 40, "flakegate", 1001)
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_no_note_acts(job: Job, lab: FakeGitLab, folder: Path, name: str) -> None:
    text = "".join(each for each in HOSTILE[name] if each in "\n\t" or each.isprintable())
    case = f"<testcase name={quoteattr(text)} classname={quoteattr(text)}>"
    failure = f"<failure message={quoteattr(text)}>{escape(text)}\n/merge\n/close</failure>"
    write(folder, "h.xml", f"<testsuite>{case}{failure}</testcase></testsuite>")
    job("h.xml", "--comment-key", text[:50].strip() or "key")
    assert lab.acted == []
    assert len(lab.notes) == 1


def test_the_fake_sees_quick_actions() -> None:
    assert quick_actions("a\n/merge\n<!--\n/close -->\nnot /this") == ["/merge", "/close -->"]
