"""Tell: one summary to the terminal, a file, the job's page; or one JSON document instead."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flakegate.cli.say import warn
from flakegate.errors import UsageError
from flakegate.escape import terminal
from flakegate.policy.plan import dump
from flakegate.publish import console
from flakegate.publish.registry import publish
from flakegate.render import markdown
from flakegate.summary import answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flakegate.apply import Applied
    from flakegate.model import Transition
    from flakegate.policy.plan import Plan
    from flakegate.summary import Summary


def template(name: str) -> str | None:
    """The source of one of our templates, None if there is none of that name."""
    import importlib.resources

    try:
        return (importlib.resources.files("flakegate") / "templates" / name).read_text("utf-8")
    except OSError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The options that say how a result is told. output_format: text or json."""

    output_format: str
    summary_file: str | None = None
    quiet: bool = False
    verbose: bool = False


def tell(summary: Summary, document: Any, output: Output, env: Mapping[str, str]) -> None:
    """Shows the summary, or prints the JSON document; writes the Markdown where it is wanted.

    What cannot be published is a warning: the exit code stands. The summary file was asked for by
    the user, so that one raises UsageError.
    """
    for message in _published(summary, output.summary_file, env):
        warn(message)
    if output.output_format == "json" or output.quiet:  # the summary itself names them
        for message in summary.warnings:
            warn(message)
    if output.output_format == "json":
        console.document(json.dumps(document, indent=2), stream=sys.stdout)
    elif output.quiet:
        print(terminal(answer(summary).line))
    else:
        console.show(summary, template, stream=sys.stdout, env=env, whole=output.verbose)


def _published(
    summary: Summary, summary_file: str | None, env: Mapping[str, str]
) -> tuple[str, ...]:
    def text() -> str:
        return markdown(summary, template)

    if summary_file:
        path = Path(summary_file)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write the summary {path}: {error.strerror}") from None
    return publish(text, env)


def plan_document(plan: Plan | None) -> Any:
    """A plan as a part of a JSON document."""
    return None if plan is None else json.loads(dump(plan))


def applied_document(applied: Applied | None) -> Any:
    """What came of the changes, as a part of a JSON document."""
    if applied is None:
        return None
    return {
        "done": [_change(each) for each in applied.done],
        "failed": [{**_change(each), "error": error} for each, error in applied.failed],
        "unknown": [{**_change(each), "error": error} for each, error in applied.unknown],
        "not_sent": [_change(each) for each in applied.not_sent],
        "error": applied.error.message if applied.error else None,
    }


def _change(change: Transition) -> dict[str, str | None]:
    return {
        "test_id": change.test_id,
        "fqn": change.fqn,
        "from": change.from_state.value,
        "to": change.to_state.value,
        "rule": change.rule,
    }
