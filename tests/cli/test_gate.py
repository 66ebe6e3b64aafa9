"""`flakegate gate`, as a CI job calls it: exit code, JSON, words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.reports import SMALLEST, junit, write

if TYPE_CHECKING:
    from tests.conftest import Caller

CHANGE = {"FLAKEGATE_RUN_ID": "2"}


def quarantine(flakegate: Caller, folder: Path, name: str) -> None:
    """Records a run of its own in which the test fails, and a person quarantines it."""
    report = write(folder, "before.xml", junit(f"-{name}", "test_other"))
    assert flakegate("record", report, FLAKEGATE_RUN_ID="1").code == 0
    done = flakegate("set", name, "quarantined", "--reason", "being rewritten", USER="dana")
    assert done.code == 0, done.err


def test_green_passes_and_opens_nothing(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("test_a", "test_b"))
    done = flakegate("gate", report, DD_API_KEY="only-one-key")
    assert done.code == 0
    assert "passed: 2 tests" in done.out
    assert not (folder / ".flakegate").exists()


def test_a_failure_that_nobody_knows_blocks(flakegate: Caller, folder: Path) -> None:
    done = flakegate("gate", write(folder, "r.xml", junit("test_a", "-test_b")))
    assert done.code == 1
    assert "BLOCKED" in done.out
    assert "not known to be flaky" in done.out
    assert "holds no run of github.com/acme/shop" in done.out
    assert not (folder / ".flakegate").exists()


def test_a_quarantined_failure_is_excused(flakegate: Caller, folder: Path) -> None:
    quarantine(flakegate, folder, "test_b")
    report = write(folder, "r.xml", junit("test_a", "-test_b"))
    done = flakegate("gate", report, "--format", "json", **CHANGE)
    assert done.code == 0
    document = json.loads(done.out)
    test_id = document["failures"][0].pop("test_id")
    assert document == {
        "version": 1,
        "verdict": "pass",
        "exit_code": 0,
        "totals": {
            "tests": 2,
            "passed": 1,
            "failures": 1,
            "errors": 0,
            "skipped": 0,
            "flaky": 0,
            "reruns": 0,
            "reports": 1,
        },
        "failures": [
            {
                "suite": "unit",
                "classname": "tests.test_cart",
                "name": "test_b",
                "file": "tests/test_cart.py",
                "outcome": "failure",
                "message": "expected 42, got 41\nat line 7",
                "decision": "excused",
                "reason": "quarantined",
                "rule": None,
            }
        ],
        "evidence": [],
    }
    assert test_id in flakegate("list", "--format", "json").out


def test_another_failure_beside_it_still_blocks(flakegate: Caller, folder: Path) -> None:
    quarantine(flakegate, folder, "test_b")
    report = write(folder, "r.xml", junit("-test_a", "-test_b"))
    document = json.loads(flakegate("gate", report, "--format", "json", **CHANGE).out)
    assert document["exit_code"] == 1
    decisions = {row["name"]: row["decision"] for row in document["failures"]}
    assert decisions == {"test_a": "blocked", "test_b": "excused"}


def test_an_exempt_test_is_never_excused(flakegate: Caller, folder: Path) -> None:
    quarantine(flakegate, folder, "test_b")
    write(
        folder,
        "flakegate.yml",
        SMALLEST + 'exempt: [{when: name == "test_b", reason: must block}]\n',
    )
    done = flakegate("gate", write(folder, "r.xml", junit("-test_b")), **CHANGE)
    assert done.code == 1
    assert "exempt by the policy: must block" in done.out


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "truncated"),
        (junit("test_a")[:-20], "truncated"),
        ("<html><body>502</body></html>", "not-junit"),
        (junit("test_a", declared=1), "missing-failures"),
        (junit(), "empty"),
        (junit("test_a").replace("</testsuite>", "<error/></testsuite>"), "suite-error"),
    ],
)
def test_incomplete_evidence_is_no_pass(
    flakegate: Caller, folder: Path, text: str, problem: str
) -> None:
    report = write(folder, "r.xml", text)
    done = flakegate("gate", report, "--format", "json")
    document = json.loads(done.out)
    assert (done.code, document["verdict"]) == (3, "incomplete")
    assert [row["problem"] for row in document["evidence"]] == [problem]


def test_no_report_is_named(flakegate: Caller) -> None:
    done = flakegate("gate", "reports/*.xml")
    assert done.code == 3
    assert "reports/*.xml" in done.out


def test_one_broken_report_does_not_hide_the_others(flakegate: Caller, folder: Path) -> None:
    write(folder, "reports/a.xml", junit("-test_a"))
    write(folder, "reports/b.xml", "<testsuite>")
    document = json.loads(flakegate("gate", "reports", "--format", "json").out)
    assert document["exit_code"] == 3
    assert [row["name"] for row in document["failures"]] == ["test_a"]


@pytest.mark.parametrize(
    ("end", "failing", "code", "problem"),
    [
        (("--test-exit-code", "0"), False, 0, None),
        (("--test-exit-code", "1"), False, 1, "no-failure"),
        (("--test-exit-code", "2"), True, 2, "exit-code"),
        (("--test-exit-code", "137"), True, 137, "killed"),
        (("--test-exit-code", "-9"), True, 137, "killed"),
        (("--test-outcome", "failure"), False, 3, "no-failure"),
        (("--test-outcome", "cancelled"), False, 3, "killed"),
        (("--test-outcome", "skipped"), False, 3, "empty"),
        (("--test-outcome", "success"), False, 0, None),
        (("--test-exit-code", "0", "--test-outcome", "failure"), False, 3, "no-failure"),
    ],
)
def test_how_the_tests_ended_is_evidence(  # noqa: PLR0913 - the columns of the table above
    flakegate: Caller,
    folder: Path,
    *,
    end: tuple[str, ...],
    failing: bool,
    code: int,
    problem: str | None,
) -> None:
    quarantine(flakegate, folder, "test_b")
    report = write(folder, "r.xml", junit("test_a", "-test_b" if failing else "test_b"))
    gate, run = (
        flakegate(command, report, *end, "--format", "json", **CHANGE)
        for command in ("gate", "run")
    )
    document = json.loads(gate.out)
    assert json.loads(run.out)["gate"] == document
    assert (gate.code, run.code, document["exit_code"]) == (code, code, code)
    assert [row["problem"] for row in document["evidence"]] == ([problem] if problem else [])


def test_a_report_that_is_expected(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", f"{SMALLEST}gate: {{expect: ['unit/*.xml', 'e2e/*.xml']}}\n")
    write(folder, "unit/r.xml", junit("test_a"))
    done = flakegate("gate", "unit")
    assert done.code == 3
    assert "no report matches e2e/*.xml" in done.out


def test_a_run_never_excuses_itself(flakegate: Caller, folder: Path) -> None:
    """A rule acts on a failure of this CI run; that excuses none of its jobs and attempts."""
    write(folder, "flakegate.yml", SMALLEST)
    report = write(folder, "r.xml", junit("test_a", "-test_b"))
    green = write(folder, "green.xml", junit("test_a", "test_b"))
    main = {
        "FLAKEGATE_BRANCH": "main",
        "FLAKEGATE_DEFAULT_BRANCH": "main",
        "FLAKEGATE_COMMIT": "c1",
        "FLAKEGATE_JOB": "unit",
    }
    assert flakegate("record", report, FLAKEGATE_RUN_ID="7", **main).code == 0
    again = flakegate("record", green, FLAKEGATE_RUN_ID="7", FLAKEGATE_RUN_ATTEMPT="2", **main)
    assert "1 test found to be flaky" in again.out
    applied = flakegate("apply", FLAKEGATE_RUN_ID="8", **main)
    assert "active → quarantined" in applied.out
    own = flakegate("gate", report, FLAKEGATE_RUN_ID="7", **main)
    assert own.code == 1
    assert "its state is active" in own.out
    other = {**main, "FLAKEGATE_JOB": "other", "FLAKEGATE_RUN_ATTEMPT": "3"}
    assert flakegate("gate", report, FLAKEGATE_RUN_ID="7", **other).code == 1
    assert flakegate("gate", report, FLAKEGATE_RUN_ID="9", **main).code == 0


def test_observe_tells_the_truth_and_exits_0(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST + "gate: {mode: observe}\n")
    report = write(folder, "r.xml", junit("-test_a"))
    done = flakegate("gate", report, "--format", "json")
    assert (done.code, json.loads(done.out)["verdict"]) == (0, "block")
    assert flakegate("gate", write(folder, "cut.xml", "<testsuite>")).code == 3


def test_a_quarantine_that_is_too_old_excuses_no_more(flakegate: Caller, folder: Path) -> None:
    quarantine(flakegate, folder, "test_b")
    write(folder, "flakegate.yml", SMALLEST + "gate: {max_age: 14d}\n")
    report = write(folder, "r.xml", junit("-test_b"))
    assert flakegate("gate", report, **CHANGE).code == 0
    later = flakegate("gate", report, FLAKEGATE_TIME="2026-12-20T12:00:00Z", **CHANGE)
    assert later.code == 1
    assert "longer than gate.max_age" in later.out


def test_summary_file(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("-test_b"))
    flakegate("gate", report, "--summary", "out/summary.md")
    assert "test_b" in (folder / "out/summary.md").read_text()


def test_a_store_that_git_tracks_excuses_nothing_on_a_pull_request(
    flakegate: Caller, folder: Path
) -> None:
    import subprocess

    quarantine(flakegate, folder, "test_b")
    report = write(folder, "r.xml", junit("-test_b"))
    for command in (["init", "-q"], ["add", "-f", ".flakegate/history.db"]):
        subprocess.run(["git", *command], cwd=folder, check=True)  # noqa: S607 - the user's git
    done = flakegate("gate", report, FLAKEGATE_PULL_REQUEST="12", **CHANGE)
    assert done.code == 4
    assert "is a file of the repository" in done.out
    silent = {"FLAKEGATE_PULL_REQUEST": "12", "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    done = flakegate("gate", report, **CHANGE, **silent)
    assert done.code == 4
    assert "git cannot say whether" in done.out
    for event in ("merge_group", "workflow_run"):
        github = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": event}
        assert flakegate("gate", report, **CHANGE, **github).code == 4
    assert flakegate("gate", report, **CHANGE).code == 0


def test_quiet_says_one_line_and_verbose_leaves_nothing_out(
    flakegate: Caller, folder: Path
) -> None:
    report = write(folder, "r.xml", junit(*(f"-test_{n}" for n in range(120))))
    assert flakegate("gate", report, "-q").out == "blocked: 120 failures are not excused\n"
    usual, whole = flakegate("gate", report).out, flakegate("gate", report, "-v").out
    assert "test_119" not in usual
    assert "test_119" in whole
    assert whole.count("at line 7") == 120


def test_quiet_names_what_is_incomplete(flakegate: Caller, folder: Path) -> None:
    write(folder, "r.xml", "<testsuite>")
    done = flakegate("gate", "r.xml", "nothing.xml", "-q")
    assert done.code == 3
    assert done.out.startswith("incomplete evidence: nothing.xml")
    assert "(and 1 more)" in done.out


def test_a_summary_that_cannot_be_written_hides_no_verdict(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("-test_a"))
    done = flakegate("gate", report, "--summary", "r.xml/s.md")
    assert done.code == 1
    assert "BLOCKED" in done.out
    assert "the summary could not be written" in done.err
    green = write(folder, "green.xml", junit("test_a"))
    assert flakegate("gate", green, "--summary", "r.xml/s.md").code == 0
    assert flakegate("run", green, "--summary", "r.xml/s.md").code == 0
    assert flakegate("run", green, "--summary", "r.xml/s.md", "--strict").code == 4
    write(folder, "flakegate.yml", SMALLEST)
    assert flakegate("plan", "--summary", "r.xml/s.md").code == 4


def test_a_misspelt_policy_is_not_taken_for_none(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("test_a"))
    write(folder, "flakegate.yaml", SMALLEST)
    done = flakegate("gate", report)
    assert done.code == 2
    assert "the policy is called flakegate.yml" in done.err
    assert flakegate("gate", report, "--policy", "flakegate.yaml").code == 0
    assert flakegate("gate", report, "--policy", "").code == 2
    (folder / "flakegate.yml").symlink_to("nowhere.yml")
    assert flakegate("gate", report).code == 2


@pytest.mark.parametrize("base_dir", [".", "./", "services/..", "/srv", "a\\b", "\udcff"])
def test_a_base_dir_is_always_written_the_same(
    flakegate: Caller, folder: Path, base_dir: str
) -> None:
    quarantine(flakegate, folder, "test_b")
    report = write(folder, "r.xml", junit("-test_b"))
    expected = 0 if base_dir.startswith(".") else 2
    assert flakegate("gate", report, "--base-dir", base_dir, **CHANGE).code == expected


@pytest.mark.parametrize("store", ["sqlite:///u:secret@host/x", "postgresql://u:secret@host/x"])
def test_a_store_that_cannot_be_is_said_while_all_is_green(
    flakegate: Caller, folder: Path, store: str
) -> None:
    report = write(folder, "r.xml", junit("test_a"))
    for done in (
        flakegate("gate", report, "--store", store),
        flakegate("gate", report, FLAKEGATE_STORE=store),
    ):
        assert done.code == 2
        assert "secret" not in done.out + done.err


def test_local_calls_with_the_same_results_are_one_run(flakegate: Caller, folder: Path) -> None:
    """Outside of a CI nothing numbers the runs: the results do, so that none excuses itself."""
    write(folder, "flakegate.yml", SMALLEST)
    main = {"FLAKEGATE_BRANCH": "main", "FLAKEGATE_DEFAULT_BRANCH": "main"}
    report = write(folder, "r.xml", junit("-test_b", "test_a"))
    green = write(folder, "green.xml", junit("test_a", "test_b"))
    assert flakegate("record", report, FLAKEGATE_COMMIT="c1", **main).code == 0
    assert flakegate("record", green, FLAKEGATE_COMMIT="c1", **main).code == 0
    assert "active → quarantined" in flakegate("apply", **main).out
    assert flakegate("gate", report, FLAKEGATE_COMMIT="c1", **main).code == 1
    other = write(folder, "other.xml", junit("-test_b", "test_a", "test_c"))
    done = flakegate("gate", other, FLAKEGATE_COMMIT="c1", **main)
    assert done.code == 0
    assert "holds no run" not in done.out


@pytest.mark.parametrize("run", ["2", ""])
def test_gate_says_of_real_reports_what_run_says(flakegate: Caller, folder: Path, run: str) -> None:
    """`run` reads every case, to record them; `gate` those only that a verdict can depend on."""
    assert folder.is_dir()
    reports = Path(__file__).parent.parent / "cases" / "reports"
    for path in [*sorted(reports.glob("*.xml")), reports]:
        told = json.loads(
            flakegate("gate", str(path), "--format", "json", FLAKEGATE_RUN_ID=run).out
        )
        full = flakegate("run", str(path), "--format", "json", "--dry-run", FLAKEGATE_RUN_ID=run)
        assert told == json.loads(full.out)["gate"]


def test_outside_of_a_ci_a_run_excuses_nothing_of_its_own(flakegate: Caller, folder: Path) -> None:
    """Which run this is, all of its results tell; so `gate` must know it as `run` recorded it."""
    write(folder, "flakegate.yml", SMALLEST)
    report = write(folder, "r.xml", junit("test_a", "-test_b", "test_c"))
    assert flakegate("run", report).code == 1
    assert flakegate("set", "test_b", "quarantined", "--reason", "r", USER="dana").code == 0
    done = flakegate("gate", report, "--format", "json")
    again = flakegate("run", report, "--format", "json", "--dry-run")
    assert json.loads(done.out) == json.loads(again.out)["gate"]
