"""What follows a plan: computed from it, and certain or left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flakegate.error_tracking.followups import (
    Followed,
    FollowUp,
    follow_ups,
    matched,
    steps,
    unanimous,
)
from flakegate.error_tracking.issue import Case, IssueState, User
from flakegate.model import State
from tests.error_tracking.build import DANA, DAY, EVE, NOW, an_issue, flaky, move, policy

if TYPE_CHECKING:
    from flakegate.model import FlakyTest

ACK = "{state: ACKNOWLEDGED, assign: owner}"


def following(settings: str, *tests: FlakyTest) -> tuple[FollowUp, ...]:
    """The follow-ups of these tests' moves by the rule `noisy`."""
    moves = [move(test) for test in tests]
    return follow_ups(policy(settings), moves, {test.id: test for test in tests}, NOW)


def test_a_move_is_followed() -> None:
    (found,) = following(ACK, flaky())
    assert found.question is not None
    assert found.question.query == 'service:"shop"'
    assert (found.question.track, found.question.persona) == ("trace", None)
    assert found.question.until == NOW * 1000
    assert found.question.since == (NOW - 7 * DAY) * 1000
    assert (found.state, found.user, found.owner) == (
        IssueState.ACKNOWLEDGED, DANA, "@org/payments",
    )  # fmt: skip
    assert found.wish == "ACKNOWLEDGED, assigned to @org/payments"


def test_only_moves_of_rules_that_say_so_are() -> None:
    test = flaky()
    moves = [move(test, "plain"), replace(move(test), rule=None), move(flaky("elsewhere"))]
    assert follow_ups(policy(ACK), moves, {test.id: test}, NOW) == ()


@pytest.mark.parametrize(
    ("flaked", "days"), [(None, 7), (0.0, 7), (3.0, 7), (6.5, 7.5), (31.0, 32.0), (400.0, 90)]
)
def test_the_search_reaches_back_to_the_last_flake(flaked: float | None, days: float) -> None:
    at = None if flaked is None else NOW - flaked * DAY
    (found,) = following("{}", flaky(last_flaked_at=at))
    assert found.question is not None
    assert found.question.since == (NOW - days * DAY) * 1000


def test_a_query_is_asked_once_for_all_its_tests() -> None:
    old, new = flaky("old", last_flaked_at=NOW - 40 * DAY), flaky("new", last_flaked_at=NOW)
    web = flaky("web", services=("web",))
    one, other, third = following("{}", old, new, web)
    assert one.question == other.question
    assert one.question is not None
    assert one.question.since == (NOW - 41 * DAY) * 1000
    assert third.question is not None
    assert third.question.since == (NOW - 7 * DAY) * 1000


@pytest.mark.parametrize(
    ("settings", "owners", "user", "owner"),
    [
        ("{}", (), None, None),
        (f"{{assign: {EVE}}}", (), EVE, None),
        (f"{{assign: {DANA}}}", (), DANA, "@org/payments"),
        ('{assign: "@org/payments"}', (), DANA, "@org/payments"),
        ("{assign: owner}", ("@org/web", "@Org/Payments"), DANA, "@org/payments"),
        ("{assign: owner}", ("@org/web",), None, None),
        ("{assign: owner}", (), None, None),
        ("{assign: owner}", None, None, None),
    ],
)
def test_who_gets_the_issue(
    settings: str, owners: tuple[str, ...] | None, user: str | None, owner: str | None
) -> None:
    (found,) = following(settings, flaky(codeowners=owners))
    assert (found.user, found.owner) == (user, owner)
    assert (found.problem is not None) == (user is None and settings != "{}")


def test_without_a_value_for_the_query_nothing_is_asked() -> None:
    (found,) = following(ACK, flaky(services=()))
    assert found.question is None
    assert found.problem is not None
    assert "services" in found.problem
    assert Followed(follow_up=found).words == ("nothing to search for",)


def match(*issues: Any, complete: bool = True, settings: str = ACK) -> Followed:
    (found,) = following(settings, flaky())
    return matched(found, issues, complete=complete)


def test_the_one_issue_that_is_its_own() -> None:
    found = match(an_issue("1"), an_issue("2", service="web"))
    assert found.issue == an_issue("1")
    assert (found.by, found.problem) == ("service and error", None)


