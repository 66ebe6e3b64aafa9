"""Where this call runs: GitHub Actions, GitLab CI or a checkout, as one value; and what it may do.

Facts of the variables: docs.github.com "Default environment variables" and "Events that trigger
workflows"; docs.gitlab.com "Predefined CI/CD variables reference".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flakegate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_QUEUES = frozenset({"merge_group", "merge_train"})
_CHANGE_EVENTS = frozenset(
    {
        "pull_request",
        "pull_request_target",
        "pull_request_review",
        "pull_request_review_comment",
        "issue_comment",  # the usual way to test a pull request on demand
        "merge_request_event",
        "external_pull_request_event",
        "merge_train",
    }
)
_BRANCH_EVENTS = frozenset({"push", "schedule", "workflow_dispatch", "web"})
_SCP = re.compile(
    r"(?:[^@/\s]+@)?(?P<host>[^:/@\s]{2,}|\[[^\]\s]+\]):(?!:|//)(?P<path>.+)", re.DOTALL
)
_USER = re.compile(r"//[^/@]*@")
_OVERRIDES = {
    "FLAKEGATE_COMMIT": "commit",
    "FLAKEGATE_BRANCH": "branch",
    "FLAKEGATE_DEFAULT_BRANCH": "default_branch",
    "FLAKEGATE_RUN_ID": "run_id",
    "FLAKEGATE_RUN_ATTEMPT": "attempt",
    "FLAKEGATE_JOB": "job",
    "FLAKEGATE_SHARD": "shard",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GitFacts:
    """What git says of a folder. None: not known (no git, no checkout, no such thing there).

    folder: the folder asked about. top: the top of its checkout. Both absolute.
    remote: the address of `origin`, or of the only remote.
    branch: None also where HEAD is detached. default_branch: what `origin/HEAD` points to.
    dirty: whether files differ from the commit, new ones included.
    """

    folder: str | None = None
    top: str | None = None
    remote: str | None = None
    commit: str | None = None
    branch: str | None = None
    default_branch: str | None = None
    dirty: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CIContext:
    """One job of one CI run. None and "" mean not known.

    provider: "github", "gitlab", or "local" (no CI that is known here).
    repository: "github.com/acme/shop", or "local/<folder>" for one without a remote.
    commit: the one that was tested; on a pull request that is usually the merge commit.
    branch: of the change; None for tags. On a merge queue the queue's own branch.
    run_id: the CI's number of the run; "" where there is none. attempt: of that run.
    job, shard: which job of the run, and which part of a job that is split.
    pull_request: number of the pull or merge request.
    event: the CI's word for what started the run.
    fork: the change comes from another repository, or may come from one.
    target_branch: the branch that a pull request or a merge queue is for.
    """

    provider: str
    repository: str
    commit: str | None = None
    branch: str | None = None
    default_branch: str | None = None
    run_id: str = ""
    attempt: str = "1"
    job: str = ""
    shard: str = ""
    pull_request: str | None = None
    event: str | None = None
    fork: bool = False
    run_url: str | None = None
    target_branch: str | None = None

    @property
    def pipeline(self) -> str:
        """One CI run with all its jobs and attempts."""
        return f"{self.provider}:{self.repository}:{self.run_id}"

    @property
    def leg(self) -> str:
        """What must be equal, beside the commit, for two runs to be comparable."""
        # A job's name may contain a colon, so the shard must not: the last one separates.
        return f"{self.job}:{self.shard.replace(':', '%3A')}"

    @property
    def key(self) -> str:
        """One job of one attempt of one CI run: what is recorded once."""
        return f"{self.pipeline}:{self.attempt}:{self.leg}"

    @property
    def of_change(self) -> bool:
        """Whether a pull or merge request started this run, or may have."""
        return self.pull_request is not None or self.event in _CHANGE_EVENTS

    @property
    def brings_files(self) -> bool:
        """Whether the checkout may hold files that nobody has merged yet."""
        return self.of_change or self.fork or self.event in _QUEUES | {"workflow_run"}

    @property
    def has_change(self) -> bool:
        """Whether what runs here is a change, in a pull or merge request or in the queue after it.

        A `workflow_run` is a fork's where it may follow a fork's pull request.
        """
        return self.of_change or self.fork or self.event in _QUEUES

    @property
    def is_default(self) -> bool:
        """Whether the results speak for the default branch: on it, or in the queue before it.

        A fork's own `main`, and a pull request from a branch of that name, do not.
        """
        if self.default_branch is None or self.fork:
            return False
        if self.event in _QUEUES:
            return self.target_branch == self.default_branch
        return self.branch == self.default_branch and not self.of_change


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Whether states may be changed; because: why, or why not, in words without a period."""

    allowed: bool
    because: str


