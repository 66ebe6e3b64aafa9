"""`flakegate keys`: who may use the server."""

from __future__ import annotations

import json
import os
import time

import click

from flakegate.backends.store.address import store_location
from flakegate.ci.clock import clock
from flakegate.errors import ExitCode, UsageError
from flakegate.escape import json_text, terminal
from flakegate.server import keyring, options
from flakegate.times import iso

_LONGEST = 64  # characters of a name

output_format = click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json: one document on standard output, nothing else.",
)
name = click.argument("name")


@click.group("keys", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """The keys with which clients use `flakegate serve`.

    They are kept beside the store, in a file of its name and `.keys`, as hashes.
    """


@command.command("add")
@name
@click.option("--write", is_flag=True, help="They may change states, and not only read.")
@options.store
@output_format
def add(*, name: str, write: bool, store_url: str | None, output_format: str) -> int:
    """Make a pair of keys. They are shown this once, and never again.

    NAME says whose they are; changes of states are recorded as made by it.
    """
    name = name.strip()
    if not name or len(name) > _LONGEST or not name.isprintable():
        raise UsageError(
            f"a name has 1 to {_LONGEST} characters, all of them printable",
            tip="name who will use the keys: flakegate keys add ci",
        )
    path = keyring.keys_path(store_location(store_url, os.environ))
    fixed = clock(os.environ)
    pair = keyring.add(path, name, write=write, now=time.time() if fixed is None else fixed)
    if output_format == "json":
        click.echo(json_text(json.dumps({"api_key": pair.api, "app_key": pair.app})))
        return ExitCode.PASSED
    may = "read and write" if write else "read"
    click.echo(f"the keys of {terminal(name)}, which may {may}; they are not shown again:")
    click.echo(f"DD_API_KEY={pair.api}")
    click.echo(f"DD_APP_KEY={pair.app}")
    return ExitCode.PASSED


@command.command("list")
@options.store
@output_format
def show(*, store_url: str | None, output_format: str) -> int:
    """Whose keys there are, and what they may do."""
    path = keyring.keys_path(store_location(store_url, os.environ))
    entries = keyring.read(path) or ()
    if output_format == "json":
        keys = [
            {"name": each.name, "write": each.write, "created": iso(int(each.created))}
            for each in entries
        ]
        click.echo(json_text(json.dumps({"version": 1, "keys": keys}, indent=2)))
        return ExitCode.PASSED
    if not entries:
        click.echo(f"no keys in {terminal(str(path))}; `flakegate keys add NAME` makes some")
    for each in entries:
        may = "read, write" if each.write else "read"
        click.echo(f"{terminal(each.name)}  {may}  since {iso(int(each.created))}")
    return ExitCode.PASSED


@command.command("revoke")
@name
@options.store
def revoke(*, name: str, store_url: str | None) -> int:
    """Take a pair of keys away, from the next request on."""
    keyring.revoke(keyring.keys_path(store_location(store_url, os.environ)), name.strip())
    click.echo(f"the keys of {terminal(name)} are revoked")
    return ExitCode.PASSED
