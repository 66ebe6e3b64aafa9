"""`flakegate exec`: runs the tests, then does what `run` does."""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from flakegate.cli import options
from flakegate.cli.call import Where, begin
from flakegate.cli.judging import judge_reports
from flakegate.cli.run import go_on
from flakegate.exec import run
from flakegate.reports import before

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from flakegate.cli.call import Call
    from flakegate.cli.publishing import Publishing
    from flakegate.cli.telling import Output


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.option(
    "--report",
    "reports",
    multiple=True,
    required=True,
    metavar="GLOB",
    help="A report that the tests write: a file, a folder, or a quoted glob. Any number of times.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End the command, and all that it started, after so long.",
)
@options.policy
@options.where_or_saved
@options.base_dir
@options.override
@options.strict
@options.dry_run
@options.publishing
@options.output
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND…")
def command(
    *,
    argv: tuple[str, ...],
    reports: tuple[str, ...],
    timeout: float | None,
    policy_file: str | None,
    where: Where,
    base_dir: str,
    override: bool | None,
    strict: bool,
    dry_run: bool,
    publishing: Publishing,
    output: Output,
) -> int:
    """Run the tests with COMMAND, then judge the reports that they wrote, and go on as `run` does.

    The command has this terminal, or these pipes, to itself; signals reach it and all that it
    started. A report that was there before and was not written anew is refused. The exit code is
    the verdict's: where the job does not pass, the command's own if that is not 0.
    """
    call = begin(policy_file, where, verbose=output.verbose)
    there = before(reports, folder=call.folder, at=time.time())
    aside = output.output_format == "json"
    with _folded(call, argv, sys.stderr if aside else sys.stdout):
        ended = run(argv, timeout=timeout, output_to_stderr=aside)
    warnings = call.warnings()
    judged = judge_reports(
        call, reports, base_dir=base_dir, ended=ended, warn=warnings.append, before=there
    )
    return go_on(
        call,
        judged,
        warnings,
        override=override,
        strict=strict,
        dry_run=dry_run,
        publishing=publishing,
        output=output,
    )


@contextmanager
def _folded(call: Call, argv: Sequence[str], stream: TextIO) -> Iterator[None]:
    """What the tests write is often long: a CI that can fold a part of its log folds it."""
    from flakegate.publish.groups import closing, opening

    began = time.time()
    stream.write(opening(call.env, shlex.join(argv), at=began))
    try:
        yield
    finally:
        stream.write(closing(call.env, began=began, at=time.time()))
        stream.flush()
