"""Changes over real sockets: what the server holds in the end is what was planned, and is told."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from flakegate.apply import Applied, apply
from flakegate.backends.datadog.backend import Datadog
from flakegate.errors import (
    BackendError,
    BatchRefusedError,
    ExitCode,
    HalfDoneError,
    NothingChangedError,
)
from flakegate.journal import Journal
from flakegate.model import State, Transition, UpdateResult
from flakegate.policy.needs import whole
from flakegate.transport.client import Transport
from flakegate.transport.waiting import Timer
from tests.fake_datadog import (
    API_KEY,
    APP_KEY,
    REPOSITORY,
    FakeDatadog,
    changed,
    flaky,
)
from tests.faults import DONE_AND_HANG_UP, DONE_AND_RESET, HANG_UP, PASS, Reply, page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.faults import Request

NOW = 1_795_176_000.0
WHERE = "/api/v2/test/flaky-test-management/tests"


@dataclass(slots=True, kw_only=True, eq=False)
class Fake(FakeDatadog):
    """poison: ids that make a 400. most: changes that a PATCH may hold, else it is a 413."""

    poison: frozenset[str] = frozenset()
    most: int = 1_000

    def answer(self, request: Request) -> Reply:
        if request.method == "PATCH":
            sent = [each["id"] for each in request.attributes["tests"]]
            if len(sent) > self.most:
                return Reply(status=413)
            if bad := sorted(self.poison & set(sent)):
                text = f"invalid id {bad[0]}"
                return Reply(status=400, body=json.dumps({"errors": [text]}).encode())
        return FakeDatadog.answer(self, request)

    @property
    def batches(self) -> list[int]:
        """How many changes each PATCH held."""
        return [len(r.attributes["tests"]) for r in self.requests if r.method == "PATCH"]

    def moves(self, test_id: str, to: str, by: str = "ftm_policy.manual") -> None:
        """Somebody else changes a state."""
        (seen,) = [test["attributes"] for test in self.tests if test["id"] == test_id]
        seen["flaky_state"] = to
        seen["history"] = [changed(to, at=NOW, policy=by), *seen.get("history", [])]


@pytest.fixture
def fake() -> Iterator[Fake]:
    with Fake() as fake:
        yield fake


@pytest.fixture
def datadog(fake: Fake) -> Iterator[Datadog]:
    transport = Transport(
        fake.url,
        headers={"DD-API-KEY": API_KEY, "DD-APPLICATION-KEY": APP_KEY},
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


def move(test_id: str, to: State = State.QUARANTINED, of: State = State.ACTIVE) -> Transition:
    return Transition(
        test_id=test_id, fqn=test_id, from_state=of, to_state=to, rule="noisy", reason="why"
    )


def told(results: Iterable[UpdateResult]) -> list[tuple[str, bool | None, str | None]]:
    return [(each.test_id, each.ok, each.error) for each in results]


# One batch


def test_changes_arrive_and_each_has_its_result(fake: Fake, datadog: Datadog) -> None:
    fake.tests = [flaky("a"), flaky("b"), flaky("d")]
    fake.refuse = {"b": "managed elsewhere"}
    results = datadog.update([move("d", State.DISABLED), move("b"), move("a")])
    assert told(results) == [
        ("d", True, None),
        ("b", False, "managed elsewhere"),
        ("a", True, None),
    ]
    assert fake.states == {"a": "quarantined", "b": "active", "d": "disabled"}
    assert [request.method for request in fake.requests] == ["POST", "PATCH"]


def test_what_is_not_listed_for_the_repository_is_never_sent(fake: Fake, datadog: Datadog) -> None:
    fake.tests = [flaky("ours"), flaky("theirs"), flaky("odd", state="on_hold")]
    fake.elsewhere = {"theirs": "github.com/acme/other"}
    ids = ["ours", "theirs", "gone", "odd", '*" OR -env:x']
    results = datadog.update([move(each) for each in ids])
    assert [result.ok for result in results] == [True, False, False, False, False]
    assert results[1].error == f"Datadog does not list it for {REPOSITORY} any more: plan again"
    assert fake.patched == {"ours": "quarantined"}


def test_what_moved_meanwhile_is_skipped_and_said(fake: Fake, datadog: Datadog) -> None:
    fake.tests = [flaky("a"), flaky("b"), flaky("c"), flaky("d")]
    fake.moves("a", "fixed")
    fake.moves("b", "disabled", by="ftm_policy.disable.failure_rate")
    fake.moves("c", "quarantined")
    results = datadog.update([move("a"), move("b"), move("c"), move("d")])
    assert told(results) == [
        ("a", False, "it is fixed by somebody in Datadog, no longer active: plan again"),
        ("b", False, "it is disabled by datadog, no longer active: plan again"),
        ("c", True, None),
        ("d", True, None),
    ]
    assert [result.already for result in results] == [False, False, True, False]
    assert fake.patched == {"d": "quarantined"}


def test_nothing_is_sent_where_nothing_is_left(fake: Fake, datadog: Datadog) -> None:
    fake.tests = [flaky("a", state="quarantined")]
    assert [result.already for result in datadog.update([move("a")])] == [True]
    assert fake.patched == {}


def test_states_that_cannot_be_read_again_are_not_changed(fake: Fake, datadog: Datadog) -> None:
    fake.tests = [flaky("a")]
    fake.scripts = {"POST": [Reply(status=500)] * 9}
    with pytest.raises(NothingChangedError, match=r"POST .* 500"):
        datadog.update([move("a")])
    assert fake.patched == {}


@pytest.mark.parametrize(
    "reply", [DONE_AND_HANG_UP, DONE_AND_RESET, Reply(act=True, status=502), page("Sign in"),
              Reply(act=True, body=b'{"data":{"attributes":{"results":[]}}}'),
              Reply(act=True, body=b'{"data":{"attributes":{"has_errors":true}}}')]
)  # fmt: skip
def test_an_answer_that_is_lost_or_says_nothing_is_looked_up(
    fake: Fake, datadog: Datadog, reply: Reply
) -> None:
    fake.tests = [flaky("a"), flaky("b")]
    fake.scripts = {"PATCH": [reply]}
    assert told(datadog.update([move("a"), move("b")])) == [("a", True, None), ("b", True, None)]
    assert fake.states == {"a": "quarantined", "b": "quarantined"}


def test_an_id_that_is_missing_is_looked_up_and_sent_once_more(
    fake: Fake, datadog: Datadog
) -> None:
    fake.tests = [flaky("a"), flaky("b"), flaky("c")]
    said = b'{"data":{"attributes":{"has_errors":false,"results":[{"id":"a","success":true}]}}}'
    fake.scripts = {"PATCH": [Reply(body=said)]}  # nothing made
    assert told(datadog.update([move("b"), move("c")])) == [("b", True, None), ("c", True, None)]
    assert fake.states == {"a": "active", "b": "quarantined", "c": "quarantined"}
    assert fake.batches == [2, 2]


def test_what_is_missing_twice_is_reported(fake: Fake, datadog: Datadog) -> None:
    fake.tests = [flaky("a"), flaky("b"), flaky("c")]
    empty = Reply(body=b'{"data":{"attributes":{"results":[{"id":"a","success":true}]}}}')
    fake.scripts = {"PATCH": [empty] * 9}
    results = datadog.update([move("a"), move("b"), move("c")])
    missing = "Datadog's answer does not mention it; Datadog lists it as active"
    assert told(results) == [("a", True, None), ("b", None, missing), ("c", None, missing)]
    assert fake.batches == [3, 2]


def test_what_others_moved_after_a_lost_answer_is_not_sent_again(
    fake: Fake, datadog: Datadog
) -> None:
    fake.tests = [flaky("a"), flaky("b")]

    def overtake(reply: Reply) -> Reply:
        fake.moves("a", "fixed")
        return replace(reply, body=b'{"data":{"attributes":{"results":[]}}}')

    fake.scripts = {"PATCH": [Reply(spoil=overtake)]}
    assert told(datadog.update([move("a"), move("b")])) == [
        ("a", None, "Datadog's answer does not mention it; Datadog lists it as fixed"),
        ("b", True, None),
    ]
    assert fake.batches == [2]
    assert fake.states == {"a": "fixed", "b": "quarantined"}


def test_duplicate_ids_in_an_answer_are_believed_only_if_all_are_well(
    fake: Fake, datadog: Datadog
) -> None:
    fake.tests = [flaky("a"), flaky("b")]
    rows = [("a", True), ("a", True), ("b", True), ("b", False)]
    results = [{"id": test, "success": ok, "error": "locked"} for test, ok in rows]
    body = json.dumps({"data": {"attributes": {"has_errors": True, "results": results}}})
    fake.scripts = {"PATCH": [Reply(act=True, body=body.encode())]}
    assert told(datadog.update([move("a"), move("b")])) == [
        ("a", True, None),
        ("b", False, "locked"),
    ]


def test_duplicate_ids_in_a_search_are_one_test(fake: Fake, datadog: Datadog) -> None:
    fake.tests = [flaky("a"), flaky("a"), flaky("b")]
    assert [test.id for test in datadog.search(whole([State.ACTIVE]))] == ["a", "b"]
    fake.tests = [flaky("a"), flaky("b"), flaky("b")]
    assert [result.ok for result in datadog.update([move("a")])] == [True]
    assert fake.batches == [1]


def test_trouble_in_the_middle_says_what_is_known(fake: Fake, datadog: Datadog) -> None:
    fake.tests = [flaky("a"), flaky("b")]
    lost = Reply(body=b'{"data":{"attributes":{"results":[{"id":"a","success":true}]}}}')
    fake.scripts = {"PATCH": [lost, Reply(status=403)]}
    with pytest.raises(HalfDoneError, match="403") as caught:
        datadog.update([move("a"), move("b")])
    assert told(caught.value.results) == [
        ("a", True, None),
        ("b", None, f"PATCH {fake.url}{WHERE}: 403 Forbidden; Datadog lists it as active"),
    ]


def test_a_refused_batch_is_told_apart_from_a_refused_caller(fake: Fake, datadog: Datadog) -> None:
    fake.tests = [flaky("a")]
    fake.poison = frozenset("a")
    with pytest.raises(BatchRefusedError, match="400 Bad Request: invalid id a"):
        datadog.update([move("a")])
    fake.permissions -= {"test_optimization_write"}
    fake.scripts = {"PATCH": [Reply(status=403)]}
    with pytest.raises(NothingChangedError) as caught:
        datadog.update([move("a")])
    assert not isinstance(caught.value, BatchRefusedError)


# All batches


def noisy(datadog: Datadog) -> list[Transition]:
    return [
        move(test.id)
        for test in datadog.search(whole([State.ACTIVE]))
        if test.failure_rate is not None and test.failure_rate > 20
    ]


@pytest.fixture
def sixty(fake: Fake) -> Fake:
    """Sixty tests: above and below 20 %, without a rate, quarantined, and one of elsewhere."""
    fake.tests = [flaky(f"high{n:02}", rate=20.1 + n) for n in range(25)]
    fake.tests += [flaky(f"low{n:02}", rate=0.2 * n) for n in range(10)]
    fake.tests += [flaky("edge", rate=20.0), flaky("share", rate=0.9), flaky("elsewhere", rate=90)]
    fake.tests += [flaky(f"null{n:02}", rate=None) for n in range(12)]
    fake.tests += [flaky(f"held{n:02}", state="quarantined", rate=80) for n in range(10)]
    fake.elsewhere = {"elsewhere": "github.com/acme/other"}
    return fake


HIGH = [f"high{n:02}" for n in range(25)]


def words(journal: Journal) -> dict[str, str]:
    """What the journal says last of every test."""
    return {
        outcome.test: outcome.outcome for event in journal.events() for outcome in event.results
    }


def test_exactly_the_active_tests_above_the_bound_are_patched(
    sixty: Fake, datadog: Datadog, journal: Journal
) -> None:
    before = sixty.states
    moves = noisy(datadog)
    assert {request.method for request in sixty.requests} == {"POST"}
    applied = apply(moves, update=datadog.update, journal=journal, batch_size=10)
    assert sixty.patched == dict.fromkeys(HIGH, "quarantined")
    assert sixty.states == before | dict.fromkeys(HIGH, "quarantined")
    assert applied == Applied(done=tuple(moves))
    assert sixty.batches == [10, 10, 5]
    assert noisy(datadog) == []


@pytest.mark.parametrize(
    ("reply", "failed_and_unknown"),
    [
        (Reply(status=403), (10, 0)),
        (Reply(status=500), (0, 10)),
        (HANG_UP, (0, 10)),
    ],
)
def test_trouble_in_the_middle_stops_and_the_rest_is_not_sent(
    sixty: Fake,
    datadog: Datadog,
    journal: Journal,
    reply: Reply,
    failed_and_unknown: tuple[int, int],
) -> None:
    moves = noisy(datadog)
    sixty.scripts = {"PATCH": [PASS, *[reply] * 50]}
    applied = apply(moves, update=datadog.update, journal=journal, batch_size=10)
    assert (len(applied.failed), len(applied.unknown)) == failed_and_unknown
    assert (len(applied.done), len(applied.not_sent)) == (10, 5)
    assert applied.exit_code == ExitCode.PARTIAL
    assert applied.error is not None
    assert "changes 11 to 20 of 25: PATCH" in applied.error.message
    assert [test for test in HIGH if sixty.states[test] == "quarantined"] == HIGH[:10]
    written = journal.path.read_text()
    assert API_KEY not in written
    assert APP_KEY not in written


def test_a_200_with_failures_is_partial(sixty: Fake, datadog: Datadog, journal: Journal) -> None:
    sixty.refuse = {"high03": "managed elsewhere"}
    sixty.forget = {"high04"}
    applied = apply(noisy(datadog), update=datadog.update, journal=journal, batch_size=100)
    assert [(each.test_id, why) for each, why in applied.failed] == [
        ("high03", "managed elsewhere")
    ]
    assert len(applied.done) == 24
    assert applied.exit_code == ExitCode.PARTIAL
    assert words(journal) == dict.fromkeys(HIGH, "done") | {"high03": "failed"}


@pytest.mark.parametrize("poison", [("high00",), ("high24",), ("high07", "high08", "high19")])
def test_a_bad_id_fails_alone(
    sixty: Fake, datadog: Datadog, journal: Journal, poison: tuple[str, ...]
) -> None:
    sixty.poison = frozenset(poison)
    applied = apply(noisy(datadog), update=datadog.update, journal=journal, batch_size=100)
    assert [(each.test_id, why) for each, why in applied.failed] == [
        (test, f"PATCH {sixty.url}{WHERE}: 400 Bad Request: invalid id {test}") for test in poison
    ]
    assert (applied.unknown, applied.not_sent, applied.error) == ((), (), None)
    assert applied.exit_code == ExitCode.PARTIAL
    assert [test for test in HIGH if sixty.states[test] == "active"] == list(poison)
    assert words(journal) == dict.fromkeys(HIGH, "done") | dict.fromkeys(poison, "failed")


def test_a_batch_that_is_too_large_is_sent_in_parts(
    sixty: Fake, datadog: Datadog, journal: Journal
) -> None:
    sixty.most = 7
    applied = apply(noisy(datadog), update=datadog.update, journal=journal, batch_size=100)
    assert applied.exit_code == ExitCode.PASSED
    assert sixty.batches == [25, 12, 6, 6, 13, 6, 7]
    assert words(journal) == dict.fromkeys(HIGH, "done")


def test_a_server_that_refuses_everything_is_not_asked_for_ever(
    sixty: Fake, datadog: Datadog, journal: Journal
) -> None:
    sixty.poison = frozenset(HIGH)
    applied = apply(noisy(datadog), update=datadog.update, journal=journal, batch_size=100)
    assert (len(applied.failed), len(applied.not_sent)) == (11, 14)
    assert applied.exit_code == ExitCode.BACKEND
    assert len(sixty.batches) < 30


def test_a_server_that_is_gone_in_the_middle(
    sixty: Fake, datadog: Datadog, journal: Journal
) -> None:
    moves = noisy(datadog)
    sixty.scripts = {"PATCH": [PASS, Reply(own=True, leave=True)]}
    applied = apply(moves, update=datadog.update, journal=journal, batch_size=10)
    assert (len(applied.done), len(applied.failed), len(applied.not_sent)) == (20, 5, 0)
    assert isinstance(applied.error, BackendError)
    assert "connection refused" in applied.error.message
