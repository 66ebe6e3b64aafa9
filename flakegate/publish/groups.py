"""Long output as a part of a CI's log that can be folded: a group on GitHub, a section on GitLab.

Facts: docs.github.com "Workflow commands", docs.gitlab.com "Custom collapsible sections".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.escape import command_data, terminal
from flakegate.wording import clip

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST = 160  # characters of a heading
_LINE_START = "\r\x1b[0K"


def opening(env: Mapping[str, str], heading: str, *, at: float) -> str:
    """What begins the part; "" where no CI folds its log. at: seconds since the epoch."""
    heading = clip(" ".join(heading.split()), _LONGEST)
    if env.get("GITHUB_ACTIONS") == "true":
        return f"::group::{command_data(heading)}\n"
    if env.get("GITLAB_CI") == "true":
        name = f"section_start:{at:.0f}:{_name(at)}[collapsed=true]"
        return f"\x1b[0K{name}{_LINE_START}{terminal(heading)}\n"
    return ""


def closing(env: Mapping[str, str], *, began: float, at: float) -> str:
    """What ends it, on a line of its own. began: the moment that `opening` was given."""
    if env.get("GITHUB_ACTIONS") == "true":
        return "\n::endgroup::\n"
    if env.get("GITLAB_CI") == "true":
        return f"\n\x1b[0Ksection_end:{at:.0f}:{_name(began)}{_LINE_START}\n"
    return ""


def _name(began: float) -> str:
    """A job has each name only once."""
    return f"flakegate_tests_{began * 1000:.0f}"
