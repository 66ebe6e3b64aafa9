"""Reads tables of the documents, and finds the tests that they name."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent


def table(page: str, section: str) -> list[tuple[str, ...]]:
    """The cells of each row of the table in a section of docs/PAGE, without its head."""
    text = (ROOT / "docs" / page).read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines[1:]]


def is_a_test(named: str) -> bool:
    """Whether `path::name`, in backticks, is a test that is there."""
    path, _, name = named.strip("`").partition("::")
    return name.startswith("test_") and name in _functions(path)


@cache
def _functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