def context(env: Mapping[str, str], event: Mapping[str, object] | None, git: GitFacts) -> CIContext:
    """Says where this call runs.

    env: the environment. event: the parsed file at GITHUB_EVENT_PATH, None if there is none.
    The FLAKEGATE_* variables win over the CI's own, and those over the checkout.
    """
    if env.get("GITHUB_ACTIONS") == "true":
        found = _checked_out(_github(env, event or {}), git)
    elif env.get("GITLAB_CI") == "true":
        found = _checked_out(_gitlab(env), git)
    else:
        found = _local(git)
    return _readable(_overridden(found, env))


def repository_id(remote: str) -> str | None:
    """The id that Datadog also uses: "github.com/datadog/shopist". None for a path on disk."""
    remote = remote.strip()
    if "://" in remote:
        try:
            parts = urlsplit(remote)
            host, path = parts.hostname, parts.path
        except ValueError:
            return None
        if parts.scheme.lower() not in {"http", "https", "ssh", "git", "git+ssh", "git+https"}:
            return None
    elif scp := _SCP.fullmatch(remote):
        host, path = scp["host"], scp["path"]
    else:
        return None
    path = _plain_path(path)
    return f"{host}/{path}".lower() if host and path else None


def _plain_path(path: str) -> str:
    """Lower-case, without `.git` at the end and without slashes that separate nothing."""
    plain = "/".join(part for part in path.lower().split("/") if part)
    return plain.removesuffix(".git").rstrip("/")


def may_apply(setting: str, context: CIContext, override: bool | None) -> Permission:
    """Whether `run` may change states here.

    setting: the policy's `apply`: "always", "never" or "default_branch".
    override: True for --apply, False for --no-apply, None for neither.
    """
    here, default = context.branch, context.default_branch
    decisions: tuple[tuple[bool, bool, str], ...] = (  # the first that applies decides
        (override is False, False, "--no-apply"),
        (context.fork, False, "the change comes from a fork, or may come from one"),
        (override is True, True, "--apply"),
        (setting == "never", False, "the policy says apply: never"),
        (context.of_change, False, "this is the run of a pull or merge request"),
        (context.event == "workflow_run", False, "a workflow_run may follow any change"),
        (setting == "always", True, "the policy says apply: always"),
        (context.event is None, False, "no CI says what started this run; --apply allows it"),
        (
            context.event not in _BRANCH_EVENTS,
            False,
            f"{context.event} is not a push, a schedule or a manual run",
        ),
        (here is None or default is None, False, "not known to be the default branch"),
        (here != default, False, f"{here} is not the default branch"),
        (True, True, f"{here} is the default branch"),
    )
    return next(
        Permission(allowed=allowed, because=because)
        for applies, allowed, because in decisions
        if applies
    )


def clock(env: Mapping[str, str]) -> float | None:
    """FLAKEGATE_TIME in seconds since the epoch; without an offset it is UTC. None if not set.

    Raises UsageError where it is not ISO 8601.
    """
    text = env.get("FLAKEGATE_TIME", "").strip()
    if not text:
        return None
    try:
        # Python 3.10 does not read the Z.
        at = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1] in "Zz" else text)
        at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
        return at.astimezone(timezone.utc).timestamp()
    except (ValueError, OverflowError):
        raise UsageError(
            f"FLAKEGATE_TIME is not a time in ISO 8601: {text!a}",
            tip="write it like FLAKEGATE_TIME=2026-07-01T12:00:00Z",
        ) from None


