"""`flakegate issues show`: one issue."""

from __future__ import annotations

import json
import sys

import click

from flakegate.cli import options
from flakegate.cli.call import Where, begin
from flakegate.cli.tracking import issue_document, opened_tracking, show_issue
from flakegate.cli.triage import issue_id
from flakegate.error_tracking.page import page
from flakegate.errors import ExitCode
from flakegate.publish import console


@click.command("show")
@click.argument("issue", metavar="ISSUE")
@options.api_url
@options.output_format
@options.verbose
def command(*, issue: str, api_url: str | None, output_format: str, verbose: bool) -> int:
    """Show ISSUE (its id, as `search` lists it) with its assignee, teams, case and Jira issue."""
    wanted = issue_id(issue)
    call = begin(None, Where(api_url=api_url), verbose=verbose)
    with opened_tracking(call) as tracking:
        found = tracking.get(wanted)
        if output_format == "json":
            document = {
                "version": 1,
                "issue": issue_document(found, page(tracking.place, found.id)),
            }
            console.document(json.dumps(document, indent=2), stream=sys.stdout)
        else:
            show_issue(found, tracking.place, call.now)
    return ExitCode.PASSED
