"""How exactly cases of real reports are matched to Datadog's tests.

    python -m benchmarks.identity

For each framework, over the runs in tests/cases/identity: the failing cases that have a test, how
many were found exactly, refused, or not found; and what must be 0: matched to another test
(wrong), matched to another test that was alone in the list (lone), and matched although several
tests have its names (unsafe).
"""

from __future__ import annotations

from dataclasses import fields

from tests.matching.pairs import Score, runs, score


def main() -> int:
    """Prints the table; 1 if anything was matched that must not be."""
    everything = list({test.id: test for run in runs() for test in run.pool}.values())
    columns = [field.name for field in fields(Score)]
    print(f"{'run':20}" + "".join(f"{column:>9}" for column in columns))
    false = 0
    for run in runs():
        scored = score(run, everything)
        values = [getattr(scored, column) for column in columns]
        print(f"{run.name:20}" + "".join(f"{value:9,}" for value in values))
        false += scored.wrong + scored.lone + scored.unsafe
    return 1 if false else 0


if __name__ == "__main__":
    raise SystemExit(main())