def _dig(tree: object, *path: str) -> str | None:
    """The text or number at that path of a JSON document, None if there is none."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return str(tree) if isinstance(tree, (str, int)) and tree != "" else None


def _branch_of(ref: str | None) -> str | None:
    heads = "refs/heads/"
    return ref[len(heads) :] if ref and ref.startswith(heads) else None


def _github(env: Mapping[str, str], event: Mapping[str, object]) -> CIContext:
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
        branch=branch,
        default_branch=default,
        run_id=run_id,
        attempt=attempt or "1",
        job=env.get("GITHUB_JOB", ""),
        event=name or None,
        run_url=f"{address}/actions/runs/{run_id}" if run_id else None,
    )
    if name == "workflow_run":
        return _github_workflow_run(found, event)
    if name == "merge_group":
        return replace(found, target_branch=_branch_of(_dig(event, "merge_group", "base_ref")))
    if name in _CHANGE_EVENTS:
        return _github_pull_request(found, env, event)
    return found


def _github_pull_request(
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
    )


def _github_workflow_run(found: CIContext, event: Mapping[str, object]) -> CIContext:
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
    )


def _gitlab(env: Mapping[str, str]) -> CIContext:
    event = env.get("CI_PIPELINE_SOURCE") or None
    found = CIContext(
        provider="gitlab",
        repository=f"{env.get('CI_SERVER_HOST', '')}/{env.get('CI_PROJECT_PATH', '')}".lower(),
        commit=env.get("CI_COMMIT_SHA") or None,
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


def _local(git: GitFacts) -> CIContext:
    folder = re.split(r"[/\\]", (git.top or git.folder or "").rstrip("/\\"))[-1] or "unnamed"
    return CIContext(
        provider="local",
        repository=(git.remote and repository_id(git.remote)) or f"local/{folder}",
        # With uncommitted edits, "the same commit failed and passed" would be a lie.
        commit=git.commit if git.dirty is False else None,
        branch=git.branch,
        default_branch=git.default_branch,
    )


def _checked_out(found: CIContext, git: GitFacts) -> CIContext:
    """Corrects the commit where the job has checked out another one of the same repository.

    A manual run on `main` can test any commit that its inputs name; only the checkout tells.
    """
    if git.remote is None or repository_id(git.remote) != found.repository:
        return found
    found = replace(found, default_branch=found.default_branch or git.default_branch)
    if git.commit is None or git.commit == found.commit:
        return found
    if found.of_change or found.event in _QUEUES | {"workflow_run"}:
        return replace(found, commit=git.commit)
    return replace(found, commit=git.commit, branch=git.branch)


def _readable(found: CIContext) -> CIContext:
    """Variables and folders can hold bytes that are not UTF-8; JSON and SQL cannot."""
    readable: dict[str, Any] = {}
    for each in fields(found):
        value = getattr(found, each.name)
        if isinstance(value, str):
            readable[each.name] = value.encode("utf-8", "replace").decode()
    return replace(found, **readable)


def _overridden(found: CIContext, env: Mapping[str, str]) -> CIContext:
    given = {field: env[name] for name, field in _OVERRIDES.items() if env.get(name)}
    found = replace(found, **given)  # type: ignore[arg-type]  # every one of these fields is text
    if repository := env.get("FLAKEGATE_REPOSITORY", "").strip().strip("/"):
        repository = _USER.sub("//", repository)  # it may be a token, and is shown
        named = repository_id(repository)
        if named is None:
            plain = repository.lower().removesuffix(".git")
            named = repository if repository.startswith("local/") else plain
        found = replace(found, repository=named)
    if (number := env.get("FLAKEGATE_PULL_REQUEST")) and number != found.pull_request:
        # A CI that knows forks did not know this one, so it may be a fork's. Elsewhere whoever set
        # up the job said so, and a change may not apply its own states in any case.
        found = replace(found, pull_request=number, fork=found.fork or found.provider != "local")
    return found
