"""What a report would tell on a bad day."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.doctor import Diagnosis, diagnose
from flakegate.policy.rules import ReportSettings
from flakegate.reading.document import Reader

if TYPE_CHECKING:
    from flakegate.junit import Report

RECORDED = Path(__file__).parent / "cases" / "reports"
REAL = Path(__file__).parent / "cases" / "matching"


def read(document: str, framework: str | None = None) -> Report:
    reader = Reader("r.xml")
    reader.feed(document.encode())
    settings = ReportSettings(paths="*", framework=framework) if framework else None
    return replace(reader.close(), settings=settings)


def cases(*names: str, title: str = "x", more: str = "") -> str:
    written = "".join(f'<testcase classname="{name}" name="{name}" {more}/>' for name in names)
    return f'<testsuites name="{title}"><testsuite name="s">{written}</testsuite></testsuites>'


def recorded(name: str, *, by_identity: bool = False) -> Diagnosis:
    reader = Reader(name)
    reader.feed((RECORDED / f"{name}.xml").read_bytes())
    return diagnose(reader.close(), by_identity=by_identity)


def whys(found: Diagnosis) -> list[tuple[int, str]]:
    return [(each.tests, each.why) for each in found.refused]


def test_a_green_report_of_jest_lacks_the_path() -> None:
    found = diagnose(read(cases("cart adds", "cart sums", title="jest tests")), by_identity=False)
    assert (found.framework, found.guessed) == ("jest", True)
    assert (found.tests, found.matchable) == (2, 0)
    ((many, why),) = whys(found)
    assert many == 2
    assert "addFileAttribute=true" in why
    assert found.refused[0].example == "cart adds"
    assert "addFileAttribute=true" in found.without_file[0].why


def test_with_the_path_each_is_matchable() -> None:
    document = cases("cart adds", title="jest tests", more='file="src/a.test.js"')
    found = diagnose(read(document), by_identity=False)
    assert (found.tests, found.matchable, found.refused, found.without_file) == (1, 1, (), ())


def test_the_store_needs_no_path_but_a_change_does() -> None:
    found = diagnose(read(cases("cart adds", title="jest tests")), by_identity=True)
    assert (found.matchable, found.refused) == (1, ())
    assert [each.tests for each in found.without_file] == [1]


@pytest.mark.parametrize("by_identity", [True, False])
def test_shared_names_are_told_while_all_pass(by_identity: bool) -> None:
    document = cases("cart adds", "cart adds", "cart sums", title="jest tests", more='file="a.js"')
    found = diagnose(read(document), by_identity=by_identity)
    assert [each.example for each in found.refused] == ["cart adds"]
    assert "reports[].attempts" in found.refused[0].why


def test_attempts_that_pytest_shows_are_one_test() -> None:
    found = recorded("reruns16")
    assert (found.tests, found.matchable) == (9, 9)


@pytest.mark.parametrize(
    ("name", "matchable", "tests", "why"),
    [
        ("pytest9-xunit1", 13, 13, None),
        ("pytest9-xunit2", 13, 13, None),
        ("pytest9-collection", 0, 1, "the collection of tests failed"),
        ("surefire-flaky", 5, 5, None),
        ("gradle-display-names", 1, 3, "usePhrasedTestCaseMethodName=false"),
        ("jest-suite-errors", 5, 7, "a whole test file failed to run"),
        ("shape-default-namespace", 0, 2, "reports[].framework"),
        ("broken-empty", 0, 0, None),
    ],
)
def test_recorded_reports(name: str, matchable: int, tests: int, why: str | None) -> None:
    found = recorded(name)
    assert (found.matchable, found.tests) == (matchable, tests)
    said = " ".join(each.why for each in found.refused)
    assert said == "" if why is None else why in said


def test_what_differs_by_test_is_said_once() -> None:
    written = "".join(
        f'<testcase classname="checks.cart{number}.Cart.Total" name="test_a"/>'
        for number in range(50)
    )
    other = '<testcase classname="" name="checks" message="x"/>'
    document = f'<testsuites><testsuite name="pytest">{written}{other}</testsuite></testsuites>'
    found = diagnose(read(document), by_identity=False)
    assert (found.framework, found.tests, found.matchable) == ("pytest", 51, 0)
    (first, many), (other, one) = [(each.why, each.tests) for each in found.refused]
    assert (many, one) == (50, 1)
    assert "junit_family=xunit1" in first
    assert "the collection of tests failed" in other


def test_what_the_policy_says_is_no_guess() -> None:
    found = diagnose(read(cases("a.b.CartTest"), "java"), by_identity=False)
    assert (found.framework, found.guessed) == ("java", False)


@given(st.lists(st.text("ab >.", max_size=4), max_size=6), st.booleans())
def test_every_test_is_counted_once(names: list[str], by_identity: bool) -> None:
    attributes = [json.dumps(name.replace(">", "&gt;")) for name in names]
    written = "".join(f"<testcase classname={one} name={one}/>" for one in attributes)
    report = read(f'<testsuite name="pytest">{written}</testsuite>')
    found = diagnose(report, by_identity=by_identity)
    assert found.tests >= len({case.name for case in report.cases})
    assert found.matchable + sum(each.tests for each in found.refused) == found.tests
