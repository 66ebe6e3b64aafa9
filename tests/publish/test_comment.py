"""One comment, however many write it, and whatever befalls it meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.errors import BackendError
from flakegate.publish.comment import put
from flakegate.publish.sticky import Comment, Stamp, marked, replaces, stamp, stamped
from tests.summaries import PULL

if TYPE_CHECKING:
    from collections.abc import Sequence

ME = "me[bot]"
RED = Stamp(key="unit", run="77", attempt="1", leg="0a", blocks=True)
GREEN = replace(RED, blocks=False)


@dataclass(slots=True, kw_only=True)
class Board:
    """Comments in memory. meet: the first look of each writer waits for all others' first look."""

    there: list[Comment] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    meet: threading.Barrier | None = None
    looked: set[int] = field(default_factory=set)
    gone: int = 0

    def comments(self) -> Sequence[Comment]:
        with self.lock:
            seen = tuple(self.there)
        if self.meet is not None and threading.get_ident() not in self.looked:
            self.looked.add(threading.get_ident())
            self.meet.wait(10)
        return seen

    def author(self, candidates: Sequence[Comment]) -> str | None:
        assert candidates
        return ME

    def create(self, body: str) -> Comment:
        with self.lock:
            newest = max((each.id for each in self.there), default=0)
            self.there.append(Comment(id=newest + 1, author=ME, body=body))
            return self.there[-1]

    def update(self, comment: Comment, body: str) -> None:
        with self.lock:
            self._lose()
            at = self._find(comment)
            self.there[at] = replace(self.there[at], body=body)

    def delete(self, comment: Comment) -> None:
        with self.lock:
            del self.there[self._find(comment)]

    def _lose(self) -> None:
        if self.gone:
            self.gone -= 1
            self.there.clear()

    def _find(self, comment: Comment) -> int:
        found = [at for at, each in enumerate(self.there) if each.id == comment.id]
        if not found:
            raise BackendError("gone", status=404)
        return found[0]


@pytest.mark.parametrize("jobs", [2, 3, 8])
@pytest.mark.parametrize("passing", [0, 1])
def test_jobs_at_once_leave_one_that_says_the_worst(jobs: int, passing: int) -> None:
    board = Board(meet=threading.Barrier(jobs))

    def write(number: int) -> None:
        mine = replace(RED, leg=str(number), blocks=number >= passing)
        put(board, mine, f"words of {number}", create=True)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(write, range(jobs)))
    (comment,) = board.there
    assert " blocks -->" in comment.body


def test_a_comment_that_goes_while_it_is_updated_is_written_anew() -> None:
    board = Board(gone=1)
    put(board, RED, "one", create=True)
    put(board, replace(RED, run="78"), "two", create=True)
    assert [each.body.splitlines()[1] for each in board.there] == ["two"]


def test_somebody_who_deletes_it_each_time_wins() -> None:
    class Cleaner(Board):
        def comments(self) -> Sequence[Comment]:
            return ()

    with pytest.raises(BackendError, match="deleted by others"):
        put(Cleaner(), RED, "text", create=True)


def test_no_comment_where_none_is_due() -> None:
    board = Board()
    put(board, GREEN, "fine", create=False)
    assert board.there == []


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        (GREEN, RED, False),  # the same job of the same attempt: two calls, or legs without a name
        (GREEN, replace(RED, leg="ff"), False),
        (GREEN, replace(RED, leg="ff", attempt="9"), False),
        (GREEN, replace(RED, attempt="9"), True),
        (RED, GREEN, True),
        (GREEN, GREEN, True),
        (GREEN, replace(GREEN, leg="ff"), True),
        (RED, replace(RED, leg="ff"), True),
        (GREEN, replace(RED, run="76"), True),
        (RED, replace(GREEN, run="78"), False),
        (RED, replace(GREEN, run="100"), False),
        (replace(GREEN, run=""), replace(RED, run="100"), True),
        (replace(GREEN, run="a-1"), replace(RED, run="a-1", leg="ff"), False),
    ],
)
def test_whose_words_stay(mine: Stamp, theirs: Stamp, expected: bool) -> None:
    comment = Comment(id=1, author=ME, body=stamped(theirs, "text"))
    assert replaces(mine, comment) is expected


def test_the_key_is_the_jobs_name() -> None:
    def key(job: str) -> str:
        return stamp(replace(PULL, job=job), None, blocks=True).key

    assert [key(job) for job in ("unit", "unit 2/3", "unit: [3.12, linux] 2/3", "a: b", "1/2")] == [
        "unit", "unit", "unit", "a: b", "1/2",
    ]  # fmt: skip
    assert stamp(PULL, "mine", blocks=True).key == "mine"


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=20), st.booleans())
def test_any_key_is_found_again_and_no_other(key: str, other: str, run: str, blocks: bool) -> None:
    body = stamped(replace(RED, key=key, run=run, blocks=blocks), "-->\n/merge")
    first, rest = body.split("\n", 1)
    assert first.count("<!--") == first.count("-->") == 2
    assert rest == "-->\n/merge"
    comment = Comment(id=1, author=ME, body=body)
    assert marked([comment], key) == [comment]
    assert bool(marked([comment], other)) is (key == other)


def test_a_mark_counts_in_the_first_line_only() -> None:
    body = stamped(RED, "text")
    quoted = Comment(id=1, author=ME, body=f"> {body}")
    later = Comment(id=2, author=ME, body=f"hello\n{body}")
    assert marked([quoted, later], "unit") == []
