"""`flakegate collect --artifacts`: what jobs left on a forge, over real HTTP."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flakegate.forges.artifacts import known
from flakegate.record import encode_shard
from tests.backends.store.build import run
from tests.fake_artifacts import FORK, TOKEN, FakeArtifacts, Storage, archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flakegate.record import RunRecord
    from tests.conftest import Caller, Done

AT = 1_795_166_000.0  # some hours before FLAKEGATE_TIME of the fixture


@pytest.fixture
def forge() -> Iterator[FakeArtifacts]:
    with Storage() as storage, FakeArtifacts(elsewhere=storage) as front:
        yield front


def name(record: RunRecord) -> str:
    return known(record.key, record.pipeline, record.leg).name


def left(forge: FakeArtifacts, number: int, **more: Any) -> RunRecord:
    """A run whose job left its shard."""
    record = run(number, AT + number, a="p")
    forge.add(name(record), archive(encode_shard(record)), run=number, **more)
    return record


def on_github(flakegate: Caller, forge: FakeArtifacts, *arguments: str) -> Done:
    return flakegate(
        "collect",
        "--artifacts",
        *arguments,
        GITHUB_ACTIONS="true",
        GITHUB_API_URL=forge.url,
        GITHUB_REPOSITORY="acme/shop",
        GITHUB_TOKEN=TOKEN,
    )


def counted(done: Done) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(done.out)
    return {key: document[key] for key in ("new", "known", "forks", "broken")}


def test_what_is_new_is_fetched_and_nothing_twice(flakegate: Caller, forge: FakeArtifacts) -> None:
    for number in range(1, 4):
        left(forge, number)
    done = on_github(flakegate, forge, "--format", "json")
    assert done.code == 0, done.err
    assert counted(done) == {"new": 3, "known": 0, "forks": 0, "broken": 0}
    left(forge, 4)
    forge.elsewhere.requests.clear()
    done = on_github(flakegate, forge, "--format", "json")
    assert counted(done) == {"new": 1, "known": 0, "forks": 0, "broken": 0}
    assert len(forge.elsewhere.requests) == 1


def test_all_pages_are_read(flakegate: Caller, forge: FakeArtifacts) -> None:
    for number in range(1, 231):
        forge.add(f"coverage-{number}", b"") if number % 50 else left(forge, number)
    done = on_github(flakegate, forge, "--format", "json")
    assert counted(done)["new"] == 4


def test_the_token_goes_to_github_and_nowhere_else(flakegate: Caller, forge: FakeArtifacts) -> None:
    left(forge, 1)
    done = on_github(flakegate, forge)
    assert done.code == 0
    assert all("authorization" in request.headers for request in forge.requests)
    assert not any("authorization" in each.headers for each in forge.elsewhere.requests)
    assert TOKEN not in done.out + done.err


def test_a_fork_is_one_whatever_its_shard_says(flakegate: Caller, forge: FakeArtifacts) -> None:
    record = left(forge, 1, head=FORK)
    assert not record.fork
    done = on_github(flakegate, forge, "--format", "json")
    assert counted(done) == {"new": 1, "known": 0, "forks": 1, "broken": 0}


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ({"pipeline": "github:github.com/acme/shop:7"}, "it says that it is of run 7 of"),
        ({"repository": "github.com/acme/other"}, "of github.com/acme/other, and run 1 of"),
    ],
)
def test_a_shard_of_another_run_is_refused(
    flakegate: Caller, forge: FakeArtifacts, claim: dict[str, Any], words: str
) -> None:
    record = replace(run(1, AT, a="p"), **claim)
    forge.add("flakegate-1-1-tests", archive(encode_shard(record)), run=1)
    left(forge, 2)
    done = on_github(flakegate, forge, "--format", "json")
    assert (done.code, counted(done)["new"], counted(done)["broken"]) == (3, 1, 1)
    assert words in done.err


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no zip", "it is no whole archive"),
        (archive(b"no shard"), "not a"),
        (archive(b"", "readme.txt"), "0 shards of flakegate in it"),
        (archive(b"", "a.json.gz", "../../b.json.gz"), "2 shards of flakegate in it"),
        (archive(b"x" * 1000)[:-30], "it is no whole archive"),
    ],
)
def test_what_is_no_shard_is_told_and_the_rest_is_folded_in(
    flakegate: Caller, forge: FakeArtifacts, data: bytes, words: str
) -> None:
    forge.add("flakegate-1-1-tests", data)
    left(forge, 2)
    done = on_github(flakegate, forge, "--format", "json")
    assert (done.code, counted(done)["new"], counted(done)["broken"]) == (3, 1, 1)
    assert words in done.err


def test_a_fork_cannot_keep_the_collecting_job_from_passing(
    flakegate: Caller, forge: FakeArtifacts
) -> None:
    forge.add("flakegate-1-1-tests", b"no zip", head=FORK)
    done = on_github(flakegate, forge, "--format", "json")
    assert (done.code, counted(done)["broken"]) == (0, 0)
    assert "left out, of a fork" in done.err


def test_what_is_expired_or_older_than_the_store_keeps_is_not_asked_for(
    flakegate: Caller, forge: FakeArtifacts
) -> None:
    left(forge, 1, created="2026-01-01T00:00:00Z")
    for number in range(2, 103):
        left(forge, number, expired=True, created="2026-01-02T00:00:00Z")
    done = on_github(flakegate, forge, "--format", "json")
    assert counted(done)["new"] == 0
    assert len([each for each in forge.requests if "artifacts?" in each.path]) == 1


def test_the_listing_that_fails_is_an_error_and_changes_nothing(
    flakegate: Caller, forge: FakeArtifacts
) -> None:
    left(forge, 1)
    forge.token = "another"  # noqa: S105 - nobody's
    done = on_github(flakegate, forge)
    assert done.code == 4
    assert "401" in done.err


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"GITHUB_ACTIONS": "true"}, "give this step GITHUB_TOKEN, with `actions: read`"),
        ({"GITLAB_CI": "true"}, "give this step GITLAB_TOKEN"),
        ({}, "this is no job of GitHub Actions or GitLab CI"),
    ],
)
def test_without_a_token_there_is_nobody_to_ask(
    flakegate: Caller, env: dict[str, str], words: str
) -> None:
    done = flakegate("collect", "--artifacts", **env)
    assert done.code == 2
    assert words in done.err


def test_neither_paths_nor_artifacts(flakegate: Caller) -> None:
    done = flakegate("collect")
    assert done.code == 2
    assert "neither a PATH nor --artifacts" in done.err


def test_on_gitlab(flakegate: Caller, forge: FakeArtifacts) -> None:
    def at(pipeline: int, job: int) -> bytes:
        of = f"gitlab:github.com/acme/shop:{pipeline}"
        record = run(pipeline, AT + job, a="p")
        return encode_shard(replace(record, pipeline=of, key=f"{of}:{job}:tests:"))

    forge.add_job(101, 1, at(1, 101))
    forge.add_job(102, 1, b"", "archive")
    env = {
        "GITLAB_CI": "true", "CI_API_V4_URL": forge.url, "CI_PROJECT_ID": "7",
        "GITLAB_TOKEN": TOKEN, "CI_PIPELINE_SOURCE": "schedule",
    }  # fmt: skip
    done = flakegate("collect", "--artifacts", "--format", "json", **env)
    assert done.code == 0, done.err
    assert counted(done) == {"new": 1, "known": 0, "forks": 0, "broken": 0}
    forge.add_job(103, 2, at(2, 103))
    forge.requests.clear()
    done = flakegate("collect", "--artifacts", "--format", "json", **env)
    assert counted(done) == {"new": 1, "known": 0, "forks": 0, "broken": 0}
    assert len([each for each in forge.requests if "/artifacts/" in each.path]) == 1
