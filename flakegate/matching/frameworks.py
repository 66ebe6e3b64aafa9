"""Which framework wrote a report, and how its cases are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.matching import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from flakegate.junit import Case, Report
    from flakegate.matching.candidate import Checkout, Reading

READ: dict[str, Callable[[Case, Checkout], Reading]] = {
    "pytest": pytest.read,
}


def guess(report: Report) -> str | None:
    """The framework that wrote a report, as far as the report itself tells."""
    if report.writer == "pytest" or any(case.suite == "pytest" for case in report.cases[:1]):
        return "pytest"
    return None
