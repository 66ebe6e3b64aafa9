"""What GitHub or GitLab say of a change: its files and the messages of its commits.

Facts: docs.github.com "REST API endpoints for pull requests" (at most 3,000 files and 250 commits
are listed); docs.gitlab.com "Merge requests API" (`changes_count` ends with a plus sign where not
all changes are kept).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flakegate.errors import BackendError
from flakegate.forges.pages import decoded, nonsense, pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from flakegate.forges.access import Forge

    Get = Callable[[str], bytes]

MOST_FILES, MOST_COMMITS = 3_000, 250  # that GitHub ever lists


def files(forge: Forge, get: Get) -> frozenset[str]:
    """The files of the change, both names of those that were renamed.

    get: answers the path of a GET request. Raises BackendError, also where the forge does not list
    all of them.
    """
    if forge.kind == "github":
        rows = list(pages(f"{forge.path}/files", get))
        _complete(len(rows), MOST_FILES, "files")
        return _texts(rows, "filename") | _texts(rows, "previous_filename", optional=True)
    about = decoded(get(forge.path))
    rows = list(pages(f"{forge.path}/diffs", get))
    count = about.get("changes_count") if isinstance(about, dict) else None
    if count != str(len(rows)):
        raise BackendError(f"GitLab lists {len(rows)} changed files of {count or 'unknown many'}")
    return _texts(rows, "new_path") | _texts(rows, "old_path")


def messages(forge: Forge, get: Get) -> tuple[str, ...]:
    """The messages of the change's commits; see `files`."""
    rows = list(pages(f"{forge.path}/commits", get))
    if forge.kind == "github":
        _complete(len(rows), MOST_COMMITS, "commits")
        commits = [row.get("commit") for row in rows]
        rows = [commit if isinstance(commit, dict) else {} for commit in commits]
    return tuple(_texts(rows, "message"))


def _complete(found: int, most: int, what: str) -> None:
    if found >= most:
        raise BackendError(f"GitHub lists {most:,} {what} at most, and the change may have more")


def _texts(rows: list[dict[str, Any]], key: str, *, optional: bool = False) -> frozenset[str]:
    found = [row.get(key) for row in rows]
    texts = frozenset(text for text in found if isinstance(text, str))
    if any(not isinstance(text, str) and not (optional and text is None) for text in found):
        raise nonsense()
    return texts
