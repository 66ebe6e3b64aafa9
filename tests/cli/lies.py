"""Ways in which a job can lie, each beside a test that is quarantined: `test_b`, and no other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cli.reports import junit

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORDED = Path(__file__).parents[1] / "cases" / "reports"
HONEST = junit("test_a", "-test_b")
GREEN = junit("test_a", "test_b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """One job. says: the only code word of its verdict. code: the exit code.

    reports: what is there, by name below `reports`. options: for flakegate. gate: the policy's
    `gate`. script: what `exec` runs; "" for a job that calls `gate`.
    """

    says: str
    code: int
    reports: Mapping[str, str | bytes] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    gate: str = "{}"
    script: str = ""


def _evidence(says: str, report: str | bytes, *options: str, gate: str = "{}") -> Lie:
    return Lie(says=says, code=3, reports={"unit.xml": report}, options=options, gate=gate)


def _blocks(says: str, *reports: str | bytes) -> Lie:
    named = {f"{number}.xml": report for number, report in enumerate(reports)}
    return Lie(says=says, code=1, reports=named, options=("--test-exit-code", "1"))


def _ended(says: str, code: int, *options: str, report: str = HONEST) -> Lie:
    return Lie(says=says, code=code, reports={"unit.xml": report}, options=options)


def _ran(says: str, code: int, script: str, **reports: str) -> Lie:
    there = {f"{name}.xml": report for name, report in reports.items()}
    return Lie(says=says, code=code, reports=there, script=script)


def _recorded(name: str) -> bytes:
    return (RECORDED / f"{name}.xml").read_bytes()


def _case(name: str, inside: str = "", classname: str = "tests.test_cart") -> str:
    where = f'classname="{classname}" name="{name}" file="tests/test_cart.py"'
    return f"<testcase {where}>{inside}</testcase>"


def _suite(*cases: str, name: str = "unit") -> str:
    return f'<testsuites><testsuite name="{name}">{"".join(cases)}</testsuite></testsuites>'


def _pytest(*cases: str) -> str:
    """With the attributes by which pytest's own reports are known."""
    counts = 'errors="0" failures="0" skipped="0" tests="2" time="0.1"'
    when = 'timestamp="2026-11-20T12:00:00" hostname="runner"'
    return _suite(*cases).replace('name="unit"', f'name="pytest" {counts} {when}')


FAILS = '<failure message="expected 42, got 41"/>'
SETUP = '<error message="failed on setup with &quot;OSError&quot;"/>'
TEARDOWN = '<error message="failed on teardown with &quot;OSError&quot;"/>'
A, B, B_FAILS = _case("test_a"), _case("test_b"), _case("test_b", FAILS)
ENTITY = '<!DOCTYPE testsuites [<!ENTITY a "b">]>'

