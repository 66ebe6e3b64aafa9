"""Makes one change of an issue: the intent on disk, the request, the result on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.error_tracking.issue import IssueState
from flakegate.errors import BackendError, NothingChangedError
from flakegate.model import UpdateResult

if TYPE_CHECKING:
    from flakegate.error_tracking.client import ErrorTracking
    from flakegate.error_tracking.issue import Issue
    from flakegate.error_tracking.steps import Step
    from flakegate.journal import Cause, Journal


def make(step: Step, tracking: ErrorTracking, journal: Journal, cause: Cause) -> Issue | None:
    """Makes it; gives the issue as it is then, as far as the answer tells. Raises BackendError."""
    batch = journal.issue_intent(step, cause)
    try:
        issue = _send(step, tracking)
    except BackendError as error:
        ok = False if isinstance(error, NothingChangedError) else None
        failed = UpdateResult(test_id=step.issue_id, ok=ok, error=error.message)
        journal.result(batch, [failed])
        raise
    journal.result(batch, [UpdateResult(test_id=step.issue_id, ok=True)])
    return issue


def _send(step: Step, tracking: ErrorTracking) -> Issue | None:
    if step.what == "state":
        state = IssueState(step.after)
        issue = tracking.set_state(step.issue_id, state)
        # An answer need not repeat it; one that says another has not done it.
        if issue.state not in ("", state.value):
            raise NothingChangedError(
                f"issue {step.issue_id}: Datadog took {state} and answers that it is {issue.state}",
                tip="read it again with `flakegate issues show`",
            )
        return issue
    if step.after is None:
        tracking.unassign(step.issue_id)
        return None
    return tracking.assign(step.issue_id, step.after)
