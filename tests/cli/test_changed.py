"""`gate` in the job of a change: what it touches is not excused. Real git, real HTTP."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.reports import junit, write
from tests.fake_datadog import KEYS, FakeDatadog, flaky

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Caller, Done

PULL = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_EVENT_NAME": "pull_request",
    "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_REF": "refs/pull/7/merge",
    "GITHUB_BASE_REF": "main",
    "GITHUB_HEAD_REF": "feature",
    "GITHUB_RUN_ID": "99",
}
MERGE = {
    "GITLAB_CI": "true",
    "CI_SERVER_HOST": "github.com",
    "CI_PROJECT_PATH": "acme/shop",
    "CI_PROJECT_ID": "9",
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_IID": "7",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    "CI_PIPELINE_ID": "99",
}
TOKEN = "gh-t0ken"  # noqa: S105 - of nobody


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)  # noqa: S607 # the user's git


@pytest.fixture
def shop(flakegate: Caller, folder: Path) -> Path:
    """A checkout whose store has one quarantined test; its report fails in that one."""
    write(folder, "flakegate.yml", "version: 1\nrules: []\nsummary: {comment: never}\n")
    for run, name in enumerate(["test_total", "-test_total"]):
        report = write(folder, "r.xml", junit(name, "test_tax"))
        assert flakegate("record", report, FLAKEGATE_RUN_ID=str(run)).code == 0
    name = "tests.test_cart.test_total"
    assert flakegate("set", name, "quarantined", "--reason", "x").code == 0
    git(folder, "init", "-q", "-b", "main")
    write(folder, "tests/test_cart.py", "1\n")
    write(folder, "src/cart.py", "1\n")
    git(folder, "add", "tests", "src")
    git(folder, "commit", "-qm", "first")
    return folder


def branch(folder: Path, *edits: str, message: str = "second") -> None:
    """A commit of its own on a branch; git knows where the target is."""
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(folder, "checkout", "-qb", "feature")
    for name in edits:
        write(folder, name, "2\n")
    git(folder, "add", *edits)
    git(folder, "commit", "-qm", message)


@contextmanager
def served(answers: dict[str, Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A forge: documents and lists (of one page) by path; gives its address and what was asked."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            token = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""
            asked.append((self.path, token))
            found = answers.get(path)
            if isinstance(found, list) and "page=1" not in query.split("&"):
                found = []
            status = 200 if path in answers else 403
            body = json.dumps(found if path in answers else {"message": f"no, {token}"}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def reason(done: Done) -> tuple[int, str]:
    (failure,) = json.loads(done.out)["failures"]
    return done.code, failure["reason"]


def gate(flakegate: Caller, *options: str, **env: str) -> Done:
    return flakegate("gate", "r.xml", "--format", "json", *options, **env)


def test_what_the_change_does_not_touch_is_excused(flakegate: Caller, shop: Path) -> None:
    branch(shop, "src/cart.py")
    assert reason(gate(flakegate, **PULL)) == (0, "quarantined")
    assert reason(gate(flakegate, **MERGE)) == (0, "quarantined")


def test_what_the_change_touches_is_not(flakegate: Caller, shop: Path) -> None:
    branch(shop, "tests/test_cart.py")
    assert reason(gate(flakegate, **PULL)) == (1, "changed")
    assert reason(gate(flakegate, **MERGE)) == (1, "changed")
    said = flakegate("gate", "r.xml", **PULL)
    assert "quarantined, but this change touches tests/test_cart.py\n" in said.out
    explained = flakegate("explain", "test_total", **PULL)
    assert (
        "blocks (changed): quarantined, but this change touches tests/test_cart.py" in explained.out
    )


def test_elsewhere_nothing_counts_as_changed(flakegate: Caller, shop: Path) -> None:
    branch(shop, "tests/test_cart.py")
    assert reason(gate(flakegate)) == (0, "quarantined")
    push = PULL | {"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/feature"}
    assert reason(gate(flakegate, **push)) == (0, "quarantined")


def test_a_merge_queue_has_a_change(
    flakegate: Caller, shop: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    branch(shop, "tests/test_cart.py")
    event = tmp_path_factory.mktemp("event") / "event.json"
    event.write_text(json.dumps({"merge_group": {"base_ref": "refs/heads/main"}}))
    queue = PULL | {"GITHUB_EVENT_NAME": "merge_group", "GITHUB_EVENT_PATH": str(event)}
    assert reason(gate(flakegate, **queue)) == (1, "changed")


def test_the_policy_can_excuse_it(flakegate: Caller, shop: Path) -> None:
    branch(shop, "tests/test_cart.py")
    write(
        shop,
        "flakegate.yml",
        "version: 1\nrules: []\nsummary: {comment: never}\ngate: {changed_tests: excuse}\n",
    )
    with served({}) as (url, asked):
        env = PULL | {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": url}
        assert reason(gate(flakegate, **env)) == (0, "quarantined")
    assert asked == []


def test_a_change_that_cannot_be_read_excuses_nothing(flakegate: Caller, shop: Path) -> None:
    done = gate(flakegate, **PULL)
    assert reason(done) == (1, "change-unknown")
    said = flakegate("gate", "r.xml", **PULL).out
    assert "GITHUB_TOKEN (with `pull-requests: read`), or check out with `fetch-depth: 0`" in said
    assert "GIT_DEPTH: 0" in flakegate("gate", "r.xml", **MERGE).out
    number = flakegate("gate", "r.xml", FLAKEGATE_PULL_REQUEST="7").out
    assert "check out all history" in number
    queue = flakegate("gate", "r.xml", **PULL | {"GITHUB_EVENT_NAME": "merge_group"}).out
    assert "check out with `fetch-depth: 0`" in queue
    assert "GITHUB_TOKEN" not in queue  # no pull request to ask for
    after = flakegate("gate", "r.xml", **PULL | {"GITHUB_EVENT_NAME": "workflow_run"}).out
    assert "set FLAKEGATE_PULL_REQUEST" in after
    assert shop


def test_the_forge_is_asked_with_a_token(flakegate: Caller, shop: Path) -> None:
    files = [{"filename": "tests/new.py", "previous_filename": "tests/test_cart.py"}]
    with served({"/repos/acme/shop/pulls/7/files": files}) as (url, asked):
        env = PULL | {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": url}
        assert reason(gate(flakegate, **env)) == (1, "changed")
        assert asked[0] == (
            "/repos/acme/shop/pulls/7/files?per_page=100&page=1",
            f"Bearer {TOKEN}",
        )
        assert len(asked) == 2
    assert shop


def test_gitlab_is_asked_with_a_token(flakegate: Caller, shop: Path) -> None:
    request = "/api/v4/projects/9/merge_requests/7"
    answers = {
        request: {"changes_count": "1"},
        f"{request}/diffs": [{"new_path": "src/cart.py", "old_path": "src/cart.py"}],
    }
    with served(answers) as (url, asked):
        env = MERGE | {"GITLAB_TOKEN": TOKEN, "CI_API_V4_URL": f"{url}/api/v4"}
        assert reason(gate(flakegate, **env)) == (0, "quarantined")
        assert {token for _, token in asked} == {TOKEN}
    assert shop


def test_without_a_failure_to_excuse_nobody_is_asked(flakegate: Caller, shop: Path) -> None:
    with served({}) as (url, asked):
        env = PULL | {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": url}
        write(shop, "r.xml", junit("test_total"))
        assert flakegate("gate", "r.xml", **env).code == 0
        write(shop, "r.xml", junit("-test_tax"))
        assert reason(gate(flakegate, **env)) == (1, "not-flaky")
        name = "tests.test_cart.test_total"
        assert flakegate("set", name, "active", "--reason", "x").code == 0
        write(shop, "r.xml", junit("-test_total"))
        assert reason(gate(flakegate, **env)) == (1, "active")
    assert asked == []


@pytest.mark.parametrize("url", ["http://git.acme.io/api", "nonsense", None])
def test_a_token_that_does_not_do_falls_back_to_git(
    flakegate: Caller, shop: Path, url: str | None
) -> None:
    branch(shop, "src/cart.py")
    with served({}) as (address, _):
        env = PULL | {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": url or address}
        done = gate(flakegate, **env)
    assert reason(done) == (0, "quarantined")
    assert "warning: git is asked what this change touches, because" in done.err
    assert TOKEN not in done.err + done.out


def test_a_claimed_fix_is_not_excused(flakegate: Caller, folder: Path) -> None:
    where = {"source_file": "tests/test_cart.py"}
    test = flaky(
        "t", state="quarantined", module="tests", suite="test_cart.py", name="test_total",
        attempt_to_fix_id="DD_A1", test_run_metadata=where,
    )  # fmt: skip
    git(folder, "init", "-q", "-b", "main")
    write(folder, "src/cart.py", "1\n")
    git(folder, "add", "src")
    git(folder, "commit", "-qm", "first")
    branch(folder, "src/cart.py", message="Mend the total\n\nFixes DD_A1")
    write(folder, "r.xml", junit("-test_total").replace("unit", "pytest"))
    with FakeDatadog(tests=[test], clock=lambda: 1_795_176_000.0) as fake:
        options = ("--backend", "datadog", "--api-url", fake.url)
        assert reason(gate(flakegate, *options, **PULL, **KEYS)) == (1, "attempted-fix")
        write(
            folder,
            "flakegate.yml",
            "version: 1\nrules: []\nsummary: {comment: never}\ngate: {attempted_fixes: excuse}\n",
        )
        assert reason(gate(flakegate, *options, **PULL, **KEYS)) == (0, "quarantined")
        write(
            folder,
            "flakegate.yml",
            "version: 1\nrules: []\nsummary: {comment: never}\ngate: {changed_tests: excuse}\n",
        )
        pulls = "/repos/acme/shop/pulls/7"
        with served({f"{pulls}/commits": [{"commit": {"message": "other"}}]}) as (url, asked):
            env = PULL | {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": url}
            assert reason(gate(flakegate, *options, **env, **KEYS)) == (0, "quarantined")
            assert {path.partition("?")[0] for path, _ in asked} == {f"{pulls}/commits"}
