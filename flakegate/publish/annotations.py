"""Failures as GitHub's annotations: each beside its line, in the words of workflow commands.

Facts: docs.github.com "Workflow commands": of each kind GitHub keeps ten a step.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flakegate.escape import command_data, command_property, visible
from flakegate.wording import clip, title

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flakegate.gate import Failure
    from flakegate.summary import Summary

MOST = 10  # of a kind
_NAME, _TEXT, _PATH = 160, 1_000, 400  # characters
_OUTSIDE = re.compile(r"(?:/|[A-Za-z]:|\.\.?/|.*/\.\./)")


def commands(summary: Summary) -> tuple[str, ...]:
    """A line for each blocking failure (error) and each excused one (notice), and for the rest."""
    problems = summary.verdict.evidence if summary.verdict else ()
    errors = [
        *(_command("error", "Incomplete evidence", clip(visible(each.detail), _TEXT))
          for each in problems),
        *(_failure("error", each) for each in summary.blocked),
    ]  # fmt: skip
    notices = [_failure("notice", each) for each in summary.excused]
    return (*_few("error", errors), *_few("notice", notices))


def _few(kind: str, lines: Sequence[str]) -> Iterable[str]:
    """As many as GitHub keeps; the last place says how many more there are."""
    if len(lines) <= MOST:
        return lines
    more = f"… and {len(lines) - MOST + 1} more; the job summary has them"
    return (*lines[: MOST - 1], _command(kind, "flakegate", more))


def _failure(kind: str, failure: Failure) -> str:
    case = failure.case
    file = (case.file or case.suite_file or "").replace("\\", "/")
    place = {}
    if file.strip() and not _OUTSIDE.match(file) and len(file) <= _PATH:
        base = failure.identity.module
        place["file"] = file if not base or file.startswith(f"{base}/") else f"{base}/{file}"
        if case.line is not None:
            place["line"] = str(case.line)
    what = "blocks" if kind == "error" else "excused"
    message = (case.message or "").strip("\n")[:_TEXT]
    text = f"{visible(clip(failure.detail, _TEXT))}\n{message}" if message else failure.detail
    return _command(kind, f"{what}: {clip(title(case), _NAME)}", clip(text, 2 * _TEXT), **place)


def _command(kind: str, heading: str, text: str, **place: str) -> str:
    properties = {**place, "title": heading}
    said = ",".join(
        f"{name}={command_property(visible(value))}" for name, value in properties.items()
    )
    return f"::{kind} {said}::{command_data(text)}"
