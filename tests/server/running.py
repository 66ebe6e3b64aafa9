"""A real `flakegate serve` for the tests: a process of its own, on a port that is free."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

from flakegate.wire.flaky_tests import PATH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SAID = re.compile(r"serving .* at (http://\S+?)[,;]")
TIME = "2025-06-15T15:06:40Z"  # tests.backends.store.build.NOW


@dataclass(slots=True, kw_only=True)
class Running:
    """A server that listens. keys: the headers that every request gets, unless it has its own."""

    url: str
    process: subprocess.Popen[str]
    keys: dict[str, str] = field(default_factory=dict)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        """body: bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **self.keys, **headers}
        return requests.request(
            method,
            self.url + path,
            data=content,
            headers={name: value for name, value in sent.items() if value},
            timeout=20,
        )

    def search(self, query: str = "", **attributes: Any) -> requests.Response:
        wanted = {"filter": {"query": query}, "page": {"limit": 100}, **attributes}
        kind = "search_flaky_tests_request"
        return self.send("POST", PATH, {"data": {"type": kind, "attributes": wanted}})

    def update(self, **states: str) -> requests.Response:
        tests = [{"id": test_id, "new_state": state} for test_id, state in states.items()]
        kind = "update_flaky_test_state_request"
        return self.send("PATCH", PATH, {"data": {"type": kind, "attributes": {"tests": tests}}})

    def stop(self) -> tuple[int, str]:
        """By SIGTERM; the exit code, and what it said after its first line."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said


@contextmanager
def serving(store: Path, *arguments: str, **env: str) -> Iterator[Running]:
    command = [sys.executable, "-m", "flakegate", "serve", "--port", "0", *arguments]
    url = f"sqlite:///{store}"
    process = subprocess.Popen(
        [*command, "--store", url],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FLAKEGATE_TIME": TIME, **env},
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        found = _SAID.match(said)
        assert found, said
        yield Running(url=found[1], process=process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
