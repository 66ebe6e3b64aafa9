"""The store's budgets, measured in one run: `python benchmarks/store.py [FOLDER]`.

1,000,000 results: 1,000 CI jobs of 1,000 tests over 7 days, on a default branch and on pull
requests; 2 % of the tests are flaky, one run in fifty is an outage, and one run in ten leaves some
tests out. The history comes from a fixed seed.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flakegate.backends.store.store import Store
from flakegate.junit import Outcome
from flakegate.model import Identity
from flakegate.policy.needs import whole
from flakegate.record import RunRecord, TestRecord, decode_shard, encode_shard

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS, TESTS, DAY = 1_000, 1_000, 86_400.0
START = 1_750_000_000.0
NOW = START + 7 * DAY
PASSED = (Outcome.PASSED,)
FAILED = (Outcome.FAILURE,)
RETRIED = (Outcome.FAILURE, Outcome.PASSED)


def history() -> list[RunRecord]:
    """The runs, oldest first."""
    dice = random.Random(7)
    names = [
        Identity(
            module="",
            suite=f"tests.area_{number // 100}.test_part_{number // 20}.TestThing{number // 5}",
            name=f"test_behaviour_{number}_holds",
            source_file=f"tests/area_{number // 100}/test_part_{number // 20}.py",
        )
        for number in range(TESTS)
    ]
    rates = [
        dice.choice((0.02, 0.05, 0.2, 0.4)) if number % 50 == 0 else 0.0005
        for number in range(TESTS)
    ]
    return [_run(number, names, rates, dice) for number in range(RUNS)]


def _run(number: int, names: list[Identity], rates: list[float], dice: random.Random) -> RunRecord:
    is_default = dice.random() < 0.5
    outage = dice.random() < 0.02
    partial = dice.random() < 0.1
    results = []
    for identity, rate in zip(names, rates, strict=True):
        if partial and dice.random() < 0.02:
            continue
        draw = dice.random()
        failed = draw < (0.3 if outage else rate)
        attempts = PASSED if not failed else RETRIED if dice.random() < 0.2 else FAILED
        message = f"AssertionError: expected {dice.random()} in\n" + "  at line\n" * 40
        results.append(
            TestRecord(
                identity=identity,
                attempts=attempts,
                duration=1.234 if failed else None,
                message=message if failed else None,
            )
        )
    run = 4_000_000_000 + number
    return RunRecord(
        key=f"github:github.com/acme/shop:{run}:1:tests:1",
        pipeline=f"github:github.com/acme/shop:{run}",
        leg="tests:1",
        repository="github.com/acme/shop",
        commit=f"{dice.getrandbits(160):040x}",
        branch="main" if is_default else f"feature/{number}",
        is_default=is_default,
        pull_request=None if is_default else str(number),
        fork=False,
        at=START + 7 * DAY * number / RUNS,
        results=tuple(results),
    )


def opened(folder: Path) -> Store:
    """The store in this folder."""
    return Store.open(
        f"sqlite:///{folder / 'history.db'}",
        repository="github.com/acme/shop",
        pipeline="github:github.com/acme/shop:1",
        now=NOW,
        rate_from="default_branch",
        write=True,
    )


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def say(what: str, value: float, budget: float, unit: str) -> None:
    """One line: the measured value, its budget, and their ratio."""
    print(f"{what:<52} {value:9.2f} {unit:<3} budget {budget:7.0f}   {value / budget:5.2f} x")


def main(folder: Path) -> None:
    """Prints the table."""
    records = history()
    shards = [encode_shard(record) for record in records]
    store = opened(folder)

    def collect() -> None:
        store.record([decode_shard(shard, "shard") for shard in shards])

    took = seconds(collect)
    say("collect 1,000 shards of 1,000 tests", took, 5, "s")
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    say("file, 1,000,000 results", size, 2, "MB")
    say("one shard (median)", statistics.median(map(len, shards)) / 1e3, 40, "kB")
    more = [_again(record, number) for number, record in enumerate(records[-50:])]
    times = [seconds(lambda one=record: store.record([one])) for record in more]  # type: ignore[misc]
    say("one more run (median of 50)", 1e3 * statistics.median(times), 10, "ms")
    say("one more run (worst of 50)", 1e3 * max(times), 10, "ms")
    times = [seconds(lambda: store.search(whole())) for _ in range(20)]
    found = store.search(whole())
    say(
        f"7-day figures of {len(found)} flaky tests (median)",
        1e3 * statistics.median(times),
        50,
        "ms",
    )
    failing = [test.identity for test in more[-1].results if test.failed]
    times = [seconds(lambda: store.find(failing)) for _ in range(20)]
    say(f"find {len(failing)} failing tests (median)", 1e3 * statistics.median(times), 50, "ms")


def _again(record: RunRecord, number: int) -> RunRecord:
    key = f"github:github.com/acme/shop:{5_000_000_000 + number}:1:tests:1"
    return replace(record, key=key, at=NOW - 60 + number, commit=f"{number:040x}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
