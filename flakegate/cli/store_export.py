"""`flakegate store export`: all that the store holds, in one file."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flakegate.backends.store.address import sqlite_path, store_location
from flakegate.cli import options
from flakegate.cli.files import write_whole
from flakegate.cli.progress import progress
from flakegate.cli.say import note
from flakegate.errors import ExitCode, UsageError
from flakegate.escape import json_text, terminal
from flakegate.wording import size

if TYPE_CHECKING:
    from flakegate.backends.store.survey import Survey

STDOUT = "-"


@click.command("export")
@click.argument("file", metavar="[FILE]", default=STDOUT)
@options.store
@options.output_format
def command(*, file: str, store_url: str | None, output_format: str) -> int:
    """Write all that the store holds, of every repository, to FILE or standard output.

    It is gzip around lines of JSON: for another machine, for a backup, for tools of your own. The
    same store gives the same bytes. `flakegate store import` fills an empty store from it.
    """
    from flakegate.backends.store.database import open_database
    from flakegate.backends.store.exporting import export
    from flakegate.backends.store.survey import survey

    url = store_location(store_url, os.environ)
    store = sqlite_path(url)
    if file == STDOUT:
        _need_pipe(output_format)
    else:
        _need_another(Path(file), store)
    database = open_database(url, write=False)
    if not store.exists():
        note(f"there is no store at {store}: the export is one of nothing")
    with progress("exporting rows") as tell, database.reading() as connection:
        found = survey(connection)
        pieces = export(connection, tell)
        if file == STDOUT:
            sys.stdout.buffer.writelines(pieces)
            sys.stdout.buffer.flush()
        else:
            write_whole(Path(file), pieces, "the export")
    if file != STDOUT:
        _say(Path(file), found, output_format)
    return ExitCode.PASSED


def _need_pipe(output_format: str) -> None:
    if output_format == "json":
        raise UsageError(
            "the export itself goes to standard output, so there is no room for a document",
            tip="name a FILE for the export, or leave out --format",
        )
    if sys.stdout.isatty():
        raise UsageError(
            "an export is binary, and standard output is a terminal",
            tip="name a file: `flakegate store export history.jsonl.gz`",
        )


def _need_another(file: Path, store: Path) -> None:
    if os.path.realpath(file) == os.path.realpath(store):
        raise UsageError(
            f"{file} is the store itself, which the export would overwrite",
            tip="name another file: `flakegate store export history.jsonl.gz`",
        )


def _say(file: Path, found: Survey, output_format: str) -> None:
    written = file.stat().st_size if file.is_file() else None
    if output_format == "json":
        document = {"version": 1, "file": str(file), "bytes": written, **found.totals()}
        print(json_text(json.dumps(document, indent=2)))
        return
    much = "" if written is None else f" ({size(written)})"
    print(f"{terminal(str(file))}{much}: exported {found.words()}")
