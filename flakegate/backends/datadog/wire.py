"""Datadog's Flaky Test Management on the wire: values to JSON and back.

What a server shares with us stands in `flakegate.wire`. Decoding is tolerant: every attribute may
be absent or null, unknown ones are ignored, and a test that cannot be read is left out and named,
because nothing may be decided on a misread test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

from flakegate.errors import BackendError
from flakegate.model import DATADOG, FlakyTest, State, StateCause, UpdateResult
from flakegate.wire import flaky_tests as wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flakegate.model import Transition

BY_NAME: wire.Sort = "fqn"
WORST_FIRST: wire.Sort = "-failure_rate"
SOMEBODY = "somebody in Datadog"  # the actor of a change by hand; whose it is, is not told

# Seconds stay below this until the year 5138; milliseconds passed it in 1973.
_MILLISECONDS_FROM = 1e11
_LAST_TIME = 2.5e11  # seconds: in the year 9892, before all calendars end

Memo = dict[Any, Any]  # from each value to the first that was equal to it
_Kept = TypeVar("_Kept")
_Texts = list[str | None] | str | None


class _Change(msgspec.Struct):
    timestamp: float | None = None
    status: str | None = None
    policy_id: str | None = None


class _Attributes(wire.Told):
    flaky_state: str | None = None
    codeowners: _Texts = None
    envs: _Texts = None
    services: _Texts = None
    impact_level: str | None = None
    # Read apart: an odd history makes the last change unknown, and not the test.
    history: msgspec.Raw = msgspec.Raw(b"null")


class _Test(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1)]
    attributes: _Attributes


class _Answer(msgspec.Struct):
    data: list[_Test] | None
    meta: wire.PageMeta | None = None


class _LooseAnswer(msgspec.Struct):
    data: list[msgspec.Raw] | None
    meta: wire.PageMeta | None = None


class _UpdateData(msgspec.Struct):
    attributes: wire.Results


class _UpdateAnswer(msgspec.Struct):
    data: _UpdateData


_ESCAPES = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)|\\.", re.DOTALL)
UNREADABLE = (msgspec.DecodeError, RecursionError)  # the latter where it is nested too deeply
_ANSWER = msgspec.json.Decoder(_Answer)
_LOOSE_ANSWER = msgspec.json.Decoder(_LooseAnswer)
_TEST = msgspec.json.Decoder(_Test)
_HISTORY = msgspec.json.Decoder(list[_Change] | None)
_UPDATE_ANSWER = msgspec.json.Decoder(_UpdateAnswer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a search. size: how many tests it held, those left out included.

    next_cursor: where the search goes on; None: this was the last page.
    left_out: of every test that cannot be used, why.
    """

    tests: tuple[FlakyTest, ...]
    size: int
    next_cursor: str | None
    left_out: tuple[str, ...]


def encode_search(
    query: str, *, sort: wire.Sort, limit: int, cursor: str | None, history: bool = False
) -> bytes:
    """The body of a search. limit: tests a page, 2 to 999; without it Datadog answers 400.

    sort: BY_NAME or WORST_FIRST. history: ask for the changes of each test's state, too.
    """
    attributes = wire.SearchAttributes(
        filter=wire.Filter(query=query, include_history=history),
        page=wire.PageOptions(limit=limit, cursor=msgspec.UNSET if cursor is None else cursor),
        sort=sort,
    )
    return wire.encode(wire.Search(type="search_flaky_tests_request", attributes=attributes))


def encode_update(changes: Sequence[Transition]) -> bytes:
    """The body of one batch of state changes."""
    tests = tuple(wire.NewState(id=each.test_id, new_state=each.to_state) for each in changes)
    attributes = wire.UpdateAttributes(tests=tests)
    return wire.encode(wire.Update(type="update_flaky_test_state_request", attributes=attributes))


def decode_page(
    body: bytes, request: str, *, history: bool = False, memo: Memo | None = None
) -> Page:
    """A page of a search. request: names it in the BackendError for an answer that is not one.

    history: it was asked for, so that the tests carry `cause` and `state_since` where these are
    known. An active test without history is as it was found. memo: of the pages before this one, so
    that a text that comes again, as most do, is no second object.
    """
    memo = {} if memo is None else memo
    try:
        answer = _ANSWER.decode(body)
        raw = answer.data or []
        left_out: list[str] = []
        meta = answer.meta
    except UNREADABLE:
        raw, left_out, meta = _decode_loosely(_mended(body), request)
    tests: list[FlakyTest] = []
    for test in raw:
        state = _state(test.attributes.flaky_state)
        if state is None:
            left_out.append(f"its flaky_state is {test.attributes.flaky_state!r}")
        else:
            tests.append(_flaky_test(test.id, state, test.attributes, history=history, memo=memo))
    pagination = meta.pagination if meta else None
    return Page(
        tests=tuple(tests),
        size=len(tests) + len(left_out),
        next_cursor=(pagination.next_page or None) if pagination else None,
        left_out=tuple(left_out),
    )


def _decode_loosely(
    body: bytes, request: str
) -> tuple[list[_Test], list[str], wire.PageMeta | None]:
    """Test by test, after the page as a whole could not be read. Some test must be readable."""
    try:
        answer = _LOOSE_ANSWER.decode(body)
    except UNREADABLE as error:
        raise nonsense(request, error) from None
    read = [_test(item) for item in answer.data or []]
    tests = [item for item in read if isinstance(item, _Test)]
    left_out = [item for item in read if isinstance(item, str)]
    if left_out and not tests:
        raise nonsense(request, left_out[0])
    return tests, left_out, answer.meta


