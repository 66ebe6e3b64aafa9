"""Real processes of flakegate that end at a step of the test's choice, and start in no time.

A process with everything loaded, and with a single thread, forks one flakegate for each line that
it reads. A step is what a kill can fall between: each time flakegate is about to send something,
to open the journal, or to lock it (which Python's audit events tell).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

STEPS = {"http.client.send", "fcntl.flock"}
JOURNAL = "journal.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One call. step: at which step it gets the signal; 0: never. most: bytes a file may have."""

    arguments: tuple[str, ...]
    folder: str
    env: Mapping[str, str] = field(default_factory=dict)
    step: int = 0
    signal: int = signal.SIGKILL
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """code: negative for the signal that ended it. out: all that it wrote."""

    code: int
    out: str


class Forks:
    """A context manager; `call` waits for the end, `start` and `end` do not."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def start(self, order: Order) -> int:
        """The process's id."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        return int(self._line()["pid"])

    def end(self) -> Ended:
        line = self._line()
        return Ended(code=int(line["code"]), out=str(line["out"]))

    def call(self, order: Order) -> Ended:
        self.start(order)
        return self.end()

    def _line(self) -> dict[str, int | str]:
        assert self._process.stdout
        line: dict[str, int | str] = json.loads(self._process.stdout.readline())
        return line


def serve() -> None:
    import flakegate.backends.datadog.backend
    import flakegate.cli.apply
    import flakegate.journal
    import flakegate.render
    import flakegate.transport.client

    assert flakegate
    for line in sys.stdin:
        given = json.loads(line)
        order = Order(**{**given, "arguments": tuple(given["arguments"])})
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            be(order, writing)
        os.close(writing)
        _tell({"pid": pid})
        with os.fdopen(reading, "rb") as output:
            out = output.read().decode()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        _tell({"code": code, "out": out})


def _tell(answer: dict[str, int | str]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def be(order: Order, output: int) -> None:
    """Becomes the call. Never returns."""
    from flakegate.cli.main import run

    code = 70
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = (os.fdopen(each, "w", 1) for each in (1, 2))
        os.chdir(order.folder)
        os.environ.clear()
        os.environ.update(order.env)
        if order.most is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (order.most, order.most))
        if order.step:
            sys.addaudithook(Steps(order))
        code = run(order.arguments)
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - the parent is told
        traceback.print_exc()
    finally:
        os._exit(code)


class Steps:
    """Counts the steps, and sends the signal at the one that was ordered."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.taken = 0

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        opens_journal = event == "open" and str(arguments[0]).endswith(JOURNAL)
        if event in STEPS or opens_journal:
            self.taken += 1
            if self.taken == self.order.step:
                os.kill(os.getpid(), self.order.signal)


if __name__ == "__main__":
    serve()
