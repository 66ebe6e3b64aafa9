"""A flaky test as the server lists it: what a query may ask of it, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import UNSET

from flakegate.wire import flaky_tests as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flakegate.model import FlakyTest

    Number = float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """repository: its id, lower-case. row: of the test in the store."""

    repository: str
    row: int
    test: FlakyTest


def _one(text: str | None) -> tuple[str, ...]:
    return (text,) if text else ()


# What a query compares, by its key. A test without a module or suite has the empty one.
VALUES: Mapping[str, Callable[[Listed], tuple[str, ...]]] = {
    "flaky_test_state": lambda listed: (listed.test.state.value,),
    "flaky_test_category": lambda listed: _one((listed.test.category or "").casefold()),
    "@test.name": lambda listed: (listed.test.name,),
    "@test.suite": lambda listed: (listed.test.suite,),
    "@test.module": lambda listed: (listed.test.module,),
    "@test.service": lambda listed: listed.test.services or (),
    "@git.repository.id_v2": lambda listed: (listed.repository,),
    "@git.branch": lambda listed: _one(listed.test.last_flaked_branch),
    "@test.codeowners": lambda listed: listed.test.codeowners or (),
    "env": lambda listed: listed.test.envs or (),
    "fingerprint_fqn": lambda listed: (listed.test.id,),
}
BY_TEXT = "fqn"
# What a list is sorted by: a text for BY_TEXT, else a number. None: not known.
SORTED_BY: Mapping[str, Callable[[FlakyTest], str | Number]] = {
    BY_TEXT: lambda test: test.fqn,
    "first_flaked": lambda test: test.first_flaked_at,
    "last_flaked": lambda test: test.last_flaked_at,
    "failure_rate": lambda test: test.failure_rate,
    "pipelines_failed": lambda test: test.failed_pipelines,
    "pipelines_duration_lost": lambda test: test.lost_time,
}


def told(listed: Listed, history: tuple[wire.Change, ...] | None) -> wire.Test:
    """The test on the wire. history: newest first; None where it was not asked for."""
    test = listed.test
    attributes = wire.Attributes(
        name=test.name,
        suite=test.suite,
        module=test.module or None,
        flaky_category=test.category,
        flaky_state=test.state,
        codeowners=test.codeowners or (),
        envs=test.envs or (),
        services=test.services or (),
        first_flaked_branch=test.first_flaked_branch,
        first_flaked_ts=_whole(test.first_flaked_at),
        last_flaked_branch=test.last_flaked_branch,
        last_flaked_ts=_whole(test.last_flaked_at),
        impact_score=test.impact_score,
        pipeline_stats=wire.PipelineStats(
            failed_pipelines=test.failed_pipelines, total_lost_time_ms=_milliseconds(test.lost_time)
        ),
        test_stats=wire.TestStats(failure_rate_pct=test.failure_rate),
        test_run_metadata=wire.RunMetadata(
            duration_ms=_milliseconds(test.duration),
            error_message=test.error_message,
            source_file=test.source_file,
        ),
        history=UNSET if history is None else history,
    )
    return wire.Test(id=test.id, type="flaky_test", attributes=attributes)


def _whole(seconds: Number) -> int | None:
    return None if seconds is None else int(seconds)


def _milliseconds(seconds: Number) -> int | None:
    return None if seconds is None else round(seconds * 1000)
