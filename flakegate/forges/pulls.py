"""Which pull request a commit is the head of, where the event that started the job does not say.

Facts: docs.github.com "List pull requests": `head` is OWNER:BRANCH. The event of a `workflow_run`
names no pull request of a fork.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flakegate.forges.pages import pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from flakegate.ci.context import CIContext
    from flakegate.forges.access import Forge

_EVENTS = frozenset({"workflow_run", "push"})


def asks(context: CIContext) -> bool:
    """Whether the run may be of a pull request that nobody named."""
    unnamed = context.pull_request is None and context.event in _EVENTS
    return unnamed and context.provider == "github" and context.branch is not None


def pull_of(forge: Forge, context: CIContext, get: Callable[[str], bytes]) -> str | None:
    """The number of the one open pull request whose head was tested; None for none or several.

    get: answers the path of a GET request. Raises BackendError.
    """
    here = forge.repository.removeprefix("/repos/")
    theirs = context.head_repository or here
    head = f"{theirs.partition('/')[0]}:{context.branch}"
    path = f"{forge.repository}/pulls?{urlencode({'state': 'open', 'head': head})}"
    found = [
        row["number"]
        for row in pages(path, get)
        if isinstance(row.get("number"), int)
        and _of_head(row.get("head"), theirs, context.status_commit)
    ]
    return str(found[0]) if len(found) == 1 else None


def _of_head(head: object, repository: str, commit: str | None) -> bool:
    if not isinstance(head, dict) or commit is None:
        return False
    repo = head.get("repo")
    name = repo.get("full_name") if isinstance(repo, dict) else None
    same = isinstance(name, str) and name.lower() == repository.lower()
    return same and head.get("sha") == commit
