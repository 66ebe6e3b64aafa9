"""The server: a page of many tests, the gate's look-ups, and memory over many requests.

    python benchmarks/server.py [--requests 100000]

A store of 50,000 flaky tests in 100 runs, a real `flakegate serve`, and a client with one
connection. Every figure stands beside that of `/healthz`, which opens the store and reads one row:
the least that any answer about it can take.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.insert(0, str(Path(__file__).parent.parent))

from flakegate.backends.store.store import Store
from flakegate.identity import test_id
from flakegate.junit import Outcome
from flakegate.model import Identity
from flakegate.record import RunRecord, TestRecord
from flakegate.wire.flaky_tests import PATH

TESTS, SUITES, RUNS = 50_000, 5_000, 40
PAGE = 500
LOOKUPS = 2_000
NOW = 1_795_176_000.0
DAY = 86_400.0
REPOSITORY = "github.com/acme/shop"
STATES = "(flaky_test_state:active OR flaky_test_state:quarantined)"


def identity(number: int) -> Identity:
    """One of the made-up tests."""
    suite = f"tests.test_{number % SUITES}"
    return Identity(module="", suite=suite, name=f"test_{number}", source_file="")


def fill(url: str) -> None:
    """Each test failed in one or two of the runs, and passed in the same run."""
    store = Store.open(
        url, repository=REPOSITORY, pipeline=None, now=NOW, rate_from="all", write=True
    )
    flake, passed = (Outcome.FAILURE, Outcome.PASSED), (Outcome.PASSED,)
    chance = random.Random(1)
    failing = [chance.sample(range(RUNS), chance.randint(1, 2)) for _ in range(TESTS)]
    identities = [identity(number) for number in range(TESTS)]
    for at in range(RUNS):
        results = tuple(
            TestRecord(
                identity=each,
                attempts=flake if at in failing[number] else passed,
                duration=None,
                message="connection reset by peer" if at in failing[number] else None,
            )
            for number, each in enumerate(identities)
        )
        run = RunRecord(
            key=f"made:{at}",
            pipeline=f"made:{at}",
            leg="tests",
            repository=REPOSITORY,
            commit=f"{at:040x}",
            branch="main",
            is_default=True,
            pull_request=None,
            fork=False,
            at=NOW - 6 * DAY * (RUNS - at) / RUNS,
            results=results,
        )
        store.record([run])


class Client:
    """One connection, as cheap as Python has it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def search(self, query: str, **attributes: Any) -> Any:
        """The answer, read."""
        wanted = {"filter": {"query": query}, "page": {"limit": PAGE}, **attributes}
        body = {"data": {"type": "search_flaky_tests_request", "attributes": wanted}}
        self._connection.request(
            "POST", PATH, json.dumps(body), {"Content-Type": "application/json"}
        )
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{answer.status}: {content[:500]!r}")
        return json.loads(content)

    def health(self) -> None:
        """The least that the server does."""
        self._connection.request("GET", "/healthz")
        self._connection.getresponse().read()


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def pages(client: Client, sort: str) -> list[float]:
    """How long each page of one walk through all took."""
    took, cursor, seen = [], None, 0
    while True:
        page = {"limit": PAGE} if cursor is None else {"limit": PAGE, "cursor": cursor}
        query = f'@git.repository.id_v2:"{REPOSITORY}" AND {STATES}'
        began = time.perf_counter()
        answer = client.search(query, page=page, sort=sort)
        took.append(time.perf_counter() - began)
        seen += len(answer["data"])
        cursor = answer["meta"]["pagination"]["next_page"]
        if cursor is None:
            if seen != TESTS:
                raise SystemExit(f"{seen} tests in a walk, not {TESTS}")
            return took


def look_up(client: Client, number: int) -> None:
    """What the gate asks for three failing tests."""
    suites = " OR ".join(f'@test.suite:"tests.test_{(number + n) % SUITES}"' for n in range(3))
    found = client.search(f'@git.repository.id_v2:"{REPOSITORY}" AND ({suites})')
    if len(found["data"]) != 3 * TESTS // SUITES:
        raise SystemExit(f"{len(found['data'])} tests")


def find(client: Client, number: int) -> None:
    """One test by its id, with its history."""
    key = test_id(REPOSITORY, identity(number % TESTS))
    wanted = {"query": f'fingerprint_fqn:"{key}"', "include_history": True}
    if len(client.search("", filter=wanted)["data"]) != 1:
        raise SystemExit(f"{key} is not found")


def memory(pid: int) -> float:
    """Megabytes that the process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) / 1000


def measure(client: Client, pid: int, requests: int) -> None:
    """Prints every figure."""
    first = seconds(lambda: client.search("", page={"limit": PAGE}))
    print(f"the first page after a change, the list being read: {first * 1000:.0f} ms")
    least = median(seconds(client.health) for _ in range(200))
    print(f"/healthz: {least * 1000:.2f} ms")
    for sort in ("fqn", "-failure_rate"):
        page = median(pages(client, sort))
        print(
            f"a page of {PAGE} of {TESTS:,} by {sort}: {page * 1000:.1f} ms at the median"
            f" (budget 50), {page / least:.0f} times /healthz"
        )
    for name, ask in (("by three suites", look_up), ("by id, with history", find)):
        began = time.perf_counter()
        for number in range(LOOKUPS):
            ask(client, number)
        took = time.perf_counter() - began
        print(
            f"look-ups {name}: {LOOKUPS / took:.0f} a second (budget 200),"
            f" {took / LOOKUPS / least:.1f} times /healthz"
        )
    before = memory(pid)
    numbers = itertools.count()
    for part in range(1, 5):
        for _ in range(requests // 4):
            find(client, next(numbers))
        print(f"memory after {part * requests // 4:,} more requests: {memory(pid):.0f} MB", end="")
        print(f" ({memory(pid) - before:+.1f})")


def main() -> None:
    """Fills a store, serves it, and measures."""
    parser = argparse.ArgumentParser(description="Measures flakegate serve.")
    parser.add_argument("--requests", type=int, default=8_000, help="of the part about memory")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/history.db"
        fill(url)
        command = [sys.executable, "-m", "flakegate", "serve", "--store", url, "--port", "0"]
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [*command, "-q", "--rate-limit", "100000000", "--rate-from", "all"],
            stderr=subprocess.PIPE,
            text=True,
            env={"FLAKEGATE_TIME": "2026-11-20T12:00:00Z"},
        )
        try:
            assert process.stderr is not None  # noqa: S101 - asked for above
            port = int(process.stderr.readline().partition("127.0.0.1:")[2].partition(",")[0])
            measure(Client(port), process.pid, given.requests)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
