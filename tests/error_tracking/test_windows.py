"""Splitting time, and putting together what its parts hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flakegate.error_tracking.issue import Issue, Question
from flakegate.error_tracking.windows import halves, together


def question(since: int, until: int) -> Question:
    return Question(query="*", since=since, until=until)


@given(st.integers(0, 2**41), st.integers(1, 2**41))
def test_halves_are_all_of_the_time_and_no_millisecond_twice(since: int, length: int) -> None:
    parts = halves(question(since, since + length))
    if length == 1:
        assert parts == ()
        return
    later, earlier = parts
    assert (earlier.since, later.until) == (since, since + length)
    assert earlier.until == later.since
    assert since < later.since < since + length


def test_an_issue_of_several_parts_is_one() -> None:
    one = Issue(id="a", total_count=3, impacted_sessions=2, impacted_users=None, state="OPEN")
    other = Issue(id="a", total_count=4, impacted_sessions=1, impacted_users=5, state="RESOLVED")
    (both,) = together([[one], [other]], None)
    assert (both.total_count, both.impacted_sessions, both.impacted_users) == (7, 2, 5)
    assert both.state == "OPEN"


def test_several_parts_are_put_in_order() -> None:
    few = Issue(id="few", total_count=1, first_seen=9.0, impacted_sessions=3)
    many = Issue(id="many", total_count=8, first_seen=5.0, impacted_sessions=None)
    parts = [[few], [many]]

    def ids(order_by: str | None) -> list[str]:
        return [each.id for each in together(parts, order_by)]

    assert ids("TOTAL_COUNT") == ids(None) == ["many", "few"]
    assert ids("FIRST_SEEN") == ids("IMPACTED_SESSIONS") == ids("PRIORITY") == ["few", "many"]


def test_a_single_part_stays_as_it_was_answered() -> None:
    one, two = Issue(id="1", total_count=1), Issue(id="2", total_count=2)
    assert together([[one, two]], "TOTAL_COUNT") == (one, two)
