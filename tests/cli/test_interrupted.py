"""Calls that are killed at any step, or whose disk is full: nothing is lost, nothing made twice.

What counts is what the server holds and what the journal says, not what flakegate prints.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flakegate.entries import Entry, entries
from flakegate.journal import Journal
from tests.cli.forks import Ended, Forks, Order
from tests.cli.reports import write
from tests.fake_datadog import KEYS, REPOSITORY, FakeDatadog, flaky
from tests.faults import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults import Request

NOON = 1_795_176_000.0
POLICY = """\
version: 1
limits: {max_changes: 200}
respect_manual: 0
rules: [{id: noisy, to: quarantined, when: failure_rate > 20%}]
"""
WANTED = [f"want-{number:03}" for number in range(120)]  # two batches
STEPS = 60  # more than a whole call takes
LONG = 60.0  # seconds, on a machine that is very busy


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as forks:
        yield forks


@dataclass(slots=True, kw_only=True, eq=False)
class Held(FakeDatadog):
    """Holds the first PATCH for as long as the test wants.

    hold: at which moment: "late": it is carried out afterwards; "done": it was before, but not
    answered; "never": it is refused afterwards; "": it is not held.
    """

    hold: str = ""
    reached: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: Request) -> Reply:
        if request.method != "PATCH" or not self.hold or self.gate.is_set():
            return FakeDatadog.answer(self, request)
        reply = FakeDatadog.answer(self, request) if self.hold == "done" else Reply(status=503)
        self.reached.set()
        assert self.gate.wait(LONG)
        return FakeDatadog.answer(self, request) if self.hold == "late" else reply

    def until_held(self) -> None:
        assert self.reached.wait(LONG)


@pytest.fixture
def datadog() -> Iterator[Held]:
    with Held(clock=lambda: NOON) as fake:
        fill(fake)
        yield fake


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def fill(fake: FakeDatadog) -> None:
    fake.tests = [flaky(test_id, rate=50.0) for test_id in WANTED]
    fake.tests += [flaky(f"below-{number}", rate=1.0) for number in range(5)]
    fake.requests.clear()


def made(fake: FakeDatadog) -> set[str]:
    """The tests that have the planned state; all others have their old one."""
    found = {test_id for test_id, state in fake.states.items() if state == "quarantined"}
    assert found <= set(WANTED)
    assert set(fake.states.values()) <= {"active", "quarantined"}
    return found


def patched(fake: FakeDatadog) -> list[str]:
    """The ids of all PATCHes, in their order."""
    return [
        change["id"]
        for request in fake.requests
        if request.method == "PATCH"
        for change in request.attributes["tests"]
    ]


def journal(folder: Path) -> Journal:
    return Journal(
        path=folder / ".flakegate/journal.jsonl",
        run="",
        backend="datadog",
        repository=REPOSITORY,
        clock=lambda: NOON,
    )


def done(folder: Path) -> list[str]:
    """The tests whose change the journal knows as made, as often as it says so."""
    everything: list[Entry] = entries(journal(folder).events(), lambda _event, _change: True)
    return sorted(entry.change.test for entry in everything if entry.made)


@pytest.fixture
def order(datadog: Held, tmp_path: Path) -> Order:
    """`flakegate apply` in an empty folder with the policy."""
    return order_in(tmp_path, datadog)


def order_in(folder: Path, datadog: Held) -> Order:
    folder.mkdir(exist_ok=True)
    write(folder, "flakegate.yml", POLICY)
    env = {
        **KEYS,
        "PATH": os.environ["PATH"],
        "FLAKEGATE_API_URL": datadog.url,
        "FLAKEGATE_REPOSITORY": REPOSITORY,
        "FLAKEGATE_TIME": "2026-11-20T12:00:00Z",
    }
    return Order(arguments=("apply", "-q"), folder=str(folder), env=env)


def retried(forks: Forks, order: Order) -> Ended:
    """The next call, undisturbed."""
    return forks.call(replace(order, step=0, most=None))


def check_the_next_call(forks: Forks, order: Order, datadog: Held, at: str) -> None:
    """After whatever happened: the rest is made, once, and the journal agrees with the server."""
    folder = Path(order.folder)
    before, waiting = made(datadog), journal(folder).open()
    assert set(done(folder)) <= before, at
    datadog.requests.clear()
    ended = retried(forks, order)
    assert ended.code == 0, f"{at}: {ended.out}"
    assert ("an earlier call was interrupted" in ended.out) == bool(waiting), at
    assert sorted(patched(datadog)) == sorted(set(WANTED) - before), at
    assert made(datadog) == set(WANTED), at
    assert done(folder) == WANTED, at
    assert journal(folder).open() == [], at
    assert journal(folder).recent(0) == len(WANTED), at


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_at_any_step(
    forks: Forks, datadog: Held, tmp_path: Path, number: signal.Signals
) -> None:
    states_at_the_end = set()
    for step in range(1, STEPS):
        fill(datadog)
        order = order_in(tmp_path / str(step), datadog)
        ended = forks.call(replace(order, step=step, signal=number))
        if ended.code == 0:
            break
        datadog.settle()
        at = f"{number.name} at step {step}"
        so_far = made(datadog)
        states_at_the_end.add(len(so_far))
        if number == signal.SIGKILL:
            assert ended.code == -signal.SIGKILL, at
        else:
            assert ended.code == 130, f"{at}: {ended.out}"
            assert journal(Path(order.folder)).open() == [], at
        check_the_next_call(forks, order, datadog, at)
    assert ended.code == 0
    assert made(datadog) == set(WANTED)
    assert step > 10
    # Asked for an end during the last batch, a call finishes it and has done all.
    assert states_at_the_end == ({0, 100} if number == signal.SIGTERM else {0, 100, 120})


@pytest.mark.parametrize("moment", ["late", "done", "never"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_while_the_answer_is_awaited(
    forks: Forks, datadog: Held, order: Order, number: signal.Signals, moment: str
) -> None:
    datadog.hold = moment
    pid = forks.start(order)
    datadog.until_held()
    os.kill(pid, number)
    if number == signal.SIGKILL:
        assert forks.end().code == -signal.SIGKILL
        datadog.gate.set()
        assert len(journal(Path(order.folder)).open()) == 100
        until(lambda: moment == "never" or len(made(datadog)) == 100)
    else:
        datadog.gate.set()
        ended = forks.end()
        assert ended.code == 130, ended.out
        assert "100 of 120 state changes" in ended.out
        assert "stopping after the request under way" in ended.out
        assert len(made(datadog)) == 100
    check_the_next_call(forks, order, datadog, f"{number.name}, {moment}")


@pytest.mark.parametrize(
    ("command", "states"),
    [
        (("run", "--apply"), {"want-119": "quarantined", "below-0": "active"}),
        (("set", "below-0", "fixed", "--reason", "x"), {"want-119": "active", "below-0": "fixed"}),
        (("undo", "last", "--apply"), {"want-000": "active", "want-119": "active"}),
    ],
)  # fmt: skip
def test_whatever_changes_states_takes_up_what_was_left(
    forks: Forks,
    datadog: Held,
    order: Order,
    command: tuple[str, ...],
    states: dict[str, str],
) -> None:
    killed_in_the_first_batch(forks, order, datadog)
    ended = forks.call(replace(order, arguments=command))
    assert ended.code == 0, ended.out
    assert "interrupted: 100 of 100 open changes were made; the journal has it now" in ended.out
    assert journal(Path(order.folder)).open() == []
    assert {test: datadog.states[test] for test in states} == states


def killed_in_the_first_batch(forks: Forks, order: Order, datadog: Held) -> None:
    datadog.hold = "done"
    pid = forks.start(order)
    datadog.until_held()
    os.kill(pid, signal.SIGKILL)
    assert forks.end().code == -signal.SIGKILL
    datadog.gate.set()
    assert len(journal(Path(order.folder)).open()) == 100


@pytest.mark.parametrize(
    "command", [("plan",), ("apply", "--dry-run"), ("undo", "last"), ("list",)]
)
def test_what_changes_no_states_leaves_the_journal_alone(
    forks: Forks, datadog: Held, order: Order, command: tuple[str, ...]
) -> None:
    killed_in_the_first_batch(forks, order, datadog)
    path = Path(order.folder) / ".flakegate/journal.jsonl"
    before = path.read_bytes()
    assert forks.call(replace(order, arguments=command)).code == 0
    assert path.read_bytes() == before


def test_a_second_signal_does_not_wait(forks: Forks, datadog: Held, order: Order) -> None:
    datadog.hold = "done"
    pid = forks.start(order)
    datadog.until_held()
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    ended = forks.end()
    datadog.gate.set()
    assert (ended.code, len(journal(Path(order.folder)).open())) == (130, 100)
    check_the_next_call(forks, order, datadog, "SIGINT, SIGTERM")


def test_a_disk_that_is_full_at_any_byte(forks: Forks, datadog: Held, tmp_path: Path) -> None:
    whole = order_in(tmp_path / "whole", datadog)
    assert forks.call(whole).code == 0
    size = (tmp_path / "whole/.flakegate/journal.jsonl").stat().st_size
    codes = set()
    for most in (0, 1, 5_000, *range(size // 2, size + 1, max(1, size // 14)), size - 1):
        fill(datadog)
        order = order_in(tmp_path / str(most), datadog)
        ended = forks.call(replace(order, most=most))
        codes.add(ended.code)
        assert ended.code == (5 if made(datadog) else 4), f"{most} bytes: {ended.out}"
        check_the_next_call(forks, order, datadog, f"{most} of {size} bytes")
    assert codes == {4, 5}


def test_a_full_disk_says_what_to_do(forks: Forks, datadog: Held, order: Order) -> None:
    ended = forks.call(replace(order, arguments=("apply",), most=100))
    assert ended.code == 4
    assert "journal.jsonl cannot be written: File too large" in ended.out
    assert "free some space" in ended.out
    assert patched(datadog) == []


def test_a_journal_without_an_end(forks: Forks, datadog: Held, order: Order) -> None:
    """As a repository could bring it along."""
    folder = Path(order.folder) / ".flakegate"
    folder.mkdir()
    (folder / "journal.jsonl").symlink_to("/dev/zero")
    ended = forks.call(order)
    assert ended.code == 4
    assert "journal.jsonl cannot be read: it is not a file" in ended.out
    assert patched(datadog) == []


def test_two_jobs_with_one_journal_take_turns(forks: Forks, datadog: Held, order: Order) -> None:
    datadog.hold = "late"
    with Forks() as others:
        forks.start(order)
        datadog.until_held()
        others.start(order)
        time.sleep(0.5)  # a moment in which the other could do harm
        datadog.gate.set()
        ended = [forks.end(), others.end()]
    assert [each.code for each in ended] == [0, 0]
    assert "interrupted" not in ended[1].out
    assert sorted(patched(datadog)) == WANTED
    assert done(Path(order.folder)) == WANTED


def test_two_jobs_on_two_machines_end_in_one_result(
    forks: Forks, datadog: Held, tmp_path: Path
) -> None:
    orders = [order_in(tmp_path / name, datadog) for name in "ab"]
    datadog.scripts = {"PATCH": [Reply(wait=0.3, own=True)] * 2}
    with Forks() as others:
        forks.start(orders[0])
        others.start(orders[1])
        ended = [forks.end(), others.end()]
    assert [each.code for each in ended] == [0, 0], ended
    assert made(datadog) == set(WANTED)
    assert {*done(tmp_path / "a"), *done(tmp_path / "b")} == set(WANTED)
    assert [journal(tmp_path / name).open() for name in "ab"] == [[], []]
