"""`flakegate issues set-state`: gives issues a state."""

from __future__ import annotations

import click

from flakegate.cli import options, triage
from flakegate.cli.call import Where, begin
from flakegate.error_tracking.issue import IssueState
from flakegate.error_tracking.steps import state_step
from flakegate.errors import UsageError
from flakegate.policy.literals import did_you_mean


@click.command("set-state")
@click.argument("issues", nargs=-1, required=True, metavar="ISSUE…")
@click.argument("state", metavar="STATE")
@triage.reason
@options.api_url
@options.dry_run
@options.output_format
@options.verbose
def command(
    *,
    issues: tuple[str, ...],
    state: str,
    reason: str,
    api_url: str | None,
    dry_run: bool,
    output_format: str,
    verbose: bool,
) -> int:
    """Give ISSUE… the STATE: OPEN, ACKNOWLEDGED, RESOLVED, IGNORED or EXCLUDED.

    ISSUE is an id, as `search` lists it. One that has the state already is not touched.
    """
    wanted = _state(state)
    call = begin(None, Where(api_url=api_url), verbose=verbose)
    return triage.triage(
        call,
        issues,
        lambda issue: state_step(issue, wanted),
        why=reason,
        dry_run=dry_run,
        output_format=output_format,
    )


def _state(text: str) -> IssueState:
    """Raises UsageError."""
    try:
        return IssueState(text.strip().upper())
    except ValueError:
        words = [state.value for state in IssueState]
        near = did_you_mean(text, words)
        raise UsageError(
            f"{text!r} is not a state of an issue", tip=near or f"states are {', '.join(words)}"
        ) from None
