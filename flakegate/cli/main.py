"""The command line: which commands there are, and the one place that catches and gives a code."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING

import click

from flakegate.cli.commands import Commands
from flakegate.cli.say import complain, give_up_output
from flakegate.cli.signals import interruptible
from flakegate.errors import ExitCode, FlakegateError
from flakegate.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "run": "The CI job: judge the reports, record, plan, apply, summarise.",
    "exec": "Run the tests, then what `run` does.",
    "gate": "Only the verdict: is every failure in the reports excused?",
    "check": "Check the policy file: all errors at once.",
    "plan": "What the policy would change, and why. Changes nothing.",
    "apply": "Change the states: a saved plan, or a fresh one.",
    "list": "The flaky tests and their states.",
    "doctor": "What the gate could not do on a bad day, said before it.",
    "explain": "Why a test is, or is not, quarantined.",
    "drift": "What Datadog does to the same tests by rules of its own.",
    "issues": "Datadog's Error Tracking: search, show, set-state, assign.",
    "set": "Move tests to a state yourself, with a reason.",
    "undo": "Put back what a run changed.",
    "record": "Put a run's reports into the store, or into a shard.",
    "collect": "Fold shards into the store.",
    "store": "Look after the store: info, vacuum, export, import.",
    "serve": "Serve the store to other machines, as Datadog would.",
    "keys": "Who may use the server: add, list, revoke.",
    "fields": "The fields that a condition can use.",
    "schema": "The JSON Schema of the policy, for editors.",
    "init": "Write a policy file to start from.",
}


@click.group(
    cls=Commands,
    listed=COMMANDS,
    prefix="flakegate.cli.",
    elsewhere={"serve": "flakegate.server.", "keys": "flakegate.server."},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes, the policy language and recipes: see the README.",
)
@click.version_option(VERSION, message="flakegate %(version)s")
def flakegate() -> None:
    """Pass a CI job only when every test failure is provably excused.

    A policy file in the repository (flakegate.yml) says when flaky tests are quarantined and
    released; the gate excuses quarantined tests, and nothing else.
    """


def run(argv: Sequence[str]) -> int:
    """Runs one command and returns its exit code. Every error of every command ends here."""
    _make_printable()
    try:
        with interruptible():
            code = flakegate.main(list(argv), prog_name="flakegate", standalone_mode=False)
        sys.stdout.flush()
    except FlakegateError as error:
        complain(error.message, tip=error.tip)
        return error.exit_code
    except click.ClickException as error:
        return _usage(error)
    except (KeyboardInterrupt, click.Abort):
        complain("interrupted")
        return ExitCode.INTERRUPTED
    except OSError as error:
        return _output_lost(error) or _bug(error)
    except Exception as bug:  # noqa: BLE001 - the one place where a bug becomes a message
        return _bug(bug)
    return int(code or 0)


def _output_lost(error: OSError) -> ExitCode | None:
    """How a call ends whose output nobody takes; None if that is not the matter."""
    if isinstance(error, BrokenPipeError):  # the reader left, as `head` does
        give_up_output()
        return ExitCode.INTERRUPTED
    if error.errno == errno.ENOSPC:
        give_up_output()
        complain("standard output cannot be written: the disk is full", tip="free some space")
        return ExitCode.USAGE
    return None


def _make_printable() -> None:
    """What the output's encoding lacks is shown as an escape; an output that is closed takes all.

    Python leaves None in the place of a stream that the caller has closed.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _usage(error: click.ClickException) -> int:
    context = getattr(error, "ctx", None)
    tip = f"{context.command_path} --help" if context else "flakegate --help"
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
    else:
        complain(error.format_message(), tip=f"see `{tip}`")
    return ExitCode.USAGE


def _bug(bug: Exception) -> int:
    """Writes the traceback, without secrets, to a file of the user's own, and says where."""
    import tempfile
    import traceback

    from flakegate.redaction import redacted, secrets_of

    text = redacted("".join(traceback.format_exception(bug)), secrets_of(os.environ))
    summary = f"a bug of flakegate: {type(bug).__name__}"
    try:
        handle, path = tempfile.mkstemp(prefix="flakegate-", suffix=".log", text=True)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"flakegate {VERSION}, Python {sys.version}\n{text}")
    except OSError:
        complain(summary, tip="the traceback could not be written anywhere; please report this")
    else:
        complain(summary, tip=f"the traceback is in {path}; please report it")
    return ExitCode.BUG
