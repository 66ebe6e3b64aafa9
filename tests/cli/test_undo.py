"""`flakegate undo`: shown first, then done; what others changed since stays; on both backends."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.reports import SMALLEST, junit, write
from tests.fake_datadog import KEYS, FakeDatadog, changed, flaky
from tests.faults import PASS, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Caller, Done

NOON = 1_795_176_000.0  # what FLAKEGATE_TIME says
LATER = "2026-11-20T15:00:00Z"
CI = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_EVENT_NAME": "schedule",
    "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_SHA": "c1",
    "GITHUB_RUN_ID": "17",
    "GITHUB_JOB": "policy",
}


@pytest.fixture
def datadog(folder: Path) -> Iterator[FakeDatadog]:
    write(folder, "flakegate.yml", SMALLEST)
    tests = [flaky(name, rate=50.0) for name in "abc"]
    tests += [flaky("held", state="quarantined", rate=50.0)]
    with FakeDatadog(tests=tests, clock=lambda: NOON) as fake:
        yield fake


@pytest.fixture
def call(flakegate: Caller, datadog: FakeDatadog) -> Caller:
    def run(*arguments: str, **env: str) -> Done:
        return flakegate(*arguments, "--api-url", datadog.url, **{**KEYS, "USER": "dana", **env})

    return run


def moves(fake: FakeDatadog, test_id: str, state: str, at: float) -> None:
    """Somebody else changes a state."""
    (seen,) = [test["attributes"] for test in fake.tests if test["id"] == test_id]
    entry = changed(state, at=at, policy="ftm_policy.manual")
    seen.update(flaky_state=state, history=[entry, *seen.get("history", [])])


def parsed(done: Done) -> Any:
    return json.loads(done.out)


def test_it_is_shown_first_and_changes_nothing(call: Caller, datadog: FakeDatadog) -> None:
    assert call("apply", **CI).code == 0
    datadog.requests.clear()
    done = call("undo", "17:1:policy")
    assert done.code == 0, done.err
    assert "3 state changes (not applied: `flakegate undo " in done.out
    assert "quarantined → active  dana: undo of " in done.out
    assert "the rules leave these tests alone until 2026-12-04 12:00 UTC" in done.err
    assert call("undo", "last", "--apply", "--dry-run").code == 0
    assert datadog.patched == {}


def test_a_run_is_put_back_and_its_undo_too(
    call: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    before = datadog.states
    assert call("apply", **CI).code == 0
    after = datadog.states
    done = call("undo", "last", "--apply", "--reason", "an outage", FLAKEGATE_TIME=LATER)
    assert done.code == 0, done.err
    assert datadog.states == before
    last = json.loads((folder / ".flakegate/journal.jsonl").read_text().splitlines()[-2])
    assert {(each["rule"], each["actor"]) for each in last["changes"]} == {(None, "dana")}
    assert {each["reason"].partition(": ")[2] for each in last["changes"]} == {"an outage"}
    plan = parsed(call("plan", "--format", "json", FLAKEGATE_TIME=LATER))
    assert [each["reason"] for each in plan["skipped"]] == ["manual"] * 3
    assert plan["transitions"] == []
    assert call("undo", "last", "--apply", FLAKEGATE_TIME=LATER).code == 0
    assert datadog.states == after


def test_what_others_changed_since_stays(call: Caller, datadog: FakeDatadog) -> None:
    assert call("apply", **CI).code == 0
    moves(datadog, "a", "fixed", NOON + 3600)
    moves(datadog, "b", "active", NOON + 3600)
    moves(datadog, "b", "quarantined", NOON + 7200)
    done = call("undo", "last", "--apply", "--format", "json", FLAKEGATE_TIME=LATER)
    document = parsed(done)
    assert [each["test_id"] for each in document["applied"]["done"]] == ["c"]
    assert {each["test_id"]: each["detail"] for each in document["plan"]["skipped"]} == {
        "a": "it is fixed by somebody in Datadog, no longer quarantined",
        "b": "somebody in Datadog changed it since, on 2026-11-20 14:00 UTC",
    }
    assert datadog.states == {
        "a": "fixed",
        "b": "quarantined",
        "c": "active",
        "held": "quarantined",
    }


def test_what_a_later_call_changed_stays(call: Caller) -> None:
    assert call("apply", **CI).code == 0
    assert call("set", "a", "active", "--reason", "x", FLAKEGATE_TIME=LATER).code == 0
    assert call("set", "a", "quarantined", "--reason", "y", FLAKEGATE_TIME=LATER).code == 0
    done = call("undo", "17:1", FLAKEGATE_TIME=LATER)
    assert "2 state changes" in done.out
    assert "test_a is left alone: dana changed it since, on 2026-11-20 15:00 UTC" in done.out


def test_what_another_was_faster_with_is_not_put_back(call: Caller, datadog: FakeDatadog) -> None:
    def meanwhile(reply: Reply) -> Reply:
        moves(datadog, "a", "quarantined", NOON)
        moves(datadog, "b", "fixed", NOON)
        return reply

    datadog.scripts = {"POST": [PASS, Reply(spoil=meanwhile)]}  # the plan's two searches
    done = call("apply", **CI)
    assert done.code == 5
    assert "tests.test_shop.test_a is quarantined already: somebody was faster" in done.out
    assert "it is fixed by somebody in Datadog, no longer active: plan again" in done.out
    assert "partially applied: 1 of 2 state changes" in done.out
    assert datadog.patched == {"c": "quarantined"}
    undo = call("undo", "last", "--format", "json")
    assert [each["test_id"] for each in parsed(undo)["plan"]["transitions"]] == ["c"]


def test_the_latest_calls_are_listed(call: Caller) -> None:
    empty = call("undo")
    assert (empty.code, empty.out.split(" in ")[0]) == (0, "the journal knows of no changes")
    assert call("undo", "last").code == 2
    call("apply", **CI)
    call("set", "held", "disabled", "--reason", "\x1b[31mred\x1b[0m", FLAKEGATE_TIME=LATER)
    done = call("undo")
    newest, oldest = done.out.splitlines()
    assert "2026-11-20 15:00 UTC  1 change by dana  local:github.com/acme/shop::1::" in newest
    assert (
        "2026-11-20 12:00 UTC  3 changes by noisy  github:github.com/acme/shop:17:1:pol" in oldest
    )
    assert "\x1b" not in done.out
    rows = parsed(call("undo", "--format", "json"))["calls"]
    assert [row["changes"] for row in rows] == [
        [{"by": "dana", "count": 1}],
        [{"by": "noisy", "count": 3}],
    ]
    assert parsed(call("undo", rows[1]["call"][:6], "--format", "json"))["undone"] == rows[1]
    ambiguous = call("undo", "acme")
    assert ambiguous.code == 2
    assert "2 calls match 'acme'" in ambiguous.err


def test_trouble_in_an_undo_says_how_to_go_on(call: Caller, datadog: FakeDatadog) -> None:
    assert call("apply", **CI).code == 0
    datadog.refuse = {"b": "locked by support"}
    done = call("undo", "last", "--apply")
    assert done.code == 5
    assert "locked by support" in done.out
    assert "`respect_manual`" in done.err
    assert "--apply" in done.out.splitlines()[-1]
    assert "flakegate undo " in done.out.splitlines()[-1]


def test_without_respect_for_people_the_next_job_does_it_again(call: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST + "respect_manual: 0\n")
    call("apply", **CI)
    assert "the next policy job does again what a rule" in call("undo", "last", "--apply").err


def test_forks_undo_nothing(call: Caller, datadog: FakeDatadog, folder: Path) -> None:
    call("apply", **CI)
    event = {"pull_request": {"head": {"repo": {"full_name": "eve/shop"}}, "number": 1}}
    write(folder, "event.json", json.dumps(event))
    fork = {**CI, "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": "event.json"}
    states = datadog.states
    done = call("undo", "17:1:policy", "--apply", **fork)
    assert done.code == 2
    assert "states are not changed here" in done.err
    assert "a job of the repository's own" in done.err
    assert datadog.states == states


def test_on_the_store(flakegate: Caller, folder: Path) -> None:
    flakegate("record", write(folder, "r.xml", junit("test_a", "test_b")))
    for name in ("test_a", "test_b"):
        assert flakegate("set", name, "disabled", "--reason", "x", USER="dana").code == 0
    assert flakegate("set", "test_b", "quarantined", "--reason", "y", USER="kim").code == 0

    def states() -> dict[str, str]:
        tests = parsed(flakegate("list", "--format", "json"))["tests"]
        return {test["name"]: test["state"] for test in tests}

    rows = parsed(flakegate("undo", "--format", "json"))["calls"]
    assert [row["changes"][0]["by"] for row in rows] == ["kim", "dana", "dana"]
    older = flakegate("undo", rows[1]["call"], "--apply")
    assert (older.code, states()["test_b"]) == (0, "quarantined")
    assert "test_b is left alone: it is quarantined by kim, no longer disabled" in older.out
    assert flakegate("undo", rows[2]["call"], "--apply").code == 0
    assert flakegate("undo", rows[0]["call"], "--apply").code == 0
    assert states() == {"test_a": "active", "test_b": "disabled"}


def test_a_change_that_had_to_wait_is_still_ours(
    call: Caller, datadog: FakeDatadog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal dates an intent by the clock, which went on since the call began."""
    monkeypatch.delenv("FLAKEGATE_TIME")
    hour = 3600.0
    real, late = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: real() + late)
    datadog.clock = time.time

    def meanwhile(reply: Reply) -> Reply:
        nonlocal late
        late = hour
        return reply

    datadog.scripts = {"POST": [Reply(act=True, spoil=meanwhile)]}
    assert call("apply", **CI).code == 0
    undo = call("undo", "last", "--format", "json")
    assert [each["test_id"] for each in parsed(undo)["plan"]["transitions"]] == ["a", "b", "c"]


def test_what_led_out_of_the_policys_own_search_is_put_back(
    call: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    write(folder, "flakegate.yml", f"{SMALLEST}backend: {{query: 'flaky_test_state:active'}}\n")
    assert call("apply", **CI).code == 0
    journal = folder / ".flakegate" / "journal.jsonl"
    intent = journal.read_text().splitlines(keepends=True)[0]
    journal.write_text(intent)
    done = call("apply", **CI)
    assert "3 of 3 open changes were made; the journal has it now" in done.out + done.err
    assert call("undo", "last", "--apply").code == 0
    assert [datadog.states[name] for name in "abc"] == ["active"] * 3
