from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flakegate.junit import Outcome
from flakegate.matching.frameworks import READ, framework_of, guess
from flakegate.policy.rules import FRAMEWORKS, ReportSettings
from flakegate.reading.document import Reader
from tests.matching.build import case, report
from tests.matching.pairs import Run, runs

if TYPE_CHECKING:
    from flakegate.junit import Case

RECORDED = Path(__file__).parent.parent / "cases" / "reports"


def test_every_framework_of_the_policy_is_read() -> None:
    assert tuple(READ) == FRAMEWORKS


@pytest.mark.parametrize("run", runs(), ids=lambda run: run.name)
def test_real_reports_are_told_by_their_cases_alone(run: Run) -> None:
    assert guess(replace(run.report, writer=None)) == run.framework


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("pytest tests", "pytest"),
        ("jest tests", "jest"),
        ("Mocha Tests", "mocha"),
        ("vitest tests", "vitest"),
        ("ours", None),
    ],
)
def test_what_a_report_calls_itself(title: str, expected: str | None) -> None:
    reader = Reader("r.xml")
    reader.feed(f'<testsuites name="{title}"><testsuite name="s"/></testsuites>'.encode())
    assert guess(reader.close()) == expected


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        ([case("adds()", classname="a.b.CartTest", suite="a.b.CartTest")], "java"),
        ([case("TestA/b", classname="example.com/a", suite="example.com/a")], "go"),
        ([case("b", classname="a.b", suite="unit")], None),
        ([case("a b", classname="a b"), case("b", classname="x")], None),
        ([], None),
    ],
)
def test_what_cases_look_like(cases: list[Case], expected: str | None) -> None:
    assert guess(report(*cases)) == expected
    assert guess(report(*(replace(each, outcome=Outcome.PASSED) for each in cases))) == expected


def test_what_the_policy_says_is_no_guess() -> None:
    written = report(case("a"), title="jest tests")
    assert framework_of(written).guessed
    declared = replace(written, settings=ReportSettings(paths="*", framework="mocha"))
    assert (framework_of(declared).framework, framework_of(declared).guessed) == ("mocha", False)
    by_hand = replace(written, settings=ReportSettings(paths="*", suite="{file}"))
    assert (framework_of(by_hand).framework, framework_of(by_hand).guessed) == (None, False)
    folder = replace(written, settings=ReportSettings(paths="*", base_dir="x"))
    assert (framework_of(folder).framework, framework_of(folder).guessed) == ("jest", True)


def test_recorded_reports_of_pytest_are_told() -> None:
    for path in sorted(RECORDED.glob("pytest*.xml")):
        reader = Reader(path.name)
        reader.feed(path.read_bytes())
        assert guess(reader.close()) in ("pytest", None), path.name
