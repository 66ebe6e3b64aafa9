"""What becomes of the issues of tests that rules move: computed from the finished plan. Pure.

Decisions know nothing of it. A follow-up says what to search for, and what to make of the one issue
that proves to be the test's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flakegate.error_tracking.issue import IssueState, Question
from flakegate.error_tracking.match import belonging
from flakegate.error_tracking.query import NoQuery, query_for
from flakegate.error_tracking.steps import assignee_step, state_step
from flakegate.policy.rules import DAY, OWNER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flakegate.error_tracking.issue import Issue
    from flakegate.error_tracking.steps import Step
    from flakegate.model import FlakyTest, Transition
    from flakegate.policy.rules import Policy, TrackingSettings

SHORTEST, LONGEST = 7 * DAY, 90 * DAY  # seconds that a search looks back


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What follows the change of one test's state.

    question: None where there is none to ask; then `problem` says why. state, user: what the issue
    gets; None: it keeps its own. owner: who that user is, as the policy names them. problem: what
    cannot be done, in words.
    """

    change: Transition
    test: FlakyTest
    question: Question | None
    state: IssueState | None = None
    user: str | None = None
    owner: str | None = None
    problem: str | None = None

    @property
    def wish(self) -> str:
        """What the issue gets, in words; "" for nothing."""
        parts = [str(self.state)] if self.state else []
        parts += [f"assigned to {self.owner or self.user}"] if self.user else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """How far a follow-up came.

    issue: the test's, as it is now; None where nothing was searched, or not exactly one found.
    planned: nothing was done yet. page: its address. by: what proves it to be the test's.
    held: it must not be touched. done: what was changed, in words. problem: why less than
    everything was done, in words. failed: a request failed.
    """

    follow_up: FollowUp
    issue: Issue | None = None
    planned: bool = False
    page: str | None = None
    by: str = ""
    held: bool = False
    done: tuple[str, ...] = ()
    problem: str | None = None
    failed: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """What came of it, or will, in words: of the issue, else of the search for it."""
        wish, issue = self.follow_up, self.issue
        if issue is None:
            if wish.question is None:
                return ("nothing to search for",)
            verb = "could not search" if self.failed else "searched"
            verb = "would search" if self.planned else verb
            then = f", then {wish.wish}" if self.planned and wish.wish else ""
            return (f"{verb} {wish.question.track}: {wish.question.query}{then}",)
        assigned = f"assigned to {issue.assignee}" if issue.assignee else ""
        parts = [*self.done, "" if self._set_state else issue.state]
        parts += [assigned] if assigned not in self.done else []
        parts += issue.teams
        parts += [issue.case.key or issue.case.id] if issue.case else []
        return tuple(part for part in parts if part)

    @property
    def jira_key(self) -> str:
        """Of the Jira issue that it is linked with; "" for none."""
        return self.issue.case.jira_key if self.issue and self.issue.case else ""

    @property
    def _set_state(self) -> bool:
        return any(f"→ {self.follow_up.state}" in words for words in self.done)


def follow_ups(
    policy: Policy, transitions: Iterable[Transition], tests: Mapping[str, FlakyTest], now: float
) -> tuple[FollowUp, ...]:
    """What follows these transitions, in their order. tests: by id. now: epoch seconds."""
    settings = {rule.id: rule.error_tracking for rule in policy.rules if rule.error_tracking}
    found: list[FollowUp] = []
    for change in transitions:
        wanted = settings.get(change.rule or "")
        test = tests.get(change.test_id)
        if wanted is not None and test is not None:
            found.append(_follow_up(policy, wanted, change, test, now))
    return _asked_once(found)


def _follow_up(
    policy: Policy, wanted: TrackingSettings, change: Transition, test: FlakyTest, now: float
) -> FollowUp:
    query = query_for(wanted.query, test)
    state = IssueState(wanted.state) if wanted.state else None
    if isinstance(query, NoQuery):
        return FollowUp(change=change, test=test, question=None, state=state, problem=query.why)
    user, owner, problem = _user(policy, wanted, test)
    question = Question(
        query=query, since=_since(test, now), until=int(now * 1000), track=wanted.track
    )
    return FollowUp(
        change=change,
        test=test,
        question=question,
        state=state,
        user=user,
        owner=owner,
        problem=problem,
    )


def _user(
    policy: Policy, wanted: TrackingSettings, test: FlakyTest
) -> tuple[str | None, str | None, str | None]:
    """Who gets the issue: the user's id, the name for it, and why nobody does."""
    names = {owner.user: owner.name for owner in policy.owners}
    if wanted.assign != OWNER:
        return wanted.assign, names.get(wanted.assign or ""), None
    users = {owner.name.casefold(): owner for owner in policy.owners}
    for name in test.codeowners or ():
        if owner := users.get(name.strip().casefold()):
            return owner.user, owner.name, None
    named = ", ".join(test.codeowners or ()) or "nobody"
    return None, None, f"not assigned: `owners` does not know whom it belongs to ({named})"


def _since(test: FlakyTest, now: float) -> int:
    """From a day before the test last flaked: the issue of a fixed test is an old one."""
    flaked = now if test.last_flaked_at is None else test.last_flaked_at - DAY
    back = min(max(now - flaked, SHORTEST), LONGEST)
    return int((now - back) * 1000)


def _asked_once(found: Sequence[FollowUp]) -> tuple[FollowUp, ...]:
    """The same query is asked once, about the longest of the times that it is wanted for."""
    since: dict[tuple[str, str | None], int] = {}
    for each in found:
        if each.question:
            key = (each.question.query, each.question.track)
            since[key] = min(since.get(key, each.question.since), each.question.since)
    return tuple(
        replace(
            each,
            question=replace(each.question, since=since[each.question.query, each.question.track]),
        )
        if each.question
        else each
        for each in found
    )


def matched(follow_up: FollowUp, issues: Iterable[Issue], *, complete: bool) -> Followed:
    """The one issue that is the test's, or why there is none to touch.

    complete: these are all issues that the search would find; else another might belong to it, too.
    """
    found = belonging(follow_up.test, issues)
    if not complete:
        problem = "there are more issues than could be read, so none is certain: narrow the query"
    elif not found:
        problem = "no issue is proven to be its own"
    elif len(found) > 1:
        problem = f"{len(found):,} issues could be its own, so none is touched"
    else:
        (issue, by) = found[0]
        return Followed(follow_up=follow_up, issue=issue, by=by, problem=follow_up.problem)
    return Followed(follow_up=follow_up, problem=problem)


def unanimous(found: Sequence[Followed]) -> tuple[Followed, ...]:
    """The same; but of an issue of which tests want different things, none gets its wish."""
    wishes: dict[str, set[tuple[IssueState | None, str | None]]] = {}
    for each in found:
        if each.issue:
            wish = (each.follow_up.state, each.follow_up.user)
            wishes.setdefault(each.issue.id, set()).add(wish)
    problem = "other tests want something else of the same issue, so it is not touched"
    return tuple(
        replace(each, held=True, problem=problem)
        if each.issue and len(wishes[each.issue.id]) > 1
        else each
        for each in found
    )


def steps(followed: Followed, issue: Issue) -> tuple[Step, ...]:
    """What is to be changed of the issue; nothing where all is so already, or must not be."""
    wish = followed.follow_up
    if followed.held:
        return ()
    found = (
        state_step(issue, wish.state) if wish.state else None,
        assignee_step(issue, wish.user) if wish.user else None,
    )
    return tuple(step for step in found if step is not None)
