"""Node ids out of what reports say: the one that is meant, or none."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.deselect import Arguments, Folder, arguments
from flakegate.identity import test_id as id_of
from flakegate.model import FlakyTest, Identity, State


def disabled(suite: str, name: str, source_file: str = "", module: str = "") -> FlakyTest:
    identity = Identity(module=module, suite=suite, name=name, source_file=source_file)
    return FlakyTest(
        id=id_of("r", identity),
        module=module,
        suite=suite,
        name=name,
        source_file=source_file or None,
        state=State.DISABLED,
    )


def ask(test: FlakyTest, *files: str, module: str = "") -> Arguments:
    folders = {file[: at.start()] for file in files for at in re.finditer("/", file)}
    folder = Folder(
        name=module,
        is_file=files.__contains__,
        is_dir=folders.__contains__,
        read=lambda path: "" if path in files else None,
    )
    return arguments([test], {}, folder)


@pytest.mark.parametrize(
    ("suite", "files", "node_id"),
    [
        ("test_a", ("test_a.py",), "test_a.py::test"),
        ("tests.test_a", ("tests/test_a.py",), "tests/test_a.py::test"),
        ("tests.test_a.TestB.TestC", ("tests/test_a.py",), "tests/test_a.py::TestB::TestC::test"),
        ("v1.2.test_a", ("v1.2/test_a.py",), "v1.2/test_a.py::test"),
        ("tests.test_a.v2", ("tests/test_a.v2.py",), "tests/test_a.v2.py::test"),
        (".ci.test_a", (".ci/test_a.py",), ".ci/test_a.py::test"),
    ],
)
def test_the_one_file_that_it_can_be(suite: str, files: tuple[str, ...], node_id: str) -> None:
    assert ask(disabled(suite, "test"), *files).lines == (f"--deselect={node_id}",)


@pytest.mark.parametrize(
    ("test", "files", "why"),
    [
        (disabled("pytest", "x/test_a.py::test"), ("x/test_a.py",), "no Python file"),
        (disabled("tests.test_a", "test"), ("test_a.py", "tests/test_b.py"), "no Python file"),
        (disabled("a.b", "test"), ("a.py", "a/b.py"), "can be a.py or a/b.py"),
        (disabled("..test_a", "test"), ("../test_a.py",), "no Python file"),
        (disabled("test_a", "test[#x1B]"), ("test_a.py",), "XML cannot"),
        (disabled("test_a", "test[a\u2028b]"), ("test_a.py",), "a line of arguments cannot"),
        (disabled("test_a", "test[##[error]"), ("test_a.py",), "a line of arguments cannot"),
        (disabled("test_a", "test", module="api"), ("test_a.py",), "it runs in api"),
    ],
)
def test_refused_rather_than_guessed(test: FlakyTest, files: tuple[str, ...], why: str) -> None:
    found = ask(test, *files)
    assert found.lines == ()
    ((left_out, says),) = found.left_out
    assert left_out is test
    assert why in says


def test_the_file_that_the_report_named_decides() -> None:
    found = ask(disabled("a.b", "test", source_file="a/b.py"), "a.py", "a/b.py")
    assert found.lines == ("--deselect=a/b.py::test",)
    # Where it names another one, a test was inherited, and its own file is the one it ran in.
    inherited = ask(disabled("a.b.TestC", "test", source_file="base.py"), "base.py", "a/b.py")
    assert inherited.lines == ("--deselect=a/b.py::TestC::test",)


@pytest.mark.parametrize("name", ["test_an", "test_a[1]", "test_a2"])
def test_a_name_that_begins_another_one(name: str) -> None:
    folder = Folder(
        name="", is_file="test_m.py".__eq__, is_dir="".__eq__, read=lambda _path: "def test_a(): 0"
    )
    other = Identity(module="", suite="test_m", name=name, source_file="")
    found = arguments([disabled("test_m", "test_a")], {"other": other}, folder)
    assert found.lines == ()
    assert f"test_m.{name} would be left out" in found.left_out[0][1]


SUITES = st.sampled_from(["test_a", "test_a.TestB", "a.b", "a.b.c", "a.b.c.D", "a"])


@given(SUITES | st.text(max_size=30), st.text(min_size=1, max_size=30))
def test_every_line_is_one_argument_that_leads_back(suite: str, name: str) -> None:
    found = ask(disabled(suite, name), "test_a.py", "a/b.py", "a/b.c.py", "a.b/c.py")
    assert len(found.lines) + len(found.left_out) == 1
    for line in found.lines:
        assert len(line.splitlines()) == 1
        path, _, rest = line.removeprefix("--deselect=").partition("::")
        dotted = path.removesuffix(".py").replace("/", ".") + "." + rest.replace("::", ".")
        assert dotted.startswith(suite)
        assert line.endswith(f"::{name}")
