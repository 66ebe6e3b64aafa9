"""`flakegate store info`: what is in the store, at a glance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from flakegate.backends.store.address import sqlite_path, store_location
from flakegate.cli import options
from flakegate.cli.call import Call, Where, begin
from flakegate.errors import ExitCode
from flakegate.escape import json_text, terminal
from flakegate.times import iso
from flakegate.wording import DAY, clip, count, day, size

if TYPE_CHECKING:
    from pathlib import Path

    from flakegate.backends.store.survey import Holding, Survey

SHOWN = 3  # repositories that have room on one screen
LONGEST = 80  # characters of a repository's name


@click.command("info")
@options.policy
@options.store
@options.output_format
def command(*, policy_file: str | None, store_url: str | None, output_format: str) -> int:
    """Say what is in the store: of each repository its runs, its tests, and their states.

    Writes nothing. A store that does not exist yet is an empty one.
    """
    from flakegate.backends.store.database import open_database
    from flakegate.backends.store.survey import survey

    call = begin(policy_file, Where(store_url=store_url))
    url = store_location(store_url, call.env)
    path = sqlite_path(url)
    database = open_database(url, write=False)
    with database.reading() as connection:
        found = survey(connection)
    if output_format == "json":
        document = _document(path, database.version, found, call)
        print(json_text(json.dumps(document, indent=2)))
    else:
        _say(path, database.version, found, call)
    return ExitCode.PASSED


def _document(path: Path, schema: int, found: Survey, call: Call) -> dict[str, Any]:
    """Times are ISO 8601; `keep` is in seconds."""
    return {
        "version": 1,
        "store": str(path),
        "exists": path.exists(),
        "bytes": _bytes(path),
        "schema": schema,
        "keep": call.policy.keep,
        "looked_for_old_runs": found.looked and iso(found.looked),
        "repositories": [
            {
                "repository": each.repository,
                "runs": each.runs,
                "outages": each.outages,
                "of_forks": each.forks,
                "oldest_run": None if each.oldest is None else iso(each.oldest),
                "newest_run": None if each.newest is None else iso(each.newest),
                "tests": each.tests,
                "flaky": {state.value: number for state, number in each.flaky.items()},
                "state_changes": each.changes,
            }
            for each in found.holdings
        ],
    }


def _say(path: Path, schema: int, found: Survey, call: Call) -> None:
    place = terminal(str(path))
    if not _bytes(path):
        print(f"{place}: there is no store yet; `flakegate record` or `collect` makes it")
        return
    print(f"{place}: {size(_bytes(path))}, schema {schema}")
    looked = "not yet" if found.looked is None else f"on {day(found.looked, call.now)}"
    keep = f"{call.policy.keep / DAY:g} days"
    print(f"runs are kept for {keep} (store.keep); older ones were last looked for: {looked}")
    if not found.holdings:
        print("nothing is recorded in it")
    for each in found.holdings[:SHOWN]:
        print(f"\n{terminal(clip(each.repository, LONGEST))}")
        for name, words in _rows(each, call.now):
            print(f"  {name:<6} {words}")
    if more := found.holdings[SHOWN:]:
        runs = count(sum(each.runs for each in more), "run")
        what = count(len(more), "more repository", "more repositories")
        print(f"\nand {what} with {runs}: `--format json` has them all")


def _rows(holding: Holding, now: float) -> list[tuple[str, str]]:
    runs = f"{holding.runs:,}"
    if holding.oldest is not None and holding.newest is not None:
        runs += f", from {day(holding.oldest, now)} to {day(holding.newest, now)}"
        runs += f" ({count(holding.outages, 'outage')}, {holding.forks:,} of forks)"
    states = [f"{number:,} {state}" for state, number in holding.flaky.items() if number]
    flaky = f"{sum(holding.flaky.values()):,}" + (f": {', '.join(states)}" if states else "")
    changes = count(holding.changes, "change of a state", "changes of states")
    return [("runs", runs), ("tests", f"{holding.tests:,}"), ("flaky", flaky), ("log", changes)]


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
