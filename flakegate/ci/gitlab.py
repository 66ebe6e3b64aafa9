"""GitLab CI.

Facts: docs.gitlab.com "Predefined CI/CD variables reference".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flakegate.ci.context import CIContext

if TYPE_CHECKING:
    from collections.abc import Mapping


def read(env: Mapping[str, str]) -> CIContext:
    """What the environment says of the job."""
    event = env.get("CI_PIPELINE_SOURCE") or None
    found = CIContext(
        provider="gitlab",
        repository=f"{env.get('CI_SERVER_HOST', '')}/{env.get('CI_PROJECT_PATH', '')}".lower(),
        commit=env.get("CI_COMMIT_SHA") or None,
        status_commit=env.get("CI_COMMIT_SHA") or None,
        branch=env.get("CI_COMMIT_BRANCH") or None,
        default_branch=env.get("CI_DEFAULT_BRANCH") or None,
        run_id=env.get("CI_PIPELINE_ID", ""),
        attempt=env.get("CI_JOB_ID") or "1",  # a retried job keeps its pipeline, not its id
        job=env.get("CI_JOB_NAME", ""),
        shard=env.get("CI_NODE_INDEX", ""),
        event=event,
        run_url=env.get("CI_JOB_URL") or env.get("CI_PIPELINE_URL") or None,
    )
    if iid := env.get("CI_MERGE_REQUEST_IID"):
        # The pipeline of a fork's merge request runs in the fork unless a member starts it.
        projects = {
            env.get(name)
            for name in (
                "CI_MERGE_REQUEST_SOURCE_PROJECT_ID",
                "CI_MERGE_REQUEST_PROJECT_ID",
                "CI_PROJECT_ID",
            )
        }
        train = env.get("CI_MERGE_REQUEST_EVENT_TYPE") == "merge_train"
        return replace(
            found,
            branch=env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or None,
            target_branch=env.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME") or None,
            pull_request=iid,
            event="merge_train" if train else event,
            fork=len(projects) > 1 or None in projects,
        )
    if event == "external_pull_request_event":
        source = env.get("CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY")
        return replace(
            found,
            branch=env.get("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME") or None,
            target_branch=env.get("CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME") or None,
            pull_request=env.get("CI_EXTERNAL_PULL_REQUEST_IID") or None,
            fork=not source or source != env.get("CI_EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY"),
        )
    return replace(found, fork=event == "merge_request_event")
