from __future__ import annotations

from typing import Any

import pytest

from flakegate.matching.candidate import Checkout, compare
from flakegate.matching.javascript import below, jest, mocha, vitest
from tests.matching.build import BELOW, HERE, case, flaky, names

PATH = "src/a.test.ts"


@pytest.mark.parametrize(
    ("name", "attributes", "expected"),
    [
        ("outer one", {"classname": "outer one", "file": PATH}, ["outer one"]),
        ("outer one", {"classname": PATH}, ["outer one"]),
        (" top", {"classname": " top", "file": PATH}, [" top", "top"]),
        ("a  b", {"classname": PATH, "file": PATH}, ["a  b"]),
    ],
)
def test_jest_with_a_path(name: str, attributes: dict[str, Any], expected: list[str]) -> None:
    found = names(jest(case(name, **attributes), HERE))
    assert found == [("jest", PATH, each) for each in expected]


@pytest.mark.parametrize(
    ("name", "attributes", "remedy"),
    [
        ("outer one", {"classname": "outer one"}, "addFileAttribute=true"),
        ("one", {"classname": "one", "file": PATH}, "titleTemplate"),
        ("does a thing", {"classname": "outer", "file": PATH}, "titleTemplate"),
        ("a b", {"classname": "a b", "file": "/elsewhere/a.test.ts"}, "in the folder"),
    ],
)
def test_jest_that_cannot_be_read_says_what_to_set(
    name: str, attributes: dict[str, Any], remedy: str
) -> None:
    reading = jest(case(name, **attributes), HERE)
    assert remedy in str(reading.refusal)
    assert reading.candidates == ()


def test_mocha_is_placed_in_the_repository() -> None:
    written = case("outer one", classname="one", suite_file="/srv/checkout/packages/c/test/m.js")
    assert names(mocha(written, BELOW)) == [("mocha", "test/m.js", "outer one")]
    folders = ["packages/c/test/m.js", "c/test/m.js", "test/m.js", "m.js"]
    assert names(mocha(written, HERE)) == [("mocha", folder, "outer one") for folder in folders]


@pytest.mark.parametrize(
    ("attributes", "remedy"),
    [
        ({"classname": "one"}, "outside of any describe"),
        ({"classname": "outer", "suite_file": "/srv/checkout/a.js"}, "testCaseSwitch"),
        ({"classname": "ne", "suite_file": "/srv/checkout/a.js"}, "testCaseSwitch"),
    ],
)
def test_mocha_that_cannot_be_read_says_what_to_do(attributes: dict[str, Any], remedy: str) -> None:
    assert remedy in str(mocha(case("outer one", **attributes), HERE).refusal)


def test_vitest_drops_what_xml_has_no_room_for() -> None:
    written = case("a > b  c[31m", classname=PATH, suite=PATH)
    (candidate,) = vitest(written, BELOW).candidates
    assert (candidate.module, candidate.suite) == ("vitest", f"packages/c/{PATH}")
    assert candidate.name == candidate.spelled("a b \x07 c\x1b[31m")
    assert candidate.name != candidate.spelled("a b c")


def test_vitest_without_a_path_is_refused() -> None:
    assert vitest(case("a", classname="unit", suite="unit"), HERE).refusal


@pytest.mark.parametrize(
    ("path", "checkout", "expected"),
    [
        ("src/a.js", BELOW, "src/a.js"),
        ("/srv/checkout/packages/c/a.js", BELOW, "a.js"),
        ("/srv/checkout/packages/cc/a.js", BELOW, None),
        ("/srv/checkouts/a.js", HERE, None),
        ("/builds/acme/app/a.js", HERE, "a.js"),
        ("/home/runner/work/app/app/a.js", HERE, "a.js"),
        ("/home/runner/work/app/shop/a.js", HERE, None),
        ("/__w/app/app/a.js", HERE, "a.js"),
        ("/github/workspace/a.js", HERE, "a.js"),
        ("/app/a.js", HERE, None),
        ("/app/a.js", Checkout(roots=("/x", "/app")), "a.js"),
    ],
)
def test_where_a_file_is(path: str, checkout: Checkout, expected: str | None) -> None:
    placed, refusal = below(path, checkout)
    assert placed == expected
    assert (refusal is None) == (expected is not None)


def test_a_file_of_the_same_ending_is_another() -> None:
    written = case("a b", classname="b", suite_file="/srv/checkout/m/test/a.js")
    candidates = mocha(written, HERE).candidates
    for test, same in (
        (flaky("mocha", "test/a.js", "a b", "m/test/a.js"), True),
        (flaky("mocha", "m/test/a.js", "a b", "m/test/a.js"), True),
        (flaky("mocha", "test/a.js", "a b", "test/a.js"), False),
        (flaky("mocha", "test/a.js", "a b", "n/test/a.js"), False),
        (flaky("mocha", "a/test/a.js", "a b", "m/test/a.js"), False),
    ):
        assert any(compare(each, test) is True for each in candidates) is same, test
        assert not any(isinstance(compare(each, test), str) for each in candidates)
