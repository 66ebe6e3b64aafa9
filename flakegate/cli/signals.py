"""Ctrl-C and SIGTERM, with which CI systems cancel a job: an end that leaves nothing unsaid."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    Handler = Callable[[int, FrameType | None], None]

ENDS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM ends what is in here as Ctrl-C does: by KeyboardInterrupt."""
    with _handled(_interrupt):
        yield


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """A function that says whether a signal has asked for an end meanwhile.

    Only the first signal waits until that is looked at; one more ends the call at once.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            _interrupt(number, frame)
        asked = True
        # Not by print: the signal may have come in the middle of another one.
        with suppress(OSError):
            os.write(2, b"note: stopping after the request under way; once more to stop at once\n")

    with _handled(ask):
        yield lambda: asked


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


@contextmanager
def _handled(handler: Handler) -> Iterator[None]:
    """A signal that the parent process has ignored stays so; only the main thread has signals."""
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield
        return
    before = {each: signal.getsignal(each) for each in ENDS}
    mine = [each for each, now in before.items() if now not in (signal.SIG_IGN, None)]
    try:
        for each in mine:
            signal.signal(each, handler)
        yield
    finally:
        for each in mine:
            signal.signal(each, before[each])
