"""`flakegate store import`: an empty store is filled from an export."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from flakegate.backends.store.address import sqlite_path, store_location
from flakegate.cli import options
from flakegate.cli.progress import progress
from flakegate.cli.say import warn
from flakegate.errors import ExitCode, UsageError
from flakegate.escape import json_text, terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

STDIN = "-"


@click.command("import")
@click.argument("file", metavar="FILE")
@options.store
@options.output_format
def command(*, file: str, store_url: str | None, output_format: str) -> int:
    """Fill an empty store, or a new one, with what `flakegate store export` wrote to FILE.

    `-` is standard input. All of it or nothing: an export that was cut short or altered is refused,
    and so is a store that holds something already. To merge histories, `collect` their shards.
    """
    from flakegate.backends.store.database import open_database
    from flakegate.backends.store.importing import import_export, need_empty
    from flakegate.backends.store.survey import survey

    url = store_location(store_url, os.environ)
    place = str(sqlite_path(url))
    with open_database(url, write=False).reading() as connection:
        need_empty(connection, place)
    name = "standard input" if file == STDIN else file
    with _opened(file) as opened, progress("importing rows") as tell:
        database = import_export(
            opened.read, name, lambda: open_database(url, write=True, warn=warn), tell
        )
    with database.reading() as connection:
        found = survey(connection)
    if output_format == "json":
        document = {"version": 1, "store": place, "file": name, **found.totals()}
        print(json_text(json.dumps(document, indent=2)))
    else:
        print(f"{terminal(place)}: imported {found.words()}")
    return ExitCode.PASSED


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == STDIN:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError(
                "the export is to come from standard input, which is a terminal or closed",
                tip="name a file: `flakegate store import FILE`",
            )
        yield sys.stdin.buffer
        return
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - a Path would change what messages name
            yield opened
    except OSError as error:
        raise UsageError(
            f"cannot read the export {file}: {error.strerror}",
            tip="`flakegate store export FILE` writes exports",
        ) from None
