"""`flakegate explain`: why (not)?, of a real store and a real answer of Datadog."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.reports import SMALLEST, junit, write
from tests.fake_datadog import KEYS, FakeDatadog, changed, flaky

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Caller

RUN = {"FLAKEGATE_COMMIT": "c1", "FLAKEGATE_BRANCH": "main", "FLAKEGATE_DEFAULT_BRANCH": "main"}


@pytest.fixture
def recorded(flakegate: Caller, folder: Path) -> Caller:
    """A store in which test_a flaked, test_b only failed, and test_c only passed."""
    write(folder, "flakegate.yml", SMALLEST)
    for run, cases in enumerate([("-test_a", "test_b"), ("test_a", "-test_b")] * 2):
        report = write(folder, f"{run}.xml", junit(*cases, "test_c", *(f"t{n}" for n in range(20))))
        commit = "c2" if run in (1, 3) else "c1"
        same = {"FLAKEGATE_COMMIT": commit if cases[1] == "-test_b" else f"x{run}"}
        if run > 1:
            same = {"FLAKEGATE_COMMIT": "x0" if run == 2 else "c9"}
        done = flakegate("record", report, FLAKEGATE_RUN_ID=str(run), **{**RUN, **same})
        assert done.code == 0, done.err
    done = flakegate(
        "record", write(folder, "r.xml", junit("test_a", "test_c")),
        FLAKEGATE_RUN_ID="7", **{**RUN, "FLAKEGATE_COMMIT": "x0"},
    )  # fmt: skip
    assert done.code == 0, done.err
    return flakegate


def document(flakegate: Caller, *arguments: str, **env: str) -> dict[str, Any]:
    done = flakegate("explain", *arguments, "--format", "json", **env)
    assert done.code == 0, done.err
    told: dict[str, Any] = json.loads(done.out)
    assert told["version"] == 1
    return told


def test_a_flaky_test(recorded: Caller) -> None:
    done = recorded("explain", "test_a")
    assert done.code == 0, done.err
    assert "state      active since 20 Nov by detection: " in done.out
    assert "plan now   moves it to quarantined by rule noisy: failed 2 of 5 runs (40 %)" in done.out
    assert "a failure  blocks (active)" in done.out
    assert "true     failure_rate > 20%  40 %  2 of 5 runs on the default branch" in done.out
    assert len(done.out.splitlines()) <= 24


def test_what_it_says_is_what_then_happens(recorded: Caller, folder: Path) -> None:
    told = document(recorded, "test_a")
    assert (told["plan"]["outcome"], told["plan"]["to"]) == ("move", "quarantined")
    assert recorded("apply").code == 0
    told = document(recorded, "test_a")
    assert told["state"]["state"] == "quarantined"
    assert told["state"]["rule"] == "noisy"
    assert told["failure"]["decision"] == "excused"
    report = write(folder, "now.xml", junit("-test_a", "test_c"))
    row = json.loads(recorded("gate", report, "--format", "json").out)["failures"][0]
    assert {key: told["failure"][key] for key in ("decision", "reason")} == {
        key: row[key] for key in ("decision", "reason")
    }


def test_a_run_never_excuses_itself(recorded: Caller) -> None:
    assert recorded("apply").code == 0
    told = document(recorded, "test_a", FLAKEGATE_RUN_ID="0")
    assert told["state"]["state"] == "quarantined"
    assert told["failure"]["decision"] == "blocked"
    assert "a CI run never excuses itself" in told["failure"]["detail"]


def test_of_another_repository_nothing_is_known(recorded: Caller) -> None:
    done = recorded("explain", "test_c", "--repository", "github.com/acme/else")
    assert done.code == 2
    assert "error: no test is called 'test_c', for none is known of this repository\n" in done.err
    assert "tip: `flakegate list` says which it is; --repository names another" in done.err


def test_tests_that_are_not_flaky(recorded: Caller) -> None:
    never = recorded("explain", "test_c").out
    assert "state      not known to be flaky" in never
    assert "5 runs on the default branch in 7 days; it never failed in a recorded run" in never
    assert "a failure  blocks (not-flaky)" in never
    broke = document(recorded, "test_b")
    assert broke["flaky"] is False
    assert broke["history"]["failures_ever"] == 2
    assert broke["plan"]["outcome"] == "stay"


def test_names(recorded: Caller) -> None:
    assert "tests.test_cart.test_a" in recorded("explain", "tests/test_cart.py::test_a").out
    misspelt = recorded("explain", "tset_a")
    assert misspelt.code == 2
    assert "did you mean\n  tests.test_cart.test_a" in misspelt.err
    several = recorded("explain", "test_")
    assert several.code == 2
    assert "match 'test_'" in several.err


def test_without_a_policy(recorded: Caller, folder: Path) -> None:
    (folder / "flakegate.yml").unlink()
    done = recorded("explain", "test_a")
    assert done.code == 0
    assert "no policy file" in done.out
    assert "no rules: nothing is ever moved" in done.out


def test_observing_is_said(recorded: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST + "gate: {mode: observe}\n")
    assert "but the gate only observes" in recorded("explain", "test_a").out


def test_hostile_names_are_shown_as_escapes(flakegate: Caller, folder: Path) -> None:
    report = junit("-x", "y").replace('name="x"', 'name="x&#10;::error::pwned \u202e"')
    flakegate("record", write(folder, "r.xml", report), FLAKEGATE_RUN_ID="1", **RUN)
    done = flakegate("explain", "pwned")
    assert done.code == 0, done.err
    assert "\\n" in done.out
    assert not any(line.lstrip().startswith("::") for line in done.out.splitlines())
    assert "\u202e" not in done.out


def test_datadog_says_what_it_does_not_know(flakegate: Caller, folder: Path) -> None:
    write(
        folder,
        "flakegate.yml",
        "version: 1\nrules:\n  - id: noisy\n    to: quarantined\n"
        "    when: failure_rate > 20% and runs >= 10\n",
    )
    with FakeDatadog(tests=[flaky("one", rate=18.4), flaky("two", rate=None)]) as fake:
        env = {**KEYS, "FLAKEGATE_API_URL": fake.url}
        done = flakegate("explain", "test_one", **env)
        assert done.code == 0, done.err
        assert "failure_rate > 20%: it is 18.4 %, 1.6 points below 20 %" in done.out
        assert "runs >= 10          unknown  datadog never knows it" in done.out
        assert "its state is active: the policy has not quarantined it" in done.out
        two = document(flakegate, "test_two", **env)
        clause = two["rules"][0]["clauses"][0]
        assert clause["value"] is None
        assert clause["origin"] == "datadog does not know it of this test"
        assert {request.method for request in fake.requests} == {"POST"}


def test_how_old_a_state_is_in_datadog_is_asked_for_where_it_counts(
    flakegate: Caller, folder: Path
) -> None:
    at = 1_795_176_000.0 - 20 * 86_400  # 20 days before what FLAKEGATE_TIME says
    history = [changed("quarantined", at=at, policy="ftm_policy.manual")]
    with FakeDatadog(tests=[flaky("one", state="quarantined", history=history)]) as fake:
        env = {**KEYS, "FLAKEGATE_API_URL": fake.url}
        for limit, words in (
            ("10d", "longer than gate.max_age"),
            ("30d", "is excused (quarantined)"),
        ):
            write(folder, "flakegate.yml", f"version: 1\ngate: {{max_age: {limit}}}\n")
            assert words in flakegate("explain", "test_one", **env).out
