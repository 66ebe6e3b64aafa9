"""Progress of long work: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flakegate.backends.base import Progress

EVERY = 1_000


@contextmanager
def progress(label: str) -> Iterator[Progress]:
    """A function that is told how many are done, and of how many (None: not known).

    Writes to standard error. Short work shows nothing: the bar comes with the second report, a
    line in a log with every thousand.
    """
    if not sys.stderr.isatty():
        yield _lines(label)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[so_far]}"),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(label, total=None, so_far="")
    reports = 0

    def show(done: int, total: int | None) -> None:
        nonlocal reports
        reports += 1
        bar.update(task, completed=done, total=total, so_far=_count(done, total))
        if reports > 1:
            bar.start()

    try:
        yield show
    finally:
        bar.stop()


def _count(done: int, total: int | None) -> str:
    return f"{done:,} of {total:,}" if total else f"{done:,}"


def _lines(label: str) -> Progress:
    said = 0

    def tell(done: int, total: int | None) -> None:
        nonlocal said
        if done // EVERY > said // EVERY:
            said = done
            print(f"{label}: {_count(done, total)}", file=sys.stderr, flush=True)

    return tell
