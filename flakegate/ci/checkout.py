"""A checkout without a CI around it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flakegate.ci.context import CIContext
from flakegate.ci.repository import repository_id

if TYPE_CHECKING:
    from flakegate.ci.context import GitFacts


def read(git: GitFacts) -> CIContext:
    """What git says; the repository is `local/<folder>` where it has no remote."""
    folder = re.split(r"[/\\]", (git.top or git.folder or "").rstrip("/\\"))[-1] or "unnamed"
    return CIContext(
        provider="local",
        repository=(git.remote and repository_id(git.remote)) or f"local/{folder}",
        # With uncommitted edits, "the same commit failed and passed" would be a lie.
        commit=git.commit if git.dirty is False else None,
        branch=git.branch,
        default_branch=git.default_branch,
    )
