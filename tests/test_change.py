"""Whether a change keeps a failing test from being excused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.change import Change, Place, barred, place_of
from flakegate.junit import Case, Outcome, Report
from flakegate.model import FlakyTest, State
from flakegate.policy.rules import GateSettings, ReportSettings

SETTINGS = GateSettings()
TEST = FlakyTest(id="t", module="", suite="s", name="n", state=State.QUARANTINED)


def case(**changes: Any) -> Case:
    written = Case(
        suite="pytest",
        classname="tests.test_cart.TestCart",
        name="test_total",
        file=None,
        suite_file=None,
        line=None,
        outcome=Outcome.FAILURE,
        duration=None,
        message=None,
        earlier=(),
    )
    return replace(written, **changes)


def report(base_dir: str = "", framework: str | None = "pytest", **changes: Any) -> Report:
    settings = ReportSettings(paths="*", framework=framework) if framework else None
    document = Report(
        path="r.xml", base_dir=base_dir, attempts_of=None, cases=(), problems=(), settings=settings
    )
    return replace(document, **changes)


def code(place: Place, *files: str) -> str | None:
    found = barred(TEST, place, Change(files=frozenset(files)), SETTINGS)
    return None if found is None else found[0]


@pytest.mark.parametrize(
    ("file", "base", "changed"),
    [
        ("tests/a.py", "", "tests/a.py"),
        ("./tests//a.py", "", "tests/a.py"),
        ("tests\\a.py", "", "tests/a.py"),
        ("C:\\ci\\shop\\tests\\a.py", "", "tests/a.py"),
        ("/home/runner/work/shop/shop/tests/a.py", "", "tests/a.py"),
        ("tests/a.py", "packages/c", "packages/c/tests/a.py"),
        ("packages/c/tests/a.py", "packages/c", "packages/c/tests/a.py"),
        ("../lib/a.py", "packages/c", "packages/lib/a.py"),
        ("tests/a.py", "", "packages/c/tests/a.py"),  # nobody said where its runner was started
        ("vendor/lib/tests/a.py", "", "vendor/lib"),  # a submodule
        ("tests/é.py", "", "tests/e\u0301.py"),
        ('tests/"a\nb".py', "", 'tests/"a\nb".py'),
    ],
)
def test_a_file_that_the_change_touches(file: str, base: str, changed: str) -> None:
    place = place_of(TEST, case(file=file, classname="x"), report(base, framework=None))
    assert code(place, "README.md", changed) == "changed"


@pytest.mark.parametrize(
    ("file", "base", "changed"),
    [
        ("tests/a.py", "", "tests/b.py"),
        ("tests/a.py", "", "a.py"),
        ("tests/a.py", "", "sometests/a.py"),
        ("tests/a.py", "", "tests/a.py.orig"),
        ("tests/a.py", "packages/c", "packages/d/tests/a.py"),
        ("tests/a.py", "packages/c", "other/packages/c/tests/a.py"),
        ("/ci/shop/tests/a.py", "", "src/a.py"),
    ],
)
def test_a_file_that_it_does_not_touch(file: str, base: str, changed: str) -> None:
    place = place_of(TEST, case(file=file, classname="x"), report(base, framework=None))
    assert code(place, changed) is None


@pytest.mark.parametrize(
    ("framework", "names", "yes", "no"),
    [
        ("pytest", {}, "tests/test_cart.py", "tests/test_cart2.py"),
        ("pytest", {}, "services/api/tests/test_cart.py", "tests/conftest.py"),
        ("pytest", {}, "api/tests/test_cart.py", "api/tests.py"),
        ("vitest", {"suite": "a/b.test.ts", "classname": "a/b.test.ts"}, "a/b.test.ts", "b.ts"),
        ("java", {"classname": "com.acme.CartTest"}, "x/com/acme/CartTest.java", "x/Cart.java"),
        ("java", {"classname": "CartTest$Inner", "name": "it adds"}, "CartTest.kt", "Inner.kt"),
        (
            "go",
            {"suite": "a.io/shop/cart", "classname": "a.io/shop/cart", "name": "TestA"},
            "cart/b_test.go",
            "till/b_test.go",
        ),
    ],
)
def test_a_file_that_only_the_names_tell(
    framework: str, names: dict[str, str], yes: str, no: str
) -> None:
    place = place_of(TEST, case(**names), report(framework=framework))
    assert place.untold == ""
    assert (code(place, yes), code(place, no)) == ("changed", None)


def test_a_file_that_only_the_names_tell_is_below_the_base_folder() -> None:
    place = place_of(TEST, case(), report("services/api"))
    assert code(place, "services/api/tests/test_cart.py") == "changed"
    assert code(place, "tests/test_cart.py") is None


@pytest.mark.parametrize(
    ("framework", "remedy"), [("jest", "addFileAttribute=true"), (None, "write the `file`")]
)
def test_an_untold_file_may_be_any_that_changed(framework: str | None, remedy: str) -> None:
    named = case(suite="cart", classname="cart adds", name="cart adds")
    place = place_of(TEST, named, report(framework=framework))
    assert code(place) is None
    found = barred(TEST, place, Change(files=frozenset({"README.md"})), SETTINGS)
    assert found is not None
    assert found[0] == "change-unknown"
    assert remedy in found[1]
    assert "gate.changed_tests: excuse" in found[1]
    known = place_of(replace(TEST, source_file="src/a.test.js"), named, report(framework=framework))
    assert code(known, "README.md") is None
    assert code(known, "src/a.test.js") == "changed"


def test_a_change_that_cannot_be_read() -> None:
    place = Place(files=("tests/a.py",))
    unread = Change(files=None, messages=None, why="shallow; fetch-depth: 0")
    assert barred(TEST, place, unread, SETTINGS) == (
        "change-unknown",
        "whether this change touches it is unknown: shallow; fetch-depth: 0",
    )
    assert barred(TEST, place, unread, replace(SETTINGS, blocks_changed=False)) is None


def test_a_claimed_fix() -> None:
    test = replace(TEST, attempt_to_fix_id="DD_A1")
    place = Place(files=("tests/a.py",))
    claims = Change(messages=("first", "Mend it\n\nFixes: (dd_a1)."))
    assert barred(test, place, claims, SETTINGS) == (
        "attempted-fix",
        "a commit of this change claims to fix it (DD_A1)",
    )
    assert barred(test, place, claims, replace(SETTINGS, blocks_attempted_fixes=False)) is None
    assert barred(test, place, Change(messages=("DD_B2",)), SETTINGS) is None
    assert barred(TEST, place, claims, SETTINGS) is None
    unread = Change(messages=None, why="shallow")
    assert barred(test, place, unread, SETTINGS) == (
        "change-unknown",
        "whether this change claims to fix it is unknown: shallow",
    )
    assert barred(TEST, place, unread, SETTINGS) is None
    both = replace(claims, files=frozenset({"tests/a.py"}))
    assert (barred(test, place, both, SETTINGS) or ("",))[0] == "attempted-fix"


@given(st.text(), st.lists(st.text(), max_size=5), st.text(max_size=5))
def test_any_name_is_taken(file: str, changed: list[str], base: str) -> None:
    place = place_of(TEST, case(file=file, classname=file), report(base))
    assert code(place, *changed) in {None, "changed", "change-unknown"}


parts = st.text("ab.é\n ", min_size=1).filter(lambda name: name not in {".", ".."})
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)


@given(st.lists(paths, min_size=1, max_size=5))
def test_a_file_of_the_list_is_never_missed(changed: list[str]) -> None:
    for name in changed:
        assert code(Place(files=(name,)), *changed) == "changed"
        assert code(Place(files=(f"/ci/shop/{name}",)), *changed) == "changed"
        assert code(Place(files=(name,), base_dir="x"), *(f"x/{path}" for path in changed))
