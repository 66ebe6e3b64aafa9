"""The journal: whole lines whatever happens, and an honest count of what was changed."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.entries import Outcome
from flakegate.errors import BackendError
from flakegate.journal import Journal
from flakegate.model import State, Transition, UpdateResult

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

NOW = 1_795_176_000.0  # 2026-11-20T12:00:00Z
DAY = 86_400.0
BATCHES = itertools.count()


def journal_at(path: Path, now: float = NOW, run: str = "github:acme/shop:1:1:test:0") -> Journal:
    return Journal(
        path=path,
        run=run,
        backend="datadog",
        repository="github.com/acme/shop",
        clock=lambda: now,
        token=lambda: f"batch-{next(BATCHES)}-{os.getpid()}",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".flakegate" / "journal.jsonl"


def move(test_id: str, to: State = State.QUARANTINED) -> Transition:
    return Transition(
        test_id=test_id,
        fqn=f"suite.{test_id}",
        from_state=State.ACTIVE,
        to_state=to,
        rule="noisy",
        reason="failure_rate 30 % > 20 %",
    )


def did(**oks: bool | None) -> list[UpdateResult]:
    return [
        UpdateResult(test_id=test_id, ok=ok, error=None if ok else "locked")
        for test_id, ok in oks.items()
    ]


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_intent_and_its_result(path: Path) -> None:
    journal = journal_at(path)
    by_hand = replace(move("b", State.FIXED), rule=None, actor="ann", reason="rewritten")
    batch = journal.intent([move("a"), by_hand])
    journal.result(batch, did(a=True, b=None))
    head = {
        "version": 1,
        "time": "2026-11-20T12:00:00Z",
        "run": "github:acme/shop:1:1:test:0",
        "backend": "datadog",
        "repository": "github.com/acme/shop",
        "batch": batch,
    }
    change = {"from": "active", "rule": None, "actor": None}
    assert lines(path) == [
        {
            **head,
            "event": "intent",
            "changes": [
                {
                    **change,
                    "test": "a",
                    "fqn": "suite.a",
                    "to": "quarantined",
                    "rule": "noisy",
                    "reason": "failure_rate 30 % > 20 %",
                },
                {
                    **change,
                    "test": "b",
                    "fqn": "suite.b",
                    "to": "fixed",
                    "reason": "rewritten",
                    "actor": "ann",
                },
            ],
        },
        {
            **head,
            "event": "result",
            "results": [
                {"test": "a", "outcome": "done"},
                {"test": "b", "outcome": "unknown", "error": "locked"},
            ],
        },
    ]


def test_no_journal_is_no_change(path: Path) -> None:
    assert journal_at(path).recent(0) == 0
    assert not path.parent.exists()


def test_recent_counts_what_was_done_or_may_have_been(path: Path) -> None:
    journal = journal_at(path)
    moves = [move("done"), move("failed"), move("unknown"), move("silent", State.DISABLED)]
    released = [move("active", State.ACTIVE), move("fixed", State.FIXED)]
    batch = journal.intent([*moves, *released])
    assert journal.recent(NOW - DAY) == 4
    journal.result(batch, did(done=True, failed=False, unknown=None, active=True, fixed=True))
    assert journal.recent(NOW - DAY) == 3


def test_recent_means_since_then_and_here(path: Path) -> None:
    for age in (0.0, DAY, DAY + 1):
        journal_at(path, NOW - age).intent([move(f"t{age}")])
    replace(journal_at(path), repository="github.com/acme/other").intent([move("other")])
    replace(journal_at(path), backend="store").intent([move("stored")])
    assert journal_at(path).recent(NOW - DAY) == 2


def test_what_people_did_is_not_counted(path: Path) -> None:
    by_hand = replace(move("b"), rule=None, actor="ann", reason="before the release")
    journal_at(path).intent([move("a"), by_hand])
    assert journal_at(path).recent(NOW - DAY) == 1


def test_a_test_moved_twice_counts_twice(path: Path) -> None:
    journal = journal_at(path)
    journal.intent([move("a")])
    journal.intent([move("a")])
    assert journal.recent(0) == 2


@given(st.integers(min_value=0), st.booleans())
def test_a_torn_last_line_loses_only_itself(
    tmp_path_factory: pytest.TempPathFactory, cut: int, tear_intent: bool
) -> None:
    path = tmp_path_factory.mktemp("torn") / "journal.jsonl"
    journal = journal_at(path)
    batch = journal.intent([move("a")])
    if tear_intent:
        journal.intent([move("b")])
    else:
        journal.result(batch, did(a=False))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    path.write_bytes(whole[: first + cut % (len(whole) - first - 1)])
    assert journal.recent(0) == 1
    journal.intent([move("c")])
    assert journal.recent(0) == 2
    assert [event.event for event in journal.events()] == ["intent", "intent"]


def test_zeros_after_a_power_failure_are_a_torn_line(path: Path) -> None:
    journal = journal_at(path)
    journal.intent([move("a")])
    with path.open("ab") as file:
        file.write(b"\0" * 100)
    journal.intent([move("b")])
    assert journal.recent(0) == 2


@pytest.mark.parametrize(
    "line",
    ["{}", "[]", "7", '{"version":1}', '{"version":1,"event":"intent","batch":7}'],
)
def test_a_line_of_somebody_else_is_named(path: Path, line: str) -> None:
    journal = journal_at(path)
    journal.intent([move("a")])
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(BackendError) as caught:
        journal.recent(0)
    assert caught.value.message.startswith(f"{path}:2: this is not a line of a version 1 journal")


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ('"2026-11-20T12:00:00Z"', '"9999-12-31T23:59:59-23:00"'),
        ('"2026-11-20T12:00:00Z"', '"0001-01-01T00:00:00Z"'),
        ('"2026-11-20T12:00:00Z"', '"2026-11-20T12:00:00"'),
        ('"fqn"', '"until":"0001-01-01T00:00:00Z","fqn"'),
        ('"fqn"', '"until":"2026-11-20T12:00:00","fqn"'),
        ('"fqn"', f'"more":{"[" * 100_000}{"]" * 100_000},"fqn"'),
    ],
)
def test_what_no_call_has_written_is_named(path: Path, written: str, instead: str) -> None:
    journal = journal_at(path)
    journal.intent([move("a")])
    path.write_text(path.read_text().replace(written, instead))
    with pytest.raises(BackendError, match="is not a line of a version 1 journal"):
        journal.recent(0)


def test_a_line_without_an_end_is_passed_over(path: Path) -> None:
    journal = journal_at(path)
    journal.intent([move("a")])
    with path.open("ab") as file:
        file.seek(200 * 1024 * 1024, os.SEEK_END)
        file.write(b"\n")
    journal.intent([move("b")])
    assert journal.recent(0) == 2


def test_a_newer_journal_is_not_misread(path: Path) -> None:
    journal = journal_at(path)
    journal.intent([move("a")])
    path.write_text(path.read_text().replace('"version":1', '"version":2'))
    with pytest.raises(BackendError, match="version 2") as caught:
        journal.recent(0)
    assert caught.value.tip is not None
    assert "update this one" in caught.value.tip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_an_error_before_anything_is_sent() -> None:
    with pytest.raises(BackendError, match="cannot be written: No space left on device"):
        journal_at(Path("/dev/full")).intent([move("a")])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_its_place(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(BackendError, match="cannot be read: it is not a file"):
        journal_at(path).recent(0)


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="cannot be written: Is a directory"):
        journal_at(tmp_path).intent([move("a")])
    with pytest.raises(BackendError, match="cannot be read: Is a directory"):
        journal_at(tmp_path).recent(0)


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackendError, match="cannot be written"):
        journal_at(tmp_path / "file" / "journal.jsonl").intent([move("a")])


def _write_many(path: Path, run: str) -> None:
    journal = journal_at(path, run=run)
    for number in range(20):
        batch = journal.intent([move(f"{run}-{number}-{each}") for each in range(30)])
        journal.result(batch, [])


def test_processes_side_by_side_keep_whole_lines(path: Path) -> None:
    processes = multiprocessing.get_context("fork")
    writers = [processes.Process(target=_write_many, args=(path, run)) for run in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(lines(path)) == 3 * 20 * 2
    assert journal_at(path).recent(0) == 3 * 20 * 30


def test_an_intent_is_on_disk_when_it_returns(path: Path) -> None:
    """The writer dies at once, without a chance to flush anything."""

    def write_and_die() -> None:
        journal_at(path).intent([move("a")])
        os.kill(os.getpid(), signal.SIGKILL)

    writer = multiprocessing.get_context("fork").Process(target=write_and_die)
    writer.start()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    assert journal_at(path).recent(0) == 1


def test_made_is_what_was_or_may_have_been_changed_here(path: Path) -> None:
    journal = journal_at(path)
    batch = journal.intent([move("a"), move("b"), move("c"), move("d")])
    journal.result(batch, did(a=True, b=False, c=None))
    other = replace(journal_at(path, NOW + DAY), repository="github.com/acme/other")
    other.intent([move("a", State.FIXED)])
    journal_at(path, NOW + DAY).intent([replace(move("b", State.FIXED), rule=None, actor="dana")])
    found = journal.made(["a", "b", "c", "x"])
    assert [(each.test_id, each.to_state.value, each.at, each.rule) for each in found] == [
        ("a", "quarantined", NOW, "noisy"),
        ("c", "quarantined", NOW, "noisy"),
        ("b", "fixed", NOW + DAY, None),
    ]
    assert found[2].actor == "dana"
    assert journal.made([]) == []


def test_a_later_result_counts_and_limits_forget_nothing(path: Path) -> None:
    journal = journal_at(path)
    batch = journal.intent([move("a"), move("b"), move("c")])
    journal.result(batch, did(a=None, b=True))
    assert [entry.change.test for entry in journal.open()] == ["a", "c"]
    assert journal.recent(0) == 3
    outcomes = [Outcome(test="a", outcome="done"), Outcome(test="c", outcome="failed")]
    journal_at(path, run="later").settle(batch, outcomes)
    assert journal.open() == []
    assert journal.recent(0) == 2
    assert [entry.change.test for entry in journal.past()[0].entries] == ["a", "b"]


def test_what_is_from_the_future_counts_and_is_told(path: Path) -> None:
    journal_at(path, NOW + 400 * DAY).intent([move("a"), move("b")])
    journal = journal_at(path)
    journal.intent([move("c")])
    assert journal.recent(NOW - DAY) == 3
    assert (journal.ahead(NOW), journal.ahead(NOW + 500 * DAY)) == (2, 0)


def _hold_and_die(path: Path, release: Event) -> None:
    with journal_at(path).alone():
        journal_at(path).intent([move("held")])
        release.wait()
        os.kill(os.getpid(), signal.SIGKILL)


def test_one_process_at_a_time_however_it_ends(path: Path) -> None:
    processes = multiprocessing.get_context("fork")
    release = processes.Event()
    holder = processes.Process(target=_hold_and_die, args=(path, release))
    holder.start()
    while not path.exists():
        time.sleep(0.001)
    with journal_at(path).alone(release.set):  # told that it has to wait
        assert [entry.change.test for entry in journal_at(path).open()] == ["held"]
    holder.join()
    assert holder.exitcode == -signal.SIGKILL
    assert release.is_set()


def test_one_that_hangs_is_not_waited_for_for_ever(path: Path) -> None:
    journal = journal_at(path)
    with (
        journal.alone(),
        pytest.raises(BackendError, match="for 3 seconds") as caught,
        journal_at(path).alone(patience=3, sleep=lambda _: None),
    ):
        pass
    assert caught.value.exit_code == 4
    assert str(path) in caught.value.message
    with journal_at(path).alone():
        pass


def test_a_lock_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(BackendError, match="cannot be written"),
        journal_at(tmp_path / "file" / "journal.jsonl").alone(),
    ):
        pass


def test_the_end_of_what_a_person_chose_is_kept(path: Path) -> None:
    journal = journal_at(path)
    dated = replace(move("a"), rule=None, actor="dana", until=NOW + DAY)
    journal.intent([dated, move("b")])
    assert b'"until":"2026-11-21T12:00:00Z"' in path.read_bytes()
    assert path.read_bytes().count(b"until") == 1, "older flakegates read the rest as they did"
    assert {each.test_id: each.until for each in journal.made(["a", "b"])} == {
        "a": NOW + DAY,
        "b": None,
    }
    assert journal.dated() == {"a"}
