"""The cases that a verdict does not need change nothing: no verdict, no match, no refusal."""

from __future__ import annotations

from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flakegate.gate import judge, to_json
from flakegate.identity import test_id as id_of
from flakegate.junit import Outcome, Report
from flakegate.matching.frameworks import framework_of
from flakegate.matching.resolve import seek
from flakegate.model import FlakyTest, State
from flakegate.policy.rules import GateSettings
from flakegate.reading.document import Reader
from flakegate.reading.needed import all_in_common, in_common
from flakegate.results import Result, fold

NOW = 1_794_000_000.0


def read(document: str, *, whole: bool, path: str = "r.xml") -> Report:
    reader = Reader(path)
    reader.feed(document.encode())
    return reader.close(whole=whole)


def suite(*cases: str, title: str | None = "pytest tests", name: str = "pytest") -> str:
    root = "<testsuites>" if title is None else f'<testsuites name="{title}">'
    return f'{root}<testsuite name="{name}">{"".join(cases)}</testsuite></testsuites>'


def case(name: str | None, inner: str = "", classname: str | None = "C", more: str = "") -> str:
    texts = {"name": name, "classname": classname}
    written = "".join(f' {key}="{escape(text)}"' for key, text in texts.items() if text is not None)
    return f"<testcase{written}{more}>{inner}</testcase>"


def names(report: Report) -> list[str | None]:
    return [one.name for one in report.cases]


@pytest.mark.parametrize("other", ["a", "a[2]", "a(int)", "a .", "a/\n", "x > a > b"])
def test_what_can_be_taken_for_a_failing_case_is_kept(other: str) -> None:
    failing = {"x > a > b": "x > a"}.get(other, "a[1]")
    document = suite(case(other), case("z"), case(failing, "<failure/>"))
    report = read(document, whole=False)
    assert names(report) == [other.replace("\n", " "), failing]
    assert (report.passed, report.skipped) == (1, 0)


def test_a_green_report_keeps_only_what_was_tried_again() -> None:
    document = suite(case("a"), case("b", "<skipped/>"), case("c", "<flakyError/>"))
    report = read(document, whole=False)
    assert names(report) == ["c"]
    assert (report.passed, report.skipped) == (1, 1)


def test_a_broken_report_has_no_cases_and_counts_none() -> None:
    report = read(suite(case("a"))[:-3], whole=False)
    assert (report.cases, report.passed, report.skipped) == ((), 0, 0)
    assert report == read(suite(case("a"))[:-3], whole=True)


def test_what_shows_the_framework_is_kept() -> None:
    cases = [case("a", classname="a.B"), case("b", classname="p.X"), case("c", "<failure/>")]
    report = read(suite(*cases, title=None, name="p.X"), whole=False)
    assert 0 < report.passed < 3
    assert framework_of(report) == framework_of(
        read(suite(*cases, title=None, name="p.X"), whole=True)
    )


TEXT = st.text(alphabet="ab é\u2003\x7f\t\n./>[({)]}_1", max_size=8)


@given(st.lists(TEXT, min_size=1))
def test_many_names_at_once(texts: list[str]) -> None:
    assert all_in_common('"'.join(texts), '"') == [in_common(text) for text in texts]


NAMES = ["a", "a", "a[1]", "a[2]", "a.", "a b", "ab", "b", "b > a", "b > a > c", "m(int)[1]", "m",
         "", None, "C", "t.py", "p/t.py::a", "TestA/b", "before each"]  # fmt: skip
CLASSES = ["C", "C", "tests.t.C", "p/t.test.ts", "p/q", "", None, "a.B"]
INNER = ["", "", "", "<failure message='m'/>", "<error message='failed on teardown with &quot;'/>",
         "<skipped/>", "<flakyFailure/>", "<failure/><rerunFailure/>", "<rerunError/>",
         "<system-out/>"]  # fmt: skip
MORE = [
    "",
    "",
    "",
    ' file="p/t.py"',
    ' file="tests/t.py"',
    ' status="failed"',
    ' status="disabled"',
]
CASES = st.builds(
    case, st.sampled_from(NAMES), st.sampled_from(INNER), st.sampled_from(CLASSES),
    st.sampled_from(MORE),
)  # fmt: skip
TITLES = [None, None, "pytest tests", "jest tests", "Mocha Tests", "vitest tests"]
DOCUMENTS = st.builds(
    lambda cases, title, name: suite(*cases, title=title, name=name),
    st.lists(CASES, max_size=7),
    st.sampled_from(TITLES),
    st.sampled_from(["pytest", "p/q", "C", "tests.t.C", ""]),
)


@settings(max_examples=500)
@given(st.lists(DOCUMENTS, min_size=1, max_size=3), st.sets(st.sampled_from(NAMES)))
def test_a_verdict_needs_no_more(documents: list[str], quarantined: set[str | None]) -> None:
    whole, needed = (
        [read(each, whole=whole, path=f"{at}.xml") for at, each in enumerate(documents)]
        for whole in (True, False)
    )
    assert _verdict(needed, quarantined) == _verdict(whole, quarantined)
    assert _matching(needed) == _matching(whole)
    for each in needed:
        failing = any(one.outcome.failing for one in each.cases)
        assert failing or all(one.earlier for one in each.cases)


def _verdict(reports: list[Report], quarantined: set[str | None]) -> object:
    results = fold(reports)
    known = {
        each: _flaky(each)
        for each in results
        if each.outcome.failing and each.identity.name in quarantined and not each.ambiguous
    }
    verdict = judge(
        reports=reports,
        results=results,
        problems=(),
        known=known,
        exempt={},
        settings=GateSettings(min_tests=2),
        ended=None,
        now=NOW,
    )
    return verdict, to_json(verdict)


def _flaky(result: Result) -> FlakyTest:
    return FlakyTest(
        id=id_of("r", result.identity),
        module="",
        suite=result.identity.suite,
        name=result.identity.name,
        state=State.QUARANTINED,
    )


def _matching(reports: list[Report]) -> object:
    """All that matching with Datadog's tests says, but for where the results stand."""
    results = fold(reports)
    sought = [(results[each.at], each.candidates, each.refusal) for each in seek(reports, results)]
    failing = {each.report for each in results if each.outcome.failing}
    return sought, [framework_of(each) for each in reports if each.path in failing]


def test_all_cases_are_counted() -> None:
    cases = [case(str(at), inner) for at, inner in enumerate([*INNER, *INNER])]
    needed, whole = (read(suite(*cases), whole=whole) for whole in (False, True))
    outcomes = [one.outcome for one in whole.cases]
    kept = [one.outcome for one in needed.cases]
    assert needed.passed + kept.count(Outcome.PASSED) == outcomes.count(Outcome.PASSED)
    assert needed.skipped + kept.count(Outcome.SKIPPED) == outcomes.count(Outcome.SKIPPED)
    assert needed.passed + needed.skipped + len(kept) == len(outcomes)
