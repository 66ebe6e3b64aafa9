"""An issue of Error Tracking as a value, and the words by which issues are asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

TRACKS = ("trace", "logs", "rum")
PERSONAS = ("ALL", "BROWSER", "MOBILE", "BACKEND")
ORDERS = ("TOTAL_COUNT", "FIRST_SEEN", "IMPACTED_SESSIONS", "PRIORITY")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class IssueState(str, Enum):
    """The states of an issue, in Datadog's words."""

    OPEN = "OPEN"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"
    IGNORED = "IGNORED"
    EXCLUDED = "EXCLUDED"

    def __str__(self) -> str:
        return self.value


def uuid(text: str) -> str | None:
    """The id of an issue or a user as Datadog writes it; None for what is none."""
    name = text.strip().lower()
    return name if _UUID.fullmatch(name) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Who an issue is assigned to. name: as far as Datadog tells, else ""."""

    id: str
    name: str = ""

    def __str__(self) -> str:
        return self.name or self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The case that an issue is worked on in. Texts that are not known are "".

    jira_key, jira_url: of the Jira issue that it is linked with.
    """

    id: str
    key: str = ""
    status: str = ""
    jira_key: str = ""
    jira_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One issue: errors that Datadog takes for the same. Texts that are not known are "".

    state: mostly one of IssueState; Datadog may have others. first_seen, last_seen: seconds since
    the epoch. teams: names of those that own its code. total_count, impacted_sessions,
    impacted_users: within the time that was searched; None where no search gave them.
    """

    id: str
    state: str = ""
    service: str = ""
    error_type: str = ""
    error_message: str = ""
    file_path: str = ""
    function_name: str = ""
    platform: str = ""
    languages: tuple[str, ...] = ()
    is_crash: bool | None = None
    first_seen: float | None = None
    last_seen: float | None = None
    first_seen_version: str = ""
    last_seen_version: str = ""
    assignee: User | None = None
    case: Case | None = None
    teams: tuple[str, ...] = ()
    total_count: int | None = None
    impacted_sessions: int | None = None
    impacted_users: int | None = None

    @property
    def title(self) -> str:
        """What it is about, in a line: `TypeError: x is undefined`."""
        message = next(iter(self.error_message.strip().splitlines()), "")
        return ": ".join(part for part in (self.error_type, message) if part) or self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is searched for.

    query: in Datadog's search syntax. track: one of TRACKS, or None; then persona is one of
    PERSONAS. order_by: one of ORDERS, None for Datadog's own. since (inclusive) and until
    (exclusive): milliseconds since the epoch.
    """

    query: str
    since: int
    until: int
    track: str | None = "trace"
    persona: str | None = None
    order_by: str | None = None
