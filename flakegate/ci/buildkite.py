"""Buildkite.

Facts: buildkite.com/docs "Environment variables".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.ci.context import CIContext
from flakegate.ci.repository import repository_id

if TYPE_CHECKING:
    from collections.abc import Mapping

# Buildkite's words in those of the rule where states may be changed.
_EVENTS = {"webhook": "push", "schedule": "schedule", "ui": "web"}


def read(env: Mapping[str, str]) -> CIContext:
    """What the environment says of the job."""
    address = env.get("BUILDKITE_REPO", "")
    number = env.get("BUILDKITE_PULL_REQUEST") or "false"
    pull = number if number != "false" else None
    source = env.get("BUILDKITE_PULL_REQUEST_REPO") or ""
    target = env.get("BUILDKITE_PULL_REQUEST_BASE_BRANCH") or None
    retries = env.get("BUILDKITE_RETRY_COUNT", "0")
    return CIContext(
        provider="buildkite",
        repository=repository_id(address) or "",
        commit=env.get("BUILDKITE_COMMIT") or None,
        branch=env.get("BUILDKITE_BRANCH") or None if not env.get("BUILDKITE_TAG") else None,
        default_branch=env.get("BUILDKITE_PIPELINE_DEFAULT_BRANCH") or None,
        run_id=env.get("BUILDKITE_BUILD_ID", ""),
        attempt=str(int(retries) + 1) if retries.isdecimal() else "1",
        job=env.get("BUILDKITE_STEP_KEY") or env.get("BUILDKITE_LABEL", ""),
        shard=env.get("BUILDKITE_PARALLEL_JOB", ""),
        pull_request=pull,
        event="pull_request" if pull else _EVENTS.get(env.get("BUILDKITE_SOURCE", "")),
        fork=pull is not None and repository_id(source) != repository_id(address),
        run_url=env.get("BUILDKITE_BUILD_URL") or None,
        target_branch=target if pull else None,
    )
