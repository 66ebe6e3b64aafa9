"""What is sent about issues, and whatever may come back."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.error_tracking import wire
from flakegate.error_tracking.issue import Case, Issue, IssueState, Question, User
from flakegate.errors import BackendError

REQUEST = "POST https://api.datadoghq.com/api/v2/error-tracking/issues/search"
ID = "c1726a66-1f64-11ee-b338-da7ad0900002"
USER = "87cb11a0-278c-440a-99fe-701223c80296"
ATTRIBUTES = {
    "state": "OPEN",
    "service": "shop",
    "error_type": "TimeoutError",
    "error_message": "no answer in 5 s",
    "file_path": "shop/net.py",
    "function_name": "fetch",
    "platform": "BACKEND",
    "languages": ["PYTHON", "GO"],
    "is_crash": False,
    "first_seen": 1_671_612_804_001,
    "last_seen": 1_671_620_003_100,
    "first_seen_version": "56b6e22",
    "last_seen_version": "b1dd4b2",
}
RELATIONSHIPS = {
    "assignee": {"data": {"id": USER, "type": "user"}},
    "case": {"data": {"id": "case-1", "type": "case"}},
    "team_owners": {"data": [{"id": "t1", "type": "team"}, {"id": "t2", "type": "team"}]},
}
JIRA = {"issue_id": "1", "issue_key": "PAY-12", "issue_url": "https://acme.test/browse/PAY-12"}
INCLUDED = [
    {"id": USER, "type": "user", "attributes": {"name": "Dana", "email": "dana@acme.test"}},
    {"id": "t1", "type": "team", "attributes": {"name": "Payments", "handle": "payments"}},
    {
        "id": "case-1",
        "type": "case",
        "attributes": {
            "key": "CASE-7",
            "status": "OPEN",
            "jira_issue": {"status": "COMPLETED", "result": JIRA},
        },
    },
]
WHOLE = Issue(
    id=ID,
    state="OPEN",
    service="shop",
    error_type="TimeoutError",
    error_message="no answer in 5 s",
    file_path="shop/net.py",
    function_name="fetch",
    platform="BACKEND",
    languages=("PYTHON", "GO"),
    is_crash=False,
    first_seen=1_671_612_804.001,
    last_seen=1_671_620_003.1,
    first_seen_version="56b6e22",
    last_seen_version="b1dd4b2",
    assignee=User(id=USER, name="Dana"),
    case=Case(
        id="case-1", key="CASE-7", status="OPEN", jira_key="PAY-12", jira_url=JIRA["issue_url"]
    ),
    teams=("Payments", "t2"),
)


def resource(attributes: Any = None, relationships: Any = None) -> dict[str, Any]:
    """An issue as `included` has it."""
    return {
        "id": ID,
        "type": "issue",
        "attributes": attributes if attributes is not None else ATTRIBUTES,
        "relationships": relationships if relationships is not None else RELATIONSHIPS,
    }


def result(**attributes: Any) -> dict[str, Any]:
    """What a search has in `data`."""
    return {
        "id": ID,
        "type": "error_tracking_search_result",
        "attributes": attributes,
        "relationships": {"issue": {"data": {"id": ID, "type": "issue"}}},
    }


def searched(document: object) -> wire.Found:
    return wire.decode_search(json.dumps(document).encode(), REQUEST)


def read(document: object) -> Issue:
    return wire.decode_issue(json.dumps(document).encode(), REQUEST)


def test_bodies_are_exactly_these() -> None:
    question = Question(query="service:shop", since=1, until=2)
    assert json.loads(wire.encode_search(question)) == {
        "data": {
            "type": "search_request",
            "attributes": {"query": "service:shop", "from": 1, "to": 2, "track": "trace"},
        }
    }
    by_persona = Question(
        query="*", since=1, until=2, track=None, persona="ALL", order_by="PRIORITY"
    )
    assert json.loads(wire.encode_search(by_persona))["data"]["attributes"] == {
        "query": "*", "from": 1, "to": 2, "persona": "ALL", "order_by": "PRIORITY",
    }  # fmt: skip
    assert json.loads(wire.encode_state(ID, IssueState.RESOLVED)) == {
        "data": {"id": ID, "type": "error_tracking_issue", "attributes": {"state": "RESOLVED"}}
    }
    assert json.loads(wire.encode_assignee(USER)) == {"data": {"id": USER, "type": "assignee"}}


def test_a_whole_issue() -> None:
    assert read({"data": resource(), "included": INCLUDED}) == WHOLE


def test_a_search_counts_and_points_at_issues() -> None:
    counts = {"total_count": 82, "impacted_sessions": 12, "impacted_users": 4}
    found = searched({"data": [result(**counts)], "included": [resource(), *INCLUDED]})
    (issue,) = found.issues
    assert (issue.total_count, issue.impacted_sessions, issue.impacted_users) == (82, 12, 4)
    assert (issue.service, issue.assignee, issue.case, issue.teams) == (
        "shop", WHOLE.assignee, WHOLE.case, WHOLE.teams,
    )  # fmt: skip
    assert found.size == 1
    assert found.left_out == ()


@pytest.mark.parametrize("included", [None, [], [{}], [7], [{"id": ID, "type": "other"}]])
def test_without_what_was_to_be_included_there_are_ids_and_counts(included: object) -> None:
    found = searched({"data": [result(total_count=3)], "included": included})
    assert found.issues == (Issue(id=ID, total_count=3),)


def test_unknown_texts_are_empty_and_unknown_states_are_kept() -> None:
    empty = dict.fromkeys(ATTRIBUTES, "")
    issue = read({"data": resource({**empty, "state": "SNOOZED", "languages": ["", None]}, {})})
    assert issue == Issue(id=ID, state="SNOOZED")


@pytest.mark.parametrize("odd", [None, 7, "text", [], {"a": 1}, True])
@pytest.mark.parametrize("name", [*ATTRIBUTES])
def test_an_odd_attribute_takes_no_other_with_it(name: str, odd: object) -> None:
    issue = read({"data": resource({**ATTRIBUTES, name: odd}), "included": INCLUDED})
    assert issue.id == ID
    assert issue.case == WHOLE.case
    other = "service" if name != "service" else "error_type"
    assert getattr(issue, other) == getattr(WHOLE, other)


@pytest.mark.parametrize(
    "odd", [None, 7, "x", [], {}, {"data": None}, {"data": []}, {"data": {}}, {"data": {"id": ""}}]
)
def test_odd_relationships_are_none(odd: object) -> None:
    issue = read({"data": resource(relationships=dict.fromkeys(RELATIONSHIPS, odd))})
    assert (issue.assignee, issue.case, issue.teams) == (None, None, ())


@pytest.mark.parametrize("whole", [None, 7, [], "x"])
def test_odd_parts_of_an_issue(whole: object) -> None:
    assert read({"data": {"id": ID, "attributes": whole, "relationships": None}}) == Issue(id=ID)


def test_who_is_not_included_is_named_by_id() -> None:
    issue = read({"data": resource()})
    assert issue.assignee == User(id=USER)
    assert issue.case == Case(id="case-1")
    assert issue.teams == ("t1", "t2")


def test_an_issue_that_cannot_be_read_is_left_out_and_named() -> None:
    found = searched({"data": [{"type": "x"}, result(total_count=1), 7]})
    assert [each.id for each in found.issues] == [ID]
    assert (found.size, len(found.left_out)) == (3, 2)


@pytest.mark.parametrize(
    "nonsense", [b"", b"{", b"[]", b"{}", b'"x"', b'{"data": 7}', b'{"data": [7]}', b"\xff"]
)
def test_an_answer_that_is_none(nonsense: bytes) -> None:
    with pytest.raises(BackendError, match="not what Datadog's API gives"):
        wire.decode_search(nonsense, REQUEST)


@pytest.mark.parametrize("nonsense", [b"", b"{}", b'{"data": null}', b'{"data": {"id": ""}}'])
def test_an_issue_that_is_none(nonsense: bytes) -> None:
    with pytest.raises(BackendError, match="not what Datadog's API gives"):
        wire.decode_issue(nonsense, REQUEST)


def test_no_issues() -> None:
    assert searched({"data": []}) == searched({"data": None}) == wire.Found(issues=(), size=0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "type", "attributes", "relationships", "data", *ATTRIBUTES]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(data=JSON, included=JSON)
def test_whatever_comes_is_issues_or_words(data: Any, included: Any) -> None:
    answer = {"data": data, "included": included}
    with suppress(BackendError):
        found = searched(answer)
        assert found.size == len(found.issues) + len(found.left_out)
        assert all(issue.id for issue in found.issues)
    with suppress(BackendError):
        assert read(answer).id


DEEP = b"[" * 200_000


@pytest.mark.parametrize(
    "nested", [b'{"data":' + DEEP, b'{"x":' + DEEP, b'{"data":[{"id":"a","attributes":' + DEEP]
)
def test_what_is_nested_too_deeply(nested: bytes) -> None:
    for decode in (wire.decode_search, wire.decode_issue):
        with pytest.raises(BackendError, match="not what Datadog's API gives"):
            decode(nested, REQUEST)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 400, "-5"])
def test_numbers_beyond_all_bounds(number: str) -> None:
    text = json.dumps({"data": [result(total_count=0)], "included": [resource()]})
    text = text.replace("1671612804001", number).replace(
        '"total_count": 0', f'"total_count": {number}'
    )
    (issue,) = wire.decode_search(text.encode(), REQUEST).issues
    assert issue.first_seen is None
    assert issue.service == "shop"
