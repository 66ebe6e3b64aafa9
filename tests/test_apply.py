"""Apply: every change ends in exactly one place, and nothing is sent without a record."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.apply import Applied, apply, batches
from flakegate.backends.datadog.backend import Datadog
from flakegate.errors import BackendError, ExitCode, NothingChangedError
from flakegate.journal import Journal
from flakegate.model import State, Transition, UpdateResult
from flakegate.transport.client import Transport
from flakegate.transport.waiting import Timer
from tests.fake_datadog import API_KEY, APP_KEY, REPOSITORY, FakeDatadog, flaky
from tests.faults import HANG_UP, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NOW = 1_795_176_000.0


def move(test_id: str, to: State = State.QUARANTINED) -> Transition:
    return Transition(
        test_id=test_id,
        fqn=test_id,
        from_state=State.ACTIVE,
        to_state=to,
        rule="noisy",
        reason="30 % > 20 %",
    )


MOVES = tuple(move(test_id) for test_id in "abcdefg")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return journal_at(tmp_path / "journal.jsonl")


def journal_at(path: Path) -> Journal:
    return Journal(
        path=path, run="local", backend="datadog", repository=REPOSITORY, clock=lambda: NOW
    )


def all_done(changes: Sequence[Transition]) -> list[UpdateResult]:
    return [UpdateResult(test_id=each.test_id, ok=True) for each in changes]


class Scripted:
    """An update that does batch after batch what it is told: an error is raised."""

    def __init__(self, *script: BackendError | None) -> None:
        self.script = deque(script)
        self.sent: list[str] = []

    def __call__(self, changes: Sequence[Transition]) -> list[UpdateResult]:
        self.sent.append("".join(each.test_id for each in changes))
        if self.script and (error := self.script.popleft()):
            raise error
        return all_done(changes)


def ids(transitions: Sequence[Transition]) -> str:
    return "".join(each.test_id for each in transitions)


def pairs(transitions: Sequence[tuple[Transition, str]]) -> str:
    return ids([each for each, _ in transitions])


@given(st.lists(st.sampled_from(MOVES)), st.integers(1, 10))
def test_batches_are_all_of_it_in_order_and_few(moves: list[Transition], size: int) -> None:
    parts = batches(moves, size)
    assert [each for part in parts for each in part] == moves
    assert all(0 < len(part) <= size for part in parts)
    assert len(parts) == -(-len(moves) // size)


def test_all_done(journal: Journal) -> None:
    update, seen = Scripted(), list[tuple[int, int | None]]()
    applied = apply(
        MOVES, update=update, journal=journal, batch_size=3,
        progress=lambda *so_far: seen.append(so_far),
    )  # fmt: skip
    assert applied == Applied(done=MOVES)
    assert applied.exit_code == ExitCode.PASSED
    assert update.sent == ["abc", "def", "g"]
    assert seen == [(3, 7), (6, 7), (7, 7)]
    assert [event.event for event in journal.events()] == ["intent", "result"] * 3


def test_nothing_to_do_leaves_no_trace(journal: Journal) -> None:
    assert apply((), update=Scripted(), journal=journal, batch_size=3) == Applied()
    assert Applied().exit_code == ExitCode.PASSED
    assert not journal.path.exists()


def test_the_intent_is_on_disk_before_the_request_leaves(journal: Journal) -> None:
    def update(changes: Sequence[Transition]) -> list[UpdateResult]:
        *_, last = journal.events()
        assert last.event == "intent"
        assert [each.test for each in last.changes] == [each.test_id for each in changes]
        return all_done(changes)

    assert apply(MOVES, update=update, journal=journal, batch_size=3).done == MOVES


def test_trouble_in_the_middle_stops_and_says_what_became_of_each(journal: Journal) -> None:
    update = Scripted(None, BackendError("the connection broke", tip="try later"))
    applied = apply(MOVES, update=update, journal=journal, batch_size=3)
    assert (ids(applied.done), pairs(applied.unknown), ids(applied.not_sent)) == ("abc", "def", "g")
    assert applied.failed == ()
    assert {error for _, error in applied.unknown} == {"the connection broke"}
    assert applied.error is not None
    assert applied.error.message == "batch 2 of 3 (3 from d): the connection broke"
    assert applied.error.tip == "try later"
    assert applied.exit_code == ExitCode.PARTIAL
    assert update.sent == ["abc", "def"]
    assert journal.recent(0) == 6


def test_a_refused_batch_failed_and_changed_nothing(journal: Journal) -> None:
    update = Scripted(None, NothingChangedError("403"))
    applied = apply(MOVES, update=update, journal=journal, batch_size=3)
    assert (ids(applied.done), pairs(applied.failed), ids(applied.not_sent)) == ("abc", "def", "g")
    assert applied.exit_code == ExitCode.PARTIAL
    assert journal.recent(0) == 3


@pytest.mark.parametrize("error", [NothingChangedError("403"), BackendError("500")])
def test_trouble_before_anything_was_done(journal: Journal, error: BackendError) -> None:
    applied = apply(MOVES, update=Scripted(error), journal=journal, batch_size=3)
    assert (applied.done, ids(applied.not_sent)) == ((), "defg")
    assert applied.exit_code == ExitCode.BACKEND


def test_each_test_has_its_own_result(journal: Journal) -> None:
    def update(_: Sequence[Transition]) -> list[UpdateResult]:
        return [
            UpdateResult(test_id="c", ok=None, error="not mentioned"),
            UpdateResult(test_id="b", ok=False, error="locked"),
            UpdateResult(test_id="a", ok=True),
        ]

    applied = apply(MOVES[:4], update=update, journal=journal, batch_size=10)
    assert applied == Applied(
        done=MOVES[:1],
        failed=((MOVES[1], "locked"),),
        unknown=(
            (MOVES[2], "not mentioned"),
            (MOVES[3], "the backend did not say what came of it"),
        ),
    )
    assert applied.exit_code == ExitCode.PARTIAL
    assert journal.recent(0) == 3


def test_exit_codes_without_a_stop() -> None:
    pair = ((MOVES[0], "why"),)
    assert Applied(failed=pair).exit_code == ExitCode.BACKEND
    assert Applied(failed=pair, done=MOVES[1:]).exit_code == ExitCode.PARTIAL
    assert Applied(unknown=pair).exit_code == ExitCode.PARTIAL


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_without_a_record_nothing_is_sent() -> None:
    update = Scripted()
    applied = apply(MOVES, update=update, journal=journal_at(Path("/dev/full")), batch_size=3)
    assert applied == Applied(not_sent=MOVES)
    assert update.sent == []
    assert applied.exit_code == ExitCode.BACKEND


def test_a_result_that_cannot_be_recorded_stops_and_is_still_reported(journal: Journal) -> None:
    def update(changes: Sequence[Transition]) -> list[UpdateResult]:
        journal.path.unlink()
        journal.path.mkdir()
        return all_done(changes)

    applied = apply(MOVES, update=update, journal=journal, batch_size=3)
    assert (ids(applied.done), ids(applied.not_sent)) == ("abc", "defg")
    assert applied.error is not None
    assert "batch 1 of 3 (3 from a): the journal" in applied.error.message
    assert applied.exit_code == ExitCode.PARTIAL


@given(
    st.lists(st.sampled_from([None, BackendError("500"), NothingChangedError("403")])),
    st.integers(1, 5),
)
def test_every_change_ends_in_exactly_one_place(
    tmp_path_factory: pytest.TempPathFactory, script: list[BackendError | None], size: int
) -> None:
    journal = journal_at(tmp_path_factory.mktemp("apply") / "journal.jsonl")
    applied = apply(MOVES, update=Scripted(*script), journal=journal, batch_size=size)
    places = [*applied.done, *applied.not_sent, *(each for each, _ in applied.failed)]
    places += [each for each, _ in applied.unknown]
    assert sorted(ids(places)) == list("abcdefg")
    assert (applied.exit_code == ExitCode.PASSED) == (applied.done == MOVES)
    assert journal.recent(0) == len(applied.done) + len(applied.unknown)


# Against the loopback Datadog


@pytest.fixture
def fake() -> Iterator[FakeDatadog]:
    """Sixty tests: above and below 20 %, without a rate, quarantined, and one of elsewhere."""
    tests = [flaky(f"high{n:02}", rate=20.1 + n) for n in range(25)]
    tests += [flaky(f"low{n:02}", rate=0.2 * n) for n in range(10)]
    tests += [flaky("edge", rate=20.0), flaky("share", rate=0.9), flaky("elsewhere", rate=90)]
    tests += [flaky(f"null{n:02}", rate=None) for n in range(12)]
    tests += [flaky(f"held{n:02}", state="quarantined", rate=80) for n in range(10)]
    with FakeDatadog(tests=tests, elsewhere={"elsewhere": "github.com/acme/other"}) as fake:
        yield fake


@pytest.fixture
def datadog(fake: FakeDatadog) -> Iterator[Datadog]:
    transport = Transport(
        fake.url,
        headers={"DD-API-KEY": API_KEY, "DD-APPLICATION-KEY": APP_KEY},
        timer=Timer(sleep=lambda _: None),
    )
    yield Datadog(transport, repository=REPOSITORY)
    transport.close()


def noisy(datadog: Datadog) -> list[Transition]:
    return [
        move(test.id)
        for test in datadog.search([State.ACTIVE])
        if test.failure_rate is not None and test.failure_rate > 20
    ]


def test_exactly_the_active_tests_above_the_bound_are_patched(
    fake: FakeDatadog, datadog: Datadog, journal: Journal
) -> None:
    before = fake.states
    moves = noisy(datadog)
    assert {request.method for request in fake.requests} == {"POST"}
    applied = apply(moves, update=datadog.update, journal=journal, batch_size=10)
    high = {f"high{n:02}" for n in range(25)}
    assert fake.patched == dict.fromkeys(sorted(high), "quarantined")
    assert fake.states == before | dict.fromkeys(high, "quarantined")
    assert applied == Applied(done=tuple(moves))
    assert [len(r.attributes["tests"]) for r in fake.requests if r.method == "PATCH"] == [10, 10, 5]
    assert noisy(datadog) == []


@pytest.mark.parametrize(
    ("reply", "failed_and_unknown"),
    [
        (Reply(status=403), (10, 0)),
        (Reply(status=400, body=b'{"errors":["bad id"]}'), (10, 0)),
        (Reply(status=500), (0, 10)),
        (HANG_UP, (0, 10)),
        (Reply(act=True, cut=0), (0, 10)),
        (Reply(act=True, body=b"<html>"), (0, 10)),
    ],
)
def test_trouble_over_http(
    fake: FakeDatadog,
    datadog: Datadog,
    journal: Journal,
    reply: Reply,
    failed_and_unknown: tuple[int, int],
) -> None:
    moves = noisy(datadog)
    fake.script = deque([None])
    fake.always = reply
    applied = apply(moves, update=datadog.update, journal=journal, batch_size=10)
    assert (len(applied.failed), len(applied.unknown)) == failed_and_unknown
    assert (len(applied.done), len(applied.not_sent)) == (10, 5)
    assert applied.exit_code == ExitCode.PARTIAL
    assert applied.error is not None
    assert "batch 2 of 3 (10 from high10): PATCH" in applied.error.message
    told = journal.path.read_text()
    assert API_KEY not in told
    assert APP_KEY not in told


def test_a_200_with_failures_is_partial(
    fake: FakeDatadog, datadog: Datadog, journal: Journal
) -> None:
    fake.refuse = {"high03": "managed elsewhere"}
    fake.forget = {"high04"}
    applied = apply(noisy(datadog), update=datadog.update, journal=journal, batch_size=100)
    assert [(each.test_id, why) for each, why in applied.failed] == [
        ("high03", "managed elsewhere")
    ]
    assert [each.test_id for each, _ in applied.unknown] == ["high04"]
    assert len(applied.done) == 23
    assert applied.exit_code == ExitCode.PARTIAL
    result = json.loads(journal.path.read_text().splitlines()[-1])
    outcomes = {each["test"]: each["outcome"] for each in result["results"]}
    assert (outcomes["high03"], outcomes["high04"]) == ("failed", "unknown")
