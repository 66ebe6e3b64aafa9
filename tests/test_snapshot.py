"""A snapshot is read back as it was saved, or refused with words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.ci.context import CIContext
from flakegate.errors import BackendError
from flakegate.model import FlakyTest, State, StateCause
from flakegate.snapshot import MAX_BYTES, _digest, document, parse, row, too_old
from tests.policy.strategies import flaky_tests

NOW = 1_795_176_000.0  # 20 November 2026, 12:00 UTC
HERE = CIContext(provider="github", repository="github.com/acme/shop", run_id="7")
OTHER_RUN = replace(HERE, run_id="8")
TEST = FlakyTest(
    id="a",
    module="m",
    suite="s",
    name="n ü \n",
    state=State.QUARANTINED,
    source_file="tests/a.py",
    state_since=NOW - 3_600.25,
    codeowners=("@acme/shop",),
    failure_rate=12.5,
    runs=8,
    attempt_to_fix_id="DD_A1",
    cause=StateCause(at=NOW - 3_600.25, actor="dana", reason="x", until=1_795_219_200.0),
)


def saved(*tests: FlakyTest, complete: bool = True, **changes: Any) -> bytes:
    """A snapshot with some of its values exchanged, and the digest of that."""
    found = document(tests, OTHER_RUN, "datadog", NOW, complete=complete) | changes
    del found["digest"]
    return json.dumps(found | {"digest": _digest(found)}, indent=2).encode()


def refusal(content: bytes, context: CIContext = HERE, now: float = NOW) -> str:
    with pytest.raises(BackendError) as error:
        parse(content, context, now)
    return error.value.message


def test_it_comes_back_as_it_was_saved() -> None:
    found = parse(saved(TEST), HERE, NOW)
    assert found.tests == (TEST,)
    assert (found.repository, found.backend, found.taken_at) == (HERE.repository, "datadog", NOW)


@given(st.lists(flaky_tests, max_size=3, unique_by=lambda test: test.id))
def test_all_that_can_be_asked_of_a_test_comes_back(tests: list[FlakyTest]) -> None:
    content = json.dumps(document(tests, OTHER_RUN, "store", NOW, complete=True)).encode()
    found = parse(content, HERE, NOW).tests
    assert [row(test, NOW) for test in found] == [row(test, NOW) for test in tests]


ROW = json.loads(saved(TEST))["tests"][0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no JSON document, or not all of one"),
        (saved(TEST)[:-5], "is no JSON document, or not all of one"),
        (b"[" * 100_000, "is no JSON document"),
        (b'{"version": NaN}', "is no JSON document"),
        (b"\xff\xfe", "is no JSON document"),
        (b"[]", "it has no version"),
        (b"{}", "it has no version"),
        (saved(TEST, version=2), "is no snapshot of version 1: it has version 2"),
        (saved(TEST, version="x" * 5_000), "it has version 'xxxx"),
        (saved(TEST).replace(b'"quarantined"', b'"disabled"'), "was changed since it was saved"),
        (saved(TEST).replace(b'"digest"', b'"digset"'), "was changed since it was saved"),
        (saved(TEST).replace(b"12:00:00", b"13:00:00"), "was changed since it was saved"),
        (saved(TEST, repository="github.com/acme/till"), "is of github.com/acme/till, and this is"),
        (saved(TEST, complete=False), "lists a part of the tests"),
        (saved(TEST, run=HERE.pipeline), "was taken in this CI run"),
        (saved(TEST, taken_at="2026-11-20T12:05:01Z"), "is of the future: 20 Nov 12:05 UTC"),
        (saved(TEST, TEST), "lists a test twice"),
        (saved(TEST, backend="other"), "is no snapshot"),
        (saved(TEST, tests={}), "is no snapshot"),
        (saved(tests=[ROW | {"state": "excused"}]), "is no snapshot"),
        (saved(tests=[ROW | {"id": 7}]), "is no snapshot"),
        (saved(tests=[ROW | {"state_since": "yesterday"}]), "is no snapshot"),
        (saved(tests=[ROW | {"until": "never"}]), "is no snapshot"),
        (saved(tests=[ROW | {"until": "9999-12-31"}]), "is no snapshot"),
        (saved(tests=[{"id": "a", "state": "quarantined"}]), "is no snapshot"),
    ],
)
def test_what_is_no_snapshot_of_this_is_refused(content: bytes, words: str) -> None:
    said = refusal(content)
    assert said.startswith(words) or words in said
    assert len(said) < 400


def test_one_that_is_too_large_is_refused() -> None:
    assert "larger than 128 MiB" in refusal(b" " * (MAX_BYTES + 1))


def test_clocks_may_differ_a_little() -> None:
    assert parse(saved(TEST), HERE, NOW - 299).taken_at == NOW


def test_outside_of_a_ci_there_is_no_run_to_be_of() -> None:
    local = replace(HERE, run_id="")
    content = json.dumps(document([TEST], local, "store", NOW, complete=True)).encode()
    assert parse(content, local, NOW).tests


def test_order_and_spaces_are_no_change() -> None:
    other = json.dumps(dict(reversed(json.loads(saved(TEST)).items())), indent=None).encode()
    assert parse(other, HERE, NOW).tests == (TEST,)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (NOW + 86_400, None),
        (
            NOW + 86_401,
            "was saved 20 Nov 12:00 UTC, 24 hours ago: gate.snapshot_max_age is 24 hours",
        ),
        (NOW + 40 * 86_400, "was saved 20 Nov 12:00 UTC, 40 days ago"),
    ],
)
def test_its_age(now: float, words: str | None) -> None:
    said = too_old(parse(saved(TEST), HERE, now), now, 86_400)
    assert said is None if words is None else said is not None and said.startswith(words)


@given(st.binary(max_size=200) | st.integers(0, 900).map(lambda end: saved(TEST)[:end]))
def test_anything_else_is_refused(content: bytes) -> None:
    assert refusal(content)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_byte_that_changed_is_seen_or_says_the_same(at: int, byte: int) -> None:
    content = bytearray(saved(TEST))
    content[at % len(content)] = byte
    try:
        found = parse(bytes(content), HERE, NOW)
    except BackendError:
        return
    assert found.tests == (TEST,)
