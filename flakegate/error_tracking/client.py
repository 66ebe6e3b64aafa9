"""The five endpoints of Datadog's Error Tracking."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flakegate.backends.datadog.access import KEYS_TIP
from flakegate.error_tracking import wire
from flakegate.error_tracking.windows import halves, together

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flakegate.error_tracking.issue import Issue, IssueState, Question
    from flakegate.transport.client import Transport

MOST_REQUESTS = 200  # for one search; an issue that never rests would have it split for ever
_GONE = "check the id (`flakegate issues search` shows them), and that DD_SITE is its site"


def _tips(*permissions: str) -> Mapping[int, str]:
    """What to do next, by status. permissions: what the request needs, likeliest first."""
    needed = " and ".join(permissions)
    return {
        401: KEYS_TIP,
        403: f"the application key needs {needed}; or {KEYS_TIP}",
        404: _GONE,
    }


_READ = _tips("error_tracking_read", "cases_read")
_WRITE = _tips("error_tracking_write")
_ASSIGN = _tips("error_tracking_write", "cases_write")
_SEARCH = {**_READ, 404: KEYS_TIP}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found. requests: how many it took.

    full: parts of its time (the question about each) that may hold more issues than these.
    left_out: of every issue that cannot be read, why.
    """

    issues: tuple[Issue, ...]
    requests: int
    full: tuple[Question, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether these are all issues that there are."""
        return not self.full and not self.left_out


class ErrorTracking:
    """The issues of one Datadog organisation. All methods raise BackendError."""

    kind = "datadog"  # in the journal, as a backend's

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def place(self) -> str:
        """The API's address."""
        return self._transport.base_url

    def search(
        self,
        question: Question,
        *,
        enough: int | None = None,
        most: int = MOST_REQUESTS,
        progress: Callable[[int, int | None], None] = lambda _so_far, _of: None,
    ) -> Found:
        """The issues that the question is about; its time is split until all of them are found.

        enough: with so many issues nothing more is asked. most: requests.
        progress: is told how many were found.
        """
        waiting = deque([question])
        parts: list[wire.Found] = []
        full: list[Question] = []
        requests = 0
        while waiting:
            part = waiting.popleft()
            found = self._search(part)
            requests += 1
            split = halves(part) if found.size >= wire.MOST else ()
            satisfied = enough is not None and len(found.issues) >= enough
            if split and not satisfied and requests + len(waiting) + len(split) <= most:
                waiting += split
                continue
            if found.size >= wire.MOST:
                full.append(part)
            parts.append(found)
            progress(sum(each.size for each in parts), None)
        return Found(
            issues=together((each.issues for each in parts), question.order_by),
            requests=requests,
            full=tuple(full),
            left_out=tuple(why for each in parts for why in each.left_out),
        )

    def _search(self, question: Question) -> wire.Found:
        body = wire.encode_search(question)
        answer = self._transport.send("POST", wire.SEARCH, body, tips=_SEARCH)
        return wire.decode_search(answer, self._name("POST", wire.SEARCH))

    def get(self, issue_id: str) -> Issue:
        """The issue as it is now."""
        path = wire.path(issue_id)
        return self._one("GET", path, None, _READ)

    def set_state(self, issue_id: str, state: IssueState) -> Issue:
        """Sets its state, whatever it was; gives the issue as it is then."""
        path = wire.state_path(issue_id)
        return self._one("PUT", path, wire.encode_state(issue_id, state), _WRITE)

    def assign(self, issue_id: str, user_id: str) -> Issue:
        """Assigns it to a user; gives the issue as it is then."""
        path = wire.assignee_path(issue_id)
        return self._one("PUT", path, wire.encode_assignee(user_id), _ASSIGN)

    def unassign(self, issue_id: str) -> None:
        """Assigns it to nobody."""
        self._transport.send("DELETE", wire.assignee_path(issue_id), tips=_ASSIGN)

    def close(self) -> None:
        """Closes the kept connections."""
        self._transport.close()

    def _one(self, method: str, path: str, body: bytes | None, tips: Mapping[int, str]) -> Issue:
        answer = self._transport.send(method, path, body, tips=tips)
        return wire.decode_issue(answer, self._name(method, path))

    def _name(self, method: str, path: str) -> str:
        return f"{method} {self.place}{path.partition('?')[0]}"
