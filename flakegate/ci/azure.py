"""Azure Pipelines.

Facts: learn.microsoft.com "Predefined variables".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.ci.context import CIContext
from flakegate.ci.repository import repository_id

if TYPE_CHECKING:
    from collections.abc import Mapping

# Azure's words in those of the rule where states may be changed.
_EVENTS = {
    "IndividualCI": "push",
    "BatchedCI": "push",
    "Schedule": "schedule",
    "Manual": "web",
}


def read(env: Mapping[str, str]) -> CIContext:
    """What the environment says of the job."""
    ref = env.get("BUILD_SOURCEBRANCH", "")
    reason = env.get("BUILD_REASON", "")
    number = env.get("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER") or env.get(
        "SYSTEM_PULLREQUEST_PULLREQUESTID"
    )
    is_pull = reason == "PullRequest" or bool(number)
    branch = env.get("SYSTEM_PULLREQUEST_SOURCEBRANCH", "") if is_pull else ref
    parts = env.get("SYSTEM_TOTALJOBSINPHASE", "1")
    return CIContext(
        provider="azure",
        repository=repository_id(env.get("BUILD_REPOSITORY_URI", "")) or "",
        commit=env.get("BUILD_SOURCEVERSION") or None,
        branch=_branch(branch, bare=is_pull),
        run_id=env.get("BUILD_BUILDID", ""),
        attempt=env.get("SYSTEM_JOBATTEMPT") or "1",
        job=env.get("AGENT_JOBNAME") or env.get("SYSTEM_JOBDISPLAYNAME", ""),
        shard=env.get("SYSTEM_JOBPOSITIONINPHASE", "") if parts != "1" else "",
        pull_request=number or None,
        event="pull_request" if is_pull else _EVENTS.get(reason),
        # Only "False" says that it is none.
        fork=is_pull and env.get("SYSTEM_PULLREQUEST_ISFORK", "").lower() != "false",
        run_url=_page(env),
        target_branch=_branch(env.get("SYSTEM_PULLREQUEST_TARGETBRANCH", ""), bare=True),
    )


def _branch(ref: str, *, bare: bool) -> str | None:
    """bare: the name may stand there without `refs/heads/`."""
    heads = "refs/heads/"
    if ref.startswith(heads):
        return ref[len(heads) :]
    return ref if bare and ref else None


def _page(env: Mapping[str, str]) -> str | None:
    collection, build = env.get("SYSTEM_COLLECTIONURI"), env.get("BUILD_BUILDID")
    project = env.get("SYSTEM_TEAMPROJECTID")
    if not (collection and project and build):
        return None
    return f"{collection.rstrip('/')}/{project}/_build/results?buildId={build}"
