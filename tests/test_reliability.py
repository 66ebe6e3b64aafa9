"""docs/reliability.md names every fault that must be survived, each with a test that is there."""

from __future__ import annotations

import re

import pytest

from tests.pages import is_a_test, table

ROWS = table("reliability.md", "Faults")
FAULTS = (
    "429 with headers", "429 without headers", "429 storm", "500, 502, 503, 504",
    "connection refused", "reset before the answer", "reset in the middle of the answer",
    "reset after the answer", "slow drip", "read timeout", "truncated gzip",
    "HTML instead of JSON", "JSON of the wrong shape", "unknown enums", "nulls everywhere",
    "`envs` as text", "a repeated cursor", "an empty page in the middle", "a page that shrinks",
    "200 with `has_errors`", "ids missing from the results", "duplicate ids",
    "403 in the middle of an apply", "SIGTERM at any step", "SIGKILL at any step",
    "a full disk under the journal", "a clock that jumps back",
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_in_the_table(fault: str) -> None:
    assert fault in {row[0] for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_row_is_whole_and_names_a_test_that_is_there(row: tuple[str, ...]) -> None:
    _, _, does, code, test = row
    assert does
    assert re.fullmatch(r"\d+( or \d+)*", code)
    assert is_a_test(test)
