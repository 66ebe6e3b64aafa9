"""`flakegate issues assign`: assigns issues to somebody."""

from __future__ import annotations

import click

from flakegate.cli import options, triage
from flakegate.cli.call import Where, begin
from flakegate.error_tracking.issue import uuid
from flakegate.error_tracking.steps import assignee_step
from flakegate.errors import UsageError


@click.command("assign")
@click.argument("issues", nargs=-1, required=True, metavar="ISSUE…")
@click.argument("user", metavar="USER")
@triage.reason
@options.api_url
@options.dry_run
@options.output_format
@options.verbose
def command(
    *,
    issues: tuple[str, ...],
    user: str,
    reason: str,
    api_url: str | None,
    dry_run: bool,
    output_format: str,
    verbose: bool,
) -> int:
    """Assign ISSUE… to USER, a user's id in Datadog.

    An issue that is assigned to USER already is not touched.
    """
    user_id = _user(user)
    call = begin(None, Where(api_url=api_url), verbose=verbose)
    return triage.triage(
        call,
        issues,
        lambda issue: assignee_step(issue, user_id),
        why=reason,
        dry_run=dry_run,
        output_format=output_format,
    )


def _user(text: str) -> str:
    """The id of a user. Raises UsageError."""
    found = uuid(text)
    if found is None:
        raise UsageError(
            f"{text!r} is not the id of a user",
            tip=f"an id looks like {triage.EXAMPLE}; the address of a user's page has it",
        )
    return found
