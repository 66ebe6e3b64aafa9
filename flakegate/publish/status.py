"""What a commit is told: whether it may be merged, in a form that branch protection can require."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flakegate.summary import answer

if TYPE_CHECKING:
    from flakegate.summary import Summary

NAME = "flakegate"
ELSEWHERE = "Another job of this run does not pass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The status of one commit.

    title: one line. text: Markdown, all of it. url: of the run. run, attempt: of the CI.
    """

    name: str
    commit: str
    passed: bool
    title: str
    text: str
    url: str | None
    run: str
    attempt: str

    @property
    def turn(self) -> str:
        """One attempt of one run, with all its jobs."""
        return f"{self.run}/{self.attempt}"


def status_of(summary: Summary, key: str | None, text: str) -> Status | None:
    """The status that a verdict gives to the commit it is about; None where either is unknown."""
    context = summary.context
    if summary.verdict is None or context.status_commit is None:
        return None
    return Status(
        name=f"{NAME}: {key}" if key else NAME,
        commit=context.status_commit,
        passed=summary.exit_code == 0,
        title=answer(summary).title,
        text=text,
        url=context.run_url,
        run=context.run_id,
        attempt=context.attempt,
    )
