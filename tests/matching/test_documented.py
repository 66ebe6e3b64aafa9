"""Java and Go, which are read by what their reporters and tracers document."""

from __future__ import annotations

import pytest

from flakegate.matching import go, java
from flakegate.matching.candidate import compare
from flakegate.policy.rules import ReportSettings
from flakegate.results import SHARED
from tests.matching.build import BELOW, HERE, case, flaky, found, names, report

SHOP = "com.acme.shop.CartTest"
PACKAGE = "github.com/acme/shop/cart"


@pytest.mark.parametrize(
    "name", ["adds", "adds()", "adds(int, String)", "adds(int)[1]", "adds{int}[1]", "adds[2]"]
)
def test_an_invocation_of_a_method_is_the_method(name: str) -> None:
    reading = java.read(case(name, classname=SHOP), HERE)
    assert names(reading) == [(None, SHOP, "adds")]


@pytest.mark.parametrize("name", ["[1] 5", "adds two numbers", "1 + 1", ""])
def test_a_display_name_is_refused(name: str) -> None:
    refusal = java.read(case(name, classname=SHOP), HERE).refusal
    assert "usePhrasedTestCaseMethodName=false" in str(refusal)


def test_a_classname_that_is_none_is_refused() -> None:
    assert java.read(case("adds", classname="the cart"), HERE).refusal


@pytest.mark.parametrize(
    ("classname", "file", "same"),
    [
        (SHOP, "src/test/java/com/acme/shop/CartTest.java", True),
        (SHOP, "src/integrationTest/kotlin/com/acme/shop/CartTest.kt", True),
        (f"{SHOP}$Empty", "src/test/java/com/acme/shop/CartTest.java", True),
        ("CartTest", "src/test/java/CartTest.java", True),
        (SHOP, "src/test/java/com/acme/CartTest.java", False),
        (SHOP, "src/test/java/com/acme/shop/CartTests.java", False),
    ],
)
def test_a_class_lies_where_its_name_says(classname: str, file: str, same: bool) -> None:
    (candidate,) = java.read(case("adds", classname=classname), HERE).candidates
    assert compare(candidate, flaky("app", classname, "adds", file)) is same
    (candidate,) = java.read(case("adds", classname=classname), BELOW).candidates
    assert compare(candidate, flaky("app", classname, "adds", f"packages/c/{file}")) is same


def test_another_module_of_the_build_is_not_guessed() -> None:
    (candidate,) = java.read(case("adds", classname="CartTest"), HERE).candidates
    test = flaky("app", "CartTest", "adds", "web/src/test/java/CartTest.java")
    assert "--base-dir web" in str(compare(candidate, test))


def test_several_invocations_are_refused() -> None:
    settings = ReportSettings(paths="*", framework="java")
    cases = [case(f"adds(int)[{number}]", classname="CartTest") for number in (1, 2)]
    test = flaky("app", "CartTest", "adds", "src/test/java/CartTest.java")
    assert found([report(*cases[:1], settings=settings)], [test]) == [test]
    assert found([report(*cases, settings=settings)], [test]) == [SHARED, SHARED]


def test_a_function_of_a_package() -> None:
    written = case("TestAdd/one_more", classname=PACKAGE, suite=PACKAGE)
    reading = go.read(written, BELOW)
    assert names(reading) == [(PACKAGE, None, "TestAdd/one_more")]
    (candidate,) = reading.candidates
    rows = {
        "packages/c/cart/cart_test.go": True,
        "packages/c/shop/cart/a_test.go": True,
        "packages/c/a_test.go": True,
        "packages/c/other/cart_test.go": False,
        "packages/c/cart/cart.go": False,
        "cart/cart_test.go": False,
    }
    for file, same in rows.items():
        test = flaky(PACKAGE, file.rpartition("/")[2], "TestAdd/one_more", file)
        assert compare(candidate, test) is same, file
    other = flaky(PACKAGE + "s", "a_test.go", "TestAdd/one_more", "packages/c/cart/a_test.go")
    assert compare(candidate, other) is False


@pytest.mark.parametrize(
    ("classname", "name", "remedy"),
    [
        ("cart", "TestAdd", "--junitfile-testcase-classname"),
        (None, "TestAdd", "--junitfile-testcase-classname"),
        (PACKAGE, "Testing", "not that of a test function"),
        (PACKAGE, "adds", "not that of a test function"),
    ],
)
def test_go_that_cannot_be_read(classname: str | None, name: str, remedy: str) -> None:
    assert remedy in str(go.read(case(name, classname=classname, suite=PACKAGE), HERE).refusal)


def test_a_function_in_two_files_is_refused() -> None:
    settings = ReportSettings(paths="*", framework="go")
    written = report(case("TestAdd", classname=PACKAGE, suite=PACKAGE), settings=settings)
    tests = [flaky(PACKAGE, f"{name}_test.go", "TestAdd", f"cart/{name}_test.go") for name in "ab"]
    assert found([written], tests[:1]) == tests[:1]
    assert "2 have its names" in str(found([written], tests)[0])
