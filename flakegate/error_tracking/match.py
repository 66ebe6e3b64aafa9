"""Does an issue of Error Tracking belong to a flaky test? Proven, or not at all. Pure.

It does if its service is one of the test's, and either both have the same error (type and message,
numbers and ids masked), or it comes from the test itself (file and function).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flakegate.error_tracking.issue import Issue
    from flakegate.model import FlakyTest

_LEAST_WORDS = 3  # of a message without a type: "timeout" alone says nothing
_MASKED = re.compile(
    r"""\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b  # a UUID
    |\b0x[0-9a-f]+\b                                     # an address
    |\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b                     # a hash
    |\b(?=\w*\d\w*\d)(?=\w*[^\W\d])\w{8,}\b              # an id of letters and digits
    |\d+(?:[.,:_]\d+)*""",  # a number, a version, a time of day
    re.IGNORECASE | re.VERBOSE,
)
_TYPE = re.compile(r"\s*((?:[A-Za-z_]\w*[.:$]{1,2})*[A-Z]\w*)\s*:\s")
_WORD = re.compile(r"[^\W\d_]{2,}")


def masked(text: str) -> str:
    """A message without what differs from one time to the next: numbers, ids, spacing."""
    return " ".join(_MASKED.sub("#", text).split())


def belongs(test: FlakyTest, issue: Issue) -> str | None:
    """By what the issue is proven to be the test's, in words; None if it is not."""
    services = {service.casefold() for service in test.services or ()}
    if not issue.service or issue.service.casefold() not in services:
        return None
    if _same_error(test, issue):
        return "service and error"
    if _same_place(test, issue):
        return "service, file and function"
    return None


def belonging(test: FlakyTest, issues: Iterable[Issue]) -> tuple[tuple[Issue, str], ...]:
    """The issues that are proven to be the test's, each with by what."""
    return tuple((issue, why) for issue in issues if (why := belongs(test, issue)))


def _same_error(test: FlakyTest, issue: Issue) -> bool:
    """The test's message may begin with the type (`TypeError: …`); Datadog's often does not.

    Where it does not, the message must say enough by itself.
    """
    if not test.error_message or not issue.error_message or not issue.error_type:
        return False
    said, known = masked(test.error_message), masked(issue.error_message)
    if not known:
        return False
    named = _TYPE.match(test.error_message)
    if named:
        rest = masked(test.error_message[named.end() :])
        if rest == known:
            return _last(named[1]) == _last(issue.error_type)
    return said == known and len(_WORD.findall(known)) >= _LEAST_WORDS


def _same_place(test: FlakyTest, issue: Issue) -> bool:
    """The file is the same as far as both paths go; a parameter is no part of the function."""
    if not (test.source_file and test.name and issue.file_path and issue.function_name):
        return False
    function = _last(test.name.partition("[")[0])
    same = bool(function) and function == _last(issue.function_name)
    return same and _same_file(test.source_file, issue.file_path)


def _same_file(one: str, other: str) -> bool:
    """Whether one path is the end of the other, by whole names."""
    parts = [_path(one), _path(other)]
    shorter, longer = sorted(parts, key=len)
    return bool(shorter) and longer[-len(shorter) :] == shorter


def _path(text: str) -> list[str]:
    return [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]


def _last(name: str) -> str:
    """The last part of a dotted name: `ssl.SSLError` and `SSLError` are the same."""
    return re.split(r"[.:$#]+", name.strip().removesuffix("()"))[-1]
