"""Apply: every change ends in exactly one place, and nothing is sent without a record."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.apply import MOST_REFUSED, Applied, apply, batches, halves
from flakegate.errors import (
    BackendError,
    BatchRefusedError,
    ExitCode,
    HalfDoneError,
    NothingChangedError,
)
from flakegate.journal import Journal
from flakegate.model import State, Transition, UpdateResult

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        path=path,
        run="local",
        backend="datadog",
        repository="local/shop",
        clock=lambda: NOW,
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
    assert applied.error.message == "changes 4 to 6 of 7: the connection broke"
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
    assert "changes 1 to 3 of 7: the journal" in applied.error.message
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


@given(st.lists(st.sampled_from(MOVES), min_size=2))
def test_halves_are_all_of_it_in_order(moves: list[Transition]) -> None:
    first, second = halves(tuple(moves))
    assert [*first, *second] == moves
    assert 0 <= len(second) - len(first) <= 1
    assert first


@given(st.sets(st.sampled_from("abcdefg")), st.integers(1, 8))
def test_halving_ends_with_those_at_fault_and_no_others(
    tmp_path_factory: pytest.TempPathFactory, bad: set[str], size: int
) -> None:
    def update(changes: Sequence[Transition]) -> list[UpdateResult]:
        if at_fault := sorted(bad & set(ids(changes))):
            raise BatchRefusedError(f"bad {at_fault[0]}")
        return all_done(changes)

    journal = journal_at(tmp_path_factory.mktemp("apply") / "journal.jsonl")
    applied = apply(MOVES, update=update, journal=journal, batch_size=size)
    assert ids(applied.done) == "".join(sorted(set("abcdefg") - bad))
    assert [(each.test_id, why) for each, why in applied.failed] == [
        (each, f"bad {each}") for each in sorted(bad)
    ]
    assert (applied.unknown, applied.not_sent, applied.error) == ((), (), None)
    assert journal.recent(0) == len(applied.done)
    assert journal.open() == []


def test_a_refusal_of_each_test_in_a_row_is_not_about_the_tests(journal: Journal) -> None:
    many = tuple(move(f"t{number:02}") for number in range(40))
    update = Scripted(*[BatchRefusedError("400")] * 100)
    applied = apply(many, update=update, journal=journal, batch_size=40)
    assert len(applied.failed) == MOST_REFUSED + 1
    assert len(applied.not_sent) == 40 - len(applied.failed)
    assert applied.error is not None
    assert applied.error.message == "changes 11 to 11 of 40: 400"


def test_many_bad_ids_among_good_ones_stop_nothing(journal: Journal) -> None:
    many = tuple(move(f"t{number:02}") for number in range(60))
    bad = {each.test_id for each in many[::3]}

    def update(changes: Sequence[Transition]) -> list[UpdateResult]:
        if bad & {each.test_id for each in changes}:
            raise BatchRefusedError("400")
        return all_done(changes)

    applied = apply(many, update=update, journal=journal, batch_size=60)
    assert {each.test_id for each, _ in applied.failed} == bad
    assert (len(applied.done), applied.not_sent, applied.error) == (40, (), None)


def test_what_is_known_of_a_half_done_batch_is_kept(journal: Journal) -> None:
    known = (UpdateResult(test_id="a", ok=True), UpdateResult(test_id="b", ok=False, error="no"))
    update = Scripted(HalfDoneError("broke", tip="later", results=known))
    applied = apply(MOVES, update=update, journal=journal, batch_size=3)
    assert applied == Applied(
        done=MOVES[:1],
        failed=((MOVES[1], "no"),),
        unknown=((MOVES[2], "broke"),),
        not_sent=MOVES[3:],
    )
    assert applied.exit_code == ExitCode.PARTIAL


def test_what_others_had_done_is_not_ours(journal: Journal) -> None:
    def update(changes: Sequence[Transition]) -> list[UpdateResult]:
        return [UpdateResult(test_id=each.test_id, ok=True, already=True) for each in changes]

    applied = apply(MOVES, update=update, journal=journal, batch_size=9)
    assert applied == Applied(already=MOVES)
    assert applied.exit_code == ExitCode.PASSED
    assert journal.recent(0) == 0
    assert journal.past() == []


def test_a_signal_stops_between_two_batches(journal: Journal) -> None:
    update = Scripted()
    applied = apply(
        MOVES, update=update, journal=journal, batch_size=3, stop=lambda: len(update.sent) == 2
    )
    assert (ids(applied.done), ids(applied.not_sent)) == ("abcdef", "g")
    assert applied.exit_code == ExitCode.INTERRUPTED
    assert journal.open() == []
