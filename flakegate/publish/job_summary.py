"""The job summary of GitHub Actions: a file that the runner shows on the page of the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# docs.github.com, "Workflow commands": 1 MiB for a step, and beyond that all of it is lost.
STEP_SUMMARY_LIMIT = 1024 * 1024


def has_step_summary(env: Mapping[str, str]) -> bool:
    """Whether this job has a page to write to."""
    return bool(env.get("GITHUB_STEP_SUMMARY"))


def step_summary(markdown: str, env: Mapping[str, str]) -> str | None:
    """Adds to the job summary. What went wrong, in words; None if nothing did."""
    path = Path(env["GITHUB_STEP_SUMMARY"])
    added = f"\n{markdown.rstrip()}\n".encode()
    try:
        there = path.stat().st_size if path.exists() else 0
        if there + len(added) > STEP_SUMMARY_LIMIT:
            return (
                "the job summary was left as it is: with this one it would exceed the 1 MiB that"
                f" GitHub shows ({there:,} bytes are there)"
            )
        with path.open("ab") as file:
            file.write(added)
    except OSError as error:
        return f"the job summary could not be written to {path}: {error.strerror}"
    return None
