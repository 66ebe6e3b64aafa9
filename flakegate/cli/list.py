"""`flakegate list`: the flaky tests and their states."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from flakegate.cli import options
from flakegate.cli.call import Where, begin, opened
from flakegate.cli.progress import progress
from flakegate.cli.say import note, warn
from flakegate.errors import ExitCode
from flakegate.escape import json_text, terminal
from flakegate.model import State
from flakegate.policy.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flakegate.model import FlakyTest

TIMES = ("first_flaked_at", "last_flaked_at", "state_since")
SORTS = ("name", "failure_rate", "failed_pipelines", "lost_time", "last_flaked_age", "state_age")
"""Ages are of the moment, so the document carries the times that they are counted from instead."""
AGES = frozenset({"age", "last_flaked_age", "state_age"})


@click.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in State]),
    help="Only tests in this state; may be repeated.",
)
@click.option("--sort", type=click.Choice(SORTS), default="name", help="What counts most is first.")
@options.policy
@options.where
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    help="json: one document, usable as a snapshot.",
)
def command(
    *,
    states: tuple[str, ...],
    sort: str,
    policy_file: str | None,
    where: Where,
    output_format: str,
) -> int:
    """List the repository's flaky tests. Figures cover the last 7 days."""
    call = begin(policy_file, where)
    context = call.context()
    wanted = frozenset(State(state) for state in states) or frozenset(State)
    with opened(call, context, write=False, warn=warn) as backend:
        with progress("reading flaky tests") as show:
            tests = backend.search(wanted, show)
        place = f"{backend.kind} {backend.place}"
        kind = backend.kind
    tests = _sorted(tests, sort, call.now)
    if output_format == "json":
        rows = [_row(test, call.now) for test in tests]
        document = {
            "version": 1,
            "repository": context.repository,
            "backend": kind,
            "taken_at": _iso(call.now),
            "digest": hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest(),
            "tests": rows,
        }
        print(json_text(json.dumps(document, indent=2)))
    elif output_format == "csv":
        print(_csv([_row(test, call.now) for test in tests]), end="")
    elif tests:
        _table(tests, call.now)
    else:
        note(f"no flaky test of {context.repository} in {place}")
    return ExitCode.PASSED


def _sorted(tests: Sequence[FlakyTest], sort: str, now: float) -> list[FlakyTest]:
    """By name, or by a figure, the largest first (the youngest, for an age); unknown comes last."""
    if sort == "name":
        return sorted(tests, key=lambda test: (test.fqn, test.id))
    field = FIELDS[sort]

    def key(test: FlakyTest) -> tuple[bool, float, str]:
        value = field.get(test, now)
        known = isinstance(value, (int, float))
        number = float(value) if isinstance(value, (int, float)) else 0.0
        return (not known, number if sort in AGES else -number, test.fqn)

    return sorted(tests, key=key)


def _row(test: FlakyTest, now: float) -> dict[str, Any]:
    """Fields named as in `when`: rates in percent, durations in seconds, times ISO 8601."""
    row: dict[str, Any] = {"id": test.id}
    for name in ("module", "suite", "name", "fqn", "state"):
        row[name] = FIELDS[name].get(test, now)
    row |= {
        name: field.get(test, now) for name, field in FIELDS.items() if name not in AGES | {*row}
    }
    row |= {name: _iso(getattr(test, name)) for name in TIMES}
    row["rule"] = test.cause.rule if test.cause else None
    row["actor"] = test.cause.actor if test.cause else None
    row["reason"] = test.cause.reason if test.cause else None
    return row


def _iso(at: float | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at, timezone.utc).isoformat().replace("+00:00", "Z")


def _csv(rows: Iterable[dict[str, Any]]) -> str:
    """Spreadsheets run cells that begin like a formula; a leading apostrophe keeps them text."""
    text = io.StringIO()
    writer: Any = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(text, fieldnames=list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        value = " ".join(value)
    if not isinstance(value, str):
        return value
    return f"'{value}" if value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def _table(tests: Iterable[FlakyTest], now: float) -> None:
    """A table as wide as the terminal, or as wide as it needs to be in a log."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from flakegate.wording import cause, percent, since

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("test", overflow="fold")
    table.add_column("state")
    table.add_column("fails in", justify="right", no_wrap=True)
    table.add_column("pipelines", justify="right")
    table.add_column("since", no_wrap=True)
    table.add_column("because", overflow="fold")
    for test in tests:
        rate = "" if test.failure_rate is None else percent(test.failure_rate)
        runs = f" of {test.runs:,}" if rate and test.runs is not None else ""
        pipelines = "" if test.failed_pipelines is None else f"{test.failed_pipelines:,}"
        cells = (test.fqn, str(test.state), rate + runs, pipelines, since(test, now), cause(test))
        table.add_row(*(Text(terminal(cell)) for cell in cells))
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False).print(table)
