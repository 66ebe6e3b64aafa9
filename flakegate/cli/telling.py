"""Tell: one summary to the terminal, a file, the job's page; or one JSON document instead."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flakegate.cli.say import give_up_output, warn
from flakegate.escape import terminal
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


def tell(summary: Summary, document: Any, output: Output, env: Mapping[str, str]) -> bool:
    """Shows the summary, or prints the JSON document; writes the Markdown where it is wanted.

    What cannot be shown or published is a warning: the exit code stands, and the answer is False.
    """
    if output.output_format == "json" or output.quiet:  # the summary itself names them
        for message in summary.warnings:
            warn(message)
    troubles = [*_shown(summary, document, output, env), *_published(summary, output, env)]
    for message in troubles:
        warn(message)
    return not troubles


def _shown(
    summary: Summary, document: Any, output: Output, env: Mapping[str, str]
) -> tuple[str, ...]:
    """Standard output; what went wrong, in words. A reader that leaves early (`| head`) is none."""
    try:
        if output.output_format == "json":
            console.document(json.dumps(document, indent=2), stream=sys.stdout)
        elif output.quiet:
            print(terminal(_line(summary)))
        else:
            console.show(summary, template, stream=sys.stdout, env=env, whole=output.verbose)
        sys.stdout.flush()
    except BrokenPipeError:
        give_up_output()
    except OSError as error:
        give_up_output()
        return (f"standard output cannot be written: {error.strerror}",)
    return ()


def _line(summary: Summary) -> str:
    """The result in one line; where the evidence is incomplete, with what is the matter."""
    said = answer(summary).line
    evidence = summary.verdict.evidence if summary.verdict else ()
    more = f" (and {len(evidence) - 1} more)" if len(evidence) > 1 else ""
    return f"{said}: {evidence[0].detail}{more}" if evidence else said


def _published(summary: Summary, output: Output, env: Mapping[str, str]) -> tuple[str, ...]:
    """The summary file and the forge; what went wrong, in words."""

    def text() -> str:
        return markdown(summary, template)

    if not output.summary_file:
        return publish(text, env)
    path = Path(output.summary_file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(), encoding="utf-8")
    except OSError as error:
        failed = f"the summary could not be written to {path}: {error.strerror}"
        return (failed, *publish(text, env))
    return publish(text, env)


def plan_document(plan: Plan | None) -> Any:
    """A plan as a part of a JSON document."""
    if plan is None:
        return None
    from flakegate.policy.plan import dump

    return json.loads(dump(plan))


def applied_document(applied: Applied | None) -> Any:
    """What came of the changes, as a part of a JSON document."""
    if applied is None:
        return None
    return {
        "done": [_change(each) for each in applied.done],
        "already": [_change(each) for each in applied.already],
        "failed": [{**_change(each), "error": error} for each, error in applied.failed],
        "unknown": [{**_change(each), "error": error} for each, error in applied.unknown],
        "not_sent": [_change(each) for each in applied.not_sent],
        "error": applied.error.message if applied.error else None,
        "tip": applied.error.tip if applied.error else None,
    }


def _change(change: Transition) -> dict[str, str | None]:
    """until: the last day that it holds for; null if it has no end."""
    return {
        "test_id": change.test_id,
        "fqn": change.fqn,
        "from": change.from_state.value,
        "to": change.to_state.value,
        "rule": change.rule,
        "until": change.last_day,
    }
