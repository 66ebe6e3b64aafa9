"""More issues than one search answers: the time is split, and what the parts hold is put together.

An issue is found in every part of the time in which it occurred, so the same one is in several.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flakegate.error_tracking.issue import Issue, Question


def halves(question: Question) -> tuple[Question, ...]:
    """The same question about the two halves of its time; none where that is a millisecond."""
    middle = (question.since + question.until) // 2
    if middle <= question.since:
        return ()
    return replace(question, since=middle), replace(question, until=middle)


def together(parts: Iterable[Iterable[Issue]], order_by: str | None) -> tuple[Issue, ...]:
    """Each issue once, as the first part has it that holds it, in the order that was asked for.

    Errors are counted once in each part, so their counts add up. The same session or user may be in
    several, so there are at least as many as in the part that has most.
    """
    found: dict[str, Issue] = {}
    several = False
    for number, part in enumerate(parts):
        several = several or number > 0
        for issue in part:
            known = found.get(issue.id)
            found[issue.id] = issue if known is None else _both(known, issue)
    issues = tuple(found.values())
    return _in_order(issues, order_by) if several else issues


def _both(one: Issue, other: Issue) -> Issue:
    return replace(
        one,
        total_count=_of_both(one.total_count, other.total_count, adding=True),
        impacted_sessions=_of_both(one.impacted_sessions, other.impacted_sessions),
        impacted_users=_of_both(one.impacted_users, other.impacted_users),
    )


def _of_both(one: int | None, other: int | None, *, adding: bool = False) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other if adding else max(one, other)


def _in_order(issues: tuple[Issue, ...], order_by: str | None) -> tuple[Issue, ...]:
    """By a figure, the highest first, the newest first; by Datadog's priority nobody else can."""
    figures = {
        "FIRST_SEEN": lambda issue: issue.first_seen,
        "IMPACTED_SESSIONS": lambda issue: issue.impacted_sessions,
        "TOTAL_COUNT": lambda issue: issue.total_count,
    }
    figure = figures.get(order_by or "TOTAL_COUNT")
    if figure is None:
        return issues
    return tuple(sorted(issues, key=lambda issue: -(figure(issue) or 0)))
