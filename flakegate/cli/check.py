"""`flakegate check`: all errors of the policy at once."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flakegate.ci.clock import clock
from flakegate.cli import options
from flakegate.cli.call import POLICY_FILES, policy_bytes, policy_path
from flakegate.errors import ExitCode, UsageError
from flakegate.escape import json_text, terminal
from flakegate.policy import formats
from flakegate.policy.load import load
from flakegate.policy.review import warnings
from flakegate.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flakegate.policy.problems import PolicyProblem
    from flakegate.policy.rules import Policy


@click.command("check")
@click.argument("policy_file", metavar="[POLICY]", required=False)
@options.policy_backend
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json", "github", "sarif"]),
    default="text",
    help="github: annotations of a workflow's page. sarif: a log for code scanning.",
)
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
    if output_format == "json":
        click.echo(_json(formats.document(problems)))
    elif output_format == "sarif":
        click.echo(_json(formats.sarif(problems, _from_root(path), VERSION)))
    else:
        is_text = output_format == "text"
        for line in (
            formats.text(problems) if is_text else formats.github(problems, _from_root(path))
        ):
            click.echo(line)
        click.echo(f"{terminal(name)}: {_result(problems, loaded.policy)}")
    failed = any(problem.is_error for problem in problems)
    return ExitCode.USAGE if failed else ExitCode.PASSED


def _fields(kind: str | None) -> frozenset[str] | None:
    """What a backend supplies; None where it is not said which one it will be."""
    if kind is None:
        return None
    from flakegate.backends.registry import fields_of

    return fields_of(kind)


def _from_root(path: Path) -> str:
    """The path from the root of the repository, with `/`; from the working folder outside of one.

    GitHub and readers of SARIF look for it there, wherever flakegate was called.
    """
    from flakegate.git import facts

    top = facts(Path.cwd()).top
    real = path.resolve()
    if top is not None and real.is_relative_to(Path(top).resolve()):
        return real.relative_to(Path(top).resolve()).as_posix()
    return Path(os.path.relpath(path)).as_posix()


def _json(document: object) -> str:
    return json_text(json.dumps(document, indent=2))


def _result(problems: Sequence[PolicyProblem], policy: Policy | None) -> str:
    """`valid, 2 rules`, or `1 error, 2 warnings`."""
    if policy is not None and not problems:
        return f"valid, {_count(len(policy.rules), 'rule')}"
    errors = sum(problem.is_error for problem in problems)
    return f"{_count(errors, 'error')}, {_count(len(problems) - errors, 'warning')}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
