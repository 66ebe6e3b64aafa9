from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.errors import EvidenceError
from flakegate.spread import cores, spread

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is spread elsewhere")
HERE = os.getpid()


def where(item: int) -> tuple[int, int]:
    return item, os.getpid()


def elsewhere(deed: object) -> object:
    """What does this only in another process."""

    def work(item: int) -> int:
        if os.getpid() != HERE and callable(deed):
            deed()
        return item

    return work


def test_results_come_in_order_from_several_processes() -> None:
    found = spread(where, range(7), weights=[1, 9, 1, 1, 3, 1, 1], processes=3)
    assert [item for item, _ in found] == list(range(7))
    assert len({process for _, process in found}) == 3


def test_what_can_be_done_meanwhile_is_done_once_something_is_notable() -> None:
    done: list[int] = []
    for notable, times in (({5}, 1), ({9}, 0), (set(range(7)), 1)):
        found = spread(
            where,
            range(7),
            weights=[1] * 7,
            processes=2,
            notable=lambda result, notable=notable: result[0] in notable,  # type: ignore[misc]
            meanwhile=lambda: done.append(os.getpid()),
        )
        assert [item for item, _ in found] == list(range(7))
        assert done == [HERE] * times
        done.clear()


def test_what_fails_meanwhile_leaves_no_process_behind() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        spread(
            where,
            range(4),
            weights=[1] * 4,
            processes=2,
            notable=lambda _: True,
            meanwhile=fail,
        )
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_one_process_is_this_one() -> None:
    assert spread(where, [1, 2], weights=[1, 1], processes=1) == [(1, HERE), (2, HERE)]
    assert spread(where, [1], weights=[5], processes=8) == [(1, HERE)]
    assert spread(where, [], weights=[], processes=8) == []


def test_a_process_with_threads_is_not_forked() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert {process for _, process in spread(where, [1, 2], weights=[1, 1], processes=2)} == {
            HERE
        }
        assert cores() == 1
    finally:
        done.set()
        thread.join()


def test_results_of_any_size_arrive() -> None:
    def large(item: int) -> bytes:
        return bytes([item]) * 3_000_000

    found = spread(large, [1, 2, 3], weights=[1, 1, 1], processes=3)
    assert found == [large(1), large(2), large(3)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed_is_an_error(number: int) -> None:
    work = elsewhere(lambda: os.kill(os.getpid(), number))
    with pytest.raises(EvidenceError, match=f"ended early, with signal {int(number)}"):
        spread(work, [1, 2, 3], weights=[1, 1, 1], processes=2)  # type: ignore[arg-type]


def test_a_process_that_leaves_is_an_error() -> None:
    with pytest.raises(EvidenceError, match="ended early, with exit code 3"):
        spread(elsewhere(lambda: os._exit(3)), [1, 2], weights=[1, 1], processes=2)  # type: ignore[arg-type]
    with pytest.raises(EvidenceError, match="ended early, with exit code 1"):
        spread(elsewhere(sys.exit), [1, 2], weights=[1, 1], processes=2)  # type: ignore[arg-type]


def test_a_bug_elsewhere_is_told_with_its_traceback() -> None:
    def bug() -> None:
        raise KeyError("what was not there")

    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*in bug.*what was not there"):
        spread(elsewhere(bug), [1, 2], weights=[1, 1], processes=2)  # type: ignore[arg-type]


def test_what_cannot_be_sent_is_an_error() -> None:
    def work(item: int) -> object:
        return lambda: item

    with pytest.raises(EvidenceError, match="exit code 1"):
        spread(work, [1, 2], weights=[1, 1], processes=2)


def test_no_process_is_left_behind_by_an_error() -> None:
    def work(item: int) -> int:
        if item == 1:
            raise ZeroDivisionError
        time.sleep(60)
        return item

    started = time.monotonic()
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        spread(work, [1, 2], weights=[2, 1], processes=2)
    assert time.monotonic() - started < 30
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_some_core_may_always_be_used() -> None:
    assert 1 <= cores() <= 16


@given(st.lists(st.integers(0, 1000), max_size=40), st.integers(1, 6))
def test_every_item_is_in_one_share_and_no_share_is_much_larger(
    weights: list[int], processes: int
) -> None:
    from flakegate.spread import _shares

    shares = _shares(weights, processes)
    assert sorted(at for share in shares for at in share) == list(range(len(weights)))
    loads = [sum(weights[at] for at in share) for share in shares]
    assert max(loads) - min(loads) <= max(weights, default=0)
