"""The action, run by `act` as GitHub would run it: all its jobs side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from flakegate.hosted import artifact_name
from flakegate.record import decode_shard
from tests.fake_github import OF_WORKFLOW, FakeGitHub
from tests.forges.act import ROOT, act, copy_of_the_action
from tests.forges.shop import make_shop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.forges.act import Job

CASES = ROOT / "tests/cases/forges"
WORKFLOW = (CASES / "tests.yml").read_text()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What came of the workflow. artifacts: by their names, the files of each."""

    jobs: dict[str, Job]
    artifacts: dict[str, list[Path]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("action")
    for name in ("shop", "action", "caches", "artifacts"):
        (folder / name).mkdir()
    repository = make_shop(folder / "shop", "https://github.com/acme/shop.git")
    action = copy_of_the_action(folder / "action")
    env = {
        "CHECKOUT_FROM": str(repository),
        "CACHES": str(folder / "caches"),
        "ARTIFACTS": str(folder / "artifacts"),
    }
    with FakeGitHub() as hub:
        env["GITHUB_API_URL"] = hub.url
        jobs = act(repository, WORKFLOW, action=action, env=env, token=OF_WORKFLOW)
    left = {each.name: sorted(each.iterdir()) for each in (folder / "artifacts").iterdir()}
    return Ran(jobs=jobs, artifacts=left)


@pytest.mark.parametrize(
    ("name", "result", "code", "words"),
    [
        ("green", "success", "0", "passed: 2 tests"),
        ("excused", "success", "0", "1 flaky failure excused"),
        ("blocked", "failure", "1", "test_a"),
        ("incomplete", "failure", "3", "nothing-here: no report there"),
        ("plan", "success", "0", "nothing to change for 0 flaky tests"),
        ("recorded", "success", "0", "recorded 2 tests into"),
    ],
)
def test_how_a_job_ends(ran: Ran, name: str, result: str, code: str, words: str) -> None:
    job = ran.jobs[name]
    assert (job.result, job.outputs["gate"]["exit-code"]) == (result, code), job.log
    assert words in job.log


def test_the_legs_of_a_matrix_leave_a_shard_each(ran: Ran) -> None:
    legs = [ran.jobs[f"legs-{number}"] for number in (1, 2)]
    assert [job.result for job in legs] == ["success", "success"], legs[0].log + legs[1].log
    names = sorted(name for name in ran.artifacts if "-legs-" in name)
    runs = [decode_shard(ran.artifacts[name][0].read_bytes(), name) for name in names]
    assert sorted(run.leg for run in runs) == [
        "legs:linux,3.11",
        """legs:{"os"%3A "linux", "python"%3A "a 'b', c"}""",
    ]
    assert names == sorted(artifact_name("1", "1", run.leg) for run in runs)


def test_what_a_job_records_is_left_even_if_it_does_not_pass(ran: Ran) -> None:
    assert set(ran.artifacts) >= {"flakegate-1-1-recorded", "flakegate-1-1-blocked"}
    assert not {name for name in ran.artifacts if "incomplete" in name or "green" in name}


def test_the_plan_and_the_summary_are_files(ran: Ran) -> None:
    log = ran.jobs["plan"].log
    assert '"transitions": []' in log
    assert "### ✅ Nothing to change" in log


def test_no_shell_reads_what_inputs_say(ran: Ran) -> None:
    job = ran.jobs["hostile"]
    outputs = job.outputs
    assert (job.result, outputs["gate"]["exit-code"]) == ("success", "3"), job.log
    assert "$(touch by-substitution).xml: no report there (and 3 more)" in job.log
    assert outputs["open"]["exit-code"] == "2"
    assert "the input args cannot be read: No closing quotation" in job.log
    assert outputs["mode"]["exit-code"] == "2"
    assert "the input mode is 'gate\"; touch by-mode; \"'" in job.log
    listed = job.log.rpartition("== here")[2]
    assert 'it is "here".md' in listed
    assert "by-" not in listed


def test_an_input_sets_no_output_but_its_own(ran: Ran) -> None:
    outputs = ran.jobs["hostile"].outputs["outputs"]
    assert outputs["exit-code"] == "0"
    assert outputs["summary-file"] == "a\nexit-code=7\nverdict<<x"


def test_the_callers_python_is_neither_used_nor_changed(ran: Ran) -> None:
    job = ran.jobs["caller"]
    assert job.result == "success", job.log
    assert "passed: 2 tests" in job.log
    assert "== all the same" in job.log
