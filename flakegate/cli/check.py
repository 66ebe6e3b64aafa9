"""`flakegate check`: all errors of the policy at once."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import click

from flakegate.ci import clock
from flakegate.cli import options
from flakegate.cli.call import POLICY_FILES, policy_bytes, policy_path
from flakegate.errors import ExitCode, UsageError
from flakegate.escape import terminal
from flakegate.policy.load import load
from flakegate.policy.review import warnings


@click.command("check")
@click.argument("policy_file", metavar="[POLICY]", required=False)
@options.policy_backend
@options.output_format
def command(policy_file: str | None, backend_kind: str | None, output_format: str) -> int:
    """Check the policy: all errors and warnings at once, each with file:line:column.

    Warnings leave the exit code at 0. With --backend, fields that this backend cannot supply are
    warned of, too.
    """
    folder = Path.cwd()
    path = policy_path(policy_file, folder)
    if path is None:
        raise UsageError(
            f"there is no policy file here: neither {' nor '.join(POLICY_FILES)}",
            tip="`flakegate init` writes one to start from; or name yours",
        )
    name = os.path.relpath(path, folder)
    loaded = load(policy_bytes(path, name), name)
    problems = list(loaded.problems)
    if loaded.policy is not None:
        fixed = clock(os.environ)
        now = time.time() if fixed is None else fixed
        kind = backend_kind or loaded.policy.backend.kind
        problems += warnings(loaded.policy, now=now, fields=_fields(kind))
    errors = sum(problem.is_error for problem in problems)
    if output_format == "json":
        rows = [
            {
                "severity": problem.severity,
                "file": problem.file,
                "line": problem.place.line,
                "column": problem.place.column,
                "message": problem.message,
                "hint": problem.hint,
            }
            for problem in problems
        ]
        click.echo(json.dumps({"version": 1, "valid": not errors, "problems": rows}, indent=2))
    else:
        for problem in problems:
            click.echo("\n".join(terminal(line) for line in str(problem).splitlines()))
        warned = len(problems) - errors
        click.echo(
            f"{terminal(name)}: {_count(errors, 'error')}, {_count(warned, 'warning')}"
            if problems
            else f"{terminal(name)}: valid, {_count(len(loaded.policy.rules), 'rule')}"
            if loaded.policy
            else ""
        )
    return ExitCode.USAGE if errors else ExitCode.PASSED


def _fields(kind: str | None) -> frozenset[str] | None:
    """What a backend supplies; None where it is not said which one it will be."""
    if kind is None:
        return None
    from flakegate.backends.registry import fields_of

    return fields_of(kind)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
