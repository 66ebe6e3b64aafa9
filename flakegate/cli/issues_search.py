"""`flakegate issues search`: the issues of some time."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from flakegate.cli import options
from flakegate.cli.call import Where, begin
from flakegate.cli.say import note, warn
from flakegate.cli.tracking import iso, issue_document, opened_tracking, show_table
from flakegate.error_tracking.issue import ORDERS, PERSONAS, TRACKS, Question
from flakegate.error_tracking.page import page
from flakegate.errors import ExitCode, UsageError
from flakegate.policy.syntax import UNITS
from flakegate.publish import console

if TYPE_CHECKING:
    from flakegate.error_tracking.client import Found

_AGO = re.compile(r"([0-9]{1,9})(ms|[smhdw])")
_MOST = 1_000_000


@click.command("search")
@click.option("--query", metavar="QUERY", default="*", show_default=True, help="As in Datadog.")
@click.option(
    "--track",
    type=click.Choice(TRACKS, case_sensitive=False),
    help="Of which errors.  [default: trace, without --persona]",
)
@click.option(
    "--persona",
    type=click.Choice(PERSONAS, case_sensitive=False),
    help="Whose errors, in the place of --track.",
)
@click.option(
    "--from",
    "since",
    metavar="TIME",
    default="7d",
    show_default=True,
    help="The beginning: ISO 8601 (UTC where it names no zone), or how long ago: 90m, 12h, 7d.",
)
@click.option("--to", "until", metavar="TIME", help="The end, not included.  [default: now]")
@click.option(
    "--order-by",
    type=click.Choice(ORDERS, case_sensitive=False),
    default="TOTAL_COUNT",
    show_default=True,
    help="What comes first.",
)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, _MOST),
    default=100,
    show_default=True,
    help="How many issues. One request gives 100; for more the time is split.",
)
@options.api_url
@options.output_format
@options.verbose
def command(
    *,
    query: str,
    track: str | None,
    persona: str | None,
    since: str,
    until: str | None,
    order_by: str,
    limit: int,
    api_url: str | None,
    output_format: str,
    verbose: bool,
) -> int:
    """List the issues that match QUERY and occurred between --from and --to."""
    from flakegate.cli.progress import progress

    if track and persona:
        raise UsageError(
            "--track and --persona are two ways to say whose errors",
            tip="give one of them",
        )
    if not query.strip():
        raise UsageError("--query is empty", tip="leave it out to search for all issues")
    call = begin(None, Where(api_url=api_url), verbose=verbose)
    question = Question(
        query=query.strip(),
        since=_milliseconds(since, call.now, "--from"),
        until=_milliseconds(until, call.now, "--to") if until else int(call.now * 1000),
        track=None if persona else track or "trace",
        persona=persona,
        order_by=order_by,
    )
    if question.since >= question.until:
        raise UsageError(
            f"--from {since} is not before --to {until or 'now'}",
            tip="the time that is searched begins with --from and ends with --to",
        )
    with opened_tracking(call) as tracking:
        with progress("searching issues") as tell:
            found = tracking.search(question, enough=limit, progress=tell)
        _warn(found, limit)
        if output_format == "json":
            text = json.dumps(_document(question, found, limit, tracking.place), indent=2)
            console.document(text, stream=sys.stdout)
        elif found.issues:
            show_table(found.issues[:limit], call.now)
        else:
            began, ended = iso(question.since / 1000), iso(question.until / 1000)
            note(f"no issue matches {query.strip()!r} from {began} to {ended} in {tracking.place}")
    return ExitCode.PASSED


def _milliseconds(text: str, now: float, option: str) -> int:
    """A moment, in milliseconds since the epoch. Raises UsageError."""
    if ago := _AGO.fullmatch(text.strip()):
        at = now - float(ago[1]) * UNITS[ago[2]]
    else:
        try:
            moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
            at = (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
        except (ValueError, OverflowError):
            at = -1.0
    if at < 0:
        raise UsageError(
            f"{option} {text!r} is not a time",
            tip="write how long ago (90m, 12h, 7d), or a moment (2026-11-20, 2026-11-20T08:30:00Z)",
        )
    return int(at * 1000)


def _warn(found: Found, limit: int) -> None:
    """What is not shown, and why."""
    if found.left_out:
        warn(f"{len(found.left_out):,} of Datadog's issues left out: {found.left_out[0]}")
    if len(found.issues) > limit or (found.full and len(found.issues) >= limit):
        note(f"there may be more than these {limit:,} issues: --limit shows more of them")
    elif found.full:
        first = found.full[0]
        warn(
            f"there are more issues than could be read: in {len(found.full):,} parts of the time,"
            f" the first from {iso(first.since / 1000)}, Datadog has more than it tells at once;"
            " narrow --query or the time"
        )


def _document(question: Question, found: Found, limit: int, place: str) -> dict[str, Any]:
    """Version 1. complete: whether these are all issues that match."""
    return {
        "version": 1,
        "query": question.query,
        "track": question.track,
        "persona": question.persona,
        "order_by": question.order_by,
        "from": iso(question.since / 1000),
        "to": iso(question.until / 1000),
        "complete": found.complete and len(found.issues) <= limit,
        "issues": [issue_document(issue, page(place, issue.id)) for issue in found.issues[:limit]],
    }
