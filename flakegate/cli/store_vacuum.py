"""`flakegate store vacuum`: what is too old leaves now, and the file becomes smaller."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from flakegate.backends.store.address import sqlite_path, store_location
from flakegate.cli import options
from flakegate.cli.call import Where, begin
from flakegate.cli.say import warn
from flakegate.errors import ExitCode
from flakegate.escape import json_text, terminal
from flakegate.wording import DAY, count, size

if TYPE_CHECKING:
    from flakegate.backends.store.vacuum import Counts


@click.command("vacuum")
@options.policy
@options.store
@click.option("--dry-run", is_flag=True, help="Only say what would be dropped.")
@options.output_format
def command(
    *, policy_file: str | None, store_url: str | None, dry_run: bool, output_format: str
) -> int:
    """Drop the runs that are older than store.keep, and make the file as small as its content.

    `record` and `collect` drop them by themselves, at most once a day, but leave the file as large
    as it was. No test loses its state, and the log of states stays.
    """
    from flakegate.backends.store.database import open_database
    from flakegate.backends.store.vacuum import rehearse, vacuum

    call = begin(policy_file, Where(store_url=store_url))
    url = store_location(store_url, call.env)
    path = sqlite_path(url)
    before = after = path.stat().st_size if path.exists() else 0
    if dry_run or not before:
        database = open_database(url, write=False)
        dropped = rehearse(database, now=call.now, keep=call.policy.keep)
    else:
        database = open_database(url, write=True, warn=warn)
        dropped = vacuum(database, now=call.now, keep=call.policy.keep)
        after = path.stat().st_size
    if output_format == "json":
        document = {
            "version": 1,
            "store": str(path),
            "result": "dry-run" if dry_run else "vacuumed",
            "keep": call.policy.keep,
            "dropped": {
                "runs": dropped.runs,
                "failures": dropped.failures,
                "tests": dropped.tests,
            },
            "bytes_before": before,
            "bytes_after": None if dry_run else after,
        }
        print(json_text(json.dumps(document, indent=2)))
        return ExitCode.PASSED
    place = terminal(str(path))
    if not before:
        print(f"{place}: there is no store, so nothing to drop")
        return ExitCode.PASSED
    what = _words(dropped, call.policy.keep)
    if dry_run:
        print(f"{place}: would drop {what} (--dry-run)")
    else:
        print(f"{place}: dropped {what}; {size(before)} before, {size(after)} after")
    return ExitCode.PASSED


def _words(dropped: Counts, keep: float) -> str:
    """The runs, and what hung on them."""
    old = f"older than {keep / DAY:g} days"
    if not dropped.runs:
        return f"nothing, as no run is {old}, counted back from the newest"
    failures, tests = count(dropped.failures, "failure"), count(dropped.tests, "test")
    return f"{count(dropped.runs, 'run')} {old}, with {failures} and {tests}"
