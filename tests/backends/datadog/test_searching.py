"""What is read of a long list, and how: only what is wanted, side by side, the worst first."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flakegate.backends.datadog.backend import Datadog
from flakegate.backends.datadog.searching import AT_ONCE
from flakegate.errors import BackendError
from flakegate.model import State
from flakegate.policy.needs import Wanted, whole
from flakegate.transport.client import Transport
from flakegate.transport.waiting import Timer
from tests.fake_datadog import API_KEY, APP_KEY, REPOSITORY, FakeDatadog, changed, flaky
from tests.faults import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flakegate.model import FlakyTest

ACTIVE, QUARANTINED, DISABLED, FIXED = State
THEN = 1_790_000_000.0


@pytest.fixture(scope="module")
def served() -> Iterator[FakeDatadog]:
    with FakeDatadog() as fake:
        yield fake


@pytest.fixture
def fake(served: FakeDatadog) -> FakeDatadog:
    served.requests.clear()
    served.script.clear()
    served.tests, served.elsewhere, served.always, served.page_cap = [], {}, None, 1000
    return served


def search(fake: FakeDatadog, wanted: Wanted, query: str | None = None) -> list[FlakyTest]:
    transport = Transport(
        fake.url,
        headers={"DD-API-KEY": API_KEY, "DD-APPLICATION-KEY": APP_KEY},
        timer=Timer(sleep=lambda _: None, jitter=lambda: 0.0),
    )
    try:
        return Datadog(transport, repository=REPOSITORY, query=query).search(wanted)
    finally:
        transport.close()


def ids(tests: list[FlakyTest]) -> list[str]:
    return [test.id for test in tests]


def asked(fake: FakeDatadog, *keys: str) -> list[Any]:
    """One attribute of every request, in an order of its own: they are sent side by side."""
    found = []
    for request in fake.requests:
        value = request.attributes
        for key in keys:
            value = value[key]
        found.append(value)
    return sorted(found)


def page(*tests: dict[str, Any], cursor: str | None = None) -> Reply:
    answer = {"data": tests, "meta": {"pagination": {"next_page": cursor}}}
    return Reply(body=json.dumps(answer).encode())


def test_below_the_least_rate_nothing_is_read(fake: FakeDatadog) -> None:
    fake.tests = [flaky(f"t{rate:02}", rate=rate) for rate in range(60)]
    fake.tests += [flaky(f"null{n}") for n in range(5)]
    fake.page_cap = 4
    found = search(fake, Wanted(states={ACTIVE: 50.0}))
    assert {f"t{rate}" for rate in range(50, 60)} <= set(ids(found))
    assert len(fake.requests) == 4, "9 tests or more of 4 a page, after 5 without a rate"
    assert set(asked(fake, "sort")) == {"-failure_rate"}


def test_tests_without_a_rate_end_nothing_wherever_they_come(fake: FakeDatadog) -> None:
    fake.script = deque(
        [
            page(flaky("a", rate=90), flaky("null1"), cursor="1"),
            page(flaky("null2"), flaky("null3"), cursor="2"),
            page(flaky("b", rate=50), flaky("null4"), cursor="3"),
            page(flaky("c", rate=49.9), flaky("null5"), cursor="4"),
        ]
    )
    found = search(fake, Wanted(states={ACTIVE: 50.0}))
    assert {"a", "b"} <= set(ids(found))
    assert len(fake.requests) == 4


def test_a_list_in_another_order_is_read_to_its_end(fake: FakeDatadog) -> None:
    fake.script = deque(
        [
            page(flaky("a", rate=10), flaky("b", rate=90), cursor="1"),
            page(flaky("c", rate=1), cursor="2"),
            page(flaky("d", rate=80)),
        ]
    )
    assert ids(search(fake, Wanted(states={ACTIVE: 50.0}))) == ["a", "b", "c", "d"]


def test_a_state_is_a_search_and_each_ends_where_it_may(fake: FakeDatadog) -> None:
    for state in State:
        fake.tests += [flaky(f"{state}{n}", state=state.value, rate=n) for n in range(30)]
    fake.page_cap = 10
    found = search(fake, Wanted(states={ACTIVE: 25.0, QUARANTINED: None, FIXED: 100.0}))
    assert ids(found) == sorted(
        [f"active{n}" for n in range(20, 30)]
        + [f"quarantined{n}" for n in range(30)]
        + [f"fixed{n}" for n in range(20, 30)]
    )
    assert asked(fake, "sort") == ["-failure_rate"] * 2 + ["fqn"] * 3
    assert set(asked(fake, "filter", "query")) == {
        f'@git.repository.id_v2:"{REPOSITORY}" AND (flaky_test_state:{state})'
        for state in (ACTIVE, QUARANTINED, FIXED)
    }


def test_what_is_wanted_by_its_id_is_found_in_any_state_of_this_repository(
    fake: FakeDatadog,
) -> None:
    fake.tests = [
        flaky("a"), flaky("b", state="quarantined"), flaky("c", state="fixed"),
        flaky("theirs"), flaky("narrow", envs=["prod"]), flaky("d", rate=80),
    ]  # fmt: skip
    fake.elsewhere = {"theirs": "github.com/acme/other"}
    wanted = Wanted(states={ACTIVE: 50.0}, ids=frozenset({"b", "c", "theirs", "narrow", "gone"}))
    assert {"b", "c", "d"} <= set(ids(search(fake, wanted, "env:ci"))) <= {"a", "b", "c", "d"}


def test_histories_come_only_where_they_are_wanted(fake: FakeDatadog) -> None:
    history = [changed("quarantined", at=THEN, policy="ftm_policy.manual")]
    fake.tests = [
        flaky("q", state="quarantined", history=history),
        flaky("new", first_flaked_ts=THEN - 5),
        flaky("lags", state="disabled", history=history),
        flaky("odd", state="fixed", history=[{"timestamp": "soon"}]),
    ]
    states = dict.fromkeys((ACTIVE, DISABLED, FIXED))
    with_history = search(fake, Wanted(states=states, ids=frozenset({"q"}), history=True))
    assert {test.id: test.state_since for test in with_history} == {
        "q": THEN, "new": THEN - 5, "lags": None, "odd": None,
    }  # fmt: skip
    assert asked(fake, "filter", "include_history") == [True] * 4
    assert {test.cause for test in with_history} == {None}, "that is asked of the moment"
    fake.requests.clear()
    assert {test.state_since for test in search(fake, whole())} == {None}
    assert asked(fake, "filter", "include_history") == [False] * 4


@pytest.mark.parametrize(
    ("always", "said"),
    [
        (Reply(status=403, body=b'{"errors":["Forbidden"]}'), "403 Forbidden"),
        (Reply(body=b"<html>"), "a web page"),
        (page(flaky("a"), cursor="same"), "points back to an earlier one"),
    ],
)
def test_trouble_of_all_searches_is_told_once(fake: FakeDatadog, always: Reply, said: str) -> None:
    fake.always = always
    wanted = Wanted(states=whole().states, ids=frozenset(f"{n:0>200}" for n in range(100)))
    with pytest.raises(BackendError, match=said):
        search(fake, wanted)
    assert len(fake.requests) <= 2 * AT_ONCE


def test_a_test_that_moves_while_the_list_is_read_is_one_test(fake: FakeDatadog) -> None:
    fake.always = page(flaky("a", state="quarantined"))
    assert [(test.id, test.state) for test in search(fake, whole())] == [("a", QUARANTINED)]


def test_texts_that_come_again_are_one_object(fake: FakeDatadog) -> None:
    fake.tests = [flaky(f"t{n}", flaky_category="timeout") for n in range(6)]
    fake.page_cap = 2
    tests = search(fake, whole([ACTIVE]))
    for name in ("suite", "category", "codeowners", "envs"):
        assert len({id(getattr(test, name)) for test in tests}) == 1, name


rates = st.none() | st.floats(0, 100) | st.sampled_from([0.0, 20.0, 50.0])
known = st.lists(st.tuples(st.sampled_from(State), rates), max_size=25)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    known,
    st.dictionaries(st.sampled_from(State), st.none() | st.sampled_from([20.0, 50.0])),
    st.sets(st.integers(0, 24)),
    st.integers(1, 6),
)
def test_all_that_is_wanted_is_found(
    fake: FakeDatadog,
    made: list[tuple[State, float | None]],
    states: dict[State, float | None],
    numbers: set[int],
    cap: int,
) -> None:
    fake.tests = [
        flaky(f"{n}", state=state.value, rate=rate) for n, (state, rate) in enumerate(made)
    ]
    fake.page_cap = cap
    found = search(fake, Wanted(states=states, ids=frozenset(map(str, numbers))))
    needed = {
        str(n)
        for n, (state, rate) in enumerate(made)
        if n in numbers
        or (state in states and ((least := states[state]) is None or (rate or 0) >= least))
    }
    allowed = needed | {str(n) for n, (state, _) in enumerate(made) if state in states}
    assert needed <= set(ids(found)) <= allowed
    assert ids(found) == sorted(set(ids(found)))
