"""Annotations: what the runner makes of them, and of hostile text in them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from flakegate.publish.annotations import MOST, commands
from tests.summaries import HOSTILE, QUIET, SUMMARIES, TOTAL, hostile, verdict

PROPERTY = r"(?:file|line|title)=[^:,\r\n]*"
COMMAND = re.compile(rf"::(error|notice) {PROPERTY}(?:,{PROPERTY})*::[^\r\n]*")


def unescaped(text: str) -> str:
    """As the runner does it."""
    for code, sign in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, sign)
    return text


def test_beside_its_line() -> None:
    error, *notices = commands(SUMMARIES["blocked"])
    assert error.startswith("::error file=tests/checkout/test_cart.py,line=41,title=blocks%3A ")
    assert "AssertionError" in unescaped(error)
    assert all(line.startswith("::notice ") and "excused" in line for line in notices)
    assert len(notices) == 2


def test_incomplete_evidence_is_an_error() -> None:
    found = commands(SUMMARIES["incomplete"])
    assert any(line.startswith("::error title=Incomplete evidence::") for line in found)


@pytest.mark.parametrize(("count", "shown"), [(MOST, MOST), (MOST + 1, MOST), (5_000, MOST)])
def test_no_more_than_github_keeps(count: int, shown: int) -> None:
    summary = replace(QUIET, verdict=verdict("block", *[TOTAL] * count))
    found = commands(summary)
    assert len(found) == shown
    assert (f"… and {count - MOST + 1} more" in found[-1]) is (count > MOST)


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("tests/a.py", "file=tests/a.py,"),
        ("tests\\a.py", "file=tests/a.py,"),
        ("/home/me/a.py", ""),
        ("C:\\a.py", ""),
        ("../a.py", ""),
        ("a/../../b.py", ""),
        ("x" * 5_000, ""),
        ("", ""),
    ],
)
def test_only_files_of_the_repository(file: str, place: str) -> None:
    failure = replace(TOTAL, case=replace(TOTAL.case, file=file, line=None))
    (line,) = commands(replace(QUIET, verdict=verdict("block", failure)))
    assert line.startswith(f"::error {place}title=")


def test_below_the_folder_that_the_runner_was_started_in() -> None:
    failure = replace(TOTAL, identity=replace(TOTAL.identity, module="packages/c"))
    (line,) = commands(replace(QUIET, verdict=verdict("block", failure)))
    assert "file=packages/c/tests/checkout/test_cart.py," in line


@pytest.mark.parametrize("name", HOSTILE)
def test_one_command_a_line_and_no_other(name: str) -> None:
    found = commands(hostile([HOSTILE[name]]))
    assert found
    for line in found:
        assert COMMAND.fullmatch(line), line
        assert len(line) < 20_000
        assert "##[" not in line
        shown = unescaped(line.split("::", 2)[2])
        assert not re.search(r"^\s*::", shown, re.MULTILINE)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)
