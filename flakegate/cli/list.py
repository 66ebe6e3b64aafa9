"""`flakegate list`: the flaky tests and their states."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flakegate.cli import options
from flakegate.cli.call import Where, begin, opened
from flakegate.cli.causes import with_causes
from flakegate.cli.progress import progress
from flakegate.cli.say import note, warn
from flakegate.errors import ExitCode, UsageError
from flakegate.escape import json_text, terminal
from flakegate.model import State
from flakegate.policy.fields import FIELDS
from flakegate.policy.needs import STATE_AGE, whole
from flakegate.snapshot import AGES, document, row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flakegate.backends.base import Backend
    from flakegate.deselect import Folder
    from flakegate.model import FlakyTest
    from flakegate.policy.conditions import Condition

SORTS = (
    "name", "failure_rate", "failed_pipelines", "runs", "failures", "lost_time", "duration",
    "impact_score", "age", "last_flaked_age", "state_age",
)  # fmt: skip


@click.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in State]),
    help="Only tests in this state; may be repeated.",
)
@click.option(
    "--where",
    "condition_text",
    metavar="EXPR",
    help="Only tests for which this is true; written as a `when` of the policy.",
)
@click.option(
    "--sort",
    type=click.Choice(SORTS),
    metavar="FIGURE",
    default="name",
    help=f"What counts most is first: {', '.join(SORTS)}.",
)
@click.option("--reverse", is_flag=True, help="What counts most is last.")
@options.policy
@options.where
@options.base_dir
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json", "csv", "pytest"]),
    default="table",
    help="json: one document, usable as a snapshot. pytest: --deselect arguments, one a line.",
)
def command(
    *,
    states: tuple[str, ...],
    condition_text: str | None,
    sort: str,
    reverse: bool,
    policy_file: str | None,
    where: Where,
    base_dir: str,
    output_format: str,
) -> int:
    """List the repository's flaky tests. Figures cover the last 7 days.

    --format pytest names the disabled tests of the store that ran in --base-dir, or those that
    --state or --where choose, as a file of arguments for pytest @FILE (pytest 8.2 or newer). A test
    that cannot be named exactly is left out and told.
    """
    condition = None if condition_text is None else _condition(condition_text)
    call = begin(policy_file, where)
    context = call.context()
    wanted = frozenset(State(state) for state in states) or frozenset(State)
    if output_format == "pytest" and not states and condition is None:
        wanted = frozenset({State.DISABLED})
    asked = (condition.fields if condition else frozenset()) | {sort}
    if output_format == "json":
        asked |= {STATE_AGE}  # a snapshot has to tell it
    with opened(call, context, write=False, warn=warn) as backend:
        with progress("reading flaky tests") as show:
            listed = backend.search(whole(wanted, fields=asked), show)
            tests = [test for test in listed if test.state in wanted]  # it may find others, too
            tests = with_causes(call, context, backend, tests)
        place = f"{backend.kind} {backend.place}"
        kind = backend.kind
        if condition is not None:
            tests = _matching(tests, condition, call.now)
        tests = _sorted(tests, sort, call.now, reverse=reverse)
        if output_format == "pytest":
            _pytest(tests, backend, base_dir)
            return ExitCode.PASSED
    if output_format == "json":
        whole_list = len(wanted) == len(State) and condition is None
        saved = document(tests, context, kind, call.now, complete=whole_list)
        print(json_text(json.dumps(saved, indent=2)))
    elif output_format == "csv":
        print(_csv([row(test, call.now) for test in tests]), end="")
    elif tests:
        _table(tests, call.now)
    else:
        such = " like this" if states or condition else ""
        note(f"no flaky test{such} of {context.repository} in {place}")
    return ExitCode.PASSED


def _condition(text: str) -> Condition:
    """Raises UsageError with every mistake in it, each with its place."""
    from flakegate.policy.conditions import Condition, parse
    from flakegate.policy.problems import Place, PolicyProblem

    condition = parse(text)
    if isinstance(condition, Condition):
        return condition
    one_line = " ".join(text.splitlines())
    problems = [
        PolicyProblem(
            severity="error",
            file="--where",
            place=Place(line=1, column=flaw.start + 1),
            message=flaw.message,
            length=flaw.end - flaw.start,
            source=one_line,
            hint=flaw.hint,
        )
        for flaw in condition
    ]
    raise UsageError(
        "--where is no condition\n" + "\n".join(map(str, problems)),
        tip="it is written as a `when` of the policy: docs/policy.md",
    )


def _matching(tests: Sequence[FlakyTest], condition: Condition, now: float) -> list[FlakyTest]:
    """Those for which it is true. Says for how many it cannot be told."""
    answers = [(test, condition.check(test, now)) for test in tests]
    unknown = [test for test, answer in answers if answer is None]
    if unknown:
        missing = Counter(name for test in unknown for name in condition.missing(test, now))
        names = ", ".join(sorted(missing))
        what = f"{len(unknown):,} of {len(tests):,} flaky tests"
        note(f"--where is unknown for {what}, which are left out: not known there: {names}")
    return [test for test, answer in answers if answer]


def _sorted(tests: Sequence[FlakyTest], sort: str, now: float, *, reverse: bool) -> list[FlakyTest]:
    """By name, or by a figure, the largest first (the youngest, for an age); unknown comes last."""
    by_name = sorted(
        tests, key=lambda test: (test.fqn, test.id), reverse=reverse and sort == "name"
    )
    if sort == "name":
        return by_name
    figures = [(test, FIELDS[sort].get(test, now)) for test in by_name]
    known = [(test, value) for test, value in figures if isinstance(value, (int, float))]
    smallest_first = (sort in AGES) is not reverse
    known.sort(key=lambda each: each[1] if smallest_first else -each[1])
    return [test for test, _ in known] + [test for test, value in figures if value is None]


def _pytest(tests: Sequence[FlakyTest], backend: Backend, base_dir: str) -> None:
    """Prints one argument a line, as they are: they are read by pytest, not by people."""
    from flakegate.deselect import arguments

    if backend.kind != "store":
        raise UsageError(
            f"--format pytest names tests of the store, not of {backend.kind}",
            tip="Datadog's library for pytest (ddtrace) leaves out disabled tests by itself",
        )
    found = arguments(tests, backend.recorded(), _folder(base_dir))
    for test, why in found.left_out:
        note(f"left out: {test.fqn}: {why}")
    for line in found.lines:
        print(line)


def _folder(base_dir: str) -> Folder:
    """Where the tests of this base folder are, on this disk."""
    from flakegate.deselect import Folder
    from flakegate.git import facts

    here = Path.cwd()
    root = Path(facts(here).top or here) / base_dir

    def read(path: str) -> str | None:
        try:
            return (root / path).read_text("utf-8", errors="replace")
        except OSError:
            return None

    return Folder(
        name=base_dir,
        is_file=lambda path: os.path.isfile(root / path),  # noqa: PTH113 - a long name is no error
        is_dir=lambda path: os.path.isdir(root / path),  # noqa: PTH112 - likewise
        read=read,
    )


def _csv(rows: Iterable[dict[str, Any]]) -> str:
    """Spreadsheets run cells that begin like a formula; a leading apostrophe keeps them text."""
    text = io.StringIO()
    writer: Any = None
    for each in rows:
        if writer is None:
            writer = csv.DictWriter(text, fieldnames=list(each), lineterminator="\n")
            writer.writeheader()
        writer.writerow({name: _cell(value) for name, value in each.items()})
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        value = " ".join(value)
    if not isinstance(value, str):
        return value
    return f"'{value}" if value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def _table(tests: Sequence[FlakyTest], now: float) -> None:
    """A table as wide as the terminal, or as wide as it needs to be in a log."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from flakegate.wording import cause, percent, since, until

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("test", overflow="fold")
    table.add_column("state")
    table.add_column("fails in", justify="right", no_wrap=True)
    table.add_column("pipelines", justify="right")
    table.add_column("since", no_wrap=True)
    dated = any(test.cause and test.cause.until for test in tests)
    if dated:
        table.add_column("until", no_wrap=True)
    table.add_column("because", overflow="fold")
    for test in tests:
        rate = "" if test.failure_rate is None else percent(test.failure_rate)
        runs = f" of {test.runs:,}" if rate and test.runs is not None else ""
        pipelines = "" if test.failed_pipelines is None else f"{test.failed_pipelines:,}"
        cells = [test.fqn, str(test.state), rate + runs, pipelines, since(test, now)]
        cells += [until(test, None, now)] if dated else []
        cells.append(cause(test))
        table.add_row(*(Text(terminal(cell)) for cell in cells))
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False).print(table)
