"""`flakegate list`: what it chooses, how it sorts, and the arguments that pytest obeys."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.cli.reports import junit, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Caller, Done

SUITE = r"""
import pytest

NAMES = ["a b", "[x]", "it's", '"quoted"', "naïve ✓", "a::b", "$HOME `id`", "@file", "#1", ""]
NAMES += ["a\nb"]

@pytest.mark.parametrize("value", NAMES)
def test_names(value): pass

@pytest.mark.parametrize("value", ["x", "x-y"])
class TestBasket:
    def test_add(self, value): pass
    class TestEmpty:
        def test_it(self, value): pass

def test_alone(): pass
def test_short(): pass
def test_short_and_longer(): pass
"""


def names(done: Done) -> list[str]:
    assert done.code == 0, done.err
    return [test["name"] for test in json.loads(done.out)["tests"]]


def flaky(flakegate: Caller, folder: Path, **failures: int) -> None:
    """Tests in the store, each failing in so many of four runs, all of them flaky."""
    for run in range(4):
        cases = [f"{'-' if run < count else ''}{name}" for name, count in failures.items()]
        report = write(folder, "r.xml", junit(*cases))
        env = {"FLAKEGATE_RUN_ID": f"f{run}", "FLAKEGATE_BRANCH": "main"}
        assert flakegate("record", report, FLAKEGATE_DEFAULT_BRANCH="main", **env).code == 0
    full = [f"tests.test_cart.{name}" for name in failures]
    done = flakegate("set", *full, "quarantined", "--reason", "x")
    assert done.code == 0, done.err


def test_where_chooses_by_a_condition(flakegate: Caller, folder: Path) -> None:
    flaky(flakegate, folder, test_a=1, test_b=3, test_c=0)
    flakegate("set", "tests.test_cart.test_c", "disabled", "--reason", "x")
    json_list = ("list", "--format", "json", "--where")
    assert names(flakegate(*json_list, "failure_rate > 20%")) == ["test_a", "test_b"]
    assert names(flakegate(*json_list, 'state == "disabled"')) == ["test_c"]
    both = 'suite =~ "tests.*" and not failures >= 3'
    assert names(flakegate(*json_list, both, "--state", "quarantined")) == ["test_a"]
    unknown = flakegate(*json_list, "lost_time > 2h or failure_rate > 70%")
    assert names(unknown) == ["test_b"]
    assert "unknown for 2 of 3 flaky tests" in unknown.err
    assert "lost_time" in unknown.err
    none = flakegate("list", "--where", "failures > 100")
    assert (none.code, none.out) == (0, "")
    assert "no flaky test like this" in none.err


def test_where_tells_every_mistake(flakegate: Caller, folder: Path) -> None:
    done = flakegate("list", "--where", "failure_rat > 20% and runs > 0.5%")
    assert done.code == 2
    assert "--where:1:1: error" in done.err
    assert "failure_rate" in done.err
    assert "--where:1:30: error" in done.err
    assert flakegate("list", "--where", "").code == 2
    assert not (folder / ".flakegate").exists()


def test_sorts_and_reverse_keep_the_unknown_last(flakegate: Caller, folder: Path) -> None:
    flaky(flakegate, folder, test_a=1, test_b=3, test_c=0, test_d=2)
    by_failures = ("list", "--format", "json", "--sort", "failures")
    down = ["test_b", "test_d", "test_a", "test_c"]
    assert names(flakegate(*by_failures)) == down
    assert names(flakegate(*by_failures, "--reverse")) == down[::-1]
    by_name = ("list", "--format", "json")
    assert names(flakegate(*by_name, "--reverse")) == ["test_d", "test_c", "test_b", "test_a"]
    # Only what failed has a duration or an age; what is not known stays last either way.
    aged = ("list", "--format", "json", "--sort", "last_flaked_age")
    assert names(flakegate(*aged))[-1] == "test_c"
    assert names(flakegate(*aged, "--reverse"))[-1] == "test_c"


def run_pytest(folder: Path, *arguments: str) -> set[tuple[str, str]]:
    """The cases of a real run, as its report names them."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    subprocess.run(
        [*command, "--junitxml=unit.xml", *arguments], cwd=folder, check=False, capture_output=True
    )
    cases = ET.parse(folder / "unit.xml").iter("testcase")  # noqa: S314 - our own run's
    return {(case.get("classname", ""), case.get("name", "")) for case in cases}


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
@pytest.mark.parametrize("escaped", [True, False])
def test_pytest_leaves_out_exactly_the_disabled_tests(
    flakegate: Caller, folder: Path, family: str, *, escaped: bool
) -> None:
    raw = "disable_test_id_escaping_and_forfeit_all_rights_to_community_support = true\n"
    ini = f"[pytest]\njunit_family = {family}\naddopts = --import-mode=importlib\n"
    write(folder, "pytest.ini", ini if escaped else ini + raw)
    write(folder, "tests/v1.2/test_shop.py", SUITE)
    every = run_pytest(folder)
    assert len(every) == 18
    assert flakegate("record", "unit.xml").code == 0
    kept = {
        ("tests.v1.2.test_shop", "test_short_and_longer"),
        ("tests.v1.2.test_shop", "test_names[a b]"),
        ("tests.v1.2.test_shop.TestBasket.TestEmpty", "test_it[x]"),
    }
    disabled = [f"{classname}.{name}" for classname, name in sorted(every - kept)]
    done = flakegate("set", *disabled, "disabled", "--reason", "x")
    assert done.code == 0, done.err
    listed = flakegate("list", "--format", "pytest")
    assert listed.code == 0
    (folder / "deselect.txt").write_text(listed.out, "utf-8")
    # Its name begins test_short_and_longer; a line break cannot stand in a line.
    left_out = {("tests.v1.2.test_shop", "test_short")}
    if not escaped:
        left_out.add(("tests.v1.2.test_shop", "test_names[a\nb]"))
    assert listed.err.count("note: left out") == len(left_out)
    assert "test_short_and_longer would be left out, too" in listed.err
    assert run_pytest(folder, "@deselect.txt") == kept | left_out