def _mended(body: bytes) -> bytes:
    """With U+FFFD for halves of characters: some writers cut a long text off inside of one."""
    return _ESCAPES.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)


def _test(raw: msgspec.Raw) -> _Test | str:
    """A test, or why it cannot be read."""
    try:
        return _TEST.decode(raw)
    except UNREADABLE as error:
        return str(error)


def decode_update(body: bytes, changes: Sequence[Transition], request: str) -> list[UpdateResult]:
    """What was said of each change, in their order. A 200 can carry failures.

    An id that the answer does not mention is not known to be done (ok is None).
    """
    try:
        answer = _UPDATE_ANSWER.decode(body).data.attributes
    except UNREADABLE as error:
        raise nonsense(request, error) from None
    said: dict[str, wire.Result] = {}
    for result in answer.results or []:
        earlier = said.get(result.id)
        if earlier is None or earlier.success:
            said[result.id] = result
    results = [_update_result(change.test_id, said.get(change.test_id)) for change in changes]
    if answer.has_errors and all(result.ok for result in results):
        unclear = "Datadog reported errors without saying for which test"
        return [UpdateResult(test_id=result.test_id, ok=None, error=unclear) for result in results]
    return results


def _update_result(test_id: str, said: wire.Result | None) -> UpdateResult:
    if said is None or said.success is None:
        return UpdateResult(test_id=test_id, ok=None, error="Datadog's answer does not mention it")
    if said.success:
        return UpdateResult(test_id=test_id, ok=True)
    return UpdateResult(test_id=test_id, ok=False, error=said.error or "Datadog gave no reason")


def nonsense(request: str, why: object) -> BackendError:
    """The error for an answer of Datadog's that is none."""
    return BackendError(
        f"{request}: the answer is not what Datadog's API gives: {why}",
        tip="check that the API address (DD_SITE, --api-url) is Datadog's and no proxy's page",
    )


def _state(text: str | None) -> State | None:
    try:
        return State(text)
    except ValueError:
        return None


def _once(memo: Memo, value: _Kept) -> _Kept:
    """The first of all equal values."""
    kept: _Kept = memo.setdefault(value, value)
    return kept


def _flaky_test(
    test_id: str, state: State, seen: _Attributes, *, history: bool, memo: Memo
) -> FlakyTest:
    pipelines = seen.pipeline_stats or wire.PipelineStats()
    stats = seen.test_stats or wire.TestStats()
    run = seen.test_run_metadata or wire.RunMetadata()
    failed = pipelines.failed_pipelines
    cause, since = _cause(state, seen) if history else (None, None)
    return FlakyTest(
        id=test_id,
        module=_once(memo, seen.module or ""),
        suite=_once(memo, seen.suite or ""),
        name=seen.name or "",
        state=state,
        category=_once(memo, seen.flaky_category or None),
        source_file=_once(memo, run.source_file or None),
        error_message=_once(memo, run.error_message or None),
        first_flaked_branch=_once(memo, seen.first_flaked_branch or None),
        last_flaked_branch=_once(memo, seen.last_flaked_branch or None),
        first_flaked_at=_time(seen.first_flaked_ts),
        last_flaked_at=_time(seen.last_flaked_ts),
        state_since=since,
        cause=cause,
        # A test without owners is known to have none, or an exemption by owner would exempt it.
        codeowners=_once(memo, _texts(seen.codeowners) or ()),
        envs=_once(memo, _texts(seen.envs)),
        services=_once(memo, _texts(seen.services)),
        failure_rate=stats.failure_rate_pct,
        failed_pipelines=None if failed is None else int(failed),
        lost_time=_seconds(pipelines.total_lost_time_ms),
        duration=_seconds(run.duration_ms),
        impact_score=seen.impact_score,
        impact_level=_once(memo, seen.impact_level or None),
        attempt_to_fix_id=seen.attempt_to_fix_id or None,
    )


def _cause(state: State, seen: _Attributes) -> tuple[StateCause | None, float | None]:
    """By the newest entry of the history: what last changed the state, and since when it has it.

    A single entry that says `active` is of the day the test was found, if nobody made it by hand.
    """
    try:
        history = _HISTORY.decode(seen.history) or ()
    except UNREADABLE:
        return None, None
    if not history and state is State.ACTIVE:
        found_at = _time(seen.first_flaked_ts)
        return StateCause(at=found_at or 0.0, actor=DATADOG, first=True), found_at
    changes = [(at, each) for each in history if (at := _time(each.timestamp)) is not None]
    if not changes:
        return None, None
    at, newest = max(changes, key=lambda change: change[0])
    if newest.status not in (None, state.value):
        return StateCause(at=at), None  # it does not tell of the change to this state yet
    policy = newest.policy_id or ""
    if policy == "ftm_policy.manual":
        return StateCause(at=at, actor=SOMEBODY), at
    first = len(changes) == 1 and newest.status == state.value == State.ACTIVE.value
    actor = DATADOG if policy.startswith("ftm_policy.") else None
    return StateCause(at=at, actor=actor, first=first), at


def _texts(value: _Texts) -> tuple[str, ...] | None:
    """`envs` has been seen as a plain text instead of a list."""
    if value is None:
        return None
    items = [value] if isinstance(value, str) else value
    return tuple(item for item in items if item)


def _time(value: float | None) -> float | None:
    """Seconds since the epoch, from seconds or milliseconds. Zero is a time nobody set."""
    if value is None or value <= 0:
        return None
    seconds = value / 1000 if value >= _MILLISECONDS_FROM else value
    return seconds if seconds <= _LAST_TIME else None


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
