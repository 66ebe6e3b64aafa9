"""What GitHub or GitLab say of a change: its files and the messages of its commits.

Facts: docs.github.com "REST API endpoints for pull requests" (at most 3,000 files and 250 commits
are listed); docs.gitlab.com "Merge requests API" (`changes_count` ends with a plus sign where not
all changes are kept).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flakegate.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flakegate.ci.context import CIContext

    Get = Callable[[str], bytes]

PAGE = 100
MOST_PAGES = 50
MOST_FILES, MOST_COMMITS = 3_000, 250  # that GitHub ever lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """Where one pull or merge request is asked for. kind: "github" or "gitlab".

    path: of the request, below base_url. headers: hold the token.
    """

    kind: str
    base_url: str
    path: str
    headers: Mapping[str, str] = field(repr=False)


def forge_of(env: Mapping[str, str], context: CIContext) -> Forge | None:
    """The forge of this job's change; None without a token, or where there is no number to ask for.

    Tokens come from the environment only.
    """
    number = context.pull_request or ""
    if not (number.isascii() and number.isdecimal()):
        return None
    if context.provider == "github":
        token, repository = env.get("GITHUB_TOKEN"), env.get("GITHUB_REPOSITORY")
        if not token or not repository:
            return None
        return Forge(
            kind="github",
            base_url=env.get("GITHUB_API_URL") or "https://api.github.com",
            path=f"/repos/{quote(repository)}/pulls/{number}",
            headers={"Authorization": f"Bearer {token}"},
        )
    token, address = env.get("GITLAB_TOKEN"), env.get("CI_API_V4_URL")
    project = env.get("CI_MERGE_REQUEST_PROJECT_ID") or env.get("CI_PROJECT_ID")
    if context.provider != "gitlab" or not (token and address and project):
        return None
    return Forge(
        kind="gitlab",
        base_url=address,
        path=f"/projects/{quote(project, safe='')}/merge_requests/{number}",
        headers={"PRIVATE-TOKEN": token},
    )


def files(forge: Forge, get: Get) -> frozenset[str]:
    """The files of the change, both names of those that were renamed.

    get: answers the path of a GET request. Raises BackendError, also where the forge does not list
    all of them.
    """
    if forge.kind == "github":
        rows = list(_pages(f"{forge.path}/files", get))
        _complete(len(rows), MOST_FILES, "files")
        return _texts(rows, "filename") | _texts(rows, "previous_filename", optional=True)
    about = _decoded(get(forge.path))
    rows = list(_pages(f"{forge.path}/diffs", get))
    count = about.get("changes_count") if isinstance(about, dict) else None
    if count != str(len(rows)):
        raise BackendError(f"GitLab lists {len(rows)} changed files of {count or 'unknown many'}")
    return _texts(rows, "new_path") | _texts(rows, "old_path")


def messages(forge: Forge, get: Get) -> tuple[str, ...]:
    """The messages of the change's commits; see `files`."""
    rows = list(_pages(f"{forge.path}/commits", get))
    if forge.kind == "github":
        _complete(len(rows), MOST_COMMITS, "commits")
        commits = [row.get("commit") for row in rows]
        rows = [commit if isinstance(commit, dict) else {} for commit in commits]
    return tuple(_texts(rows, "message"))


def _pages(path: str, get: Get) -> Iterator[dict[str, Any]]:
    """The items of a list, up to an empty page: one that is not full need not be the last."""
    for page in range(1, MOST_PAGES + 1):
        rows = _decoded(get(f"{path}?per_page={PAGE}&page={page}"))
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise _nonsense()
        if not rows:
            return
        yield from rows
    raise BackendError(f"the forge lists more than {MOST_PAGES * PAGE:,} files or commits")


def _complete(found: int, most: int, what: str) -> None:
    if found >= most:
        raise BackendError(f"GitHub lists {most:,} {what} at most, and the change may have more")


def _texts(rows: list[dict[str, Any]], key: str, *, optional: bool = False) -> frozenset[str]:
    found = [row.get(key) for row in rows]
    texts = frozenset(text for text in found if isinstance(text, str))
    if any(not isinstance(text, str) and not (optional and text is None) for text in found):
        raise _nonsense()
    return texts


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise _nonsense() from None


def _nonsense() -> BackendError:
    return BackendError("the answer is not what the forge's API gives")
