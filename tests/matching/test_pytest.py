from __future__ import annotations

import pytest

from flakegate.matching.candidate import compare
from flakegate.matching.pytest import MAX_PARTS, read
from tests.matching.build import BELOW, HERE, case, flaky, names


@pytest.mark.parametrize(
    ("classname", "name", "expected"),
    [
        ("tests.test_a", "test_x", ("tests", "test_a.py", "test_x")),
        ("test_a", "test_x[1]", ("", "test_a.py", "test_x[1]")),
        ("tests.test_a.TestC.TestN", "test_m", ("tests", "test_a.py", "TestC::TestN::test_m")),
        ("tests.test_a.CartCase", "test_m", ("tests", "test_a.py", "CartCase::test_m")),
        ("tests.test_a._ÜCase", "test_m", ("tests", "test_a.py", "_ÜCase::test_m")),
        ("test_unit.test_a", "test_x", ("test_unit", "test_a.py", "test_x")),
        ("tests.b_test.TestC", "test_x", ("tests", "b_test.py", "TestC::test_x")),
        ("checks.cart", "test_x", ("checks", "cart.py", "test_x")),
        ("a.test_p", "test_p[a::b]", ("a", "test_p.py", "test_p[a::b]")),
        ("a.test_p", "test_p[c/d]", ("a", "test_p.py", "test_p[c/d]")),
        ("a.test_p.T", "p[b/c::d::e]", ("a.test_p.py::T::p[b", "c", "d::e]")),
        ("test_p", "p[a.b/c.d/e::f/g]", ("test_p.py::p[a.b.c.d", "e", "f/g]")),
        ("", "a.b[x]/test_b.py::TestB::t[1::2]", ("a.b[x]", "test_b.py", "TestB::t[1::2]")),
    ],
)
def test_the_one_test_that_a_case_is(
    classname: str, name: str, expected: tuple[str, str, str]
) -> None:
    assert names(read(case(name, classname=classname), HERE)) == [expected]


@pytest.mark.parametrize(
    "classname", ["tests.Cart", "tests.test_a.Foo_test", "TestA", "tests.coll.TestB.TestZ"]
)
def test_where_a_class_could_be_the_file_the_file_is_asked_for(classname: str) -> None:
    reading = read(case("test_x", classname=classname), HERE)
    assert names(reading) == []
    assert len(reading.candidates) == classname.count(".") + 1
    assert all("junit_family=xunit1" in str(each.doubt) for each in reading.candidates)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("tests/test_b/TestZ.py", ("tests.test_b", "TestZ.py", "test_z")),
        ("tests/test_b.py", ("tests", "test_b.py", "TestZ::test_z")),
        ("tests/base_mixin.py", ("tests", "test_b.py", "TestZ::test_z")),  # of an inherited test
        ("tests/test_b.TestZ", ("tests", "test_b.TestZ", "test_z")),
        ("", ("tests", "test_b.py", "TestZ::test_z")),
    ],
)
def test_the_file_decides_where_it_is_part_of_the_classname(
    file: str, expected: tuple[str, str, str]
) -> None:
    reading = read(case("test_z", classname="tests.test_b.TestZ", file=file), HERE)
    assert names(reading) == [expected]


@pytest.mark.parametrize(
    ("classname", "name", "expected"),
    [
        ("src.docmod", "src.docmod.K.m", ("src", "docmod.py", "src.docmod.K.m")),
        ("docs.usage.rst", "usage.rst", ("docs", "usage.rst", "usage.rst")),
        ("usage.rst", "usage.rst", ("", "usage.rst", "usage.rst")),
    ],
)
def test_doctests(classname: str, name: str, expected: tuple[str, str, str]) -> None:
    assert expected in names(read(case(name, classname=classname), HERE))


def test_the_folder_that_pytest_was_started_in_counts() -> None:
    (candidate, *_) = reversed(read(case("t", classname="tests.test_a"), BELOW).candidates)
    assert (
        compare(candidate, flaky("tests", "test_a.py", "t", "packages/c/tests/test_a.py")) is True
    )
    for file in ("tests/test_a.py", "packages/d/tests/test_a.py", "packages/cc/tests/test_a.py"):
        assert compare(candidate, flaky("tests", "test_a.py", "t", file)) is False


def test_a_folder_with_a_dot_is_written_as_two() -> None:
    (candidate, *_) = reversed(read(case("t", classname="a.b.test_a"), HERE).candidates)
    assert compare(candidate, flaky("a.b", "test_a.py", "t", "a.b/test_a.py")) is True
    assert compare(candidate, flaky("a.b", "test_a.py", "t", "a-b/test_a.py")) is False


@pytest.mark.parametrize(
    ("classname", "name"),
    [("", "tests.test_bad"), (None, "test_a"), ("", "a[x].py::t"), ("a." * MAX_PARTS + "a", "t")],
)
def test_what_cannot_be_read_is_refused(classname: str | None, name: str) -> None:
    reading = read(case(name, classname=classname), HERE)
    assert reading.refusal
    assert reading.candidates == ()
