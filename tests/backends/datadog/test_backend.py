"""The backend against the loopback Datadog: what is read, what is changed, what is refused."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flakegate.backends.datadog.access import address, required_keys
from flakegate.backends.datadog.backend import FIELDS, Datadog
from flakegate.backends.datadog.searching import PAGE_SIZE
from flakegate.errors import BackendError, NothingChangedError, PolicyError, UsageError
from flakegate.matching.candidate import Candidate
from flakegate.model import FlakyTest, State, Transition
from flakegate.policy.needs import Wanted, afresh, whole
from flakegate.transport.client import Transport
from flakegate.transport.waiting import Timer
from tests.fake_datadog import (
    KEYS,
    FakeDatadog,
    changed,
    flaky,
    rate_limited,
)
from tests.faults import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flakegate.backends.base import Backend


@pytest.fixture
def fake() -> Iterator[FakeDatadog]:
    with FakeDatadog() as fake:
        yield fake


class Opened:
    """A backend on the fake, and what it warned of."""

    def __init__(self, fake: FakeDatadog, query: str | None = None, **env: str) -> None:
        env = {**KEYS, **env}
        self.transport = Transport(
            address(env, fake.url),
            headers=required_keys(env).headers(),
            timer=Timer(sleep=lambda _: None, jitter=lambda: 0.0),
        )
        self.warnings: list[str] = []
        self.datadog = Datadog(
            self.transport,
            repository="GitHub.com/Acme/Shop",
            query=query,
            warn=self.warnings.append,
        )

    def __enter__(self) -> Opened:  # noqa: PYI034 - nothing inherits from it
        return self

    def __exit__(self, *_: object) -> None:
        self.transport.close()

    def ids(self, *states: State) -> list[str]:
        return [test.id for test in self.datadog.search(whole(states or [State.ACTIVE]))]


def move(test: FlakyTest | str, to: State = State.QUARANTINED) -> Transition:
    test_id = test if isinstance(test, str) else test.id
    return Transition(
        test_id=test_id, fqn="x", from_state=State.ACTIVE, to_state=to, rule="noisy", reason=""
    )


def test_it_is_a_backend(fake: FakeDatadog) -> None:
    with Opened(fake) as opened:
        backend: Backend = opened.datadog
        assert backend.kind == "datadog"
        assert backend.place == fake.url
        assert backend.batch_size == 100
        assert backend.suite_size() is None
        assert not {"runs", "failures"} & backend.fields
        assert {"failure_rate", "broken", "fqn", "last_flaked_age"} <= FIELDS


def test_only_the_states_asked_for_of_this_repository_in_the_order_of_ids(
    fake: FakeDatadog,
) -> None:
    fake.tests = [
        flaky("c"), flaky("a", state="quarantined"), flaky("b", state="fixed"), flaky("d"),
        flaky("B", name="test_z"),
    ]  # fmt: skip
    fake.elsewhere = {"d": "github.com/acme/other"}
    with Opened(fake) as opened:
        assert opened.ids(State.ACTIVE, State.QUARANTINED) == ["B", "a", "c"]
        assert opened.ids(State.FIXED) == ["b"]
        assert opened.datadog.search(whole([])) == []
        assert opened.warnings == []
    assert len(fake.requests) == 3, "one for each state"


def test_the_limit_is_always_sent(fake: FakeDatadog) -> None:
    fake.tests = [flaky(f"t{number:04}") for number in range(PAGE_SIZE + 1)]
    with Opened(fake) as opened:
        assert len(opened.ids()) == PAGE_SIZE + 1
    assert [request.attributes["page"]["limit"] for request in fake.requests] == [PAGE_SIZE] * 2


def test_short_pages_are_not_the_last(fake: FakeDatadog) -> None:
    fake.tests = [flaky(f"t{number:02}") for number in range(20)]
    fake.page_cap = 3
    seen: list[tuple[int, int | None]] = []
    with Opened(fake) as opened:
        tests = opened.datadog.search(whole([State.ACTIVE]), lambda *so_far: seen.append(so_far))
    assert [test.id for test in tests] == [f"t{number:02}" for number in range(20)]
    assert seen == [(3, None), (6, None), (9, None), (12, None), (15, None), (18, None), (20, None)]


def test_empty_pages_in_a_row_are_the_end_and_a_single_one_is_not(fake: FakeDatadog) -> None:
    fake.tests = [flaky("a")]
    fake.trailing_page = True
    with Opened(fake) as opened:
        assert opened.ids() == ["a"]
        assert len(fake.requests) == 2
        fake.requests.clear()
        empty = b'{"data":[],"meta":{"pagination":{"next_page":"%d"}}}'
        fake.script = deque([Reply(body=empty % number) for number in range(3)])
        assert opened.ids() == []
        assert len(fake.requests) == 3
        fake.script = deque([Reply(body=empty % 1)] * 2)
        assert opened.ids() == []
        assert len(fake.requests) == 5
        data = b'{"data":[{"id":"late","attributes":{"flaky_state":"active"}}]}'
        fake.script = deque([Reply(body=empty % 1), Reply(body=empty % 2), Reply(body=data)])
        assert opened.ids() == ["late"]


def test_a_cursor_that_comes_back_is_an_error_not_a_loop(fake: FakeDatadog) -> None:
    body = b'{"data":[{"id":"a","attributes":{}}],"meta":{"pagination":{"next_page":"%s"}}}'
    fake.script = deque([Reply(body=body % cursor) for cursor in (b"x", b"y", b"x")])
    with Opened(fake) as opened, pytest.raises(BackendError, match="page 3 points back"):
        opened.ids()
    assert len(fake.requests) == 3


def test_a_test_on_two_pages_is_one_test_as_read_last(fake: FakeDatadog) -> None:
    one, two = Opened(fake), flaky("a", rate=30)
    fake.tests = [flaky("a", rate=10), flaky("b"), two]
    fake.page_cap = 1
    with one as opened:
        first, second = opened.datadog.search(whole([State.ACTIVE]))
    assert (first.id, second.id) == ("a", "b")
    assert first.failure_rate in {10, 30}
    assert len(fake.requests) == 3


def test_what_is_left_out_is_said(fake: FakeDatadog) -> None:
    odd = b'{"data":[{"id":"a","attributes":{"flaky_state":"muted"}},{"id":"b","attributes":'
    fake.script = deque([Reply(body=odd + b'{"flaky_state":"active"}}]}')])
    with Opened(fake) as opened:
        assert opened.ids() == ["b"]
        assert opened.warnings == ["1 of Datadog's tests left out: its flaky_state is 'muted'"]


def test_a_search_that_is_refused_may_be_the_policys_fault(fake: FakeDatadog) -> None:
    fake.script = deque([Reply(status=400, body=b'{"errors":["invalid query"]}')])
    with Opened(fake, query="env:[ci") as opened, pytest.raises(BackendError) as raised:
        opened.ids()
    assert "400 Bad Request: invalid query" in raised.value.message
    advice = "the search was refused: if the policy sets `backend.query`, check its syntax;"
    assert (raised.value.tip or "").startswith(advice)


def test_the_policys_query_narrows_the_search(fake: FakeDatadog) -> None:
    fake.tests = [flaky("a"), flaky("b", envs=["nightly"]), flaky("c", envs="ci")]
    with Opened(fake, query="env:ci OR env:prod") as opened:
        assert opened.ids() == ["a", "c"]
    with Opened(fake, query="env:ci) OR (env:*") as opened, pytest.raises(PolicyError):
        opened.ids()
    assert len(fake.requests) == 1


def test_what_was_changed_once_is_found_beyond_the_policys_query(fake: FakeDatadog) -> None:
    fake.tests = [flaky("a", state="quarantined"), flaky("b"), flaky("far", state="quarantined")]
    fake.elsewhere = {"far": "github.com/acme/other"}
    with Opened(fake, query="flaky_test_state:active") as opened:
        narrowed = Wanted(states={}, ids=frozenset({"a", "b", "far"}))
        assert [test.id for test in opened.datadog.search(narrowed)] == ["b"]
        assert [test.id for test in opened.datadog.search(afresh(narrowed.ids))] == ["a", "b"]


def test_a_repository_without_a_forge_is_refused(fake: FakeDatadog) -> None:
    with Opened(fake) as opened, pytest.raises(UsageError):
        Datadog(opened.transport, repository="local/shop")


@pytest.mark.parametrize(
    ("permission", "method"),
    [("test_optimization_read", "POST"), ("test_optimization_write", "PATCH")],
)
def test_a_missing_permission_is_named(fake: FakeDatadog, permission: str, method: str) -> None:
    fake.tests = [flaky("a")]
    fake.permissions -= {permission}

    def read_and_change(datadog: Datadog) -> None:
        datadog.search(whole([State.ACTIVE]))
        datadog.update([move("a")])

    with Opened(fake) as opened, pytest.raises(NothingChangedError) as caught:
        read_and_change(opened.datadog)
    assert caught.value.message == (
        f"{method} {fake.url}/api/v2/test/flaky-test-management/tests: 403 Forbidden:"
        " Forbidden: Failed permission authorization checks"
    )
    assert caught.value.tip is not None
    assert permission in caught.value.tip
    assert fake.states == {"a": "active"}


def test_wrong_keys_are_explained_and_not_shown(fake: FakeDatadog) -> None:
    wrong = "not-the-key-of-this-organisation"
    with Opened(fake, DD_API_KEY=wrong) as opened, pytest.raises(BackendError) as caught:
        opened.ids()
    assert "401 Unauthorized" in caught.value.message
    assert caught.value.tip is not None
    assert "DD_API_KEY" in caught.value.tip
    assert wrong not in f"{caught.value.message}{caught.value.tip}"


def test_a_rate_limit_in_the_middle_of_a_walk_loses_nothing(fake: FakeDatadog) -> None:
    fake.tests = [flaky(f"t{number}") for number in range(9)]
    fake.page_cap = 3
    fake.script = deque([None, rate_limited("1.5"), Reply(status=502), None, Reply(cut=30), None])
    with Opened(fake) as opened:
        assert opened.ids() == [f"t{number}" for number in range(9)]
    assert len(fake.requests) == 6


@pytest.mark.parametrize("body", [b"<html><title>Sign in</title></html>", b"[]", b'{"data":7}'])
def test_nonsense_with_a_200_is_no_empty_list(fake: FakeDatadog, body: bytes) -> None:
    fake.always = Reply(body=body, headers={"Content-Type": "text/html"})
    wrong = r"not what Datadog's|a web page"
    with Opened(fake) as opened, pytest.raises(BackendError, match=wrong):
        opened.ids()


def test_suites_are_looked_up_whole_and_no_others(fake: FakeDatadog) -> None:
    fake.tests = [
        flaky("a", suite="test_a.py"),
        flaky("b", suite="test_a.py", state="fixed"),
        flaky("of the package", suite="x_test.go", module="example.com/x"),
        flaky("other", suite="test_b.py"),
        flaky("of no state", suite="test_a.py", state="on_hold"),
    ]
    named = Candidate(module="m", suite="test_a.py", name="n", base_dir="", path="")
    wanted = [named, replace(named, suite="a suite that is not there")]
    wanted += [replace(named, module="example.com/x", suite=None)]
    with Opened(fake) as opened:
        assert not opened.datadog.by_identity
        found = opened.datadog.in_suites(wanted)
    assert [test.id for test in found] == ["a", "b", "of the package"]
    assert opened.warnings == ["1 of Datadog's tests left out: its flaky_state is 'on_hold'"]
    assert len(fake.requests) == 1


def test_beyond_some_searches_the_whole_list_is_read(fake: FakeDatadog) -> None:
    named = Candidate(module="m", suite="s", name="n", base_dir="", path="")
    wanted = [replace(named, suite=f"test_{number:05}.py") for number in range(10_000)]
    with Opened(fake) as opened:
        found = opened.datadog.in_suites(wanted)
    assert len(found) == len(fake.tests)
    assert len(fake.requests) <= 25
    assert max(len(request.body) for request in fake.requests) < 5_000


def test_the_fake_refuses_what_the_reference_does_not_allow(fake: FakeDatadog) -> None:
    """A fake that takes any body would prove nothing."""
    head = b'{"data":{"type":"search_flaky_tests_request","attributes":'
    rows = {
        head + b'{"filter":{"query":"env:ci"}}}}': "limit must be greater than 1",
        head + b'{"page":{"limit":1000}}}}': "limit must be greater than 1",
        head + b'{"page":{"limit":"500"}}}}': "is not int",
        head + b'{"page":{"limit":500},"sorted":"fqn"}}}': "sorted is unknown",
        head + b'{"page":{"limit":500},"sort":"rate"}}}': "is not one of",
        head + b'{"page":{"limit":500},"filter":{"query":"rate:1"}}}}': "unknown key rate",
        b'{"data":{"attributes":{}}}': "type is missing",
    }
    with Opened(fake) as opened:
        for body, problem in rows.items():
            with pytest.raises(NothingChangedError, match=problem):
                opened.transport.send("POST", "/api/v2/test/flaky-test-management/tests", body)


def test_histories_are_asked_for_by_id_in_searches_of_bounded_length(fake: FakeDatadog) -> None:
    names = [f"{number:0>40}" for number in range(200)] + ['odd " OR id']
    history = [changed("active", at=1e9, policy="ftm_policy.manual")]
    fake.tests = [flaky(name, history=history) for name in [*names, "other"]]
    fake.elsewhere = {names[0]: "github.com/acme/other"}
    with Opened(fake) as opened:
        tests = [test for test in opened.datadog.search(whole()) if test.id != "other"]
        fake.requests.clear()
        found = opened.datadog.last_changes(tests)
        assert opened.datadog.last_changes([]) == {}
    assert found.keys() == set(names[1:])
    assert {cause.by_person for cause in found.values()} == {True}
    queries = [request.attributes["filter"]["query"] for request in fake.requests]
    assert len(queries) == 3
    assert max(map(len, queries)) < 5_000
