"""Resuming: whatever faults there were, a clean call ends in the plan, and the journal knows it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from flakegate.apply import apply
from flakegate.backends.datadog.backend import Datadog
from flakegate.entries import entries
from flakegate.errors import BackendError
from flakegate.journal import Journal
from flakegate.model import State, Transition
from flakegate.policy.needs import Wanted, whole
from flakegate.resume import resume
from flakegate.transport.client import Transport
from flakegate.transport.waiting import Patience, Timer
from tests import faults
from tests.fake_datadog import API_KEY, APP_KEY, REPOSITORY, FakeDatadog, flaky, rate_limited
from tests.faults import PASS, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from flakegate.model import UpdateResult

NOW = 1_795_176_000.0
TESTS = [f"t{number:02}" for number in range(23)]
UNMENTIONED = b'{"data":{"attributes":{"has_errors":false,"results":[]}}}'
FAULTS = (
    PASS, PASS, PASS, rate_limited("0"), Reply(status=429), Reply(status=500),
    Reply(status=502, act=True), Reply(status=403), faults.HANG_UP, faults.RESET,
    faults.DONE_AND_HANG_UP, faults.DONE_AND_RESET, faults.RESET_IN_THE_MIDDLE,
    faults.BREAK_OFF_IN_THE_MIDDLE, faults.RESET_AFTERWARDS, faults.TRUNCATED_GZIP,
    faults.page("Sign in"), Reply(act=True, body=UNMENTIONED), Reply(body=UNMENTIONED),
    Reply(act=True, body=b'{"data":{"attributes":{"has_errors":true}}}'),
    Reply(status=400, body=b'{"errors":["bad"]}'), Reply(status=413),
)  # fmt: skip


class Killed(BaseException):
    """The process ended here."""


@pytest.fixture
def fake() -> Iterator[FakeDatadog]:
    with FakeDatadog(tests=[flaky(test, rate=50.0) for test in TESTS], clock=lambda: NOW) as fake:
        yield fake


@pytest.fixture
def datadog(fake: FakeDatadog) -> Iterator[Datadog]:
    transport = Transport(
        fake.url,
        headers={"DD-API-KEY": API_KEY, "DD-APPLICATION-KEY": APP_KEY},
        patience=Patience(retries=1),
        timer=Timer(sleep=lambda _: None),
    )
    yield Datadog(transport, repository=REPOSITORY)
    transport.close()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(
        path=tmp_path / "journal.jsonl",
        run="local",
        backend="datadog",
        repository=REPOSITORY,
        clock=lambda: NOW,
    )


def move(test_id: str) -> Transition:
    return Transition(
        test_id=test_id,
        fqn=test_id,
        from_state=State.ACTIVE,
        to_state=State.QUARANTINED,
        rule="noisy",
        reason="why",
    )


def taken_up(journal: Journal, datadog: Datadog) -> str | None:
    def states(ids: frozenset[str]) -> dict[str, State]:
        return {test.id: test.state for test in datadog.search(Wanted(states={}, ids=ids))}

    return resume(journal, states)


def call(journal: Journal, datadog: Datadog, kill: random.Random | None = None) -> int:
    """One call, from what an earlier one left to its end; gives its exit code."""

    def update(changes: Sequence[Transition]) -> list[UpdateResult]:
        if kill and kill.random() < 0.15:
            raise Killed
        results = datadog.update(changes)
        if kill and kill.random() < 0.15:
            raise Killed
        return results

    try:
        with journal.alone():
            taken_up(journal, datadog)
            plan = [move(test.id) for test in datadog.search(whole([State.ACTIVE]))]
            applied = apply(plan, update=update, journal=journal, batch_size=5)
    except BackendError as error:
        return error.exit_code
    except Killed:
        return -9
    return applied.exit_code


def made(fake: FakeDatadog) -> set[str]:
    return {test for test, state in fake.states.items() if state == "quarantined"}


def words(journal: Journal) -> dict[str, list[bool | None]]:
    """What is known of every change of a test, in the journal's order."""
    found: dict[str, list[bool | None]] = {}
    for entry in entries(journal.events(), lambda _event, _change: True):
        found.setdefault(entry.change.test, []).append(entry.made)
    return found


@pytest.mark.parametrize("seed", range(25))
def test_random_faults_and_kills_then_a_clean_call(
    fake: FakeDatadog, datadog: Datadog, journal: Journal, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same faults every time
    for _ in range(4):
        fake.scripts = {
            "POST": [
                chance.choice(FAULTS[:17]) if chance.random() < 0.2 else PASS for _ in "." * 60
            ],
            "PATCH": [chance.choice(FAULTS) for _ in range(200)],
        }
        code = call(journal, datadog, kill=chance)
        assert set(fake.states.values()) <= {"active", "quarantined"}
        assert code != 0 or made(fake) == set(TESTS)
        for test, known in words(journal).items():
            assert True not in known or test in made(fake), "what is said to be done is done"
            assert test not in made(fake) or {True, None} & {*known}, "nothing is done unrecorded"
    fake.scripts = {}
    before = made(fake)
    fake.requests.clear()
    assert call(journal, datadog) == 0
    assert made(fake) == set(TESTS)
    assert fake.patched.keys() == set(TESTS) - before, "only what was absent is sent"
    assert journal.open() == []
    assert all(known.count(True) == 1 for known in words(journal).values())
    assert journal.recent(0) == len(TESTS)


def test_it_says_what_it_found(datadog: Datadog, journal: Journal) -> None:
    assert taken_up(journal, datadog) is None
    journal.intent([move(test) for test in TESTS[:5]])
    datadog.update([move(test) for test in TESTS[:2]])
    said = "an earlier call was interrupted: 2 of 5 open changes were made; the journal has it now"
    assert taken_up(journal, datadog) == said
    assert taken_up(journal, datadog) is None
    assert words(journal) == {
        "t00": [True], "t01": [True], "t02": [False], "t03": [False], "t04": [False]
    }  # fmt: skip


def test_what_was_changed_again_since_cannot_be_told(
    fake: FakeDatadog, datadog: Datadog, journal: Journal
) -> None:
    journal.intent([move("t00"), move("gone")])
    fake.tests[0]["attributes"]["flaky_state"] = "fixed"
    said = taken_up(journal, datadog)
    assert said
    assert "0 of 2 open changes were made; of 2 it cannot be told" in said
    assert journal.open() == []
    assert journal.recent(0) == 2, "a limit must not be passed because nobody can tell"


def test_states_that_cannot_be_read_leave_it_open(
    fake: FakeDatadog, datadog: Datadog, journal: Journal
) -> None:
    journal.intent([move("t00")])
    fake.always = Reply(status=403)
    with pytest.raises(BackendError, match="403"):
        taken_up(journal, datadog)
    assert len(journal.open()) == 1
