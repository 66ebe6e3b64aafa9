"""Error Tracking as a command meets it: opened by the environment's keys, told and changed."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from flakegate.cli.say import note
from flakegate.error_tracking.page import page
from flakegate.errors import BackendError
from flakegate.escape import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flakegate.cli.call import Call
    from flakegate.error_tracking.client import ErrorTracking
    from flakegate.error_tracking.issue import Issue

LOG_WIDTH = 200  # columns, where the output is no terminal


@contextmanager
def opened_tracking(call: Call) -> Iterator[ErrorTracking]:
    """Error Tracking of the organisation whose keys are set; closed at the end.

    Raises BackendError where there are none: no other backend has issues.
    """
    from flakegate.backends.datadog.access import keys
    from flakegate.backends.registry import datadog_transport
    from flakegate.error_tracking.client import ErrorTracking

    if keys(call.env) is None:
        raise BackendError(
            "Error Tracking is Datadog's, and its keys are not set: it needs DD_API_KEY and"
            " DD_APP_KEY, or DD_ACCESS_TOKEN",
            tip="CI systems give no secrets to pull requests from forks; elsewhere set them",
        )
    api_url = call.where.api_url or call.env.get("FLAKEGATE_API_URL") or None
    log = note if call.verbose else lambda _: None
    tracking = ErrorTracking(datadog_transport(api_url, call.env, note=note, log=log))
    try:
        yield tracking
    finally:
        tracking.close()


def issue_document(issue: Issue, url: str | None) -> dict[str, Any]:
    """An issue as a part of a JSON document: times are ISO 8601, what is not known is null.

    url: of its page.
    """
    return {
        "id": issue.id,
        "url": url,
        "state": issue.state or None,
        "service": issue.service or None,
        "error_type": issue.error_type or None,
        "error_message": issue.error_message or None,
        "file_path": issue.file_path or None,
        "function_name": issue.function_name or None,
        "platform": issue.platform or None,
        "languages": list(issue.languages),
        "is_crash": issue.is_crash,
        "first_seen": iso(issue.first_seen),
        "last_seen": iso(issue.last_seen),
        "first_seen_version": issue.first_seen_version or None,
        "last_seen_version": issue.last_seen_version or None,
        "assignee": issue.assignee
        and {"id": issue.assignee.id, "name": issue.assignee.name or None},
        "case": issue.case
        and {
            "id": issue.case.id,
            "key": issue.case.key or None,
            "status": issue.case.status or None,
            "jira_key": issue.case.jira_key or None,
            "jira_url": issue.case.jira_url or None,
        },
        "teams": list(issue.teams),
        "total_count": issue.total_count,
        "impacted_sessions": issue.impacted_sessions,
        "impacted_users": issue.impacted_users,
    }


def iso(at: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601; None for what is not known or beyond all calendars."""
    if at is None:
        return None
    try:
        moment = datetime.fromtimestamp(at, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def show_table(issues: Sequence[Issue], now: float) -> None:
    """Issues as rows; a table as wide as the terminal, or as it needs to be in a log."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("issue", no_wrap=True)
    table.add_column("error", overflow="fold", ratio=1)
    table.add_column("service")
    table.add_column("state", no_wrap=True)
    table.add_column("errors", justify="right", no_wrap=True)
    table.add_column("last seen", no_wrap=True)
    table.add_column("assignee")
    table.add_column("case")
    for issue in issues:
        table.add_row(*map(_cell, _cells(issue, now)))
    _print(table)


def show_issue(issue: Issue, place: str, now: float) -> None:
    """One issue with all that is known of it."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, words in _rows(issue, place, now):
        if words:
            table.add_row(name, _cell(words))
    _print(table)


def _print(table: object) -> None:
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else LOG_WIDTH, highlight=False).print(table)


def _cells(issue: Issue, now: float) -> tuple[str, ...]:
    from flakegate.wording import clip

    return (
        issue.id,
        clip(issue.title, LOG_WIDTH),
        issue.service,
        issue.state,
        "" if issue.total_count is None else f"{issue.total_count:,}",
        _day(issue.last_seen, now),
        str(issue.assignee or ""),
        _case(issue),
    )


def _rows(issue: Issue, place: str, now: float) -> Iterator[tuple[str, str]]:
    from flakegate.wording import clip

    yield "issue", issue.id
    yield "page", page(place, issue.id) or ""
    yield "state", issue.state
    yield "error", issue.error_type
    yield "message", clip(issue.error_message, 1_000)
    yield "service", issue.service
    yield "file", issue.file_path
    yield "function", issue.function_name
    versions = (issue.first_seen_version, issue.last_seen_version)
    for name, at, version in zip(
        ("first seen", "last seen"), (issue.first_seen, issue.last_seen), versions, strict=True
    ):
        told = (_day(at, now), f"version {version}" if version else "")
        yield name, ", ".join(part for part in told if part)
    yield "language", ", ".join(issue.languages)
    yield "platform", issue.platform
    yield "crash", "yes" if issue.is_crash else ""
    assignee = issue.assignee
    named = f"{assignee.name} ({assignee.id})" if assignee and assignee.name else str(assignee)
    yield "assignee", named if assignee else "nobody"
    yield "teams", ", ".join(issue.teams)
    yield "case", _case(issue)
    yield "jira", issue.case.jira_url if issue.case else ""


def _case(issue: Issue) -> str:
    """The case by its key, or its id, and the Jira issue that it is linked with."""
    if issue.case is None:
        return ""
    name = issue.case.key or issue.case.id
    return f"{name} ({issue.case.jira_key})" if issue.case.jira_key else name


def _day(at: float | None, now: float) -> str:
    from flakegate.wording import day

    return day(at, now) if at is not None and iso(at) else ""


def _cell(text: str) -> Any:
    from rich.text import Text

    return Text(terminal(text))
