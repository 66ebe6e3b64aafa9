"""Bitbucket Pipelines, which run no change of a fork in the repository that it is for.

Facts: support.atlassian.com "Variables and secrets".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.ci.context import CIContext
from flakegate.ci.repository import repository_id

if TYPE_CHECKING:
    from collections.abc import Mapping


def read(env: Mapping[str, str]) -> CIContext:
    """What the environment says of the job."""
    address = env.get("BITBUCKET_GIT_HTTP_ORIGIN", "")
    number = env.get("BITBUCKET_PR_ID") or None
    build = env.get("BITBUCKET_BUILD_NUMBER", "")
    return CIContext(
        provider="bitbucket",
        repository=repository_id(address) or "",
        commit=env.get("BITBUCKET_COMMIT") or None,
        branch=env.get("BITBUCKET_BRANCH") or None,
        run_id=build,
        attempt=env.get("BITBUCKET_STEP_RUN_NUMBER") or "1",
        shard=env.get("BITBUCKET_PARALLEL_STEP", ""),
        pull_request=number,
        event="pull_request" if number else None,
        run_url=f"{address}/pipelines/results/{build}" if address and build else None,
        target_branch=env.get("BITBUCKET_PR_DESTINATION_BRANCH") or None,
    )
