"""How exactly cases of real reports are matched to Datadog's tests.

    python -m benchmarks.identity

For each framework, over the runs in tests/cases/identity: the failing cases that have a test; how
many of them share their names with another one (only a refusal is right then); how many were found
exactly, refused, or not found. What must be 0: matched to another test (wrong), matched to another
test that was alone in the list (lone), matched although several tests have its names (unsafe). Of
jest one run has no paths, so that nothing of it can be matched.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, fields

from tests.matching.pairs import Score, runs, score

COLUMNS = [field.name for field in fields(Score)]
ZERO = ("wrong", "lone", "unsafe")


def main() -> int:
    """Prints the table; 1 if anything was matched that must not be."""
    everything = list({test.id: test for run in runs() for test in run.pool}.values())
    totals: dict[str, Counter[str]] = {}
    print(_line("run", COLUMNS))
    for run in runs():
        counts = asdict(score(run, everything))
        totals.setdefault(run.framework, Counter()).update(counts)
        print(_line(run.name, [f"{counts[column]:,}" for column in COLUMNS]))
    print("\n" + _line("framework", COLUMNS))
    for framework, counted in totals.items():
        print(_line(framework, [f"{counted[column]:,}" for column in COLUMNS]))
    return 1 if any(counted[name] for counted in totals.values() for name in ZERO) else 0


def _line(first: str, rest: list[str]) -> str:
    return f"{first:20}" + "".join(f"{each:>9}" for each in rest)


if __name__ == "__main__":
    raise SystemExit(main())
