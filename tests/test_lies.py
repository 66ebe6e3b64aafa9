"""docs/gate.md tells what becomes of every lie of a job, each with a test that is there."""

from __future__ import annotations

import pytest

from flakegate.policy.settings import EXCUSING
from flakegate.wording import _ABOUT_EVIDENCE, _ABOUT_FAILURES
from tests.cli.lies import LIES
from tests.pages import is_a_test, table

ROWS = table("gate.md", "Every way a job can lie")
CODES = {*_ABOUT_EVIDENCE, *_ABOUT_FAILURES, "not-flaky", "active", "ambiguous"}.difference(
    EXCUSING
)
TEST = "`tests/cli/test_lies.py::test_a_lie_does_not_pass`"


def test_there_are_many_and_each_stands_once() -> None:
    lies = [row[0] for row in ROWS]
    assert len(lies) >= 35
    assert len(set(lies)) == len(lies)


def test_every_code_of_what_is_no_pass_is_an_answer() -> None:
    assert {row[2].strip("`") for row in ROWS} == CODES | {"refused"}


def test_the_table_says_what_the_tests_show() -> None:
    told = {row[0]: (row[2], row[3]) for row in ROWS if row[4] == TEST}
    assert told == {name: (f"`{lie.says}`", str(lie.code)) for name, lie in LIES.items()}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_row_is_whole_and_names_a_test_that_is_there(row: tuple[str, ...]) -> None:
    lie, there, answer, code, test = row
    assert lie
    assert there
    assert int(code) != 0
    assert (answer == "refused") == (code == "2" and test != TEST)
    assert is_a_test(test)