@pytest.mark.parametrize(
    ("issues", "complete", "said"),
    [
        ([], True, "no issue is proven to be its own"),
        ([an_issue(service="web")], True, "no issue is proven to be its own"),
        ([an_issue("1"), an_issue("2")], True, "2 issues could be its own"),
        ([an_issue("1")], False, "more issues than could be read"),
    ],
)
def test_none_or_several_are_left_alone(issues: list[Any], complete: bool, said: str) -> None:
    found = match(*issues, complete=complete)
    assert found.issue is None
    assert said in (found.problem or "")


def test_an_owner_who_is_not_known_keeps_the_state_from_nothing() -> None:
    (wish,) = following(ACK, flaky(codeowners=("@org/web",)))
    found = matched(wish, [an_issue()], complete=True)
    assert [str(step) for step in steps(found, an_issue())] == ["OPEN → ACKNOWLEDGED"]
    assert "`owners` does not know whom it belongs to (@org/web)" in (found.problem or "")


@pytest.mark.parametrize(
    ("state", "assignee", "expected"),
    [
        ("OPEN", None, ["OPEN → ACKNOWLEDGED", f"assigned to {DANA}"]),
        ("OPEN", DANA, ["OPEN → ACKNOWLEDGED"]),
        ("ACKNOWLEDGED", EVE, [f"assigned to {DANA}"]),
        ("ACKNOWLEDGED", DANA, []),
        ("", DANA, ["unknown → ACKNOWLEDGED"]),
    ],
)
def test_what_is_so_already_is_not_touched(
    state: str, assignee: str | None, expected: list[str]
) -> None:
    issue = an_issue(state=state, assignee=User(id=assignee) if assignee else None)
    assert [str(step) for step in steps(match(issue), issue)] == expected


def test_without_a_wish_it_is_only_found() -> None:
    assert steps(match(an_issue(), settings="{}"), an_issue()) == ()


def test_tests_that_want_different_things_of_one_issue_get_nothing() -> None:
    (wish,) = following(ACK, flaky())
    one = matched(wish, [an_issue("1")], complete=True)
    other = replace(one, follow_up=replace(wish, state=IssueState.RESOLVED))
    third = matched(wish, [an_issue("3")], complete=True)
    alone = matched(wish, [], complete=True)
    found = unanimous([one, other, third, alone])
    assert [each.held for each in found] == [True, True, False, False]
    assert [len(steps(each, an_issue())) for each in found[:3]] == [0, 0, 2]
    assert "want something else of the same issue" in (found[0].problem or "")
    assert unanimous([one, one]) == (one, one)


def test_words_for_a_plan() -> None:
    (wish,) = following(ACK, flaky())
    planned = Followed(follow_up=wish, planned=True)
    assert planned.words == (
        'would search trace: service:"shop", then ACKNOWLEDGED, assigned to @org/payments',
    )
    (wish,) = following("{}", flaky())
    assert Followed(follow_up=wish, planned=True).words == ('would search trace: service:"shop"',)
    assert Followed(follow_up=wish).words == ('searched trace: service:"shop"',)


def test_words_for_an_issue() -> None:
    issue = an_issue(
        state="ACKNOWLEDGED",
        assignee=User(id=DANA, name="Dana"),
        case=Case(id="c", key="CASE-7", jira_key="PAY-12"),
        teams=("Payments",),
    )
    found = match(issue)
    rest = ("Payments", "CASE-7")
    assert found.words == ("ACKNOWLEDGED", "assigned to Dana", *rest)
    assert found.jira_key == "PAY-12"
    done = replace(found, done=("OPEN → ACKNOWLEDGED", "assigned to Dana"))
    assert done.words == ("OPEN → ACKNOWLEDGED", "assigned to Dana", *rest)
    only_assigned = replace(found, done=("assigned to Dana",))
    assert only_assigned.words == ("assigned to Dana", "ACKNOWLEDGED", *rest)


def test_a_plan_is_the_same_whatever_follows_it() -> None:
    test = flaky(state=State.ACTIVE)
    moves = [move(test)]
    follow_ups(policy(ACK), moves, {test.id: test}, NOW)
    assert moves == [move(test)]
