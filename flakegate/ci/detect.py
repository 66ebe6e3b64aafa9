"""Which CI this is, what it says of the job, and what else is known of it."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from flakegate.ci import azure, bitbucket, buildkite, checkout, circleci, github, gitlab, jenkins
from flakegate.ci.context import QUEUES
from flakegate.ci.repository import repository_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flakegate.ci.context import CIContext, GitFacts

    Runs = Callable[[Mapping[str, str]], bool]
    Read = Callable[[Mapping[str, str], Mapping[str, object]], CIContext]

# Whether an environment is this CI's, and what it says. Whoever starts Jenkins jobs from elsewhere
# hands variables on, so the most telling come first.
PROVIDERS: tuple[tuple[Runs, Read], ...] = (
    (lambda env: env.get("GITHUB_ACTIONS") == "true", github.read),
    (lambda env: env.get("GITLAB_CI") == "true", lambda env, _: gitlab.read(env)),
    (lambda env: env.get("BUILDKITE") == "true", lambda env, _: buildkite.read(env)),
    (lambda env: env.get("TF_BUILD", "").lower() == "true", lambda env, _: azure.read(env)),
    (lambda env: env.get("CIRCLECI") == "true", lambda env, _: circleci.read(env)),
    (lambda env: bool(env.get("BITBUCKET_BUILD_NUMBER")), lambda env, _: bitbucket.read(env)),
    (lambda env: bool(env.get("JENKINS_URL")), lambda env, _: jenkins.read(env)),
)
_USER = re.compile(r"//[^/@]*@")
OVERRIDES = {
    "FLAKEGATE_COMMIT": "commit",
    "FLAKEGATE_BRANCH": "branch",
    "FLAKEGATE_DEFAULT_BRANCH": "default_branch",
    "FLAKEGATE_RUN_ID": "run_id",
    "FLAKEGATE_RUN_ATTEMPT": "attempt",
    "FLAKEGATE_JOB": "job",
    "FLAKEGATE_SHARD": "shard",
}


def context(env: Mapping[str, str], event: Mapping[str, object] | None, git: GitFacts) -> CIContext:
    """Says where this call runs.

    env: the environment. event: the parsed file at GITHUB_EVENT_PATH, None if there is none.
    The FLAKEGATE_* variables win over the CI's own, and those over the checkout.
    """
    found = next((read(env, event or {}) for runs, read in PROVIDERS if runs(env)), None)
    found = checkout.read(git) if found is None else _checked_out(found, git)
    return _readable(_overridden(found, env))


def _checked_out(found: CIContext, git: GitFacts) -> CIContext:
    """Corrects the commit where the job has checked out another one of the same repository.

    A manual run on `main` can test any commit that its inputs name; only the checkout tells.
    """
    named = repository_id(git.remote) if git.remote else None
    found = replace(found, repository=found.repository or checkout.read(git).repository)
    if named is None or named != found.repository:
        return found
    found = replace(found, default_branch=found.default_branch or git.default_branch)
    if git.commit is None or git.commit == found.commit:
        return found
    if found.of_change or found.event in QUEUES | {"workflow_run"}:
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
    given = {field: env[name] for name, field in OVERRIDES.items() if env.get(name)}
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
