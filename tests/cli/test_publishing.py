"""What a pull request is told, from the command line to the forge and back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

import pytest

from tests.cli.reports import junit, write
from tests.fake_github import OF_APP, OF_DANA, OF_FORK, WORKFLOW, FakeGitHub, said
from tests.faults import DONE_AND_HANG_UP, Reply
from tests.markdown import ACTIVE, leaves, plain_texts
from tests.summaries import HOSTILE

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


def test_nothing_is_written_where_all_is_well_from_the_start(job: Job, hub: FakeGitHub) -> None:
    assert job(fails=False).code == 0
    assert hub.comments == []
    assert {request.method for request in hub.requests} == {"GET"}
    assert job("--comment", "always", fails=False).code == 0
    assert "passed" in hub.bodies[0]


@pytest.mark.parametrize("mode", ["changes", "failures", "never"])
def test_the_policy_says_when_and_an_option_wins(
    job: Job, hub: FakeGitHub, folder: Path, mode: str
) -> None:
    write(folder, "flakegate.yml", f"version: 1\nsummary: {{comment: {mode}, key: all}}\n")
    assert job().code == 1
    assert len(hub.comments) == (mode != "never")
    job("--comment", "always", "--comment-key", "mine")
    assert "<!-- flakegate:mine -->" in hub.bodies[-1]
    assert [body[:22] for body in hub.bodies[:-1]] == ["<!-- flakegate:all -->"] * (mode != "never")


def test_never_leaves_even_an_old_comment(job: Job, hub: FakeGitHub) -> None:
    job()
    before, asked = hub.bodies, len(hub.requests)
    job("--comment", "never", fails=False, run="78")
    assert (hub.bodies, len(hub.requests)) == (before, asked)


@pytest.mark.parametrize("author", ["mallory", "other-app[bot]", ""])
def test_a_comment_of_somebody_else_is_left_alone(job: Job, hub: FakeGitHub, author: str) -> None:
    job()
    forged = hub.comments.pop()
    hub.add(forged["body"], author)
    job(run="78")
    assert [row["user"]["login"] for row in hub.comments] == [author, WORKFLOW]
    assert hub.comments[0]["body"] == forged["body"]


def test_a_token_of_a_person_finds_its_own(job: Job, hub: FakeGitHub) -> None:
    hub.add("hello", "dana")
    for run in ("77", "78"):
        job(run=run, GITHUB_TOKEN=OF_DANA)
    assert [row["user"]["login"] for row in hub.comments] == ["dana", "dana"]


def test_a_token_of_another_app_still_leaves_one(job: Job, hub: FakeGitHub) -> None:
    for run in ("77", "78", "79"):
        job(run=run, fails=run != "79", GITHUB_TOKEN=OF_APP)
    (comment,) = hub.comments
    assert comment["user"]["login"] == "our-app[bot]"
    assert "All" in comment["body"] or "passed" in comment["body"]


def test_thousands_of_comments_are_paged_through(job: Job, hub: FakeGitHub) -> None:
    for number in range(3_000):
        hub.add(f"comment {number}", "dana")
    job()
    job(run="78", fails=False)
    assert len(hub.comments) == 3_001
    assert "passed" in hub.bodies[-1]


def test_of_several_the_oldest_stays(job: Job, hub: FakeGitHub) -> None:
    job()
    first = hub.comments[0]["id"]
    hub.add(hub.bodies[0])
    hub.add(hub.bodies[0], "mallory")
    hub.add(hub.bodies[0])
    job(run="78")
    assert [row["id"] for row in hub.comments if row["user"]["login"] == WORKFLOW] == [first]
    assert len(hub.comments) == 2


def test_an_older_run_does_not_take_a_newer_ones_place(job: Job, hub: FakeGitHub) -> None:
    job(run="1000")
    before = hub.bodies
    job(run="999", fails=False)
    assert hub.bodies == before


def test_a_leg_that_passes_does_not_hide_one_that_does_not(job: Job, hub: FakeGitHub) -> None:
    job(FLAKEGATE_SHARD="windows")
    job(FLAKEGATE_SHARD="linux", fails=False)
    assert "blocks this merge" in hub.bodies[0]
    again = {"FLAKEGATE_SHARD": "windows", "GITHUB_RUN_ATTEMPT": "2"}
    job(fails=False, **again)
    assert "blocks this merge" not in hub.bodies[0]
    assert len(hub.comments) == 1


def test_the_token_of_a_fork_only_reads(job: Job, hub: FakeGitHub, folder: Path) -> None:
    job.of_fork("mallory/shop")
    page = folder / "page.md"
    done = job(GITHUB_TOKEN=OF_FORK, GITHUB_STEP_SUMMARY=str(page))
    assert done.code == 1
    assert "note: no comment: the token of a fork's change only reads" in done.err
    assert "warning" not in done.err
    assert "blocks this merge" in page.read_text()
    assert hub.comments == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (said(403, "Resource not accessible by integration"), "pull-requests: write"),
        (said(404, "Not Found"), "does not see the repository"),
        (said(401, "Bad credentials"), "GITHUB_TOKEN is wrong, or has expired"),
        (said(410, "This issue was deleted"), "410 Gone"),
        (said(422, "Validation Failed"), "422"),
        (Reply(body=b"<html>login</html>", headers={"Content-Type": "text/html"}), "web page"),
        (Reply(body=b'{"id": "x"}'), "not what the forge's API gives"),
        (Reply(status=301, headers={"Location": "https://evil.example"}), "renamed or moved"),
    ],
    ids=str,
)
def test_what_cannot_be_published_is_a_warning(
    job: Job, hub: FakeGitHub, answer: Reply, says: str
) -> None:
    hub.scripts["POST"] = [answer] * 6
    done = job()
    assert done.code == 1
    assert "warning: the comment could not be written" in done.err
    assert says in done.err
    assert "secret" not in done.err + done.out
    assert len(hub.requests) < 20


def test_a_rate_limit_is_waited_for(job: Job, hub: FakeGitHub) -> None:
    hub.scripts["POST"] = [Reply(status=429, headers={"Retry-After": "0"})]
    assert job().code == 1
    assert len(hub.comments) == 1


def test_a_comment_whose_answer_was_lost_is_not_there_twice(job: Job, hub: FakeGitHub) -> None:
    hub.scripts["POST"] = [DONE_AND_HANG_UP]
    job()
    assert len(hub.comments) == 1
    assert len([each for each in hub.requests if each.method == "POST"]) == 2


def test_a_comment_that_is_deleted_meanwhile_is_written_anew(job: Job, hub: FakeGitHub) -> None:
    job()
    hub.scripts["PATCH"] = [said(404, "Not Found")]
    hub.comments[0]["user"]["login"] = "ghost"
    hub.add(hub.bodies[0])
    del hub.comments[0]
    job(run="78")
    assert len(hub.comments) == 1


def test_without_a_token_one_line_says_so(job: Job, hub: FakeGitHub) -> None:
    done = job(GITHUB_TOKEN="")
    assert "note: no comment: GITHUB_TOKEN is not set for this step" in done.err
    assert "${{ github.token }}" in done.err
    assert "GITHUB_TOKEN" not in job(GITHUB_TOKEN="", fails=False).err
    assert hub.requests == []


def head(repository: str, commit: str, ref: str = "faster-cart") -> dict[str, object]:
    return {"ref": ref, "sha": commit, "repo": {"full_name": repository}}


@pytest.mark.parametrize(
    ("pulls", "found"),
    [
        ([("mallory/shop", "b" * 40)], True),
        ([("Mallory/Shop", "b" * 40), ("acme/shop", "b" * 40)], True),
        ([("mallory/shop", "c" * 40)], False),
        ([("mallory/other", "b" * 40)], False),
        ([("mallory/shop", "b" * 40), ("mallory/shop", "b" * 40)], False),
        ([], False),
    ],
)
def test_a_run_after_a_forks_finds_its_pull_request_by_the_head(
    job: Job, hub: FakeGitHub, folder: Path, pulls: list[tuple[str, str]], found: bool
) -> None:
    hub.pulls = [{"number": 12, "head": head(name.lower(), commit)} for name, commit in pulls]
    run = {
        "head_sha": "b" * 40,
        "head_branch": "faster-cart",
        "pull_requests": [],
        "repository": {"full_name": "acme/shop"},
        "head_repository": {"full_name": "mallory/shop"},
    }
    event = {"workflow_run": run, "repository": {"default_branch": "main"}}
    write(folder, "event.json", json.dumps(event))
    done = job(GITHUB_EVENT_NAME="workflow_run", GITHUB_REF="refs/heads/main", GITHUB_HEAD_REF="")
    assert done.code == 1
    assert len(hub.comments) == found
    assert not found or "blocks this merge" in hub.bodies[0]


def test_a_push_finds_the_pull_request_of_its_branch(job: Job, hub: FakeGitHub) -> None:
    hub.pulls = [{"number": 12, "head": head("acme/shop", "a" * 40)}]
    push = {"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/faster-cart"}
    job("-q", **push)  # type: ignore[arg-type] # they are variables of the environment
    assert len(hub.comments) == 1
    hub.pulls = []
    assert job("--status", **push).code == 1  # type: ignore[arg-type] # likewise
    assert (len(hub.comments), hub.checks[0]["head_sha"]) == (1, "a" * 40)


def test_a_merge_queue_gets_a_check_and_no_comment(job: Job, hub: FakeGitHub) -> None:
    ref = "refs/heads/gh-readonly-queue/main/pr-12-" + "b" * 40
    done = job("--status", fails=False, GITHUB_EVENT_NAME="merge_group", GITHUB_REF=ref)
    assert done.code == 0
    assert hub.comments == []
    (check,) = hub.checks
    assert (check["name"], check["head_sha"], check["conclusion"]) == (
        "flakegate", "a" * 40, "success",
    )  # fmt: skip


def test_the_check_of_a_pull_request_is_on_its_head(job: Job, hub: FakeGitHub) -> None:
    job("--status", "--comment-key", "unit")
    assert (hub.checks[0]["head_sha"], hub.checks[0]["name"]) == ("b" * 40, "flakegate: unit")
    hub.scripts["POST"] = [said(403, "no"), said(403, "no")]
    done = job("--status", "--comment", "never")
    assert "warning: the status could not be written" in done.err
    assert "checks: write" in done.err


def test_failures_beside_their_lines_and_outputs_of_the_step(
    job: Job, hub: FakeGitHub, folder: Path
) -> None:
    done = job("--format", "json", GITHUB_OUTPUT=str(folder / "output"))
    assert json.loads(done.out)["verdict"] == "block"
    (line,) = [line for line in done.err.splitlines() if line.startswith("::")]
    assert line.startswith("::error file=tests/test_cart.py,title=blocks%3A test_b::")
    said = (folder / "output").read_text()
    assert re.search(r"^verdict<<(flakegate-\w{32})\nblock\n\1$", said, re.MULTILINE)
    assert hub.broken == []


def test_a_rehearsal_tells_the_forge_nothing(job: Job, hub: FakeGitHub, folder: Path) -> None:
    write(folder, "r.xml", junit("-test_b"))
    given = {**PULL, **hub.env, "GITHUB_EVENT_PATH": str(folder / "event.json")}
    assert job.flakegate("run", "r.xml", "--dry-run", "--status", **given).code == 1
    assert hub.requests == []
    assert job.flakegate("run", "r.xml", **given).code == 1
    assert len(hub.comments) == 1


def test_only_strict_counts_what_could_not_be_published(
    job: Job, hub: FakeGitHub, folder: Path
) -> None:
    write(folder, "r.xml", junit("test_a"))
    given = {**PULL, **hub.env, "GITHUB_EVENT_PATH": str(folder / "event.json")}
    hub.always = said(500, "Server Error")
    given["FLAKEGATE_TIMEOUT"] = "0.2"
    arguments = ("run", "r.xml", "--comment", "always")
    assert job.flakegate(*arguments, **given).code == 0
    assert job.flakegate(*arguments, "--strict", **given).code == 4


def test_two_jobs_at_once_leave_one_comment(job: Job, hub: FakeGitHub, folder: Path) -> None:
    job.of_fork("acme/shop")
    write(folder, "r.xml", junit("-test_b"))
    hub.script.extend([Reply(own=True, wait=0.6)] * 2)  # so that neither sees the other's comment
    env = {**os.environ, **PULL, **hub.env, "GITHUB_EVENT_PATH": str(folder / "event.json")}
    jobs = [
        subprocess.Popen(
            [sys.executable, "-m", "flakegate", "gate", "r.xml"],
            env={**env, "FLAKEGATE_SHARD": str(number)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (1, 2)
    ]
    said = [each.communicate()[1] for each in jobs]
    assert [each.returncode for each in jobs] == [1, 1]
    assert not [text for text in said if "warning" in text]
    assert len(hub.comments) == 1


@pytest.mark.parametrize(
    "name",
    ["test_{}", "🔥" * 250 + "{}", "`|<b>@everyone" * 12 + "{}"],
    ids=["plain", "emoji", "markup"],
)
def test_thousands_of_failures_are_a_comment_within_the_limit(
    job: Job, hub: FakeGitHub, folder: Path, name: str
) -> None:
    names = (quoteattr(name.format(number)) for number in range(5_000))
    message = quoteattr("🔥 expected 42 🔥" * 80)
    failure = f"<failure message={message}/>"
    cases = (f"<testcase name={each} file={each}>{failure}</testcase>" for each in names)
    write(folder, "many.xml", f"<testsuite>{''.join(cases)}</testsuite>")
    done = job("many.xml", "--status", GITHUB_OUTPUT=str(folder / "output"))
    assert done.code == 1
    (body,) = hub.bodies
    assert "5,001 failures block this merge" in body
    assert re.search(r"[\d,]+ more are left out here; the reports have them all", body)
    assert hub.checks[0]["conclusion"] == "failure"
    assert done.err.count("::error ") == 10
    assert "4,992 more" in done.err.replace("4992", "4,992")


OURS = {"<sub>", "</sub>", "<br>", "<code>", "</code>"}


def test_nobody_in_a_report_can_act(job: Job, hub: FakeGitHub, folder: Path) -> None:
    texts = [*HOSTILE.values(), "@everyone", "<script>alert(1)</script>", "::error::x", "/merge"]
    shown = ["".join(c for c in text if c in "\n\t" or c.isprintable()) for text in texts]
    cases = "".join(
        f"<testcase name={quoteattr(text)} classname={quoteattr(text)} file={quoteattr(text)}>"
        f"<failure message={quoteattr(text)}>{escape(text)}</failure></testcase>"
        for text in shown
    )
    write(folder, "hostile.xml", f"<testsuite>{cases}</testsuite>")
    done = job("hostile.xml", "--status", "--comment-key", "--><script>\n@everyone")
    (body,) = hub.bodies
    for text in (body, hub.checks[0]["output"]["summary"]):
        assert [each for each in plain_texts(text) if ACTIVE.search(each)] == []
        found = list(leaves(text))
        links = [each.attrs["href"] for each in found if each.type == "link_open"]
        assert links == ["https://github.com/acme/shop/actions/runs/77"]
        assert not [each for each in found if each.type == "image"]
        assert {each.content for each in found if each.type == "html_inline"} <= OURS
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert body.startswith("<!-- flakegate:--%3E%3Cscript%3E%0A%40everyone -->")
    commands = [line for line in (done.out + done.err).splitlines() if line.lstrip()[:2] == "::"]
    assert len(commands) == 10
    assert all(line.startswith("::error ") for line in commands)
    assert "##[" not in done.out + done.err
