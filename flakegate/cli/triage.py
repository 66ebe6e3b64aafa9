"""Changes of issues by a person: what `set-state`, `assign` and `unassign` have in common."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import click

from flakegate.cli.acting import person
from flakegate.cli.call import need_trust
from flakegate.cli.say import complain
from flakegate.cli.tracking import opened_tracking
from flakegate.error_tracking.issue import uuid
from flakegate.error_tracking.making import make
from flakegate.errors import BackendError, ExitCode, NothingChangedError, UsageError
from flakegate.escape import terminal
from flakegate.journal import Cause
from flakegate.publish import console

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flakegate.cli.call import Call
    from flakegate.error_tracking.client import ErrorTracking
    from flakegate.error_tracking.issue import Issue
    from flakegate.error_tracking.steps import Step
    from flakegate.journal import Journal

EXAMPLE = "87cb11a0-278c-440a-99fe-701223c80296"
# Answers about one issue: the others can still be changed.
_ABOUT_ONE = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)

reason = click.option("--reason", default="", help="Why; it goes into the journal.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of one issue.

    outcome: "done", "already" (it was so), "planned" (--dry-run), "failed", "unknown" (perhaps
    made) or "not-sent". issue: as far as it was read.
    """

    issue_id: str
    outcome: str
    issue: Issue | None = None
    step: Step | None = None
    error: BackendError | None = None

    @property
    def stops(self) -> bool:
        """Whether its trouble would be that of every other issue, too."""
        return self.error is not None and self.error.status not in _ABOUT_ONE


def issue_id(text: str) -> str:
    """The id of an issue. Raises UsageError."""
    found = uuid(text)
    if found is None:
        raise UsageError(
            f"{text!r} is not the id of an issue",
            tip=f"an id looks like {EXAMPLE}; `flakegate issues search` lists them",
        )
    return found


def triage(
    call: Call,
    issues: Sequence[str],
    step_of: Callable[[Issue], Step | None],
    *,
    why: str,
    dry_run: bool,
    output_format: str,
) -> int:
    """Reads each issue, and changes what is not so yet; tells, and returns the exit code.

    step_of: the change that an issue needs. The trouble of a single issue is raised.
    """
    ids = tuple(dict.fromkeys(map(issue_id, issues)))
    context = call.context()
    if not dry_run:
        need_trust(context, "issues")
    cause = Cause(rule=None, reason=why.strip(), actor=person(call.env))
    with opened_tracking(call) as tracking:
        journal = None if dry_run else call.journal(tracking, context)
        told: list[Told] = []
        for each in ids:
            if any(one.stops for one in told):
                told.append(Told(issue_id=each, outcome="not-sent"))
            else:
                told.append(_change(each, step_of, tracking, journal, cause))
    if len(told) == 1 and told[0].error:
        raise told[0].error
    code = _code(told)
    if output_format == "json":
        changes = [_row(one) for one in told]
        document = {"version": 1, "exit_code": int(code), "changes": changes}
        console.document(json.dumps(document, indent=2), stream=sys.stdout)
    else:
        _say(told)
    for one in told:
        if one.error:
            complain(f"{one.issue_id}: {one.error.message}", tip=one.error.tip)
    return code


def _change(
    issue_id: str,
    step_of: Callable[[Issue], Step | None],
    tracking: ErrorTracking,
    journal: Journal | None,
    cause: Cause,
) -> Told:
    issue, step = None, None
    try:
        issue = tracking.get(issue_id)
        step = step_of(issue)
        if step is None:
            return Told(issue_id=issue_id, outcome="already", issue=issue)
        if journal is None:
            return Told(issue_id=issue_id, outcome="planned", issue=issue, step=step)
        changed = make(step, tracking, journal, cause) or issue
    except BackendError as error:
        sure = step is None or isinstance(error, NothingChangedError)
        outcome = "failed" if sure else "unknown"
        return Told(issue_id=issue_id, outcome=outcome, issue=issue, step=step, error=error)
    return Told(issue_id=issue_id, outcome="done", issue=changed, step=step)


def _code(told: Sequence[Told]) -> ExitCode:
    """0: all is as wanted. 5: some is, or perhaps. 4: nothing is."""
    words = {each.outcome for each in told}
    if not words & {"failed", "unknown", "not-sent"}:
        return ExitCode.PASSED
    return ExitCode.PARTIAL if words & {"done", "unknown"} else ExitCode.BACKEND


def _row(told: Told) -> dict[str, Any]:
    return {
        "issue": told.issue_id,
        "outcome": told.outcome,
        "what": told.step.what if told.step else None,
        "before": told.step.before if told.step else None,
        "after": told.step.after if told.step else None,
        "error": told.error.message if told.error else None,
    }


def _say(told: Sequence[Told]) -> None:
    for each in told:
        title = f"  {each.issue.title}" if each.issue and each.issue.title != each.issue_id else ""
        change = {
            "already": "is so already, nothing is changed",
            "not-sent": "not sent",
        }.get(each.outcome, f"{_change_of(each)} {_HOW.get(each.outcome, '')}".strip())
        print(terminal(f"{each.issue_id}  {change}{title}"))


def _change_of(told: Told) -> str:
    """In words; who an issue is assigned to by now, by their name."""
    step, assignee = told.step, told.issue.assignee if told.issue else None
    if step and step.what == "assignee" and assignee and assignee.id == step.after:
        return f"assigned to {assignee}"
    return str(step or "")


_HOW = {"planned": "(--dry-run)", "failed": "(failed)", "unknown": "(perhaps made)"}
