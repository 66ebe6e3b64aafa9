"""docs/reliability.md names every fault that must be survived, each with a test that is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/reliability.md").read_text()
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split(" | "))
    for line in PAGE.split("## Faults")[1].split("\n## ")[0].splitlines()
    if line.startswith("| ") and not line.startswith("| fault ")
]
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


@cache
def names_in(path: str) -> set[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_in_the_table(fault: str) -> None:
    assert fault in {row[0] for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_row_is_whole_and_names_a_test_that_is_there(row: tuple[str, ...]) -> None:
    _, _, does, code, test = row
    assert does
    assert re.fullmatch(r"\d+( or \d+)*", code)
    path, name = test.strip("`").split("::")
    assert name.startswith("test_")
    assert name in names_in(path)
