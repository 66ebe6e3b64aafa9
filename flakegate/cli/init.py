"""`flakegate init`: a policy file to start from."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import click

from flakegate.cli.call import POLICY_FILES
from flakegate.errors import ExitCode, UsageError


@click.command("init", short_help="Write a policy file to start from.")
def command() -> int:
    """Write a commented flakegate.yml into this folder. Overwrites nothing."""
    for name in POLICY_FILES:
        if Path(name).exists():
            raise UsageError(f"{name} is there already", tip=f"`flakegate check {name}` reads it")
    path = Path(POLICY_FILES[0])
    text = (importlib.resources.files("flakegate") / "templates" / "flakegate.yml").read_text(
        "utf-8"
    )
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    click.echo(f"wrote {path}: read it, then `flakegate check` and `flakegate plan`")
    return ExitCode.PASSED
