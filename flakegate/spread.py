"""Work spread over processes where that pays: by fork, which takes some 10 ms.

Elsewhere than on Linux a new process would have to start Python anew, which takes longer than most
jobs have reports for; there, and in a process with threads, all is done in this one.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

from flakegate.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Item = TypeVar("Item")

Result = TypeVar("Result")

MOST = 16  # processes
# The first byte that a process sends: it has a notable result, or an error; it ends without any.
_NOTABLE, _NOTHING = b"!", b"."
_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # what a container may use, of each period


def spread(  # noqa: PLR0913 - what is done, how it is split, and what is done beside it
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    weights: Sequence[int],
    processes: int,
    notable: Callable[[Result], bool] = lambda _: False,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[Result]:
    """`work` of every item, in their order; weights say how long each takes beside the others.

    meanwhile: called once there is a notable result, while other processes are still at work.
    Raises what `work` raises, as a RuntimeError where another process did it, and EvidenceError
    where one of them was killed.
    """
    shares = _shares(weights, processes if _can_fork() else 1)
    if len(shares) == 1:
        return [work(item) for item in items]
    children: list[_Child[Result]] = []
    results: dict[int, Result] = {}
    try:
        try:
            children.extend(_Child(lambda at: work(items[at]), share, notable) for share in shares)
        except OSError:  # no more processes can be had
            return [work(item) for item in items]
        if any(child.has_notable() for child in children):
            meanwhile()
        for child in children:
            results.update(child.results())
    finally:
        for child in children:
            child.end()
    return [results[at] for at in range(len(items))]


def cores() -> int:
    """How many cores this process may use, by its affinity and by its container's quota."""
    if not _can_fork():
        return 1
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = _QUOTA.read_text("ascii").split()
        allowed = min(allowed, -(-int(quota) // int(period)))
    except (OSError, ValueError):  # no such quota, or "max"
        pass
    return max(1, min(allowed, MOST))


def _can_fork() -> bool:
    return sys.platform == "linux" and threading.active_count() == 1


def _shares(weights: Sequence[int], processes: int) -> list[list[int]]:
    """Which items each process does: the heaviest first, always to the one with least to do."""
    shares: list[list[int]] = [[] for _ in range(max(1, min(processes, len(weights))))]
    loads = [0] * len(shares)
    for at in sorted(range(len(weights)), key=lambda at: (-weights[at], at)):
        least = loads.index(min(loads))
        shares[least].append(at)
        loads[least] += weights[at]
    return shares


class _Child(Generic[Result]):
    """A process that does its share and sends back all of it, or why it could not."""

    def __init__(
        self,
        work: Callable[[int], Result],
        share: Sequence[int],
        notable: Callable[[Result], bool],
    ) -> None:
        source, sink = os.pipe()
        self._source = os.fdopen(source, "rb")
        self._first: bytes | None = None
        self._running = True
        self._pid = os.fork()
        if self._pid == 0:
            _serve(work, share, notable, sink)
        os.close(sink)

    def has_notable(self) -> bool:
        """Whether any of its results is notable; waits until that is known."""
        if self._first is None:
            self._first = self._source.read(1)
        return self._first == _NOTABLE

    def results(self) -> dict[int, Result]:
        """What came of each item. Raises as `spread` does."""
        self.has_notable()  # what follows are the results
        sent = self._source.read()
        _, status = os.waitpid(self._pid, 0)
        self._running = False
        if status:
            code = os.waitstatus_to_exitcode(status)
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise EvidenceError(
                f"a process that was reading reports ended early, with {how}",
                tip="it was probably out of memory: give the job more, or the gate fewer reports",
            )
        done: dict[int, Result] | str = pickle.loads(sent)  # noqa: S301 - from our own process
        if isinstance(done, str):
            raise RuntimeError(done)  # noqa: TRY004 - a bug of the work, told by the other process
        return done

    def end(self) -> None:
        """Ends the process, should it still run, and waits until it has."""
        self._source.close()
        if self._running:
            self._running = False
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)


def _serve(
    work: Callable[[int], Result],
    share: Sequence[int],
    notable: Callable[[Result], bool],
    sink: int,
) -> NoReturn:
    """What the other process does: nothing of this one's is cleaned up or written twice there."""
    code = 1
    try:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        with os.fdopen(sink, "wb") as pipe:
            told = False
            try:
                results: dict[int, Result] = {}
                for at in share:
                    results[at] = work(at)
                    if not told and notable(results[at]):
                        told = True
                        pipe.write(_NOTABLE)
                        pipe.flush()
                done: dict[int, Result] | str = results
                end = _NOTHING
            except Exception:  # noqa: BLE001 - it is raised again where it can be told
                done = traceback.format_exc()
                end = _NOTABLE
            pipe.write(b"" if told else end)
            pickle.dump(done, pipe, protocol=pickle.HIGHEST_PROTOCOL)
        code = 0
    finally:
        os._exit(code)
