"""Real runs under the tracers: every case of a report beside the test that Datadog heard of.

`tests/cases/identity/` holds them. The two sides were joined by a unique id in the failure's text,
never by a name. The runs hold no messages and no headers; what pytest always writes is put back.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flakegate.junit import Case, Outcome, Report
from flakegate.matching.resolve import Matches, resolve, seek
from flakegate.model import FlakyTest, State
from flakegate.results import Result, fold

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = Path(__file__).parent.parent / "cases" / "identity"
ROOTS = ("/builds/acme/app",)  # where the runs had checked the repository out
BASE_DIRS = {
    "vitest-subdir": "packages/c",
    "jest-subdir": "packages/c",
    "mocha-subdir": "packages/m",
    "pytest-subdir": "services/api",
    "pytest-subdir-web": "services/web",
}
OUTCOMES = {"fail": Outcome.FAILURE, "pass": Outcome.PASSED, "skip": Outcome.SKIPPED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A failing case's result and its test; None: Datadog has none. shared: tests of its names."""

    result: int
    test: FlakyTest | None
    shared: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. results: of its report. pool: every test that Datadog heard of."""

    name: str
    framework: str
    report: Report
    results: tuple[Result, ...]
    pairs: tuple[Pair, ...]
    pool: tuple[FlakyTest, ...]

    def match(self, tests: Iterable[FlakyTest]) -> Matches:
        """What its results are, among these tests."""
        return resolve(self.results, seek([self.report], self.results, ROOTS), tests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Of the failing cases of a run: found exactly, refused, not found, taken for another.

    cases: those that have a test. shared: whose names several tests of the run have, so that only
    a refusal is right. lone: false matches with one other test alone. unsafe: matches of what is
    shared.
    """

    cases: int
    shared: int
    exact: int
    refused: int
    missed: int
    wrong: int
    lone: int
    unsafe: int


@cache
def runs() -> tuple[Run, ...]:
    """All of them."""
    return tuple(_run(path) for path in sorted(FOLDER.glob("*.json.gz")))


def score(run: Run, others: Iterable[FlakyTest]) -> Score:
    """How a run's cases are matched. others: to be alone in the pool, one after the other."""
    counts: Counter[str] = Counter()
    matches = run.match(run.pool)
    for pair in run.pairs:
        result = matches.results[pair.result]
        found = matches.known.get(result)
        own = found is not None and found == pair.test
        counts["cases"] += pair.test is not None
        counts["shared"] += pair.shared > 1
        counts["exact"] += own
        counts["wrong"] += found is not None and not own
        counts["unsafe"] += own and pair.shared > 1
        if pair.test is not None and found is None:
            counts["refused" if result.ambiguous else "missed"] += 1
    for test in others:
        alone = run.match([test])
        counts["lone"] += sum(
            alone.results[pair.result] in alone.known and test != pair.test for pair in run.pairs
        )
    return Score(**{name: counts[name] for name in Score.__dataclass_fields__})


def _run(path: Path) -> Run:
    held = json.loads(gzip.decompress(path.read_bytes()))
    name = held["run"]
    framework = re.split(r"[\d-]", name)[0]
    rows = [_row(row, framework) for row in held["report"]]
    cases = _cases(rows, framework)
    report = Report(
        path=f"{name}.xml",
        base_dir=BASE_DIRS.get(name, ""),
        attempts_of=None,
        cases=tuple(cases),
        problems=(),
        writer="pytest" if framework == "pytest" else None,
    )
    results = fold([report])
    failing = [at for at, row in enumerate(rows) if row["status"] == "fail"]
    pairs = []
    for entry in held["pairs"]:
        wanted = entry["junit"]
        keys = ("suite", "classname", "name", "file", "suite_file", "line")
        at = next(at for at in failing if all(rows[at][key] == wanted[key] for key in keys))
        failing.remove(at)
        pairs.append(
            Pair(
                result=next(
                    place
                    for place, result in enumerate(results)
                    if any(cases[at] is one for one in (result.case, *result.also))
                ),
                test=entry["datadog"] and _test(entry["datadog"]),
                shared=entry.get("tests_sharing_this_datadog_identity") or 0,
            )
        )
    return Run(
        name=name,
        framework=framework,
        report=report,
        results=results,
        pairs=tuple(pairs),
        pool=tuple({test.id: test for test in map(_test, held["datadog_pool"])}.values()),
    )


def _row(row: dict[str, Any], framework: str) -> dict[str, Any]:
    """mocha writes the file beside the suite, not beside the case."""
    if framework == "mocha":
        return {**row, "suite_file": row["file"], "file": None}
    return {**row, "suite_file": None}


def _cases(rows: list[dict[str, Any]], framework: str) -> list[Case]:
    cases: list[Case] = []
    failed = set()
    for row in rows:
        message = None
        names = (row["classname"], row["name"])
        if framework == "pytest" and row["kinds"] == ["error"]:
            step = "teardown" if names in failed else "setup"
            message = f'failed on {step} with "Error"' if row["classname"] else "collection failure"
        if row["status"] == "fail":
            failed.add(names)
        error = row["status"] == "fail" and row["kinds"] == ["error"]
        cases.append(
            Case(
                suite=row["suite"],
                classname=row["classname"],
                name=row["name"],
                file=row["file"],
                suite_file=row["suite_file"],
                line=row["line"] and int(row["line"]),
                outcome=Outcome.ERROR if error else OUTCOMES[row["status"]],
                duration=None,
                message=message,
                earlier=(),
            )
        )
    return cases


def _test(said: dict[str, Any]) -> FlakyTest:
    parts = (said["module"] or "", said["suite"], said["name"], said["source_file"])
    module, suite, name, source_file = parts
    return FlakyTest(
        id=repr(parts),
        module=module,
        suite=suite,
        name=name,
        source_file=source_file,
        state=State.QUARANTINED,
    )
