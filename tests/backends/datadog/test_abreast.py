"""Sources read side by side: nothing is lost, and the first error ends all."""

from __future__ import annotations

import signal
import threading
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import pytest

from flakegate.backends.datadog.abreast import abreast

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    Source = Callable[[], Iterator[object]]

PATIENCE = 10.0  # seconds after which a test that hangs fails instead


def counting(name: str, many: int) -> Iterator[tuple[str, int]]:
    for number in range(many):
        yield name, number


@pytest.mark.parametrize("at_once", [1, 2, 4, 9])
def test_every_item_of_every_source_comes_in_its_sources_order(at_once: int) -> None:
    sources = [partial(counting, name, 3 * place) for place, name in enumerate("abcdef")]
    came = list(abreast(sources, at_once=at_once))
    assert sorted(came) == [item for source in sources for item in source()]
    for name in "abcdef":
        own = [number for each, number in came if each == name]
        assert own == sorted(own)


def test_no_source_is_no_item() -> None:
    assert list(abreast([], at_once=4)) == []


def test_as_many_at_once_as_allowed_and_no_more() -> None:
    together = threading.Barrier(3, timeout=PATIENCE)
    first = threading.Event()
    lock = threading.Lock()
    running, most = 0, 0

    def source() -> Iterator[int]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            leads = not first.is_set()
            first.set()
        if leads:
            yield 0
        together.wait()
        yield 1
        together.wait()
        with lock:
            running -= 1

    assert list(abreast([source] * 6, at_once=3)) == [0] + [1] * 6
    assert most == 3


def test_what_fails_at_once_fails_once() -> None:
    begun = []

    def refused() -> str:
        begun.append(1)
        raise LookupError("refused")

    def source() -> Iterator[str]:
        yield refused()

    with pytest.raises(LookupError, match="refused"):
        list(abreast([source] * 4, at_once=4))
    assert len(begun) == 1


class Waiting:
    """A source that waits until it is let go, gives an item unless it has none, and would go on."""

    def __init__(self, *, empty: bool = False) -> None:
        self.empty = empty
        self.waits, self.go, self.gone = threading.Event(), threading.Event(), threading.Event()
        self.asked_on = False

    def __call__(self) -> Generator[str]:
        try:
            self.waits.set()
            assert self.go.wait(PATIENCE)
            if not self.empty:
                yield "late"
                self.asked_on = True
        finally:
            self.gone.set()


def failing(after: threading.Event) -> Iterator[str]:
    assert after.wait(PATIENCE)
    yield "first"
    raise LookupError("page 2")


@pytest.mark.parametrize("empty", [True, False])
def test_an_error_waits_for_nobody_and_ends_the_others(empty: bool) -> None:
    slow, never = Waiting(empty=empty), Waiting()
    lead = partial(counting, "lead", 1)
    sources: list[Source] = [lead, slow, partial(failing, slow.waits), never]
    with pytest.raises(LookupError, match="page 2"):
        list(abreast(sources, at_once=2))
    assert not slow.gone.is_set(), "the error came while the other was still waiting"
    slow.go.set()
    assert slow.gone.wait(PATIENCE)
    assert not slow.asked_on
    assert not never.waits.wait(0.05)


def test_whoever_stops_reading_ends_them_all() -> None:
    slow = Waiting()
    sources: list[Source] = [partial(counting, "a", 1), slow]
    with closing(abreast(sources, at_once=2)) as items:
        assert next(items) == ("a", 0)
        assert slow.waits.wait(PATIENCE)
    slow.go.set()
    assert slow.gone.wait(PATIENCE)
    assert not slow.asked_on


def test_an_interrupt_waits_for_nobody() -> None:
    slow = Waiting()

    def interrupt() -> Iterator[str]:
        assert slow.waits.wait(PATIENCE)
        yield "about to"
        signal.raise_signal(signal.SIGINT)

    sources: list[Source] = [partial(counting, "lead", 1), slow, interrupt]
    with pytest.raises(KeyboardInterrupt):
        list(abreast(sources, at_once=2))
    assert not slow.gone.is_set()
    slow.go.set()
    assert slow.gone.wait(PATIENCE)
