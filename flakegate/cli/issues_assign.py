"""`flakegate issues assign`: assigns issues to somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flakegate.cli import options, triage
from flakegate.cli.call import Where, begin
from flakegate.error_tracking.issue import uuid
from flakegate.error_tracking.steps import assignee_step
from flakegate.errors import UsageError
from flakegate.policy.literals import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flakegate.policy.rules import Owner


@click.command("assign")
@click.argument("issues", nargs=-1, required=True, metavar="ISSUE…")
@click.argument("user", metavar="USER")
@triage.reason
@options.policy
@options.api_url
@options.dry_run
@options.output_format
@options.verbose
def command(
    *,
    issues: tuple[str, ...],
    user: str,
    reason: str,
    policy_file: str | None,
    api_url: str | None,
    dry_run: bool,
    output_format: str,
    verbose: bool,
) -> int:
    """Assign ISSUE… to USER: the id of a user in Datadog, or a name of the policy's `owners`.

    An issue that is assigned to USER already is not touched.
    """
    call = begin(policy_file, Where(api_url=api_url), verbose=verbose)
    user_id = _user(user, call.policy.owners)
    return triage.triage(
        call,
        issues,
        lambda issue: assignee_step(issue, user_id),
        why=reason,
        dry_run=dry_run,
        output_format=output_format,
    )


def _user(text: str, owners: Sequence[Owner]) -> str:
    """The id of a user. Raises UsageError."""
    users = {owner.name.casefold(): owner.user for owner in owners}
    found = users.get(text.strip().casefold()) or uuid(text)
    if found is None:
        names = [owner.name for owner in owners]
        known = (
            f"`owners` of the policy names {', '.join(names)}"
            if names
            else ("names of people and teams go into `owners` of the policy")
        )
        raise UsageError(
            f"{text!r} is neither the id of a user nor a name of `owners`",
            tip=did_you_mean(text, names) or f"an id looks like {triage.EXAMPLE}; {known}",
        )
    return found
