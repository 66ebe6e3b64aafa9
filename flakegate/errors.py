"""Exit codes and error types: what a caller of flakegate can be told.

A blocked gate is a verdict, not an error; its codes stand here only because the table is one.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flakegate.model import UpdateResult


class ExitCode(IntEnum):
    """Every exit code of every command. The README holds the same table, and a test compares."""

    PASSED = 0
    BLOCKED = 1
    USAGE = 2
    INCOMPLETE = 3
    BACKEND = 4
    PARTIAL = 5
    LIMIT = 6
    STALE_PLAN = 7
    PENDING = 10
    BUG = 70
    INTERRUPTED = 130


MEANING: dict[ExitCode, str] = {
    ExitCode.PASSED: "passed, planned or applied",
    ExitCode.BLOCKED: "the gate blocks: a failure is not excused",
    ExitCode.USAGE: "wrong usage, or an invalid policy",
    ExitCode.INCOMPLETE: (
        "the evidence is incomplete: no report, truncated or not JUnit, killed run, "
        "declared failures that are not there"
    ),
    ExitCode.BACKEND: (
        "backend unreachable, refusing (credentials, permission, rate limit spent), "
        "or answering nonsense"
    ),
    ExitCode.PARTIAL: "partially applied: the journal and the output say which",
    ExitCode.LIMIT: "stopped by a limit of the policy; nothing was applied",
    ExitCode.STALE_PLAN: "the saved plan is stale; nothing was applied",
    ExitCode.PENDING: (
        "`--detailed-exitcode`: changes are pending (`plan`), or something was found (`drift`)"
    ),
    ExitCode.BUG: "a bug of flakegate (traceback in a log file, one line on screen)",
    ExitCode.INTERRUPTED: "interrupted",
}


class FlakegateError(Exception):
    """Something the user can act on: what, where, and what to do next.

    Attributes:
        message: what is wrong and where, in one or a few lines, without a final period.
        tip: what to do next, or None where the message already says it.
    """

    exit_code: ExitCode

    def __init__(self, message: str, *, tip: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.tip = tip


class UsageError(FlakegateError):
    """Wrong usage of the command line, or of the environment variables beside it."""

    exit_code = ExitCode.USAGE


class PolicyError(FlakegateError):
    """The policy file is invalid; the message holds every problem, one `file:line:column` each."""

    exit_code = ExitCode.USAGE


class EvidenceError(FlakegateError):
    """Reports that cannot be used by a command that gives no verdict (`record`)."""

    exit_code = ExitCode.INCOMPLETE


class BackendError(FlakegateError):
    """The backend (Datadog or the store) is unreachable, refuses, or answers nonsense.

    Attributes:
        status: of the HTTP answer that refused the request; None where there was none.
    """

    exit_code = ExitCode.BACKEND

    def __init__(self, message: str, *, tip: str | None = None, status: int | None = None) -> None:
        super().__init__(message, tip=tip)
        self.status = status


class NothingChangedError(BackendError):
    """The backend refused a request as a whole, or was never reached: nothing was changed by it."""


class BatchRefusedError(NothingChangedError):
    """The backend refused a batch for its size, or for one of the changes in it."""


class HalfDoneError(BackendError):
    """Trouble in the middle of a batch.

    Attributes:
        results: what is known of some of its changes; what came of the others is not known.
    """

    def __init__(
        self, message: str, *, tip: str | None = None, results: Sequence[UpdateResult]
    ) -> None:
        super().__init__(message, tip=tip)
        self.results = results


class StoppedError(FlakegateError):
    """A signal (Ctrl-C, SIGTERM) asked for an end before all was done."""

    exit_code = ExitCode.INTERRUPTED


class StalePlanError(FlakegateError):
    """A saved plan was made from another policy or repository, or too long ago."""

    exit_code = ExitCode.STALE_PLAN
