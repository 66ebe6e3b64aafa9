"""GitHub Actions.

Facts: docs.github.com "Default environment variables" and "Events that trigger workflows".
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from flakegate.ci.context import CHANGE_EVENTS, CIContext
from flakegate.ci.repository import repository_id

if TYPE_CHECKING:
    from collections.abc import Mapping


def read(env: Mapping[str, str], event: Mapping[str, object]) -> CIContext:
    """What the environment and the event, as GitHub describes it, say of the job."""
    name, run_id, attempt = (
        env.get(f"GITHUB_{key}", "") for key in ("EVENT_NAME", "RUN_ID", "RUN_ATTEMPT")
    )
    server = env.get("GITHUB_SERVER_URL") or "https://github.com"
    address = f"{server.rstrip('/')}/{env.get('GITHUB_REPOSITORY', '')}"
    branch = _branch_of(env.get("GITHUB_REF"))
    default = _dig(event, "repository", "default_branch")
    if default is None and name == "schedule":
        default = branch  # schedules run on the default branch only
    found = CIContext(
        provider="github",
        repository=repository_id(address) or "",
        commit=env.get("GITHUB_SHA") or None,
        status_commit=env.get("GITHUB_SHA") or None,
        branch=branch,
        default_branch=default,
        run_id=run_id,
        attempt=attempt or "1",
        job=env.get("GITHUB_JOB", ""),
        event=name or None,
        run_url=f"{address}/actions/runs/{run_id}" if run_id else None,
    )
    if name == "workflow_run":
        return _workflow_run(found, event)
    if name == "merge_group":
        return replace(found, target_branch=_branch_of(_dig(event, "merge_group", "base_ref")))
    if name in CHANGE_EVENTS:
        return _pull_request(found, env, event)
    return found


def _pull_request(
    found: CIContext, env: Mapping[str, str], event: Mapping[str, object]
) -> CIContext:
    pull = re.fullmatch(r"refs/pull/(\d+)/\w+", env.get("GITHUB_REF", ""))
    number = _dig(event, "pull_request", "number") or _dig(event, "issue", "number")
    head, base = (
        _dig(event, "pull_request", side, "repo", "full_name") for side in ("head", "base")
    )
    # Only pull_request runs on the merge commit; the others name the target branch's last commit.
    merged = found.event == "pull_request" or pull
    return replace(
        found,
        commit=found.commit if merged else _dig(event, "pull_request", "head", "sha"),
        branch=env.get("GITHUB_HEAD_REF") or _dig(event, "pull_request", "head", "ref"),
        target_branch=env.get("GITHUB_BASE_REF") or _dig(event, "pull_request", "base", "ref"),
        pull_request=number or (pull[1] if pull else None),
        fork=head is None or base is None or head.lower() != base.lower(),
        status_commit=_dig(event, "pull_request", "head", "sha"),
        head_repository=head,
    )


def _workflow_run(found: CIContext, event: Mapping[str, object]) -> CIContext:
    """The event's own commit is the default branch's; tested was that of the run it follows."""
    run = event.get("workflow_run")
    head, base = (_dig(run, side, "full_name") for side in ("head_repository", "repository"))
    pulls = run.get("pull_requests") if isinstance(run, dict) else None
    return replace(
        found,
        commit=_dig(run, "head_sha"),
        branch=_dig(run, "head_branch"),
        pull_request=_dig(pulls[0], "number") if isinstance(pulls, list) and pulls else None,
        fork=head is None or base is None or head.lower() != base.lower(),
        status_commit=_dig(run, "head_sha"),
        head_repository=head,
    )


def _dig(tree: object, *path: str) -> str | None:
    """The text or number at that path of a JSON document, None if there is none."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return str(tree) if isinstance(tree, (str, int)) and tree != "" else None


def _branch_of(ref: str | None) -> str | None:
    heads = "refs/heads/"
    return ref[len(heads) :] if ref and ref.startswith(heads) else None
