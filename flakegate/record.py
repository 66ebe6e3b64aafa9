"""One job's results as the store keeps them, and the shard: the same as an immutable small file.

A shard is gzip (without a time of its own) around JSON: a format number, the run, and the SHA-256
of the run's bytes. A passing test costs its name, which compresses well because tests stand in the
order of their identities, grouped by file and suite; durations are kept of failing tests only.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import re
import zlib
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from flakegate.errors import EvidenceError
from flakegate.junit import Outcome
from flakegate.model import Identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flakegate.ci.context import CIContext
    from flakegate.results import Result

FORMAT = 1
MAX_INFLATED = 64 * 1024 * 1024  # bytes; about half a million tests
# Seconds since the epoch: the first and the last of the years that have four digits.
EARLIEST, LATEST = -62_135_596_800.0, 253_402_300_799.0
MAX_MESSAGE = 1_000  # characters: enough for a policy's glob, little enough to keep for every test

_GZIP = 31  # zlib's word for a gzip wrapper with the largest window
# GitHub's merge queue tests `gh-readonly-queue/<target>/pr-<number>-<sha>`.
_QUEUE_BRANCH = re.compile(r"gh-readonly-queue/(.+)/pr-[^/]*")
_WORST_FIRST = (Outcome.ERROR, Outcome.FAILURE, Outcome.PASSED, Outcome.SKIPPED)
_PASSED = (Outcome.PASSED,)
_LETTERS = {
    Outcome.PASSED: "p",
    Outcome.FAILURE: "f",
    Outcome.ERROR: "e",
    Outcome.SKIPPED: "s",
}
_OUTCOMES = {letter: outcome for outcome, letter in _LETTERS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRecord:
    """One test in one job. attempts: the proven ones, oldest first; the last is its outcome.

    duration: seconds; like message (at most MAX_MESSAGE characters) None unless an attempt failed.
    """

    identity: Identity
    attempts: tuple[Outcome, ...]
    duration: float | None = None
    message: str | None = None

    @property
    def outcome(self) -> Outcome:
        """How its last attempt ended."""
        return self.attempts[-1]

    @property
    def failed(self) -> bool:
        """Whether any attempt failed."""
        return any(outcome.failing for outcome in self.attempts)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """All results of one job of one attempt of one CI run, each test once.

    key, pipeline, leg, repository: as in CIContext. at: when, in seconds since the epoch.
    commit: the tested one, None where the files differed from every commit.
    is_default: it speaks for the default branch: on it, or in the merge queue before it.
    queued: it ran in a merge queue, so it also holds a change that is not merged yet.
    fork: the change may come from another repository, so what it says is not trusted.
    """

    key: str
    pipeline: str
    leg: str
    repository: str
    commit: str | None
    branch: str | None
    is_default: bool
    pull_request: str | None
    fork: bool
    at: float
    results: tuple[TestRecord, ...]
    queued: bool = False


def from_results(results: Sequence[Result], context: CIContext, at: float) -> RunRecord:
    """Folds the results of one job. A case without a name is left out: it cannot be found again.

    at: seconds since the epoch.
    """
    named = sorted((each for each in results if each.identity.name), key=_order)
    target = queue_target(context.branch)
    to_default = target is not None and target == context.default_branch and not context.fork
    return RunRecord(
        key=_text(context.key),
        pipeline=_text(context.pipeline),
        leg=_text(context.leg),
        repository=_text(context.repository),
        commit=context.commit and _text(context.commit),
        branch=context.branch and _text(context.branch),
        is_default=context.is_default or to_default,
        pull_request=context.pull_request and _text(context.pull_request),
        fork=context.fork,
        at=at,
        results=tuple(_fold(list(same)) for _, same in itertools.groupby(named, key=_order)),
        queued=target is not None or context.event in {"merge_group", "merge_train"},
    )


def queue_target(branch: str | None) -> str | None:
    """The branch that a merge queue's branch is for; None where it is not a merge queue's."""
    match = _QUEUE_BRANCH.fullmatch(branch) if branch else None
    return match[1] if match else None


def digest(record: RunRecord) -> bytes:
    """SHA-256 of what a run says. When it was recorded is no part of that."""
    return hashlib.sha256(_encode_run(replace(record, at=0.0))).digest()


def encode_shard(record: RunRecord) -> bytes:
    """The shard of this run: the same bytes for the same run. Raises EvidenceError if too large."""
    run = _encode_run(record)
    shard = msgspec.json.encode(
        _Shard(flakegate_shard=FORMAT, sha256=_hex(run), run=msgspec.Raw(run))
    )
    if len(shard) > MAX_INFLATED:
        raise EvidenceError(
            f"the results of one job fill {len(shard):,} bytes, a shard at most {MAX_INFLATED:,}",
            tip="record parts of them, each with a FLAKEGATE_SHARD of its own",
        )
    deflater = zlib.compressobj(9, zlib.DEFLATED, _GZIP)
    return deflater.compress(shard) + deflater.flush()


def decode_shard(data: bytes, name: str) -> RunRecord:
    """The run in a shard. name: of its file, for messages. Raises EvidenceError if not whole."""
    inflated = _inflate(data, name)
    try:
        version = msgspec.json.decode(inflated, type=_Version).flakegate_shard
        if version == FORMAT:
            return _checked(msgspec.json.decode(inflated, type=_Shard))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _not_a_shard(name, "what it holds is not a run") from None
    except ValueError as error:
        raise _not_a_shard(name, str(error)) from None
    raise EvidenceError(
        f"{name}: a shard of format {version}; this flakegate reads format {FORMAT}",
        tip="record and collect with the same version of flakegate",
    )


# One job's results, folded


def _order(result: Result) -> tuple[str, str, str, str]:
    return _key(result.identity)


def _key(identity: Identity) -> tuple[str, str, str, str]:
    return (identity.module, identity.source_file, identity.suite, identity.name)


def _fold(same: list[Result]) -> TestRecord:
    """One test's results in one job.

    A matrix reports one test several times: there one failure beside one pass proves no attempt,
    so the worst counts alone. Attempts that a rerunner proves stay proven beside other passes.
    """
    worst = min(same, key=lambda each: _WORST_FIRST.index(each.outcome))
    apart = [each for each in same if each.ambiguous is None]
    if len(same) == 1 and apart:
        earlier = worst.earlier
    elif worst.outcome is Outcome.PASSED:
        earlier = tuple(attempt for each in apart for attempt in each.earlier)
    else:
        earlier = ()
    attempts = (*earlier, worst.outcome)
    if not any(outcome.failing for outcome in attempts):
        return TestRecord(identity=worst.identity, attempts=(worst.outcome,))
    case = worst.case
    return TestRecord(
        identity=worst.identity,
        attempts=attempts,
        duration=_seconds(case.duration),
        message=case.message[:MAX_MESSAGE] if case.message else None,
    )


def _seconds(duration: float | None) -> float | None:
    known = duration is not None and math.isfinite(duration) and duration >= 0
    return round(duration, 3) if duration is not None and known else None


def _text(text: str) -> str:
    """Variables of the environment can hold bytes that are not UTF-8; JSON and SQL cannot."""
    return text.encode("utf-8", "replace").decode()


# The shard's JSON


class _Version(msgspec.Struct, frozen=True):
    flakegate_shard: int


class _Shard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    flakegate_shard: int
    sha256: str
    run: msgspec.Raw


_Table = list[tuple[str, str, str, list[str]]]  # module, source file, suite, names


class _Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """tests: a _Table. other: of the tests that did more than pass, in the table's order.

    Each of these is (place in that order, a letter for each attempt, duration, message).
    """

    key: str
    pipeline: str
    leg: str
    repository: str
    commit: str | None
    branch: str | None
    is_default: bool
    queued: bool
    pull_request: str | None
    fork: bool
    at: float
    tests: msgspec.Raw
    other: list[tuple[int, str, float | None, str | None]]


def _encode_run(record: RunRecord) -> bytes:
    results = sorted(record.results, key=lambda result: _key(result.identity))
    groups = itertools.groupby((_key(result.identity) for result in results), itemgetter(0, 1, 2))
    table = [(*group, [key[3] for key in keys]) for group, keys in groups]
    return msgspec.json.encode(
        _Run(
            key=record.key,
            pipeline=record.pipeline,
            leg=record.leg,
            repository=record.repository,
            commit=record.commit,
            branch=record.branch,
            is_default=record.is_default,
            queued=record.queued,
            pull_request=record.pull_request,
            fork=record.fork,
            at=float(record.at),
            tests=msgspec.Raw(msgspec.json.encode(table)),
            other=[
                (place, encode_attempts(result.attempts), result.duration, result.message)
                for place, result in enumerate(results)
                if result.attempts != _PASSED
            ],
        )
    )


def encode_attempts(attempts: Iterable[Outcome]) -> str:
    """One letter for each attempt, oldest first: p(assed), f(ailure), e(rror), s(kipped)."""
    return "".join(_LETTERS[outcome] for outcome in attempts)


def _checked(shard: _Shard) -> RunRecord:
    """Raises ValueError, in words, for what an honest shard cannot hold."""
    raw = bytes(shard.run)
    if _hex(raw) != shard.sha256:
        raise ValueError("its digest is another: it was altered")
    run = msgspec.json.decode(raw, type=_Run)
    if not EARLIEST <= run.at <= LATEST:
        raise ValueError("its time is none that a calendar has")
    results = list(_all_passed(bytes(run.tests)))
    for place, letters, duration, message in run.other:
        if not 0 <= place < len(results) or not letters or not set(letters) <= set(_OUTCOMES):
            raise ValueError("it holds an outcome that does not exist")
        results[place] = TestRecord(
            identity=results[place].identity,
            attempts=tuple(_OUTCOMES[letter] for letter in letters),
            duration=duration,
            message=message,
        )
    return RunRecord(
        key=run.key,
        pipeline=run.pipeline,
        leg=run.leg,
        repository=run.repository,
        commit=run.commit,
        branch=run.branch,
        is_default=run.is_default,
        pull_request=run.pull_request,
        fork=run.fork,
        at=run.at,
        results=tuple(results),
        queued=run.queued,
    )


@functools.lru_cache(maxsize=16)
def _all_passed(table: bytes) -> tuple[TestRecord, ...]:
    """Of each test in the table a pass. Most jobs run the same tests, so they share these values.

    Raises ValueError, in words, for what an honest table cannot hold.
    """
    identities = [
        Identity(module=module, suite=suite, name=name, source_file=source_file)
        for module, source_file, suite, names in msgspec.json.decode(table, type=_Table)
        for name in names
    ]
    if len(set(identities)) != len(identities):
        raise ValueError("it holds a test twice")
    return tuple(TestRecord(identity=identity, attempts=_PASSED) for identity in identities)


def _inflate(data: bytes, name: str) -> bytes:
    inflater = zlib.decompressobj(_GZIP)
    try:
        inflated = inflater.decompress(data, MAX_INFLATED + 1)
    except zlib.error:
        raise _not_a_shard(name, "it is not gzip, or was altered") from None
    if len(inflated) > MAX_INFLATED:
        raise _not_a_shard(name, f"it inflates to more than {MAX_INFLATED:,} bytes")
    if not inflater.eof:
        raise _not_a_shard(name, "it is cut short")
    if inflater.unused_data:
        raise _not_a_shard(name, "something follows its end")
    return inflated


def _not_a_shard(name: str, why: str) -> EvidenceError:
    return EvidenceError(
        f"{name}: not a whole shard of flakegate: {why}",
        tip="`flakegate record --shard-out FILE` writes shards; fetch or make this one again",
    )


def _hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
