"""`flakegate set`: many tests at once, or none."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from flakegate.cli.select import select_all
from flakegate.errors import UsageError
from tests.cli.reports import junit, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Caller

TESTS = [f"test_{letter}" for letter in "abcde"]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """What the process reads from its standard input."""
    data = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
    return data


def states(flakegate: Caller) -> dict[str, str]:
    tests = json.loads(flakegate("list", "--format", "json").out)["tests"]
    return {test["name"]: test["state"] for test in tests}


def test_names_from_standard_input(flakegate: Caller, folder: Path, stdin: io.BytesIO) -> None:
    flakegate("record", write(folder, "r.xml", junit(*TESTS)))
    stdin.write(b"tests.test_cart.test_a\r\n\n  test_b  \ntest_b\ntests.test_cart.test_c")
    stdin.seek(0)
    done = flakegate("set", "-", "test_d", "disabled", "--reason", "rewrite")
    assert done.code == 0, done.err
    assert states(flakegate) == dict.fromkeys(TESTS[:4], "disabled")


def test_nothing_changes_if_one_name_is_wrong(
    flakegate: Caller, folder: Path, stdin: io.BytesIO
) -> None:
    flakegate("record", write(folder, "r.xml", junit(*TESTS)))
    stdin.write(b"test_b\ntest_x\n\xff\n")
    stdin.seek(0)
    done = flakegate("set", "test_a", "-", "test_", "disabled", "--reason", "rewrite")
    assert done.code == 2
    for says in ("no test is called 'test_x'", "5 tests match 'test_'", "'\ufffd'"):
        assert says in done.err
    assert states(flakegate) == {}


def test_standard_input_without_a_name(flakegate: Caller, stdin: io.BytesIO) -> None:
    assert stdin.tell() == 0
    done = flakegate("set", "-", "disabled", "--reason", "rewrite")
    assert done.code == 2
    assert "standard input names no test" in done.err


def test_what_needs_no_change_is_said(flakegate: Caller, folder: Path) -> None:
    flakegate("record", write(folder, "r.xml", junit(*TESTS)))
    flakegate("set", "test_a", "disabled", "--reason", "x")
    done = flakegate("set", "test_a", "test_b", "disabled", "--reason", "x", "--format", "json")
    assert [each["fqn"] for each in json.loads(done.out)["applied"]["done"]] == [
        "tests.test_cart.test_b"
    ]
    assert "test_a is disabled already" in done.err


def test_select_all_names_each_once_and_tells_of_every_wrong_one() -> None:
    names = {"1": "a.b", "2": "a.bc", "3": "A.D"}
    assert select_all(["a.b", "1", "d", "bc"], names) == ("1", "3", "2")
    assert select_all(["b"], names) == ("1",), "a whole name, not the beginning of one"
    with pytest.raises(UsageError) as error:
        select_all(["a", *(f"x{n}" for n in range(20)), "a.b"], names)
    assert error.value.message.startswith("3 tests match 'a'\n  1  a.b\n")
    assert "no test is called 'x8'" in error.value.message
    assert error.value.message.endswith("and 11 more names are not those of one test")
