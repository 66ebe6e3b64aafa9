"""`--snapshot FILE`: verdicts by a saved list, with the backend there and not."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.reports import junit, write
from tests.fake_datadog import KEYS, FakeDatadog, changed, flaky

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Caller, Done

NOON = 1_795_176_000.0  # what FLAKEGATE_TIME says
NO_STORE = {"FLAKEGATE_STORE": "sqlite:///broken.db"}
NO_DATADOG = {"FLAKEGATE_API_URL": "http://127.0.0.1:9", "FLAKEGATE_TIMEOUT": "0.2"}
FALLS_BACK = "version: 1\nrules: []\ngate: {when_unavailable: snapshot}\n"


@pytest.fixture
def saved(flakegate: Caller, folder: Path) -> str:
    """A snapshot of a store with one quarantined test; `r.xml` fails in that one."""
    write(folder, "flakegate.yml", "version: 1\nrules: []\n")
    for run, name in enumerate(["test_total", "-test_total"]):
        report = write(folder, "r.xml", junit(name, "test_tax"))
        assert flakegate("record", report, FLAKEGATE_RUN_ID=str(run)).code == 0
    name = "tests.test_cart.test_total"
    assert flakegate("set", name, "quarantined", "--reason", "x").code == 0
    write(folder, "broken.db", "no database" * 1_000)
    return write(folder, "s.json", flakegate("list", "--format", "json").out)


def gate(flakegate: Caller, *options: str, **env: str) -> Done:
    return flakegate("gate", "r.xml", "--format", "json", *options, **env)


def reason(done: Done) -> tuple[int, str]:
    (failure,) = json.loads(done.out)["failures"]
    return done.code, failure["reason"]


def test_a_snapshot_is_judged_by_instead_of_the_backend(
    flakegate: Caller, folder: Path, saved: str
) -> None:
    done = gate(flakegate, "--snapshot", saved, **NO_STORE)
    assert reason(done) == (0, "quarantined")
    assert json.loads(done.out)["snapshot"] == {"taken_at": "2026-11-20T12:00:00Z"}
    assert done.err == ""
    later = {"FLAKEGATE_TIME": "2026-11-20T15:10:00Z"}
    text = flakegate("gate", "r.xml", "--snapshot", saved, "--summary", "s.md", **later).out
    assert "states     of a snapshot of 20 Nov 12:00 UTC, 3 hours ago" in text
    summary = (folder / "s.md").read_text("utf-8")
    assert "Excused by a snapshot of 20 Nov 12:00 UTC, 3 hours ago." in summary


def test_a_failure_that_it_does_not_know_blocks(
    flakegate: Caller, folder: Path, saved: str
) -> None:
    write(folder, "r.xml", junit("-test_new"))
    assert reason(gate(flakegate, "--snapshot", saved)) == (1, "not-flaky")


def test_where_the_policy_says_so_the_backend_goes_first(
    flakegate: Caller, folder: Path, saved: str
) -> None:
    write(folder, "flakegate.yml", FALLS_BACK)
    there = gate(flakegate, "--snapshot", saved)
    assert reason(there) == (0, "quarantined")
    assert "snapshot" not in json.loads(there.out)
    away = gate(flakegate, "--snapshot", saved, **NO_STORE)
    assert reason(away) == (0, "quarantined")
    assert "snapshot" in json.loads(away.out)
    assert "warning:" in away.err  # why the backend could not be asked
    unnamed = gate(flakegate, **NO_STORE)
    assert reason(unnamed) == (4, "unavailable")
    assert "no snapshot was named (--snapshot FILE)" in flakegate("gate", "r.xml", **NO_STORE).out


def test_without_a_snapshot_nothing_is_excused(flakegate: Caller, saved: str) -> None:
    assert reason(gate(flakegate, **NO_STORE)) == (4, "unavailable")
    assert saved


@pytest.mark.parametrize(
    ("policy", "env"),
    [("version: 1\nrules: []\n", {}), (FALLS_BACK, NO_STORE)],
)
def test_one_that_is_too_old_is_said_to_be(
    flakegate: Caller, folder: Path, saved: str, policy: str, env: dict[str, str]
) -> None:
    write(folder, "flakegate.yml", policy)
    late = {"FLAKEGATE_TIME": "2026-11-22T12:00:00Z"} | env
    assert reason(gate(flakegate, "--snapshot", saved, **late)) == (4, "unavailable")
    text = flakegate("gate", "r.xml", "--snapshot", saved, **late)
    assert text.code == 4
    assert (
        "whether it is a flaky test; the snapshot s.json was saved 20 Nov 12:00 UTC, 2 days ago:"
        " gate.snapshot_max_age is 24 hours"
    ) in text.out
    longer = "version: 1\nrules: []\ngate: {snapshot_max_age: 3d}\n"
    write(folder, "flakegate.yml", longer)
    assert reason(gate(flakegate, "--snapshot", saved, **late)) == (0, "quarantined")


def test_one_that_was_tampered_with_excuses_nothing(
    flakegate: Caller, folder: Path, saved: str
) -> None:
    text = (folder / saved).read_text("utf-8").replace("test_total", "test_tax")
    write(folder, "s.json", text)
    write(folder, "r.xml", junit("-test_tax"))
    done = gate(flakegate, "--snapshot", saved)
    assert reason(done) == (4, "unavailable")
    assert "its digest differs" in done.err


def test_a_part_of_the_list_and_another_repository_excuse_nothing(
    flakegate: Caller, folder: Path, saved: str
) -> None:
    other = gate(flakegate, "--snapshot", saved, "--repository", "github.com/acme/till")
    assert reason(other) == (4, "unavailable")
    part = flakegate("list", "--format", "json", "--state", "quarantined").out
    done = gate(flakegate, "--snapshot", write(folder, "part.json", part))
    assert reason(done) == (4, "unavailable")
    assert "lists a part of the tests" in done.err


@pytest.mark.parametrize("name", ["none.json", ".", "", "/dev/zero"])
def test_a_file_that_is_none(flakegate: Caller, saved: str, name: str) -> None:
    assert saved
    done = gate(flakegate, "--snapshot", name)
    if name in {".", ""}:
        assert done.code == 2
    else:
        assert reason(done) == (4, "unavailable")
        assert f"the snapshot {name} is no file" in done.err


def test_a_run_never_excuses_itself(flakegate: Caller, folder: Path, saved: str) -> None:
    here = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_RUN_ID": "7"}
    own = flakegate("list", "--format", "json", **here).out
    done = gate(flakegate, "--snapshot", write(folder, "own.json", own), **here)
    assert reason(done) == (4, "unavailable")
    assert "was taken in this CI run" in done.err
    assert reason(gate(flakegate, "--snapshot", saved, **here)) == (0, "quarantined")


def test_a_change_does_not_bring_its_own(flakegate: Caller, folder: Path, saved: str) -> None:
    write(folder, "flakegate.yml", "version: 1\nrules: []\ngate: {changed_tests: excuse}\n")
    change = {"FLAKEGATE_PULL_REQUEST": "7"}
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)  # noqa: S607 # the user's git
    assert reason(gate(flakegate, "--snapshot", saved, **change)) == (0, "quarantined")
    subprocess.run(["git", "add", saved], cwd=folder, check=True)  # noqa: S607
    done = gate(flakegate, "--snapshot", saved, **change)
    assert reason(done) == (4, "unavailable")
    assert "the snapshot s.json is a file of the repository" in done.err
    assert reason(gate(flakegate, "--snapshot", saved)) == (0, "quarantined")


def test_tests_of_datadog_are_matched_as_those_of_datadog(flakegate: Caller, folder: Path) -> None:
    def known(key: str, state: str, folder_of: str) -> dict[str, Any]:
        names: dict[str, Any] = {"module": "tests", "suite": "test_cart.py", "name": "test_total"}
        names["history"] = [changed(state, at=NOON - 864_000, policy="ftm_policy.manual")]
        names["test_run_metadata"] = {"source_file": f"{folder_of}/tests/test_cart.py"}
        return flaky(key, state=state, **names)

    write(folder, "flakegate.yml", "version: 1\nrules: []\nbackend: {kind: datadog}\n")
    tests = [known("api", "quarantined", "api"), known("web", "active", "web")]
    with FakeDatadog(tests=tests, clock=lambda: NOON) as fake:
        url = ("--api-url", fake.url)
        saved = write(folder, "s.json", flakegate("list", "--format", "json", *url, **KEYS).out)
    write(folder, "r.xml", junit("-test_total").replace("unit", "pytest"))
    options = ("--snapshot", saved, "--base-dir")
    assert reason(gate(flakegate, *options, "api")) == (0, "quarantined")
    assert reason(gate(flakegate, *options, "web")) == (1, "active")
    assert reason(gate(flakegate, "--snapshot", saved)) == (1, "ambiguous")
    assert reason(gate(flakegate, *options, "api", "--backend", "store")) == (4, "unavailable")
    write(folder, "flakegate.yml", "version: 1\nrules: []\ngate: {max_age: 9d}\n")
    assert reason(gate(flakegate, *options, "api")) == (1, "expired")
    row = next(each for each in json.loads((folder / saved).read_text())["tests"])
    assert (row["id"], row["state_since"]) == ("api", "2026-11-10T12:00:00Z")
    write(folder, "flakegate.yml", FALLS_BACK)
    fallen = gate(flakegate, *options, "api", "--backend", "datadog", **KEYS, **NO_DATADOG)
    assert reason(fallen) == (0, "quarantined")
    assert "connection refused" in fallen.err


def test_run_and_exec_take_one_too(flakegate: Caller, saved: str) -> None:
    done = flakegate("run", "r.xml", "--snapshot", saved, "--format", "json")
    judged = json.loads(done.out)["gate"]
    assert judged["snapshot"] == {"taken_at": "2026-11-20T12:00:00Z"}
    assert judged["failures"][0]["reason"] == "quarantined"
    ran = ("--", "cp", "r.xml", "new.xml")
    done = flakegate("exec", "--report", "new.xml", "--snapshot", saved, *ran)
    assert done.code == 0
    assert "of a snapshot of 20 Nov 12:00 UTC" in done.out
