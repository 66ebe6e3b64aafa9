"""Flaky Test Management on the wire: the bodies that a client sends and a server answers.

Requests are strict: what the API does not name is an error. Of an answer, both sides read and write
`Told`; a client takes more for an answer than a server gives, see `backends.datadog.wire`.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from flakegate.model import State

PATH = "/api/v2/test/flaky-test-management/tests"
LIMIT_RULE = "limit must be greater than 1 and less than 1000"
MOST_CHANGES = 1_000  # in one request
READ, WRITE = "test_optimization_read", "test_optimization_write"

Key = Literal[
    "flaky_test_state",
    "flaky_test_category",
    "@test.name",
    "@test.suite",
    "@test.module",
    "@test.service",
    "@git.repository.id_v2",
    "@git.branch",
    "@test.codeowners",
    "env",
    "fingerprint_fqn",
]
Sort = Literal[
    "fqn",
    "first_flaked",
    "last_flaked",
    "failure_rate",
    "pipelines_failed",
    "pipelines_duration_lost",
    "-fqn",
    "-first_flaked",
    "-last_flaked",
    "-failure_rate",
    "-pipelines_failed",
    "-pipelines_duration_lost",
]
PolicyId = Literal["ftm_policy.manual", "ftm_policy.fixed", "unknown"]
ImpactLevel = Literal["low", "medium", "high"]
TestId = Annotated[str, Meta(min_length=1, max_length=512)]
Whole = Annotated[int, Meta(ge=0)]

DataT = TypeVar("DataT")


class Strict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may hold nothing but what is named."""


class Document(Strict, Generic[DataT], frozen=True, kw_only=True):
    """A request, or an answer: its `data`."""

    data: DataT


class Filter(Strict, frozen=True, kw_only=True):
    """Which tests; without a query, all."""

    query: str = ""
    include_history: bool = False


class PageOptions(Strict, frozen=True, kw_only=True):
    """limit: tests a page. cursor: from the page before; none for the first."""

    limit: Annotated[int, Meta(ge=2, le=999)]
    cursor: str | UnsetType = UNSET


class SearchAttributes(Strict, frozen=True, kw_only=True):
    """One page of a search."""

    filter: Filter = Filter()
    page: PageOptions
    sort: Sort = "fqn"


class Search(Strict, frozen=True, kw_only=True):
    """A search; to be put into a Document."""

    type: Literal["search_flaky_tests_request"]
    attributes: SearchAttributes


class NewState(Strict, frozen=True, kw_only=True):
    """One change of a state."""

    id: TestId
    new_state: State


class UpdateAttributes(Strict, frozen=True, kw_only=True):
    """One batch of changes."""

    tests: Annotated[tuple[NewState, ...], Meta(min_length=1, max_length=MOST_CHANGES)]


class Update(Strict, frozen=True, kw_only=True):
    """A batch of changes; to be put into a Document."""

    type: Literal["update_flaky_test_state_request"]
    attributes: UpdateAttributes


class PipelineStats(Struct):
    """failed_pipelines: within 7 days. total_lost_time_ms: milliseconds."""

    failed_pipelines: float | None = None
    total_lost_time_ms: float | None = None


class TestStats(Struct):
    """failure_rate_pct: 0 to 100, of 7 days."""

    failure_rate_pct: float | None = None


class RunMetadata(Struct):
    """Of the latest failure. duration_ms: milliseconds."""

    duration_ms: float | None = None
    error_message: str | None = None
    source_file: str | None = None


class Told(Struct):
    """What is told of a flaky test, and read alike by both sides. Times (`_ts`) are in seconds."""

    name: str | None = None
    suite: str | None = None
    module: str | None = None
    flaky_category: str | None = None
    attempt_to_fix_id: str | None = None
    first_flaked_branch: str | None = None
    first_flaked_ts: float | None = None
    last_flaked_branch: str | None = None
    last_flaked_ts: float | None = None
    impact_score: float | None = None
    pipeline_stats: PipelineStats | None = None
    test_stats: TestStats | None = None
    test_run_metadata: RunMetadata | None = None


class Change(Strict, frozen=True, kw_only=True):
    """One entry of a test's history. timestamp: milliseconds since the epoch."""

    status: State
    timestamp: Whole
    commit_sha: str = ""
    policy_id: PolicyId = "unknown"


class Attributes(Told, kw_only=True, forbid_unknown_fields=True):
    """What a server tells of a test. history: newest first; only where it was asked for."""

    flaky_state: State
    codeowners: tuple[str, ...] = ()
    envs: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    impact_level: ImpactLevel | None = None
    history: tuple[Change, ...] | UnsetType = UNSET


class Test(Strict, frozen=True, kw_only=True):
    """One flaky test of an answer."""

    __test__ = False  # pytest would collect it by its name

    id: str
    type: Literal["flaky_test"]
    attributes: Attributes


class Pagination(Struct):
    """next_page: the cursor of the page after this; null: there is none."""

    next_page: str | None = None


class PageMeta(Struct):
    """What is told of a page."""

    pagination: Pagination | None = None


class Page(Strict, frozen=True, kw_only=True):
    """The answer to a search."""

    data: tuple[Test, ...]
    meta: PageMeta


class Result(Struct, omit_defaults=True):
    """What came of one change. error: why not, in words."""

    id: str
    success: bool | None = None
    error: str | None = None


class Results(Struct):
    """What came of a batch: a good answer can carry failures."""

    results: list[Result] | None = None
    has_errors: bool | None = None


class Updated(Strict, frozen=True, kw_only=True):
    """The answer to an update; to be put into a Document."""

    type: Literal["update_flaky_test_state_response"]
    id: str
    attributes: Results


def encode(data: Search | Update) -> bytes:
    """The body of a request."""
    return msgspec.json.encode(Document(data=data))
