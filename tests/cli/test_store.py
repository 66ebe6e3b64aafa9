"""The commands on the embedded store: record, collect, list, set, plan, apply, run."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.cli.reports import SMALLEST, junit, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Caller

MAIN = {"FLAKEGATE_BRANCH": "main", "FLAKEGATE_DEFAULT_BRANCH": "main", "FLAKEGATE_JOB": "unit"}


def record_flake(flakegate: Caller, folder: Path, name: str, run: str, out: str = "") -> None:
    """The same commit fails and, tried again, passes."""
    for attempt, case in (("1", f"-{name}"), ("2", name)):
        report = write(folder, "flake.xml", junit(case, "test_steady"))
        where = ("--shard-out", f"{out}/{run}-{attempt}.json.gz") if out else ()
        env = {"FLAKEGATE_COMMIT": f"c{run}", "FLAKEGATE_RUN_ATTEMPT": attempt}
        done = flakegate("record", report, *where, FLAKEGATE_RUN_ID=run, **env, **MAIN)
        assert done.code == 0, done.err


def test_record_is_idempotent_and_refuses_other_content(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("-test_a"))
    assert flakegate("record", report, FLAKEGATE_RUN_ID="1").out == "recorded 1 test\n"
    again = flakegate("record", report, FLAKEGATE_RUN_ID="1")
    assert again.out == "recorded nothing: this run is in the store already\n"
    write(folder, "r.xml", junit("test_a"))
    done = flakegate("record", report, FLAKEGATE_RUN_ID="1")
    assert done.code == 2
    assert "FLAKEGATE_SHARD" in done.err
    assert done.err.count(":1:1::") == 1
    assert flakegate("record", report, FLAKEGATE_RUN_ID="1", FLAKEGATE_SHARD="2").code == 0


def test_record_takes_no_half_run(flakegate: Caller, folder: Path) -> None:
    done = flakegate("record", write(folder, "r.xml", "<testsuite>"))
    assert done.code == 3
    assert "truncated" in done.err
    assert flakegate("record", "nothing.xml").code == 3
    assert not (folder / ".flakegate").exists()


def test_shards_fold_in_any_order_any_number_of_times(flakegate: Caller, folder: Path) -> None:
    for run in ("1", "2", "3"):
        record_flake(flakegate, folder, "test_a", run, out="shards")
    assert not (folder / ".flakegate").exists()
    first = flakegate("collect", "shards/2-2.json.gz", "--format", "json")
    assert json.loads(first.out)["new"] == 1
    rest = json.loads(flakegate("collect", "shards", "--format", "json").out)
    assert (rest["new"], rest["known"], rest["detected"]) == (5, 1, 1)
    listed = flakegate("list", "--format", "json").out
    assert json.loads(flakegate("collect", "shards", "--format", "json").out)["new"] == 0
    assert flakegate("list", "--format", "json").out == listed
    (test,) = json.loads(listed)["tests"]
    assert (test["runs"], test["failures"], test["failure_rate"]) == (6, 3, 50.0)


def test_a_shard_is_never_overwritten_by_another_run(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("-test_a"))
    first = ("record", report, "--shard-out", "s.json.gz")
    assert flakegate(*first, FLAKEGATE_RUN_ID="1").code == 0
    held = (folder / "s.json.gz").read_bytes()
    later = "2026-11-20T13:00:00Z"
    assert flakegate(*first, FLAKEGATE_RUN_ID="1", FLAKEGATE_TIME=later).code == 0
    assert flakegate(*first, FLAKEGATE_RUN_ID="2").code == 2
    assert (folder / "s.json.gz").read_bytes() == held
    assert [path.name for path in folder.iterdir() if path.name.startswith(".s")] == []


def test_a_rehearsal_of_collect_is_json_too(flakegate: Caller, folder: Path) -> None:
    record_flake(flakegate, folder, "test_a", "1", out="shards")
    done = flakegate("collect", "shards", "--dry-run", "--format", "json")
    told = {"version": 1, "result": "dry-run", "shards": 2, "broken": 0, "left_out": 0}
    assert json.loads(done.out) == told
    assert flakegate("collect", "shards/1-1.json.gz", "--dry-run").out.startswith("1 shard would")
    assert "; 1 test found" in flakegate("collect", "shards").out
    assert (folder / ".flakegate").exists()


def test_quiet_keeps_the_warnings(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    write(folder, "taken.db", "this is no database")
    report = write(folder, "r.xml", junit("test_a"))
    done = flakegate("run", report, "-q", "--store", "sqlite:///taken.db")
    assert (done.code, done.out) == (0, "passed: 1 test\n")
    assert "not a SQLite database" in done.err


def test_a_broken_shard_is_named_and_the_others_are_folded_in(
    flakegate: Caller, folder: Path
) -> None:
    record_flake(flakegate, folder, "test_a", "1", out="shards")
    whole = (folder / "shards/1-1.json.gz").read_bytes()
    (folder / "shards/0.json.gz").write_bytes(whole[:-9])
    done = flakegate("collect", "shards")
    assert done.code == 3
    assert "shards/0.json.gz" in done.err
    assert "2 new runs" in done.out
    assert "1 broken" in done.out
    assert flakegate("collect", "nowhere").code == 2


def test_the_policy_acts_and_a_second_time_does_nothing(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    record_flake(flakegate, folder, "test_a", "1")
    plan = flakegate("plan")
    assert "test_a" in plan.out
    assert "noisy" in plan.out
    assert (
        "quarantined"
        not in json.loads(flakegate("list", "--format", "json").out)["tests"][0]["state"]
    )
    assert flakegate("apply", "--dry-run").code == 0
    assert not (folder / ".flakegate/journal.jsonl").exists()
    assert "1 state change" in flakegate("apply").out
    assert "nothing to change" in flakegate("apply").out
    (test,) = json.loads(flakegate("list", "--format", "json").out)["tests"]
    assert (test["state"], test["rule"]) == ("quarantined", "noisy")


def test_without_a_journal_nothing_is_changed(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    record_flake(flakegate, folder, "test_a", "1")
    (folder / ".flakegate/journal.jsonl").mkdir()
    done = flakegate("apply")
    assert done.code == 4
    assert "journal" in done.out + done.err
    (test,) = json.loads(flakegate("list", "--format", "json").out)["tests"]
    assert test["state"] == "active"


def test_run_judges_before_it_records_and_applies(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST + "apply: always\n")
    record_flake(flakegate, folder, "test_a", "1")
    report = write(folder, "r.xml", junit("-test_a"))
    env = {**MAIN, "FLAKEGATE_RUN_ID": "5", "FLAKEGATE_COMMIT": "c5"}
    first = flakegate("run", report, "--format", "json", **env)
    document = json.loads(first.out)
    assert first.code == document["exit_code"] == 1
    assert document["gate"]["failures"][0]["reason"] == "active"
    assert [each["fqn"] for each in document["applied"]["done"]] == ["tests.test_cart.test_a"]
    again = flakegate("run", report, **env)
    assert again.code == 1, "its own run's record caused the quarantine"
    assert flakegate("run", report, **{**env, "FLAKEGATE_RUN_ID": "6"}).code == 0


def test_run_applies_only_where_it_may(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    record_flake(flakegate, folder, "test_a", "1")
    report = write(folder, "r.xml", junit("test_a"))
    assert "not applied" in flakegate("run", report, FLAKEGATE_RUN_ID="2").out
    on_change = {"FLAKEGATE_RUN_ID": "3", "FLAKEGATE_PULL_REQUEST": "7"}
    assert "not applied" in flakegate("run", report, **on_change).out
    fork = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_RUN_ID": "9"}
    assert "not applied" in flakegate("run", report, "--apply", **fork).out
    assert flakegate("apply", **fork).code == 2
    assert "not applied" in flakegate("run", report, "--no-apply", FLAKEGATE_RUN_ID="4").out
    assert "applied    1" in flakegate("run", report, "--apply", FLAKEGATE_RUN_ID="5").out


def test_run_without_a_policy_does_what_gate_does(flakegate: Caller, folder: Path) -> None:
    done = flakegate("run", write(folder, "r.xml", junit("-test_a")))
    assert done.code == 1
    assert "no policy file" in done.out
    assert not (folder / ".flakegate").exists()


def test_run_records_no_half_run(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    done = flakegate("run", write(folder, "r.xml", "<testsuite>"), "--format", "json")
    assert done.code == 3
    assert json.loads(done.out)["recorded"].startswith("nothing")


def test_dry_run_writes_nothing(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    report = write(folder, "r.xml", junit("-test_a"))
    assert flakegate("run", report, "--dry-run").code == 1
    assert flakegate("record", report, "--dry-run").code == 0
    assert not (folder / ".flakegate").exists()


def test_set_names_any_recorded_test(flakegate: Caller, folder: Path) -> None:
    flakegate("record", write(folder, "r.xml", junit("test_a", "test_ab")), FLAKEGATE_RUN_ID="1")
    exact = ("set", "tests.test_cart.test_a", "quarantined", "--reason", "rewrite")
    done = flakegate(*exact, "--dry-run", USER="dana")
    assert done.code == 0
    assert "test_a" in done.out
    assert flakegate("list").out == ""
    assert flakegate(*exact, USER="dana").code == 0
    assert "dana" in flakegate("list").out
    assert flakegate("set", "test_", "active", "--reason", "x").code == 2
    assert flakegate("set", "test_ab", "active", "--reason", " ").code == 2


def test_list_as_csv_keeps_formulas_text(flakegate: Caller, folder: Path) -> None:
    flakegate("record", write(folder, "r.xml", junit("=cmd()")), FLAKEGATE_RUN_ID="1")
    flakegate("set", "cmd", "quarantined", "--reason", "@sum(1)", FLAKEGATE_RUN_ID="2")
    rows = flakegate("list", "--format", "csv").out.splitlines()
    assert rows[0].startswith("id,module,suite,name,fqn,state")
    assert "'=cmd()" in rows[1]
    assert "'@sum(1)" in rows[1]


def test_list_sorts_by_a_figure(flakegate: Caller, folder: Path) -> None:
    record_flake(flakegate, folder, "test_a", "1")
    for run in ("2", "3"):
        record_flake(flakegate, folder, "test_b", run)
    by_rate = json.loads(flakegate("list", "--format", "json", "--sort", "failed_pipelines").out)
    assert [test["name"] for test in by_rate["tests"]] == ["test_b", "test_a"]
    by_name = json.loads(flakegate("list", "--format", "json").out)
    assert [test["name"] for test in by_name["tests"]] == ["test_a", "test_b"]


def test_a_store_that_is_not_ours(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("-test_a"))
    write(folder, "text.db", "not a database, but long enough to look at" * 50)
    with sqlite3.connect(folder / "other.db") as other:
        other.execute("create table runs (x)")
    other.close()
    for name in ("text.db", "other.db"):
        held = (folder / name).read_bytes()
        done = flakegate("record", report, "--store", f"sqlite:///{name}")
        assert done.code == 4, name
        assert name in done.err
        assert (folder / name).read_bytes() == held
        blocked = flakegate("gate", report, "--store", f"sqlite:///{name}", "--format", "json")
        assert blocked.code == 4
        assert json.loads(blocked.out)["failures"][0]["reason"] == "unavailable"


@pytest.mark.parametrize("url", ["mysql://host/db", "history.db", "sqlite://x"])
def test_a_store_that_cannot_be(flakegate: Caller, folder: Path, url: str) -> None:
    report = write(folder, "r.xml", junit("-test_a"))
    assert flakegate("record", report, "--store", url).code == 2


def test_a_password_belongs_in_the_environment(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("-test_a"))
    url = "postgresql://bot:hunter2@db/flaky"
    done = flakegate("record", report, "--store", url)
    assert done.code == 2
    assert "FLAKEGATE_STORE" in done.err
    from_env = flakegate("record", report, FLAKEGATE_STORE=url)
    assert from_env.code == 2
    assert "hunter2" not in done.err + from_env.err


def test_collect_counts_what_is_too_old_and_refuses_the_future(
    flakegate: Caller, folder: Path
) -> None:
    report = write(folder, "r.xml", junit("test_a"))
    for number, at in (("1", "2026-08-01"), ("2", "2026-11-25"), ("3", "2026-11-20")):
        out = ("--shard-out", f"shards/{number}.json.gz")
        assert (
            flakegate("record", report, *out, FLAKEGATE_RUN_ID=number, FLAKEGATE_TIME=at).code == 0
        )
    done = flakegate("collect", "shards", "--format", "json")
    told = json.loads(done.out)
    assert (told["new"], told["too_old"], len(told["refused"])) == (1, 1, 1)
    assert done.code == 2
    assert "from the future" in done.err
    assert "1 too old" in flakegate("collect", "shards").out
