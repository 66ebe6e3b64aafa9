"""Jenkins.

Facts: jenkins.io "Using environment variables", and the CHANGE_* of its branch sources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.ci.context import CIContext
from flakegate.ci.repository import repository_id

if TYPE_CHECKING:
    from collections.abc import Mapping


def read(env: Mapping[str, str]) -> CIContext:
    """What the environment says of the job."""
    number = env.get("CHANGE_ID") or None
    address = env.get("GIT_URL") or env.get("GIT_URL_1", "")
    named = env.get("BRANCH_NAME")
    branch = env.get("CHANGE_BRANCH") if number else named or _below(env.get("GIT_BRANCH", ""))
    job, build = env.get("JOB_NAME", ""), env.get("BUILD_NUMBER", "")
    return CIContext(
        provider="jenkins",
        repository=repository_id(address) or "",
        commit=env.get("GIT_COMMIT") or None,
        branch=branch or None if not env.get("TAG_NAME") else None,
        default_branch=named if env.get("BRANCH_IS_PRIMARY") == "true" else None,
        run_id=env.get("BUILD_TAG") or f"{job}#{build}",
        # A job of a multibranch project is named after its branch: nothing to compare by.
        job=env.get("STAGE_NAME") or ("" if named else job),
        pull_request=number,
        event="pull_request" if number else None,
        fork=bool(env.get("CHANGE_FORK")),
        run_url=env.get("BUILD_URL") or None,
        target_branch=env.get("CHANGE_TARGET") or None,
    )


def _below(branch: str) -> str:
    """The git plugin names branches as of the remote: `origin/main`."""
    return branch.removeprefix("origin/")
