"""The budgets of reading, measured in one run: `python benchmarks/reader.py [FOLDER]`.

1,000,000 cases in 1,000 reports, of which one in five has 3 % failures, as pytest writes them and
as jest-junit does (a closing tag for every case); 100,000 cases in one report; 100 in 10. Beside
them `test-results-parser` 0.6.1, a compiled reader, in one process, its results listed and their
outcomes counted. It is no dependency of flakegate: install it into an environment of its own and
name that one's interpreter in TEST_RESULTS_PARSER (`python -m venv DIR`, then
`DIR/bin/pip install test-results-parser==0.6.1`; `TEST_RESULTS_PARSER=DIR/bin/python`).

Times are the best of several runs, memory is the largest that any process of the run had resident.
On a machine that is busy with other work, CPU time says more than wall time: the compiled reader
uses one process, flakegate as many as there are cores.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

FILES, CASES = 1_000, 1_000
EVERY = 5  # of the reports has failures,
SHARE = 33  # and there one case in so many is one: 3 %
TRACE = "    def test():\n&gt;       assert total(cart) == 42\nE       assert 41 == 42\n" * 5

# One process, as a service would use it: read, list the results, count the outcomes.
COMPILED = """
import collections, pathlib, sys
from test_results_parser import parse_junit_xml
runs = []
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.xml")):
    runs += parse_junit_xml(path.read_bytes()).testruns
print(dict(collections.Counter(str(run.outcome) for run in runs)))
"""
# Runs a command and says how long it took and what any process of it had resident at most.
MEASURE = """
import os, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
took = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(took, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, code)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Of one command: seconds, and MB that the largest of its processes had resident."""

    wall: float
    cpu: float
    peak: float


def write(folder: Path, *, style: str, files: int, cases: int, failing: bool = True) -> None:
    """Writes reports in the style of pytest or of jest."""
    folder.mkdir(parents=True)
    for number in range(files):
        broken = failing and number % EVERY == 0
        content = "".join(
            _case(style, number, at, broken and at % SHARE == 0) for at in range(cases)
        )
        failures = len(range(0, cases, SHARE)) if broken else 0
        counts = f'errors="0" failures="{failures}" skipped="0" tests="{cases}" time="12.3"'
        text = (
            '<?xml version="1.0" encoding="utf-8"?>\n'
            f'<testsuites name="{style} tests"><testsuite name="{style}" {counts}'
            ' timestamp="2026-11-22T10:00:00+00:00" hostname="runner">'
            f"{content}</testsuite></testsuites>\n"
        )
        (folder / f"report-{number:04}.xml").write_text(text)


def _case(style: str, number: int, at: int, failed: bool) -> str:
    seconds = f"{at % 90 / 1000:.3f}"
    if style == "pytest":
        start = (
            f'<testcase classname="tests.area_{number}.test_part_{at // 20}.TestThing{at // 5}"'
            f' name="test_behaviour_{at}_holds" time="{seconds}"'
        )
        if not failed:
            return f"{start} />"
    else:
        start = (
            f'\n    <testcase classname="area {number} part {at // 20} holds behaviour {at}"'
            f' name="area {number} part {at // 20} holds behaviour {at}" time="{seconds}"'
            f' file="src/area_{number}/part.test.js"'
        )
        if not failed:
            return f"{start}>\n    </testcase>"
    return f'{start}><failure message="assert 41 == 42">{TRACE}</failure></testcase>'


def measured(command: list[str], *, runs: int, env: dict[str, str] | None = None) -> Measured:
    """The best of several runs. Raises RuntimeError where one ends otherwise than a gate does."""
    found = []
    for _ in range(runs):
        done = subprocess.run(  # noqa: S603 - our own commands
            [sys.executable, "-c", MEASURE, *command],
            capture_output=True,
            text=True,
            check=True,
            env=env,
        )
        took, cpu, peak, code = done.stdout.split()
        if int(code) not in (0, 1):
            message = f"{command} ended with {code}\n{done.stderr}"
            raise RuntimeError(message)
        found.append(Measured(wall=float(took), cpu=float(cpu), peak=float(peak)))
    return Measured(
        wall=min(one.wall for one in found),
        cpu=min(one.cpu for one in found),
        peak=max(one.peak for one in found),
    )


def say(what: str, value: float, budget: float, unit: str) -> None:
    """One line: the measured value, its budget, and their ratio."""
    beside = f"budget {budget:7.3f}   {value / budget:5.2f} x" if budget else ""
    print(f"{what:<62} {value:9.3f} {unit:<3} {beside}".rstrip())


def gate(folder: Path) -> list[str]:
    """The call of flakegate that is measured."""
    return [sys.executable, "-m", "flakegate", "gate", str(folder)]


def main(folder: Path) -> None:
    """Prints the table."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    # As in a CI job: what this run is called is known, and no backend has to be asked anything.
    names = ("PATH", "HOME", "PYTHONPATH", "SYSTEMROOT")
    env = {name: os.environ[name] for name in names if name in os.environ}
    env |= {
        "FLAKEGATE_REPOSITORY": "github.com/acme/shop",
        "FLAKEGATE_RUN_ID": "1",
        "FLAKEGATE_STORE": f"sqlite:///{elsewhere / 'history.db'}",
    }
    compiled = os.environ.get("TEST_RESULTS_PARSER")
    for style in ("pytest", "jest"):
        million = folder / style
        write(million, style=style, files=FILES, cases=CASES)
        ours = measured(gate(million), runs=3, env=env)
        what = f"gate, {FILES * CASES:,} cases of {style}"
        if compiled:
            theirs = measured([compiled, "-c", COMPILED, str(million)], runs=3)
            say(f"{what}, beside the compiled reader", ours.wall, theirs.wall, "s")
            say(
                "  CPU of all processes, beside twice the compiled reader's",
                ours.cpu,
                2 * theirs.cpu,
                "s",
            )
            say("  memory of the compiled reader", theirs.peak, 0, "MB")
        else:
            print(f"{what}: {ours.wall:.2f} s; TEST_RESULTS_PARSER names nothing to compare with")
        say(f"{what}, memory of a process", ours.peak, 60, "MB")
        shutil.rmtree(million)
    for failing in (False, True):
        one = folder / f"one-{failing}"
        write(one, style="pytest", files=1, cases=100_000, failing=failing)
        words = "with 3 % failures" if failing else "all green"
        lone = measured(gate(one), runs=3, env=env)
        say(f"gate, 100,000 cases in one report, {words}", lone.peak, 60, "MB")
        say("  its time", lone.wall, 0, "s")
    small = folder / "small"
    write(small, style="pytest", files=10, cases=10, failing=False)
    bare = measured([sys.executable, "-c", "pass"], runs=15, env=env).wall
    say(
        "gate, 100 green cases in 10 reports",
        measured(gate(small), runs=15, env=env).wall,
        10 * bare,
        "s",
    )
    version = [sys.executable, "-m", "flakegate", "--version"]
    say("--version", measured(version, runs=15, env=env).wall, 3 * bare, "s")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
