"""`flakegate schema`: the JSON Schema of the policy, for editors."""

from __future__ import annotations

import importlib.resources

import click

from flakegate.errors import ExitCode


@click.command("schema")
def command() -> int:
    """Print the JSON Schema (draft-07) of the policy.

    Save it beside the policy and name it in the first line, so that an editor completes keys and
    marks mistakes: `# yaml-language-server: $schema=.flakegate/schema.json`
    """
    file = importlib.resources.files("flakegate") / "policy" / "schema.json"
    click.echo(file.read_text("utf-8"), nl=False)
    return ExitCode.PASSED
