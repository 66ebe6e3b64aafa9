"""`flakegate store`: the commands that look after the store itself, a file each."""

from __future__ import annotations

import click

from flakegate.cli.commands import Commands

SUBCOMMANDS = {
    "info": "What is in the store, at a glance.",
    "vacuum": "Drop what is too old, and make the file as small as its content.",
    "export": "Write all that the store holds into one file.",
    "import": "Fill an empty store from such a file.",
}


@click.group(
    "store",
    cls=Commands,
    listed=SUBCOMMANDS,
    prefix="flakegate.cli.store_",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def command() -> None:
    """Look after the store: see what it holds, keep it small, take it elsewhere.

    These commands are about the whole file, whatever repositories are in it.
    """
