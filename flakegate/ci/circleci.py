"""CircleCI.

Facts: circleci.com/docs "Built-in environment variables"; the CIRCLE_PR_* are of forks only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.ci.context import CIContext
from flakegate.ci.repository import repository_id

if TYPE_CHECKING:
    from collections.abc import Mapping


def read(env: Mapping[str, str]) -> CIContext:
    """What the environment says of the job."""
    address = env.get("CIRCLE_REPOSITORY_URL", "")
    forks = env.get("CIRCLE_PR_NUMBER") or ""
    _, _, linked = env.get("CIRCLE_PULL_REQUEST", "").rpartition("/")
    number = forks or linked
    return CIContext(
        provider="circleci",
        repository=repository_id(address) or "",
        commit=env.get("CIRCLE_SHA1") or None,
        branch=env.get("CIRCLE_BRANCH") or None,
        run_id=env.get("CIRCLE_PIPELINE_ID") or env.get("CIRCLE_WORKFLOW_ID", ""),
        attempt=env.get("CIRCLE_BUILD_NUM") or "1",  # a job that is run again has a new number
        job=env.get("CIRCLE_JOB", ""),
        shard=env.get("CIRCLE_NODE_INDEX", "") if env.get("CIRCLE_NODE_TOTAL", "1") != "1" else "",
        pull_request=number if number.isdecimal() else None,
        event="pull_request" if number else None,
        fork=bool(forks or env.get("CIRCLE_PR_USERNAME") or env.get("CIRCLE_PR_REPONAME")),
        run_url=env.get("CIRCLE_BUILD_URL") or None,
    )