NO_REPORT = {
    "no report": Lie(says="no-report", code=3),
    "a glob that matches nothing": _evidence("no-report", HONEST, "out/**/*.xml"),
    "a folder without a report": _evidence("no-report", HONEST, "empty"),
    "one of two named reports is missing": _evidence("no-report", HONEST, "reports/e2e.xml"),
    "a whole suite did not report": _evidence("no-report", HONEST, gate="{expect: [e2e/*.xml]}"),
}
PARTIAL = {
    "empty file": _evidence("truncated", ""),
    "blank file": _evidence("truncated", " \n"),
    "zero cases": _evidence("empty", junit()),
    "all skipped": _evidence("too-few-tests", junit("~test_a", "~test_b"), gate="{min_tests: 1}"),
    "declared 50 tests, found 1": _evidence(
        "too-few-tests", junit("-test_b").replace('tests="1"', 'tests="50"'), gate="{min_tests: 2}"
    ),
    "declared 50 failures, found 1": _evidence("missing-failures", junit("-test_b", declared=50)),
    "declared failures, all cases green": _evidence(
        "missing-failures", junit("test_a", declared=1)
    ),
    "cut mid-tag": _evidence("truncated", HONEST[: HONEST.index("name=") + 3]),
    "cut between tags": _evidence("truncated", HONEST[: HONEST.index("</testsuite>")]),
    "cut before the last tag": _evidence("truncated", GREEN.removesuffix("</testsuites>")),
    "one of several reports broken": Lie(
        says="truncated", code=3, reports={"a.xml": HONEST, "b.xml": GREEN[:90], "c.xml": GREEN}
    ),
    "suite-level error": _evidence(
        "suite-error", GREEN.replace("</testsuite>", "<error/></testsuite>")
    ),
    '`status="failed"` without a failure': _evidence(
        "missing-failures", GREEN.replace('"test_b"', '"test_b" status="failed"')
    ),
}
FOREIGN = {
    "entity declarations": _evidence("not-junit", ENTITY + HONEST),
    "an entity that reads a file": _evidence("not-junit", _recorded("refused-external-entity")),
    "two roots": _evidence("not-junit", HONEST + GREEN),
    "trailing junk": _evidence("not-junit", GREEN + "Killed"),
    "TRX": _evidence("not-junit", _recorded("refused-trx")),
    "NUnit": _evidence("not-junit", _recorded("refused-nunit3")),
    "HTML error page": _evidence("not-junit", _recorded("refused-html")),
    "JSON": _evidence("not-junit", _recorded("refused-json")),
    "wrong encoding": _evidence("not-junit", GREEN.replace("unit", "ünit").encode("latin-1")),
    "a NUL byte": _evidence("not-junit", GREEN.replace("unit", "un\0it")),
    "a case within a case": _evidence("not-junit", _suite(_case("test_a", B_FAILS))),
    "a case within something unknown": _evidence("not-junit", _suite(f"<group>{B_FAILS}</group>")),
}
ENDED = {
    "exit 2": _ended("exit-code", 2, "--test-exit-code", "2"),
    "exit 137": _ended("killed", 137, "--test-exit-code", "137"),
    "exit 139": _ended("killed", 139, "--test-exit-code", "139", report=GREEN),
    "exit 0 of a failed step": _ended(
        "no-failure", 3, "--test-exit-code", "0", "--test-outcome", "failure", report=GREEN
    ),
    "failed step with no failing case": _ended(
        "no-failure", 3, "--test-outcome", "failure", report=GREEN
    ),
    "exit 1 with no failing case": _ended("no-failure", 1, "--test-exit-code", "1", report=GREEN),
    "cancelled step": _ended("killed", 3, "--test-outcome", "cancelled"),
    "skipped step": _ended("empty", 3, "--test-outcome", "skipped"),
    "out of memory": _ran("killed", 137, "cp red reports/unit.xml; kill -KILL $$"),
    "crash": _ran("killed", 139, "cp red reports/unit.xml; kill -SEGV $$"),
    "exit 0, and nothing was written": _ran("no-report", 3, "true"),
    "stale report": _ran("stale", 3, "true", unit=HONEST),
    "report restored from a cache": _ran(
        "stale", 3, "cp red reports/unit.xml; touch -t 200101010000 reports/unit.xml"
    ),
    "one of two reports is stale": _ran("stale", 1, "cp red reports/new.xml; exit 1", old=GREEN),
}
HIDDEN = {
    "failures with exit 0": _ended(
        "not-flaky", 1, "--test-exit-code", "0", report=junit("-test_a")
    ),
    "two Pythons of which one fails": _blocks("not-flaky", junit("test_a"), junit("-test_a")),
    "a matrix leg hidden by another": _blocks(
        "ambiguous", _suite(B_FAILS, '</testsuite><testsuite name="py313">', B)
    ),
    "a header without failures": _blocks("not-flaky", junit("-test_a", "-test_b", declared=0)),
    "a failure beside an excused one": _blocks("not-flaky", junit("-test_a", "-test_b")),
    "skipped and failed": _blocks("not-flaky", _suite(_case("test_a", "<skipped/>" + FAILS))),
    "skipped, but its reruns failed": _blocks(
        "not-flaky", _suite(_case("test_a", '<skipped/><rerunFailure message="no"/>'))
    ),
    "a case outside of any suite": _blocks(
        "not-flaky", f"<testsuites>{_case('test_a', FAILS)}</testsuites>"
    ),
    "a failure in a namespace": _blocks(
        "not-flaky",
        _suite(_case("test_a", FAILS)).replace("<testsuites", '<testsuites xmlns="urn:junit"'),
    ),
    "`<Failure>`": _blocks("not-flaky", _suite(_case("test_a", "<Failure/>"))),
    "setup error": _blocks("not-flaky", _pytest(_case("test_a", SETUP))),
    "teardown error": _blocks("not-flaky", _pytest(_case("test_a", TEARDOWN))),
    "a failure and its teardown error": _blocks(
        "not-flaky", _pytest(_case("test_a", FAILS), _case("test_a", TEARDOWN))
    ),
    "pass-pass-fail": _blocks("not-flaky", _pytest(A, A, _case("test_a", FAILS))),
}
NAMES = {
    "an undeclared duplicate": _blocks("ambiguous", _suite(B_FAILS, B)),
    "fail-pass": _blocks("ambiguous", _pytest(B_FAILS, B)),
    "duplicate titles": _blocks("ambiguous", _suite(B, B_FAILS, B_FAILS)),
    "hook failure": _blocks(
        "ambiguous", _suite(_case("&quot;before each&quot; hook for &quot;test_b&quot;", FAILS))
    ),
    "a hook under the name of its group": _blocks(
        "ambiguous", _suite(_case("cart", FAILS), _case("cart > adds", "<skipped/>"))
    ),
    "collection error": _blocks("ambiguous", _recorded("pytest9-collection")),
    "a file that failed to run": _blocks(
        "ambiguous", _suite(_case("Test suite failed to run", FAILS))
    ),
    "a class that failed to start": _blocks(
        "ambiguous", _suite(_case("initializationError", FAILS))
    ),
    "a failure without a name": _blocks("ambiguous", _suite(_case("", FAILS))),
    "the name of a quarantined test in another class": _blocks(
        "not-flaky", _suite(_case("test_b", FAILS, classname="tests.test_shop"))
    ),
    "the name of a quarantined test in another file": _blocks(
        "not-flaky", _suite(B_FAILS.replace("tests/test_cart.py", "tests/test_shop.py"))
    ),
}
EXCUSES = {
    "a quarantine that is too new": Lie(
        says="too-young", code=1, reports={"unit.xml": HONEST}, gate="{min_state_age: 1h}"
    ),
    "observing, with a broken report": _evidence(
        "truncated", "<testsuites>", gate="{mode: observe}"
    ),
}
LIES = {**NO_REPORT, **PARTIAL, **FOREIGN, **ENDED, **HIDDEN, **NAMES, **EXCUSES}
