"""One job's results as a record, and the record as a shard."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flakegate.ci.context import CIContext
from flakegate.errors import EvidenceError, ExitCode
from flakegate.junit import Case, Outcome
from flakegate.model import Identity
from flakegate.record import (
    MAX_INFLATED,
    MAX_MESSAGE,
    RunRecord,
    decode_shard,
    digest,
    encode_shard,
    from_results,
    queue_target,
)
from flakegate.record import TestRecord as Recorded  # pytest would collect it by its own name
from flakegate.results import Result

P, F, E, S = Outcome.PASSED, Outcome.FAILURE, Outcome.ERROR, Outcome.SKIPPED
CONTEXT = CIContext(
    provider="github",
    repository="github.com/acme/shop",
    commit="c1",
    branch="topic",
    default_branch="main",
    run_id="7",
    attempt="2",
    job="tests",
    shard="3",
    pull_request="12",
    event="pull_request",
)
AT = 1_750_000_000.25


def identity(name: str, suite: str = "tests.test_shop") -> Identity:
    return Identity(module="", suite=suite, name=name, source_file="tests/test_shop.py")


def a_result(  # noqa: PLR0913 - all but the outcome have a value
    outcome: Outcome,
    *earlier: Outcome,
    name: str = "a",
    report: str = "junit.xml",
    ambiguous: str | None = None,
    duration: float | None = 0.1234,
    message: str | None = "boom",
) -> Result:
    case = Case(
        suite="pytest",
        classname="tests.test_shop",
        name=name,
        file=None,
        suite_file=None,
        line=None,
        outcome=outcome,
        duration=duration,
        message=message if outcome is not P else None,
        earlier=earlier,
    )
    return Result(
        identity=identity(name),
        report=report,
        case=case,
        outcome=outcome,
        earlier=earlier,
        ambiguous=ambiguous,
    )


def folded(*results: Result) -> list[Recorded]:
    return list(from_results(results, CONTEXT, AT).results)


def attempts(*results: Result) -> tuple[Outcome, ...]:
    (record,) = folded(*results)
    return record.attempts


# Folding


def test_the_context_says_which_run_it_is() -> None:
    record = from_results([a_result(P)], CONTEXT, AT)
    assert record.key == "github:github.com/acme/shop:7:2:tests:3"
    assert record.pipeline == "github:github.com/acme/shop:7"
    assert record.leg == "tests:3"
    assert (record.repository, record.commit, record.branch) == (
        "github.com/acme/shop",
        "c1",
        "topic",
    )
    assert (record.pull_request, record.fork, record.at) == ("12", False, AT)
    assert (record.is_default, record.queued) == (False, False)


@pytest.mark.parametrize(
    ("branch", "default", "event", "fork", "expected"),
    [
        ("main", "main", "push", False, (True, False)),
        ("topic", "main", "push", False, (False, False)),
        ("main", None, "push", False, (False, False)),
        ("main", "main", "push", True, (False, False)),
        ("gh-readonly-queue/main/pr-7-0a1b2c", "main", None, False, (True, True)),
        ("gh-readonly-queue/main/pr-7-0a1b2c", "main", None, True, (False, True)),
        ("gh-readonly-queue/next/pr-7-0a1b2c", "main", None, False, (False, True)),
        ("gh-readonly-queue/next/pr-7-0a1b2c", None, None, False, (False, True)),
        ("topic", "main", "merge_train", False, (False, True)),
    ],
)
def test_the_default_branch_and_the_queue_before_it(
    branch: str, default: str | None, event: str | None, fork: bool, expected: tuple[bool, bool]
) -> None:
    context = replace(
        CONTEXT,
        branch=branch,
        default_branch=default,
        event=event,
        fork=fork,
        pull_request=None,
    )
    record = from_results([a_result(P)], context, AT)
    assert (record.is_default, record.queued) == expected


@pytest.mark.parametrize(
    ("branch", "target"),
    [
        (None, None),
        ("", None),
        ("main", None),
        ("gh-readonly-queue/main/pr-12-0a1b2c", "main"),
        ("gh-readonly-queue/release/2.x/pr-12-0a1b2c", "release/2.x"),
        ("gh-readonly-queue/main", None),
        ("my/gh-readonly-queue/main/pr-12-0a1b2c", None),
    ],
)
def test_the_target_of_a_merge_queue(branch: str | None, target: str | None) -> None:
    assert queue_target(branch) == target


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([a_result(P)], (P,)),
        ([a_result(S)], (S,)),
        ([a_result(F)], (F,)),
        ([a_result(P, F)], (F, P)),
        ([a_result(F, F, E)], (F, E, F)),
        ([a_result(S, F)], (F, S)),
        # A matrix: not proven attempts, so never flaky by itself.
        ([a_result(P), a_result(F)], (F,)),
        ([a_result(F), a_result(P)], (F,)),
        ([a_result(F), a_result(E), a_result(P)], (E,)),
        ([a_result(P), a_result(S)], (P,)),
        ([a_result(S), a_result(S)], (S,)),
        ([a_result(P, F), a_result(F)], (F,)),
        ([a_result(P, F), a_result(P)], (F, P)),
        ([a_result(P), a_result(P, E), a_result(P, F)], (E, F, P)),
        # Not to be told from others: what its attempts prove is not known either.
        ([a_result(P, F, ambiguous="twice")], (P,)),
        ([a_result(F, P, ambiguous="twice")], (F,)),
        ([a_result(P, ambiguous="twice"), a_result(F, ambiguous="twice")], (F,)),
        ([a_result(P, F, ambiguous="twice"), a_result(P)], (P,)),
    ],
)
def test_the_results_of_one_test_become_one(
    results: list[Result], expected: tuple[Outcome, ...]
) -> None:
    assert attempts(*results) == expected


@given(st.lists(st.builds(a_result, st.sampled_from([P, F, E, S])), min_size=2))
def test_a_matrix_alone_never_looks_like_a_retry(results: list[Result]) -> None:
    assert len(attempts(*results)) == 1


def test_a_test_without_a_name_is_left_out() -> None:
    assert folded(a_result(F, name=""), a_result(P)) == [
        Recorded(identity=identity("a"), attempts=(P,))
    ]


def test_only_failures_keep_their_time_and_their_words() -> None:
    passed, failed, skipped = folded(
        a_result(P, name="a"), a_result(F, name="b"), a_result(S, name="c")
    )
    assert (passed.duration, passed.message) == (None, None)
    assert (skipped.duration, skipped.message) == (None, None)
    assert (failed.duration, failed.message) == (0.123, "boom")
    (retried,) = folded(a_result(P, F))
    assert retried.duration == 0.123


@pytest.mark.parametrize("duration", [None, -1.0, float("nan"), float("inf")])
def test_a_time_that_is_none(duration: float | None) -> None:
    assert folded(a_result(F, duration=duration))[0].duration is None


def test_words_are_bounded() -> None:
    assert folded(a_result(F, message="x" * 9_999))[0].message == "x" * MAX_MESSAGE


def test_bytes_that_are_no_text_do_not_break_a_record() -> None:
    context = replace(CONTEXT, branch="caf\udce9", job="\udcff")
    record = from_results([a_result(P)], context, AT)
    assert record.branch == "caf?"
    assert decode_shard(encode_shard(record), "shard") == record


# Shards

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
IDENTITIES = st.builds(Identity, module=TEXTS, suite=TEXTS, name=TEXTS, source_file=TEXTS)


@st.composite
def records(draw: st.DrawFn) -> RunRecord:
    identities = sorted(
        draw(st.sets(IDENTITIES, max_size=8)),
        key=lambda one: (one.module, one.source_file, one.suite, one.name),
    )
    optional = st.none() | TEXTS
    return RunRecord(
        key=draw(TEXTS),
        pipeline=draw(TEXTS),
        leg=draw(TEXTS),
        repository=draw(TEXTS),
        commit=draw(optional),
        branch=draw(optional),
        is_default=draw(st.booleans()),
        pull_request=draw(optional),
        fork=draw(st.booleans()),
        at=draw(st.floats(0, 1e11)),
        queued=draw(st.booleans()),
        results=tuple(
            draw(
                st.just(Recorded(identity=one, attempts=(P,)))
                | st.builds(
                    Recorded,
                    identity=st.just(one),
                    attempts=st.lists(st.sampled_from(Outcome), min_size=1, max_size=3).map(tuple),
                    duration=st.none() | st.floats(0, 1e6),
                    message=optional,
                )
            )
            for one in identities
        ),
    )


RECORD = from_results(
    [a_result(P, name="a"), a_result(P, F, name="b"), a_result(E, name="c")], CONTEXT, AT
)
SHARD = encode_shard(RECORD)


def _plain(record: RunRecord) -> RunRecord:
    """A plain pass has no words and no time."""
    results = (
        Recorded(identity=one.identity, attempts=(P,)) if one.attempts == (P,) else one
        for one in record.results
    )
    return replace(record, results=tuple(results))


@given(records())
def test_a_shard_gives_back_its_run(record: RunRecord) -> None:
    assert decode_shard(encode_shard(record), "shard") == _plain(record)


@given(records(), st.randoms(use_true_random=False))
def test_the_same_run_gives_the_same_bytes(record: RunRecord, dice: object) -> None:
    shuffled = list(record.results)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    other = replace(record, results=tuple(shuffled))
    assert encode_shard(other) == encode_shard(record)
    assert digest(other) == digest(record)


def test_a_shard_is_gzip_without_a_time_or_name_of_its_own() -> None:
    assert SHARD[:4] == b"\x1f\x8b\x08\x00"
    assert SHARD[4:8] == b"\0\0\0\0"
    assert json.loads(gzip.decompress(SHARD))["flakegate_shard"] == 1


def test_when_it_was_recorded_is_no_part_of_what_it_says() -> None:
    assert digest(replace(RECORD, at=1.0)) == digest(RECORD)
    changes: list[RunRecord] = [
        replace(RECORD, commit="c2"),
        replace(RECORD, fork=True),
        replace(RECORD, queued=True),
        replace(RECORD, results=RECORD.results[1:]),
        replace(RECORD, results=()),
    ]
    assert len({digest(record) for record in [RECORD, *changes]}) == 6


def test_some_hundred_shards_of_forty_tests_fit_into_a_megabyte() -> None:
    names = [f"test_behaviour_{number}_of_the_cart" for number in range(40)]
    job = [a_result(P, name=name) for name in names[1:]] + [a_result(F, name=names[0])]
    assert len(encode_shard(from_results(job, CONTEXT, AT))) < 800


def test_a_passing_test_costs_a_few_bytes() -> None:
    def size(many: int) -> int:
        job = [a_result(P, name=f"test_behaviour_{number}_of_the_cart") for number in range(many)]
        return len(encode_shard(from_results(job, CONTEXT, AT)))

    assert (size(1_000) - size(100)) / 900 < 6


@given(st.integers(0, len(SHARD) - 1))
def test_a_shard_cut_short_is_refused(length: int) -> None:
    with pytest.raises(EvidenceError) as raised:
        decode_shard(SHARD[:length], "s.json.gz")
    assert raised.value.message.startswith("s.json.gz: ")
    assert raised.value.tip
    assert raised.value.exit_code is ExitCode.INCOMPLETE


@given(st.integers(0, len(SHARD) - 1), st.integers(1, 255))
@example(len(SHARD) // 2, 1)
def test_an_altered_byte_never_gives_another_run(place: int, change: int) -> None:
    """A few bits of gzip mean nothing: its time, and what fills up the last byte of the data."""
    altered = bytearray(SHARD)
    altered[place] ^= change
    try:
        decoded = decode_shard(bytes(altered), "shard")
    except EvidenceError:
        return
    assert decoded == RECORD


def repacked(**changes: object) -> bytes:
    document = json.loads(gzip.decompress(SHARD))
    run = {**document["run"], **changes}
    written = json.dumps({**document, "run": run}, separators=(",", ":"))
    return gzip.compress(written.encode())


def resealed(document: object) -> bytes:
    """As somebody who knows how would forge it: with the right digest."""
    from hashlib import sha256

    run = json.dumps(document).encode()
    head = b'{"flakegate_shard":1,"sha256":"%s","run":' % sha256(run).hexdigest().encode()
    return gzip.compress(head + run + b"}")


HONEST = json.loads(gzip.decompress(SHARD))["run"]
TEST = ["", "f", "s", ["a"]]


def test_resealing_makes_a_valid_shard() -> None:
    """Else the cases below would be refused for their digest alone."""
    assert decode_shard(resealed(HONEST), "shard") == RECORD


def test_altered_content_is_named_as_that() -> None:
    assert decode_shard(repacked(), "shard") == RECORD
    with pytest.raises(EvidenceError, match="it was altered"):
        decode_shard(repacked(fork=True), "shard")


@pytest.mark.parametrize(
    "changes",
    [
        {"tests": [TEST, TEST]},
        {"tests": [["", "f", "s", ["a", "a"]]]},
        {"tests": [TEST], "other": [[1, "f", None, None]]},
        {"tests": [TEST], "other": [[-1, "f", None, None]]},
        {"tests": [TEST], "other": [[0, "", None, None]]},
        {"tests": [TEST], "other": [[0, "x", None, None]]},
        {"tests": [TEST], "other": [[0, 7, None, None]]},
        {"tests": "none"},
        {"tests": [[None, "f", "s", ["a"]]]},
        {"at": "today"},
        {"at": -1e12},
        {"at": 1e18},
        {"at": 1e300},
        {"key": None},
        {"more": 1},
    ],
)
def test_what_no_honest_shard_holds_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(EvidenceError, match="not a whole shard"):
        decode_shard(resealed({**HONEST, **changes}), "shard")


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b'"text"', b"<testsuite/>", b"\xff\xfe", b"[" * 100_000,
     b'{"flakegate_shard": "1"}', b'{"flakegate_shard": 1}', b'{"flakegate_shard": 1, "run": {}}',
     b'{"flakegate_shard": 1, "sha256": "", "run": ' + b"[" * 100_000],
)  # fmt: skip
def test_other_content_is_refused(content: bytes) -> None:
    for data in (gzip.compress(content), content):
        with pytest.raises(EvidenceError, match="not a whole shard"):
            decode_shard(data, "shard")


@pytest.mark.parametrize("version", [0, 2, 99])
def test_another_format_is_named(version: int) -> None:
    data = gzip.compress(b'{"flakegate_shard": %d, "new": []}' % version)
    with pytest.raises(EvidenceError, match=f"format {version}"):
        decode_shard(data, "shard")


def test_something_after_the_end_is_refused() -> None:
    with pytest.raises(EvidenceError, match="something follows"):
        decode_shard(SHARD + SHARD, "shard")


def test_a_bomb_is_not_inflated() -> None:
    deflater = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = b" " * (1024 * 1024)
    bomb = b"".join(deflater.compress(piece) for _ in range(MAX_INFLATED // len(piece) + 1))
    with pytest.raises(EvidenceError, match="inflates to more than"):
        decode_shard(bomb + deflater.flush(), "shard")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_shard_or_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        decode_shard(data, "shard")