def test_pytest_format_takes_no_guess(flakegate: Caller, folder: Path) -> None:
    report = junit("test_a", "test_b").replace(' file="tests/test_cart.py"', "")
    assert flakegate("record", write(folder, "r.xml", report)).code == 0
    flakegate("set", "test_a", "disabled", "--reason", "x")
    arguments = ("list", "--format", "pytest")
    missing = flakegate(*arguments)
    assert (missing.code, missing.out) == (0, "")
    assert "no Python file here is `tests.test_cart`" in missing.err
    write(folder, "tests/test_cart.py", "def test_a(): ...\n")
    assert flakegate(*arguments).out == "--deselect=tests/test_cart.py::test_a\n"
    write(folder, "tests.py", "class test_cart: ...\n")
    two = flakegate(*arguments)
    assert two.out == ""
    assert "can be tests.py or tests/test_cart.py" in two.err
    (folder / "tests.py").unlink()
    # A test that was never recorded, but stands in the file.
    write(folder, "tests/test_cart.py", "def test_a(): ...\ndef test_an_other(): ...\n")
    longer = flakegate(*arguments)
    assert longer.out == ""
    assert "test_an_other would be left out" in longer.err
    assert "see --base-dir" in flakegate(*arguments, "--base-dir", "api").err


def test_pytest_format_names_what_is_chosen(flakegate: Caller, folder: Path) -> None:
    write(folder, "tests/test_cart.py", "def test_a(): ...\ndef test_b(): ...\n")
    flaky(flakegate, folder, test_a=1, test_b=1)
    arguments = ("list", "--format", "pytest")
    assert flakegate(*arguments).out == ""
    both = "--deselect=tests/test_cart.py::test_a\n--deselect=tests/test_cart.py::test_b\n"
    assert flakegate(*arguments, "--state", "quarantined").out == both
    one = flakegate(*arguments, "--where", 'name == "test_b"')
    assert one.out == "--deselect=tests/test_cart.py::test_b\n"
