"""Datadog's JSON: read tolerantly, written strictly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.backends.datadog.wire import (
    BY_NAME,
    WORST_FIRST,
    decode_page,
    decode_update,
    encode_search,
    encode_update,
)
from flakegate.errors import BackendError
from flakegate.model import FlakyTest, State, StateCause, Transition, UpdateResult
from tests.fake_datadog import SEARCH, UPDATE, changed, flaky, mismatches

if TYPE_CHECKING:
    from flakegate.wire.flaky_tests import Sort

REQUEST = "POST https://api.datadoghq.com/x"
DEEP = "[" * 100_000 + "]" * 100_000


def page(*tests: object, next_page: str | None = None) -> bytes:
    answer = {"data": tests, "meta": {"pagination": {"next_page": next_page}}}
    return json.dumps(answer).encode()


def only(item: object) -> FlakyTest:
    found = decode_page(page(item), REQUEST)
    assert found.left_out == ()
    [test] = found.tests
    return test


def change(test_id: str) -> Transition:
    return Transition(
        test_id=test_id,
        fqn=test_id,
        from_state=State.ACTIVE,
        to_state=State.QUARANTINED,
        rule="noisy",
        reason="",
    )


FULL = {
    "attempt_to_fix_id": "I42TEO",
    "codeowners": ["@acme/a", "@acme/b"],
    "envs": "ci",
    "services": ["shop"],
    "name": "test_pay",
    "suite": "tests.test_pay",
    "module": "pay",
    "first_flaked_branch": "main",
    "first_flaked_sha": "abc",
    "first_flaked_ts": 1_700_000_000,
    "last_flaked_branch": "feature",
    "last_flaked_sha": "def",
    "last_flaked_ts": 1_700_000_000_500,
    "flaky_category": "Timeout",
    "flaky_state": "quarantined",
    "impact_level": "high",
    "impact_score": 0.9,
    "pipeline_stats": {"failed_pipelines": 3, "total_lost_time_ms": 90_500},
    "test_stats": {"failure_rate_pct": 0.1},
    "test_run_metadata": {
        "duration_ms": 27_398,
        "error_message": "boom",
        "error_stack": "…",
        "source_file": "pay/test_pay.py",
        "source_start": 3,
        "source_end": 9,
    },
    "history": [{"status": "active", "timestamp": 1, "commit_sha": "", "policy_id": "unknown"}],
    "something_new": {"deep": [1]},
}


def test_every_attribute() -> None:
    assert only({"id": "t1", "type": "flaky_test", "attributes": FULL}) == FlakyTest(
        id="t1",
        module="pay",
        suite="tests.test_pay",
        name="test_pay",
        state=State.QUARANTINED,
        category="Timeout",
        source_file="pay/test_pay.py",
        error_message="boom",
        first_flaked_branch="main",
        last_flaked_branch="feature",
        first_flaked_at=1_700_000_000.0,
        last_flaked_at=1_700_000_000.5,
        codeowners=("@acme/a", "@acme/b"),
        envs=("ci",),
        services=("shop",),
        failure_rate=0.1,
        failed_pipelines=3,
        lost_time=90.5,
        duration=27.398,
        impact_score=0.9,
        impact_level="high",
        attempt_to_fix_id="I42TEO",
    )


@pytest.mark.parametrize("missing", ["absent", "null"])
def test_every_attribute_may_be_missing(missing: str) -> None:
    rest = {} if missing == "absent" else dict.fromkeys(FULL)
    assert only({"id": "t1", "attributes": {**rest, "flaky_state": "active"}}) == FlakyTest(
        id="t1", module="", suite="", name="", state=State.ACTIVE, codeowners=()
    )


@pytest.mark.parametrize("group", ["pipeline_stats", "test_stats", "test_run_metadata"])
def test_numbers_may_be_null_inside(group: str) -> None:
    inner = FULL[group]
    assert isinstance(inner, dict)
    test = only({"id": "t1", "attributes": {**FULL, group: dict.fromkeys(inner)}})
    unknown = {
        "pipeline_stats": (test.failed_pipelines, test.lost_time),
        "test_stats": (test.failure_rate,),
        "test_run_metadata": (test.duration, test.error_message, test.source_file),
    }
    assert set(unknown[group]) == {None}


def test_a_time_nobody_set_is_unknown_not_long_ago() -> None:
    assert only(flaky("t1", last_flaked_ts=0)).last_flaked_at is None


@pytest.mark.parametrize("moment", [1e308, 1e18])
def test_a_time_beyond_all_calendars_is_unknown(moment: float) -> None:
    assert only(flaky("t1", last_flaked_ts=moment)).last_flaked_at is None


def test_half_a_character_spoils_no_page() -> None:
    body = page(flaky("t1", name="cut off \ud83d"), flaky("t2", name="\\ud83d \U0001f600"))
    assert b"\\ud83d" in body
    names = [test.name for test in decode_page(body, REQUEST).tests]
    assert names == ["cut off \ufffd", "\\ud83d \U0001f600"]


@pytest.mark.parametrize("state", ["muted", "", None, "Active"])
def test_a_test_of_an_unknown_state_is_left_out_and_counted(state: str | None) -> None:
    found = decode_page(page(flaky("t1", state=state), flaky("t2")), REQUEST)
    assert [test.id for test in found.tests] == ["t2"]
    assert found.left_out == (f"its flaky_state is {state!r}",)
    assert found.size == 2


@pytest.mark.parametrize(
    "odd",
    [
        flaky("t1", rate=0.0, name=7),
        flaky("t1", test_stats={"failure_rate_pct": "20"}),
        flaky("t1", codeowners={"a": 1}),
        {"id": 7, "attributes": {}},
        flaky(""),
        {"attributes": {"flaky_state": "active"}},
        {"id": "t1"},
        None,
        "t1",
    ],
)
def test_a_test_that_cannot_be_read_is_left_out_and_counted(odd: object) -> None:
    found = decode_page(page(flaky("t2"), odd, next_page="more"), REQUEST)
    assert [test.id for test in found.tests] == ["t2"]
    assert len(found.left_out) == 1
    assert found.size == 2
    assert found.next_cursor == "more"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b"null", b'"x"', b"{}", b'{"errors":["x"]}', b'{"data":{}}',
        b'{"data":[1,2]}', b'{"data":[{"id":"x"}]}', b'{"data":[', b"\xff\xfe",
        b'{"data":[],"x":' + DEEP.encode() + b"}",
        b'{"data":[],"meta":{"pagination":{"next_page":7}}}',
    ],
)  # fmt: skip
def test_what_is_no_page_is_refused_with_the_request(body: bytes) -> None:
    with pytest.raises(BackendError) as caught:
        decode_page(body, REQUEST)
    assert caught.value.message.startswith(f"{REQUEST}: the answer is not what Datadog's API gives")


@pytest.mark.parametrize(
    ("tail", "cursor"),
    [
        ("", None),
        (',"meta":null', None),
        (',"meta":{}', None),
        (',"meta":{"pagination":null}', None),
        (',"meta":{"pagination":{"next_page":null}}', None),
        (',"meta":{"pagination":{"next_page":""}}', None),
        (',"meta":{"pagination":{"next_page":"c"}}', "c"),
    ],
)
def test_cursors(tail: str, cursor: str | None) -> None:
    found = decode_page(f'{{"data":[]{tail}}}'.encode(), REQUEST)
    assert found.next_cursor == cursor
    assert found.size == 0


def test_null_data_is_an_empty_page() -> None:
    assert decode_page(b'{"data":null}', REQUEST).size == 0


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(FULL)), ANYTHING))
def test_any_attributes_are_read_or_left_out(attributes: dict[str, object]) -> None:
    odd = {"id": "t1", "attributes": {**attributes}}
    found = decode_page(page(flaky("t2"), odd), REQUEST)
    assert found.size == 2
    assert len(found.tests) + len(found.left_out) == 2


THEN, DAY = 1_700_000_000.0, 86_400.0
MANUAL, AUTO = "ftm_policy.manual", "ftm_policy.quarantine.failure_rate"


@pytest.mark.parametrize(
    ("state", "history", "cause"),
    [
        ("active", None, StateCause(at=THEN, actor="datadog", first=True)),
        ("active", [], StateCause(at=THEN, actor="datadog", first=True)),
        ("quarantined", [], None),
        (
            "active",
            [changed("active", at=THEN + 2 * DAY, policy="unknown")],
            StateCause(at=THEN + 2 * DAY, first=True),
        ),
        (
            "active",
            [changed("active", at=THEN + 2 * DAY, policy=MANUAL)],
            StateCause(at=THEN + 2 * DAY, actor="somebody in Datadog"),
        ),
        (
            "active",
            [
                changed("active", at=THEN + 3 * DAY, policy="unknown"),
                changed("quarantined", at=THEN + 2 * DAY, policy=MANUAL),
            ],
            StateCause(at=THEN + 3 * DAY),
        ),
        (
            "quarantined",
            [
                changed("active", at=THEN + 3 * DAY, policy=MANUAL),
                changed("quarantined", at=THEN + 4 * DAY, policy=AUTO),
            ],
            StateCause(at=THEN + 4 * DAY, actor="datadog"),
        ),
        (
            "active",
            [changed("quarantined", at=THEN + 2 * DAY, policy=MANUAL)],
            StateCause(at=THEN + 2 * DAY),
        ),
        ("quarantined", [{"status": "quarantined", "policy_id": MANUAL}], None),
        ("active", {"odd": True}, None),
        ("active", [7], None),
    ],
)
def test_the_newest_entry_of_a_history_tells_who_changed_the_state(
    state: str, history: object, cause: StateCause | None
) -> None:
    test = flaky("t1", state=state, first_flaked_ts=THEN, history=history)
    [asked] = decode_page(page(test), REQUEST, history=True).tests
    assert asked.cause == cause
    assert only(test).cause is None


@given(
    st.text(),
    st.sampled_from([BY_NAME, WORST_FIRST]),
    st.integers(2, 999),
    st.none() | st.text(),
    st.booleans(),
)
def test_searches_are_as_the_reference_says(
    query: str, sort: Sort, limit: int, cursor: str | None, history: bool
) -> None:
    written = encode_search(query, sort=sort, limit=limit, cursor=cursor, history=history)
    body = json.loads(written)
    assert body["data"]["attributes"]["sort"] == sort
    assert body["data"]["attributes"]["filter"]["include_history"] is history
    assert list(mismatches(body, SEARCH, "body")) == []
    assert body["data"]["attributes"]["filter"]["query"] == query
    assert body["data"]["attributes"]["page"].get("cursor") == cursor


@given(st.lists(st.text()))
def test_updates_are_as_the_reference_says(ids: list[str]) -> None:
    body = json.loads(encode_update([change(each) for each in ids]))
    assert list(mismatches(body, UPDATE, "body")) == []
    assert [test["id"] for test in body["data"]["attributes"]["tests"]] == ids


def update_answer(results: object, *, has_errors: bool | None = False) -> bytes:
    attributes = {"has_errors": has_errors, "results": results}
    return json.dumps({"data": {"attributes": attributes}}).encode()


def said(body: bytes) -> list[bool | None]:
    results = decode_update(body, [change("a"), change("b")], REQUEST)
    assert [result.test_id for result in results] == ["a", "b"]
    return [result.ok for result in results]


YES_A, YES_B = {"id": "a", "success": True}, {"id": "b", "success": True}
NO_B = {"id": "b", "success": False, "error": "locked"}


def test_a_200_can_carry_failures() -> None:
    results = decode_update(
        update_answer([NO_B, YES_A], has_errors=True), [change("a"), change("b")], REQUEST
    )
    assert results == [
        UpdateResult(test_id="a", ok=True),
        UpdateResult(test_id="b", ok=False, error="locked"),
    ]


@pytest.mark.parametrize(
    ("results", "oks"),
    [
        ([YES_A, YES_B], [True, True]),
        ([YES_A], [True, None]),
        ([], [None, None]),
        (None, [None, None]),
        ([YES_A, {"id": "b"}], [True, None]),
        ([YES_A, YES_B, {"id": "c", "success": False}], [True, True]),
        ([YES_A, YES_B, NO_B], [True, False]),
        ([YES_A, NO_B, YES_B], [True, False]),
    ],
)
def test_results(results: object, oks: list[bool | None]) -> None:
    assert said(update_answer(results)) == oks


def test_errors_without_a_name_leave_everything_unknown() -> None:
    assert said(update_answer([YES_A, YES_B], has_errors=True)) == [None, None]


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"data":null}', b'{"data":{}}', b"<html>"])
def test_what_is_no_update_answer_is_refused(body: bytes) -> None:
    with pytest.raises(BackendError, match="the answer is not what Datadog's API gives"):
        decode_update(body, [change("a")], REQUEST)
