from __future__ import annotations

import pytest

from flakegate.junit import Outcome
from flakegate.policy.rules import ReportSettings
from flakegate.results import SHARED
from tests.matching.build import case, flaky, found, match, report
from tests.matching.pairs import Run, runs, score

EVERYTHING = list({test.id: test for run in runs() for test in run.pool}.values())
# Of the failing cases that have a test: exact, refused, missed. Refused are tests that share their
# names with others, TestZ without a file, a mocha test without a describe, titles with ` > `, and
# all of jest without a path.
SCORES = {
    "jest": (0, 43, 0),
    "jest-attrs": (36, 7, 0),
    "jest-file": (36, 7, 0),
    "jest-subdir": (1, 0, 0),
    "mocha": (15, 6, 0),
    "mocha-subdir": (1, 0, 0),
    "pytest-subdir": (1, 0, 0),
    "pytest-subdir-web": (1, 0, 0),
    "pytest-xunit1": (91, 2, 0),
    "pytest-xunit2": (90, 3, 0),
    "pytest84-xunit1": (91, 2, 0),
    "vitest": (23, 9, 0),
    "vitest-subdir": (1, 0, 0),
}
CART = flaky("tests", "test_cart.py", "test_total", "tests/test_cart.py")
FAILS = case("test_total", classname="tests.test_cart", suite="pytest")
VITEST = ReportSettings(paths="*", framework="vitest")


@pytest.mark.parametrize("run", runs(), ids=lambda run: run.name)
def test_no_real_case_is_taken_for_another_test(run: Run) -> None:
    scored = score(run, EVERYTHING)
    assert (scored.wrong, scored.lone, scored.unsafe) == (0, 0, 0)
    assert (scored.exact, scored.refused, scored.missed) == SCORES[run.name]


def test_every_run_is_scored() -> None:
    assert {run.name for run in runs()} == set(SCORES)


def test_one_test_none_or_a_refusal() -> None:
    assert found([report(FAILS)], [CART]) == [CART]
    assert found([report(FAILS)], []) == [None]
    elsewhere = flaky("tests", "test_cart.py", "test_total", "web/tests/test_cart.py")
    (words,) = found([report(FAILS)], [elsewhere])
    assert "--base-dir web" in str(words)
    assert found([report(FAILS, base_dir="api")], [elsewhere, CART]) == [None]
    assert found([report(FAILS, base_dir="web")], [elsewhere, CART]) == [elsewhere]


def test_a_test_whose_file_is_not_known_is_not_believed() -> None:
    unknown = flaky("tests", "test_cart.py", "test_total", None)
    (words,) = found([report(FAILS)], [unknown])
    assert "the file of tests.test_cart.py.test_total is not known" in str(words)


def test_two_flaky_tests_of_one_name_and_file_are_refused() -> None:
    jest = ReportSettings(paths="*", framework="jest")
    one, two = (flaky("jest", "a.js", name, "a.js") for name in ("a\tb", "a\nb"))
    failing = report(case("a b", classname="a b", file="a.js"), settings=jest)
    assert found([failing], [one]) == [one]
    (words,) = found([failing], [one, two])
    assert "2 have its names and file" in str(words)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_two_cases_that_can_be_one_test_are_refused_whether_they_pass_or_not(
    outcome: Outcome,
) -> None:
    nested = case("a > b c", classname="a.test.js", suite="a.test.js")
    deeper = case("a > b > c", outcome, classname="a.test.js", suite="a.test.js")
    test = flaky("vitest", "a.test.js", "a b c", "a.test.js")
    assert found([report(nested, settings=VITEST)], [test]) == [test]
    assert found([report(nested, deeper, settings=VITEST)], [test])[0] == SHARED


def test_the_same_test_in_two_reports_is_one_in_each() -> None:
    results = match([report(FAILS), report(FAILS, path="python3.12.xml")], [CART])
    assert list(results.known.values()) == [CART, CART]


def test_attempts_are_one_report() -> None:
    one = case("a > b c", classname="a.test.js", suite="a.test.js")
    other = case("a > b > c", classname="a.test.js", suite="a.test.js")
    test = flaky("vitest", "a.test.js", "a b c", "a.test.js")
    reports = [
        report(each, settings=VITEST, path=path, attempts_of="*.xml")
        for each, path in ((one, "1.xml"), (other, "2.xml"))
    ]
    assert found(reports, [test]) == [SHARED, SHARED]


def test_files_tell_apart_what_the_store_cannot() -> None:
    """mocha writes the file beside the suite, which is no part of the store's identity."""
    mocha = ReportSettings(paths="*", framework="mocha")
    cases = [case("a b", classname="b", suite_file=f"/srv/checkout/{name}.js") for name in "xy"]
    test = flaky("mocha", "x.js", "a b", "x.js")
    assert found([report(*cases, settings=mocha)], [test]) == [test, None]
    assert found([report(*cases[:1], *cases, settings=mocha)], [test])[:2] == [SHARED, SHARED]


def test_what_is_no_test_stays_refused() -> None:
    hook = case('a "before each" hook for "b"', classname="b", suite_file="/srv/checkout/x.js")
    test = flaky("mocha", "x.js", 'a "before each" hook for "b"', "x.js")
    written = report(hook, settings=ReportSettings(paths="*", framework="mocha"))
    assert found([written], [test]) == ["a hook failed, not one test"]


def test_a_report_of_nobody_is_refused_with_the_key_to_set() -> None:
    (words,) = found([report(case("a b c", classname="x"))], [CART])
    assert "say so with reports[].framework" in str(words)


def test_a_guess_is_said_where_it_matters() -> None:
    unclear = case("test_total", classname="shop.Cart", suite="pytest")
    test = flaky("shop", "Cart.py", "test_total", "shop/Cart.py")
    (words,) = found([report(unclear)], [test])
    assert "junit_family=xunit1" in str(words)
    assert "looks like pytest's" in str(words)
    (words,) = found(
        [report(unclear, settings=ReportSettings(paths="*", framework="pytest"))], [test]
    )
    assert "junit_family=xunit1" in str(words)
    assert "looks like" not in str(words)
    assert found([report(unclear)], []) == [None]


def test_names_too_long_to_ask_about_are_refused() -> None:
    (words,) = found([report(case("test_" + "x" * 2_000, classname="a.b", suite="pytest"))], [])
    assert "more than 1,000 characters" in str(words)
