"""Eight processes record into one file at once, one of them is killed: the figures are exact."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flakegate.record import encode_shard
from tests.backends.store.build import NOW, flaky, on_branch, open_store, run

if TYPE_CHECKING:
    from flakegate.record import RunRecord

ROOT = Path(__file__).parents[3]
HOUR = 3_600.0
WORKERS, RUNS, TESTS = 8, 64, 40
WORKER = """
import sys
from pathlib import Path
from flakegate.record import decode_shard
from tests.backends.store.build import open_store
folder, names = Path(sys.argv[1]), sys.argv[2:]
store = open_store(folder)
records = [decode_shard((folder / name).read_bytes(), name) for name in names]
print("ready", flush=True)
sys.stdin.readline()
for record in records:
    print(store.record([record]).runs[0].fate.value, flush=True)
"""


def history(dice: random.Random) -> list[RunRecord]:
    """Runs with a few retries; two jobs share a pipeline, one run in three is a branch's."""
    records = []
    for number in range(RUNS):
        outcomes = {f"t{test}": "p" for test in range(TESTS) if dice.random() < 0.9}
        outcomes |= {f"t{test}": "fp" for test in dice.sample(range(8), dice.randrange(3))}
        record = run(number, NOW - HOUR * number, **outcomes)
        record = replace(record, pipeline=f"github:github.com/acme/shop:{number // 2}")
        records.append(on_branch(record, f"b{number}") if number % 3 == 0 else record)
    return records


def expected(records: list[RunRecord]) -> dict[str, tuple[int, int, int]]:
    """Of each test that was ever retried: runs and failures of main, and pipelines of any."""
    ran, failed = Counter[str](), Counter[str]()
    pipelines: dict[str, set[str]] = {}
    for record in records:
        for each in record.results:
            name = each.identity.name
            ran[name] += record.is_default
            if each.failed:
                failed[name] += record.is_default
                pipelines.setdefault(name, set()).add(record.pipeline)
    return {name: (ran[name], failed[name], len(each)) for name, each in pipelines.items()}


def deliveries(dice: random.Random) -> list[list[int]]:
    """The runs that each worker is given: each run goes to two workers, out of order."""
    parts = []
    for worker in range(WORKERS):
        part = [number for number in range(RUNS) if worker in {number % 8, (number + 1) % 8}]
        part += part[:3]  # now and then to the same one again
        dice.shuffle(part)
        parts.append(part)
    return parts


def test_eight_processes_at_once_and_one_is_killed(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    dice = random.Random(seed)  # noqa: S311 - no secret
    records = history(dice)
    for number, record in enumerate(records):
        (tmp_path / f"{number}").write_bytes(encode_shard(record))
    victim, steps = dice.randrange(WORKERS), dice.randrange(1, 10)
    fates = []
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", WORKER, str(tmp_path), *map(str, part)],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for part in deliveries(dice)
        ]
        for worker in workers:
            assert worker.stdout
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin
            worker.stdin.write("go\n")
            worker.stdin.flush()
        victims = workers[victim].stdout
        assert victims
        fates += [victims.readline() for _ in range(steps)]
        time.sleep(dice.random() / 100)
        workers[victim].send_signal(signal.SIGKILL)
        for worker in workers:
            fates += worker.communicate()[0].splitlines(keepends=True)
        codes = [worker.returncode for worker in workers]
    assert codes == [-signal.SIGKILL if each == victim else 0 for each in range(WORKERS)]
    assert fates.count("new\n") in {RUNS - 1, RUNS}, "the victim may have died before it said so"
    assert set(fates) <= {"new\n", "known\n"}
    with closing(sqlite3.connect(tmp_path / "history.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*), count(DISTINCT key) FROM runs").fetchall() == [
            (RUNS, RUNS)
        ]
    found = {
        name: (test.runs, test.failures, test.failed_pipelines)
        for name, test in flaky(open_store(tmp_path)).items()
    }
    assert found == expected(records), f"seed {seed}"
