"""`flakegate issues`: the issues of Datadog's Error Tracking, a command in a file each."""

from __future__ import annotations

import click

from flakegate.cli.commands import Commands

SUBCOMMANDS = {
    "search": "The issues of some time, as a table or JSON.",
    "show": "One issue, with its assignee, teams, case and Jira issue.",
    "set-state": "Give issues a state.",
    "assign": "Assign issues to somebody.",
    "unassign": "Assign issues to nobody.",
}


@click.group(
    "issues",
    cls=Commands,
    listed=SUBCOMMANDS,
    prefix="flakegate.cli.issues_",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def command() -> None:
    """Work with the issues of Datadog's Error Tracking: find, read, triage and assign them.

    They are those of the organisation whose keys are set, whatever the repository.
    """
