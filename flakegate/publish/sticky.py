"""Which comment is ours, and whether what we have to say belongs into it.

The first line of a comment names its key and the run that wrote it, in HTML comments that nobody
sees. Anybody can write such a line, so a comment is ours only by its author, too.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flakegate.ci.context import CIContext

_STAMP = re.compile(
    r"<!-- flakegate:(?P<key>\S*) --><!-- run (?P<run>\S*) (?P<attempt>\S*) (?P<leg>\S*)"
    r" (?P<word>blocks|passes) -->"
)
# GitLab calls the jobs of a `parallel` "unit 2/3" and "unit: [3.12, linux]"; they are one job.
_PART = re.compile(r"(?:\s+\d+/\d+|:\s+\[.*\])+\Z", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment on a pull or merge request. author: the forge's name for who wrote it."""

    id: int
    author: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Whose words a comment holds.

    key: there is one comment for each. run, attempt: of the CI. leg: which job of the run, hashed.
    blocks: it says that something does not pass.
    """

    key: str
    run: str
    attempt: str
    leg: str
    blocks: bool


def stamp(context: CIContext, key: str | None, *, blocks: bool) -> Stamp:
    """The stamp of this job's words. key: None for the name of the job."""
    return Stamp(
        key=key if key is not None else _PART.sub("", context.job),
        run=context.run_id,
        attempt=context.attempt,
        leg=hashlib.sha256(context.leg.encode()).hexdigest()[:8],
        blocks=blocks,
    )


def stamped(stamp: Stamp, text: str) -> str:
    """The body of a comment: the stamp, invisible, and the text."""
    # Quoted, a key has no `>`, so it cannot end the comment that it stands in.
    key, run, attempt = (quote(part, safe="") for part in (stamp.key, stamp.run, stamp.attempt))
    word = "blocks" if stamp.blocks else "passes"
    return (
        f"<!-- flakegate:{key} --><!-- run {run} {attempt} {stamp.leg} {word} -->\n{text.rstrip()}"
    )


def marked(comments: Iterable[Comment], key: str) -> list[Comment]:
    """The comments that carry a stamp of this key, whoever wrote them, the oldest first."""
    found = (
        each for each in comments if (read := _read(each.body)) and read["key"] == _quoted(key)
    )
    return sorted(found, key=lambda comment: comment.id)


def replaces(mine: Stamp, comment: Comment) -> bool:
    """Whether my words take the place of this comment's.

    A newer run's words stay; so do those of another job of the same run that say that something
    does not pass, where mine say that all is well.
    """
    found = _read(comment.body)
    if found is None:
        return True
    run, theirs = mine.run, found["run"]
    if run.isdecimal() and theirs.isdecimal() and int(theirs) > int(run):
        return False
    same_turn = found["attempt"] == _quoted(mine.attempt) or found["leg"] != mine.leg
    stands = theirs == _quoted(run) and same_turn and found["word"] == "blocks"
    return mine.blocks or not stands


def _read(body: str) -> re.Match[str] | None:
    return _STAMP.match(body)


def _quoted(text: str) -> str:
    return quote(text, safe="")
