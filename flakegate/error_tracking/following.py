"""Carries out follow-ups: search, match, change. Whatever goes wrong is told as a value."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from flakegate.error_tracking.followups import Followed, matched, steps, unanimous
from flakegate.error_tracking.making import make
from flakegate.error_tracking.page import page
from flakegate.errors import BackendError
from flakegate.journal import Cause

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flakegate.error_tracking.client import ErrorTracking, Found
    from flakegate.error_tracking.followups import FollowUp
    from flakegate.error_tracking.issue import Issue, Question
    from flakegate.error_tracking.steps import Step
    from flakegate.journal import Journal

MOST_REQUESTS = 20  # for one search: a query that needs more is none for a single issue
_ABOUT_ONE = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)  # other requests may do better


def follow(
    follow_ups: Sequence[FollowUp],
    tracking: ErrorTracking,
    journal: Journal,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Followed, ...]:
    """What became of each, in their order. Every search is made once.

    stop: whether to end before the next request.
    """
    answers: dict[Question, Found | BackendError] = {}
    trouble: BackendError | None = None
    for each in follow_ups:
        if each.question is None or each.question in answers:
            continue
        if trouble is None and stop():
            trouble = BackendError("stopped by a signal")
        answer = trouble or _search(each.question, tracking)
        answers[each.question] = answer
        if isinstance(answer, BackendError) and answer.status not in _ABOUT_ONE:
            trouble = answer
    found = unanimous([_matched(each, answers, tracking.place) for each in follow_ups])
    return _changed(found, tracking, journal, trouble, stop)


def _search(question: Question, tracking: ErrorTracking) -> Found | BackendError:
    try:
        return tracking.search(question, most=MOST_REQUESTS)
    except BackendError as error:
        return error


def _matched(
    follow_up: FollowUp, answers: dict[Question, Found | BackendError], place: str
) -> Followed:
    if follow_up.question is None:
        return Followed(follow_up=follow_up, problem=follow_up.problem)
    answer = answers[follow_up.question]
    if isinstance(answer, BackendError):
        return Followed(follow_up=follow_up, problem=answer.message, failed=True)
    found = matched(follow_up, answer.issues, complete=answer.complete)
    return replace(found, page=page(place, found.issue.id)) if found.issue else found


def _changed(
    found: Sequence[Followed],
    tracking: ErrorTracking,
    journal: Journal,
    trouble: BackendError | None,
    stop: Callable[[], bool],
) -> tuple[Followed, ...]:
    """Each with its issue as it is after the changes. Several tests may have the same one."""
    now: dict[str, Issue] = {each.issue.id: each.issue for each in found if each.issue}
    done: list[Followed] = []
    for each in found:
        if each.issue is None:
            done.append(each)
            continue
        words: list[str] = []
        for step in steps(each, now[each.issue.id]):
            if trouble is None and stop():
                trouble = BackendError("stopped by a signal")
            result = trouble or _make(step, each, tracking, journal)
            if isinstance(result, BackendError):
                each = replace(each, problem=result.message, failed=True)  # noqa: PLW2901 - the same
                trouble = None if result.status in _ABOUT_ONE else result
                break
            if result is not None:
                now[result.id] = _later(now[result.id], result)
            words.append(_in_words(step, now[step.issue_id], each.follow_up))
        done.append(replace(each, done=tuple(words)))
    return tuple(replace(each, issue=now[each.issue.id]) if each.issue else each for each in done)


def _make(
    step: Step, followed: Followed, tracking: ErrorTracking, journal: Journal
) -> Issue | BackendError | None:
    change = followed.follow_up.change
    reason = f"{change.fqn}: {change.from_state} → {change.to_state}"
    try:
        return make(
            step, tracking, journal, Cause(rule=change.rule, reason=reason, test=change.test_id)
        )
    except BackendError as error:
        return error


def _later(before: Issue, after: Issue) -> Issue:
    """The issue after a change; an answer may leave out what belongs to it."""
    return replace(
        after,
        case=after.case or before.case,
        teams=after.teams or before.teams,
        total_count=before.total_count,
    )


def _in_words(step: Step, issue: Issue, follow_up: FollowUp) -> str:
    if step.what == "state":
        return str(step)
    named = issue.assignee.name if issue.assignee else ""
    return f"assigned to {named or follow_up.owner or step.after}"
