"""Small reports for the tests of commands; real ones are in tests/cases/reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SMALLEST = "version: 1\nrules: [{id: noisy, to: quarantined, when: failure_rate > 20%}]\n"


def junit(*cases: str, declared: int | None = None) -> str:
    """A report with these cases: "name" passes, "-name" fails, "~name" is skipped."""
    failing = sum(case.startswith("-") for case in cases)
    written = "\n".join(_case(case) for case in cases)
    count = failing if declared is None else declared
    return (
        f'<testsuites><testsuite name="unit" tests="{len(cases)}" failures="{count}">\n'
        f"{written}\n</testsuite></testsuites>"
    )


def _case(case: str) -> str:
    name = case.lstrip("-~")
    start = f'<testcase classname="tests.test_cart" name="{name}" file="tests/test_cart.py"'
    if case.startswith("-"):
        return f'{start}><failure message="expected 42, got 41">at line 7</failure></testcase>'
    return f"{start}><skipped/></testcase>" if case.startswith("~") else f"{start}/>"


def write(folder: Path, name: str, text: str) -> str:
    """Writes a file below the folder; gives its name."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return name
