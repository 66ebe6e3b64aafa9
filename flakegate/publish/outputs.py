"""What later steps of GitHub Actions, and later jobs of GitLab CI, read of a call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flakegate.summary import Summary

LONGEST = 256 * 1024  # characters of one output; all outputs of a job have 1 MiB

LONGEST_VARIABLE = 500  # characters: a dotenv report may have 5 KiB


def outputs(summary: Summary, plan: str, summary_file: str | None) -> dict[str, str]:
    """The outputs by name. plan: as one line of JSON; left out where it is too long."""
    applied = summary.applied is not None
    return {
        "verdict": summary.verdict.verdict if summary.verdict else "",
        "exit-code": str(int(summary.exit_code)),
        "blocked": str(len(summary.blocked)),
        "excused": str(len(summary.excused)),
        "changed": str(len(summary.changes) if applied else 0),
        "plan": plan if len(plan) <= LONGEST else "",
        "summary-file": summary_file or "",
    }


def write(given: Mapping[str, str], path: str, token: Callable[[], str]) -> str | None:
    """Adds outputs to the file of the step. What went wrong, in words; None if nothing did.

    token: random text; what is drawn until no value holds it ends a value, so that none ends early.
    """
    mark = token()
    while any(mark in value for value in given.values()):
        mark = token()
    text = "".join(f"{name}<<{mark}\n{value}\n{mark}\n" for name, value in given.items())
    try:
        with Path(path).open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        return f"the step's outputs could not be written to {path}: {error.strerror}"
    return None


def write_dotenv(given: Mapping[str, str], path: str) -> str | None:
    """Writes a dotenv report of GitLab: FLAKEGATE_VERDICT and so on. What went wrong, in words.

    What GitLab would not take is left out (a value is one line, and all of a report 5 KiB), and so
    is the exit code, which the job adds at its end.
    """
    lines = [
        f"FLAKEGATE_{name.upper().replace('-', '_')}={value}\n"
        for name, value in given.items()
        if name not in {"plan", "exit-code"}
        and value.isprintable()
        and len(value) <= LONGEST_VARIABLE
    ]
    try:
        Path(path).write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        return f"the dotenv report could not be written to {path}: {error.strerror}"
    return None
