"""The outputs of a step, as the runner reads them back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from flakegate.publish.outputs import LONGEST, LONGEST_VARIABLE, outputs, write, write_dotenv
from tests.summaries import SUMMARIES

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def read(text: str) -> dict[str, str]:
    """What the runner makes of such a file."""
    found, lines = {}, iter(text.split("\n"))
    for line in lines:
        if line:
            name, _, mark = line.partition("<<")
            value = []
            while (part := next(lines)) != mark:
                value.append(part)
            found[name] = "\n".join(value)
    return found


def test_counts() -> None:
    found = outputs(SUMMARIES["blocked"], '{"a": 1}', "summary.md")
    assert list(found) == [
        "verdict", "exit-code", "blocked", "excused", "changed", "plan", "summary-file",
    ]  # fmt: skip
    assert (found["verdict"], found["exit-code"]) == ("block", "1")
    assert (found["blocked"], found["excused"], found["changed"]) == ("1", "2", "0")
    assert outputs(SUMMARIES["applied"], "", None)["changed"] == "3"
    without = outputs(replace(SUMMARIES["blocked"], verdict=None), "x" * (LONGEST + 1), None)
    assert (without["verdict"], without["plan"], without["summary-file"]) == ("", "", "")


@given(st.dictionaries(st.sampled_from(["plan", "verdict"]), st.text(alphabet="ab<\n")))
def test_no_value_ends_early(
    tmp_path_factory: pytest.TempPathFactory, given: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("outputs") / "output"
    marks = iter(["a", "b", "ab", "ba", "<<", "mark"])
    assert write(given, str(path), lambda: next(marks)) is None
    assert read(path.read_text()) == given


def test_a_file_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    assert "could not be written" in (write({"a": "b"}, str(tmp_path), lambda: "m") or "")


def test_a_dotenv_report_has_what_fits_into_a_line(tmp_path: Path) -> None:
    path = tmp_path / "job.env"
    given = outputs(SUMMARIES["blocked"], "{}", "a\nFLAKEGATE_VERDICT=pass")
    assert write_dotenv({**given, "long": "x" * (LONGEST_VARIABLE + 1)}, str(path)) is None
    assert path.read_text().splitlines() == [
        "FLAKEGATE_VERDICT=block",
        "FLAKEGATE_BLOCKED=1",
        "FLAKEGATE_EXCUSED=2",
        "FLAKEGATE_CHANGED=0",
    ]
    assert "could not be written" in (write_dotenv(given, str(tmp_path / "none/job.env")) or "")
