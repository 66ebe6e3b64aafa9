"""Eight processes record into one file at once, one of them is killed: the figures are exact.

Runs come twice and out of order. What the store must say is counted here by plain loops over the
runs, and never asked of the store's own code.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from flakegate.record import encode_shard
from tests.backends.store.build import DAY, NOW, flaky, from_fork, on_branch, open_store, run

if TYPE_CHECKING:
    from flakegate.record import RunRecord

ROOT = Path(__file__).parents[3]
HOUR = 3_600.0
WORKERS, RUNS, TESTS = 8, 64, 40
LONGEST = 0.5  # seconds until the kill, at most; the others take about a second
WORKER = """
import itertools, sys
from pathlib import Path
from flakegate.record import decode_shard
from tests.backends.store.build import open_store
folder, rounds, names = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
store = open_store(folder)
records = [decode_shard((folder / name).read_bytes(), name) for name in names]
print("ready", flush=True)
sys.stdin.readline()
for _ in range(rounds) if rounds else itertools.count():
    for record in records:
        print(store.record([record]).runs[0].fate.value, flush=True)
"""


class Figures(NamedTuple):
    """What the store must say of a flaky test."""

    runs: int
    failures: int
    failure_rate: float | None
    failed_pipelines: int
    first: tuple[float | None, str | None]
    last: tuple[float | None, str | None]
    since: float | None


def history(dice: random.Random) -> list[RunRecord]:
    """Ten days with a few retries each; two jobs share a pipeline, one run in three is a branch's.

    Every fifth is of a fork, which retries tests that nobody else does; two are outages.
    """
    records = []
    for number in range(RUNS):
        outcomes = {f"t{test}": "p" for test in range(TESTS) if dice.random() < 0.9}
        if number in {10, 40}:
            outcomes |= dict.fromkeys((f"t{test}" for test in range(20)), "f")
        is_fork = number % 5 == 0
        unstable = range(30, 38) if is_fork else range(8)
        outcomes |= {f"t{test}": "fp" for test in dice.sample(unstable, dice.randrange(2))}
        record = run(number, NOW - 4 * HOUR * number, **outcomes)
        record = replace(record, pipeline=f"github:github.com/acme/shop:{number // 2}")
        if is_fork:
            record = from_fork(record, str(number))
        elif number % 3 == 0:
            record = on_branch(record, f"b{number}")
        records.append(record)
    return records


def expected(records: list[RunRecord]) -> dict[str, Figures]:
    """Of each test that somebody trusted retried: its figures, counted by hand."""
    counts = [run for run in records if sum(each.failed for each in run.results) < 5]
    trusted = [run for run in counts if not run.fork]
    week = [run for run in trusted if run.at > NOW - 7 * DAY]
    found = {}
    for test in (f"t{number}" for number in range(TESTS)):
        failed = {
            run.key
            for run in records
            if any(each.identity.name == test and each.failed for each in run.results)
        }
        ran = [
            run
            for run in week
            if run.is_default and any(each.identity.name == test for each in run.results)
        ]
        flakes = sorted((run.at, run.branch) for run in trusted if run.key in failed)
        if not flakes:
            continue
        failures = len([run for run in ran if run.key in failed])
        found[test] = Figures(
            runs=len(ran),
            failures=failures,
            failure_rate=100 * failures / len(ran) if ran else None,
            failed_pipelines=len({run.pipeline for run in week if run.key in failed}),
            first=flakes[0],
            last=max((run.at, run.branch) for run in counts if run.key in failed),
            since=flakes[0][0],
        )
    return found


def deliveries(dice: random.Random) -> list[list[int]]:
    """The runs that each worker is given: each run goes to two workers, out of order."""
    parts = []
    for worker in range(WORKERS):
        part = [number for number in range(RUNS) if worker in {number % 8, (number + 1) % 8}]
        part += part[:3]  # now and then to the same one again
        dice.shuffle(part)
        parts.append(part)
    return parts


@pytest.mark.parametrize("seed", [1, 20_261_122])
def test_eight_processes_at_once_and_one_is_killed(tmp_path: Path, seed: int) -> None:
    """The victim delivers its runs again and again until it dies, wherever it is by then."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    records = history(dice)
    for number, record in enumerate(records):
        (tmp_path / f"{number}").write_bytes(encode_shard(record))
    victim, delay = dice.randrange(WORKERS), dice.uniform(0, LONGEST)
    fates = []
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", WORKER, str(tmp_path), rounds, *map(str, part)],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for worker, part in enumerate(deliveries(dice))
            for rounds in ["0" if worker == victim else "1"]
        ]
        for worker in workers:
            assert worker.stdout
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin
            worker.stdin.write("go\n")
            worker.stdin.flush()
        time.sleep(delay)
        workers[victim].send_signal(signal.SIGKILL)
        for worker in workers:
            fates += worker.communicate()[0].splitlines()
        codes = [worker.returncode for worker in workers]
    assert codes == [-signal.SIGKILL if each == victim else 0 for each in range(WORKERS)]
    assert fates.count("new") in {RUNS - 1, RUNS}, "the victim may have died before it said so"
    assert set(fates) <= {"new", "known"}
    with closing(sqlite3.connect(tmp_path / "history.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*), count(DISTINCT key) FROM runs").fetchall() == [
            (RUNS, RUNS)
        ]
    found = {
        name: Figures(
            runs=test.runs or 0,
            failures=test.failures or 0,
            failure_rate=test.failure_rate,
            failed_pipelines=test.failed_pipelines or 0,
            first=(test.first_flaked_at, test.first_flaked_branch),
            last=(test.last_flaked_at, test.last_flaked_branch),
            since=test.state_since,
        )
        for name, test in flaky(open_store(tmp_path)).items()
    }
    assert found == expected(records)
    assert len(found) > 3, "else this shows nothing"
