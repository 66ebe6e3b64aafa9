"""Datadog's Error Tracking on the wire: values to JSON and back.

Decoding is tolerant: every attribute may be absent, null or "", unknown ones are ignored, and an
issue that cannot be read is left out and named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from flakegate.backends.datadog.wire import UNREADABLE, nonsense
from flakegate.error_tracking.issue import Case, Issue, User

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flakegate.error_tracking.issue import IssueState, Question

ISSUES = "/api/v2/error-tracking/issues"
SEARCH = f"{ISSUES}/search?include=issue,issue.assignee,issue.case,issue.team_owners"
MOST = 100  # issues that one search answers at most; there is no cursor

_Read = TypeVar("_Read")


def path(issue_id: str) -> str:
    """Where one issue is read, with all that belongs to it."""
    return f"{ISSUES}/{issue_id}?include=assignee,case,team_owners"


def state_path(issue_id: str) -> str:
    """Where its state is set."""
    return f"{ISSUES}/{issue_id}/state"


def assignee_path(issue_id: str) -> str:
    """Where its assignee is set and removed."""
    return f"{ISSUES}/{issue_id}/assignee"


class _Reference(msgspec.Struct):
    id: str
    type: str = ""


class _One(msgspec.Struct):
    data: _Reference | None = None


class _Several(msgspec.Struct):
    data: list[_Reference] | None = None


class _Resource(msgspec.Struct):
    """Anything in `data` or `included`; its parts are read one by one, by its type."""

    id: str
    type: str = ""
    attributes: msgspec.Raw = msgspec.Raw(b"null")
    relationships: dict[str, msgspec.Raw] | None = None


class _Counts(msgspec.Struct):
    total_count: float | None = None
    impacted_sessions: float | None = None
    impacted_users: float | None = None


class _IssueAttributes(msgspec.Struct):
    state: str | None = None
    service: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    file_path: str | None = None
    function_name: str | None = None
    platform: str | None = None
    languages: list[str | None] | str | None = None
    is_crash: bool | None = None
    first_seen: float | None = None
    last_seen: float | None = None
    first_seen_version: str | None = None
    last_seen_version: str | None = None


class _JiraResult(msgspec.Struct):
    issue_key: str | None = None
    issue_url: str | None = None


class _Jira(msgspec.Struct):
    result: _JiraResult | None = None


class _CaseAttributes(msgspec.Struct):
    key: str | None = None
    status: str | None = None
    jira_issue: _Jira | None = None


class _Named(msgspec.Struct):
    """A user or a team."""

    name: str | None = None
    handle: str | None = None
    email: str | None = None


class _SearchAnswer(msgspec.Struct):
    data: list[msgspec.Raw] | None
    included: list[msgspec.Raw] | None = None


class _Answer(msgspec.Struct):
    data: _Resource
    included: list[msgspec.Raw] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one search answered. size: how many issues, those left out included.

    left_out: of every issue that cannot be read, why.
    """

    issues: tuple[Issue, ...]
    size: int
    left_out: tuple[str, ...] = ()


def encode_search(question: Question) -> bytes:
    """The body of a search."""
    attributes: dict[str, object] = {
        "query": question.query,
        "from": question.since,
        "to": question.until,
    }
    chosen = {
        "track": question.track,
        "persona": question.persona,
        "order_by": question.order_by,
    }
    attributes |= {name: value for name, value in chosen.items() if value is not None}
    return msgspec.json.encode({"data": {"type": "search_request", "attributes": attributes}})


def encode_state(issue_id: str, state: IssueState) -> bytes:
    """The body that sets a state."""
    attributes = {"state": state.value}
    data = {"id": issue_id, "type": "error_tracking_issue", "attributes": attributes}
    return msgspec.json.encode({"data": data})


def encode_assignee(user_id: str) -> bytes:
    """The body that assigns an issue."""
    return msgspec.json.encode({"data": {"id": user_id, "type": "assignee"}})


def decode_search(body: bytes, request: str) -> Found:
    """The issues of a search. request: names it in the BackendError for an answer that is none."""
    answer = _whole(body, _SearchAnswer, request)
    included = _by_name(answer.included)
    issues: list[Issue] = []
    left_out: list[str] = []
    for raw in answer.data or ():
        result = _read(raw, _Resource)
        issue = None if result is None else _result(result, included)
        if issue is None:
            left_out.append("an issue without an id")
        else:
            issues.append(issue)
    if left_out and not issues:
        raise nonsense(request, left_out[0])
    return Found(issues=tuple(issues), size=len(answer.data or ()), left_out=tuple(left_out))


