"""`flakegate issues unassign`: assigns issues to nobody."""

from __future__ import annotations

import click

from flakegate.cli import options, triage
from flakegate.cli.call import Where, begin
from flakegate.error_tracking.steps import assignee_step


@click.command("unassign")
@click.argument("issues", nargs=-1, required=True, metavar="ISSUE…")
@triage.reason
@options.api_url
@options.dry_run
@options.output_format
@options.verbose
def command(
    *,
    issues: tuple[str, ...],
    reason: str,
    api_url: str | None,
    dry_run: bool,
    output_format: str,
    verbose: bool,
) -> int:
    """Assign ISSUE… to nobody. An issue without an assignee is not touched."""
    call = begin(None, Where(api_url=api_url), verbose=verbose)
    return triage.triage(
        call,
        issues,
        lambda issue: assignee_step(issue, None),
        why=reason,
        dry_run=dry_run,
        output_format=output_format,
    )
