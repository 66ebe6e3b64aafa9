"""What a JUnit report says: values that every stage after the reading works on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flakegate.policy.rules import ReportSettings

MAX_MESSAGE = 2_000


class Outcome(str, Enum):
    """How a case ended. An error counts before a failure, a failure before a skip."""

    PASSED = "passed"
    FAILURE = "failure"
    ERROR = "error"
    SKIPPED = "skipped"

    def __str__(self) -> str:
        return self.value

    @property
    def failing(self) -> bool:
        """True for a failure and for an error."""
        return self is Outcome.FAILURE or self is Outcome.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One `<testcase>`. Names are verbatim; None means that the attribute is absent.

    suite: the name of the nearest enclosing suite. suite_file: the `file` attribute of the nearest
    enclosing suite that has one. line: as written. duration: seconds. message: of the deciding
    error, failure or skip: its message attribute and the head of its text, at most MAX_MESSAGE
    characters. earlier: the attempts before the last that rerun elements prove, oldest first.
    """

    suite: str | None
    classname: str | None
    name: str | None
    file: str | None
    suite_file: str | None
    line: int | None
    outcome: Outcome
    duration: float | None
    message: str | None
    earlier: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why the evidence is incomplete.

    report: its path as shown, None if the problem is not of one report. problem: a code:
    no-report, stale, empty, truncated, not-junit, suite-error, missing-failures, too-few-tests,
    killed, exit-code, no-failure. detail: words for people, with `file:line:column` where there is
    one.
    """

    report: str | None
    problem: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report, read to its end or to what is wrong with it.

    path: as shown to people. base_dir: where its runner was started, relative to the repository
    root ("" = root). attempts_of: the pattern whose files are declared attempts of one another,
    else None. cases: in document order; empty where the report is broken. writer: "pytest" or
    "gradle" where the document proves that it wrote all of it, else None. title: the name of its
    root element. settings: the policy's for its path, None if it has none. passed, skipped: how
    many more cases it has that are not in `cases`, because no verdict can depend on them.
    """

    path: str
    base_dir: str
    attempts_of: str | None
    cases: tuple[Case, ...]
    problems: tuple[Problem, ...]
    writer: str | None = None
    title: str | None = None
    settings: ReportSettings | None = None
    passed: int = 0
    skipped: int = 0