def decode_issue(body: bytes, request: str) -> Issue:
    """The issue that was read or changed. request: as above."""
    answer = _whole(body, _Answer, request)
    if not answer.data.id:
        raise nonsense(request, "the issue has no id")
    return _issue(answer.data, _by_name(answer.included))


def _result(result: _Resource, included: Mapping[tuple[str, str], _Resource]) -> Issue | None:
    """One result of a search: counts, and the issue that it points at."""
    pointed = _related(result, "issue", _One)
    issue_id = pointed.data.id if pointed and pointed.data else result.id
    if not issue_id:
        return None
    whole = included.get(("issue", issue_id)) or _Resource(id=issue_id)
    counts = _read(result.attributes, _Counts) or _Counts()
    return replace(
        _issue(whole, included),
        total_count=_whole_number(counts.total_count),
        impacted_sessions=_whole_number(counts.impacted_sessions),
        impacted_users=_whole_number(counts.impacted_users),
    )


def _issue(resource: _Resource, included: Mapping[tuple[str, str], _Resource]) -> Issue:
    seen = _read(resource.attributes, _IssueAttributes) or _IssueAttributes()
    assignee = _related(resource, "assignee", _One)
    case = _related(resource, "case", _One)
    teams = _related(resource, "team_owners", _Several)
    languages = [seen.languages] if isinstance(seen.languages, str) else seen.languages or ()
    return Issue(
        id=resource.id,
        state=seen.state or "",
        service=seen.service or "",
        error_type=seen.error_type or "",
        error_message=seen.error_message or "",
        file_path=seen.file_path or "",
        function_name=seen.function_name or "",
        platform=seen.platform or "",
        languages=tuple(each for each in languages if each),
        is_crash=seen.is_crash,
        first_seen=_seconds(seen.first_seen),
        last_seen=_seconds(seen.last_seen),
        first_seen_version=seen.first_seen_version or "",
        last_seen_version=seen.last_seen_version or "",
        assignee=_user(assignee.data, included) if assignee and assignee.data else None,
        case=_case(case.data, included) if case and case.data else None,
        teams=tuple(_named(each, "team", included) for each in (teams and teams.data) or ()),
    )


def _user(reference: _Reference, included: Mapping[tuple[str, str], _Resource]) -> User | None:
    """None: an empty id is nobody."""
    if not reference.id:
        return None
    name = _named(reference, "user", included)
    return User(id=reference.id, name="" if name == reference.id else name)


def _case(reference: _Reference, included: Mapping[tuple[str, str], _Resource]) -> Case | None:
    if not reference.id:
        return None
    there = included.get(("case", reference.id))
    seen = (there and _read(there.attributes, _CaseAttributes)) or _CaseAttributes()
    jira = (seen.jira_issue and seen.jira_issue.result) or _JiraResult()
    return Case(
        id=reference.id,
        key=seen.key or "",
        status=seen.status or "",
        jira_key=jira.issue_key or "",
        jira_url=jira.issue_url or "",
    )


def _named(reference: _Reference, kind: str, included: Mapping[tuple[str, str], _Resource]) -> str:
    """What a user or a team is called; by its id where nothing better is known."""
    there = included.get((kind, reference.id))
    seen = (there and _read(there.attributes, _Named)) or _Named()
    return seen.name or seen.handle or seen.email or reference.id


def _by_name(included: Iterable[msgspec.Raw] | None) -> dict[tuple[str, str], _Resource]:
    """What came along, by type and id; what cannot be read is nobody's loss."""
    read = (_read(raw, _Resource) for raw in included or ())
    return {(each.type, each.id): each for each in read if each is not None}


def _related(resource: _Resource, name: str, kind: type[_Read]) -> _Read | None:
    raw = (resource.relationships or {}).get(name)
    return None if raw is None else _read(raw, kind)


def _read(raw: msgspec.Raw, kind: type[_Read]) -> _Read | None:
    """The value, or None: one odd part takes nothing else with it."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except UNREADABLE:
        loose: _Read | None = _loosely(raw, kind)
        return loose


def _loosely(raw: msgspec.Raw, kind: Any) -> Any:
    """The same without the fields that are not what they should be; None if it is no object."""
    try:
        parts = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return None
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.name in parts:
            try:
                found[field.name] = msgspec.json.decode(parts[field.name], type=field.type)
            except UNREADABLE:
                continue
    try:
        return kind(**found)
    except TypeError:  # it lacks what it cannot be without
        return None


def _whole(body: bytes, kind: type[_Read], request: str) -> _Read:
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as error:
        raise nonsense(request, error) from None


def _whole_number(value: float | None) -> int | None:
    return None if value is None else int(value)


def _seconds(milliseconds: float | None) -> float | None:
    """Zero is a time nobody set."""
    return None if not milliseconds or milliseconds < 0 else milliseconds / 1000
