"""Where a job's forge is asked and told, and with which token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flakegate.ci.context import CIContext

GITHUB_API = "https://api.github.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """A repository on a forge. kind: "github" or "gitlab".

    repository: its path below base_url; on GitLab that of the project that a merge request is for.
    number: of the pull or merge request; None where none is known. headers: hold the token.
    """

    kind: str
    base_url: str
    repository: str
    number: str | None = None
    headers: Mapping[str, str] = field(repr=False)

    @property
    def path(self) -> str:
        """The path of the pull or merge request."""
        what = "pulls" if self.kind == "github" else "merge_requests"
        return f"{self.repository}/{what}/{self.number}"


def forge_of(env: Mapping[str, str], context: CIContext) -> Forge | None:
    """The forge of this job; None without a token, which comes from the environment only."""
    number = context.pull_request or ""
    known = number if number.isascii() and number.isdecimal() else None
    if context.provider == "github":
        token, repository = env.get("GITHUB_TOKEN"), env.get("GITHUB_REPOSITORY")
        if not token or not repository:
            return None
        return Forge(
            kind="github",
            base_url=env.get("GITHUB_API_URL") or GITHUB_API,
            repository=f"/repos/{quote(repository)}",
            number=known,
            headers={"Authorization": f"Bearer {token}"},
        )
    token, address = env.get("GITLAB_TOKEN"), env.get("CI_API_V4_URL")
    project = env.get("CI_MERGE_REQUEST_PROJECT_ID") or env.get("CI_PROJECT_ID")
    if context.provider != "gitlab" or not (token and address and project):
        return None
    return Forge(
        kind="gitlab",
        base_url=address,
        repository=f"/projects/{quote(project, safe='')}",
        number=known,
        headers={"PRIVATE-TOKEN": token},
    )
