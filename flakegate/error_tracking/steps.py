"""What is changed of an issue, one request each, and what need not be. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from flakegate.error_tracking.issue import Issue, IssueState


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of an issue.

    what: "state", or "assignee" (a user's id; None: nobody). before: as it was read.
    """

    issue_id: str
    what: Literal["state", "assignee"]
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.what == "state":
            return f"{self.before or 'unknown'} → {self.after}"
        return f"assigned to {self.after}" if self.after else "assigned to nobody"


def state_step(issue: Issue, state: IssueState) -> Step | None:
    """What gives it this state; None where it has it."""
    if issue.state == state.value:
        return None
    return Step(issue_id=issue.id, what="state", before=issue.state, after=state.value)


def assignee_step(issue: Issue, user_id: str | None) -> Step | None:
    """What assigns it to this user (None: to nobody); None where it is."""
    before = issue.assignee.id if issue.assignee else None
    if before == user_id:
        return None
    return Step(issue_id=issue.id, what="assignee", before=before, after=user_id)
