"""One comment on a pull or merge request, whichever forge it is on, however many jobs write it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from flakegate.errors import BackendError
from flakegate.publish.sticky import marked, replaces, stamped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flakegate.publish.sticky import Comment, Stamp

GONE = frozenset({404, 410})
_ROUNDS = 4


class Thread(Protocol):
    """The comments on one pull or merge request. Everything raises BackendError."""

    def comments(self) -> Sequence[Comment]:
        """All of them."""

    def author(self, candidates: Sequence[Comment]) -> str | None:
        """Who of these writes with this token; None where only writing tells."""

    def create(self, body: str) -> Comment:
        """A new one."""

    def update(self, comment: Comment, body: str) -> None:
        """Other words in the place of an old one's."""

    def delete(self, comment: Comment) -> None:
        """Away with it."""


def put(thread: Thread, stamp: Stamp, text: str, *, create: bool) -> None:
    """Sees to it that the one comment of this key says the text; of several, the oldest stays.

    create: where there is none yet, write one. Jobs that write at once each look again after they
    wrote, so the last of them sees all and leaves one. Raises BackendError.
    """
    body = stamped(stamp, text)
    author: str | None = None
    written: Comment | None = None
    for _ in range(_ROUNDS):
        candidates = marked(thread.comments(), stamp.key)
        if candidates and author is None:
            author = thread.author(candidates)
        ours = [each for each in candidates if each.author == author]
        if not ours and not create and not (candidates and author is None):
            return
        if not ours:
            written = thread.create(body)
            author = written.author
        elif _settled(thread, ours, stamp, body, written):
            return
    raise BackendError("the comment was deleted by others each time it was written")


def _settled(
    thread: Thread, ours: Sequence[Comment], stamp: Stamp, body: str, written: Comment | None
) -> bool:
    """Leaves only the oldest, with the words that belong into it; False if it is gone meanwhile."""
    oldest, *others = ours
    is_written = written is not None and written.id == oldest.id
    stays = is_written or not replaces(stamp, oldest)
    if not stays and not _there(partial(thread.update, oldest, body)):
        return False
    for each in others:
        _there(partial(thread.delete, each))
    return True


def _there(change: Callable[[], None]) -> bool:
    """Changes a comment; False where others deleted it meanwhile."""
    try:
        change()
    except BackendError as error:
        if error.status not in GONE:
            raise
        return False
    return True
