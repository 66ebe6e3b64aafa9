"""Which framework wrote a report, and how its cases are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flakegate.matching import go, java, javascript, pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flakegate.junit import Case, Report
    from flakegate.matching.candidate import Checkout, Reading

READ: dict[str, Callable[[Case, Checkout], Reading]] = {
    "pytest": pytest.read,
    "jest": javascript.jest,
    "mocha": javascript.mocha,
    "vitest": javascript.vitest,
    "java": java.read,
    "go": go.read,
}
_TITLES = {
    "pytest tests": "pytest",
    "jest tests": "jest",
    "Mocha Tests": "mocha",
    "vitest tests": "vitest",
}
_WRITERS = {"pytest": "pytest", "gradle": "java"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrote:
    """Which framework a report's cases are read as. framework: None if it cannot be told.

    guessed: from the report itself; else the policy says how they are read.
    """

    report: str
    framework: str | None
    guessed: bool


def framework_of(report: Report) -> Wrote:
    """What the policy says of a report, else what the report itself tells."""
    settings = report.settings
    if settings is not None and (settings.by_hand or settings.framework):
        return Wrote(report=report.path, framework=settings.framework, guessed=False)
    return Wrote(report=report.path, framework=guess(report), guessed=True)


def guess(report: Report) -> str | None:
    """The framework that wrote a report, as far as the report itself tells.

    What a reporter calls the whole of it counts first, then what all of its cases look like.
    """
    known = named(report.title, report.writer)
    if known or not report.cases:
        return known
    return next(
        (name for name, looks in _LOOKS.items() if all(map(looks, report.cases))),
        None,
    )


def named(title: str | None, writer: str | None) -> str | None:
    """The framework that a report itself names; None if only its cases can tell. See `Report`."""
    return _TITLES.get(title or "") or _WRITERS.get(writer or "")


def witnesses(cases: Sequence[Case]) -> Iterator[int]:
    """Where cases stand of which a guess says what it says of all: one against each framework."""
    for looks in _LOOKS.values():
        against = next((at for at, case in enumerate(cases) if not looks(case)), None)
        if against is None:
            return
        yield against


def _of_pytest(case: Case) -> bool:
    return case.suite == "pytest"


def _of_vitest(case: Case) -> bool:
    return case.suite == case.classname and case.file is None and javascript.is_path(case.suite)


def _of_mocha(case: Case) -> bool:
    return javascript.is_path(case.suite_file) or case.suite == "Root Suite"


def _of_jest(case: Case) -> bool:
    return javascript.is_path(case.classname) or case.classname == case.name


def _of_go(case: Case) -> bool:
    package = case.classname or ""
    named = package == case.suite and "/" in package and not case.file
    return named and go.FUNCTION.fullmatch(case.name or "") is not None


def _of_java(case: Case) -> bool:
    named = case.classname == case.suite and not case.file
    return named and java.CLASS.fullmatch(case.classname or "") is not None


_LOOKS: dict[str, Callable[[Case], bool]] = {
    "pytest": _of_pytest,
    "vitest": _of_vitest,
    "mocha": _of_mocha,
    "jest": _of_jest,
    "go": _of_go,
    "java": _of_java,
}
