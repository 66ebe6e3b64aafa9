"""The search syntax: text to a condition on a flaky test.

`key:value`, `key:"quoted"`, `AND` (or nothing), `OR`, `NOT` or `-`, parentheses, and `*` in values
that are not quoted. A backslash takes the meaning from the character after it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, get_args

from flakegate.server.refusal import Refusal
from flakegate.wire.flaky_tests import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Subject = TypeVar("Subject")
KEYS: tuple[str, ...] = get_args(Key)
REPOSITORY = "@git.repository.id_v2"
FOLDED = frozenset({"flaky_test_category"})  # compared without case
MOST_TERMS = 1_000
DEEPEST = 50

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<sign>[()] | -(?=[^\s)]))
    | (?P<word>AND|OR|NOT)(?=[\s()]|$)
    | (?P<key>@?[A-Za-z_][\w.]*):
      (?: "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<bare>(?:[^\s()"\\]|\\.)+) ) (?=[\s()]|$)
    )""",
    re.VERBOSE | re.DOTALL,
)
_BLANKS = re.compile(r"\s*")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PIECE = re.compile(r"\\(.)|(\*)|([^\\*]+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exactly:
    """The test has this value for the key."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Like:
    """The test has a value for the key that is these pieces, with anything between each two."""

    key: str
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """The part does not hold."""

    part: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class All:
    """Every part holds."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Any:
    """One part holds, or more."""

    parts: tuple[Node, ...]


Node = Exactly | Like | Not | All | Any
EVERYTHING = All(parts=())


def parse(query: str) -> Node:
    """The query as a tree; of nothing but blanks, EVERYTHING. Raises Refusal with what is wrong."""
    reader = _Reader(query)
    if reader.is_over():
        return EVERYTHING
    node = reader.either(0)
    if not reader.is_over():
        rest = reader.rest()
        raise _bad(f"nothing opens the parenthesis before {_shown(rest[1:])}")
    return node


def condition(
    node: Node, values: Mapping[str, Callable[[Subject], tuple[str, ...]]]
) -> Callable[[Subject], bool]:
    """The tree as a function. values: of each key, what gives a subject's values for it."""
    match node:
        case Exactly():
            of, value = values[node.key], node.value
            return lambda subject: value in of(subject)
        case Like():
            of, pieces = values[node.key], node.pieces
            return lambda subject: any(is_like(pieces, value) for value in of(subject))
        case Not():
            part = condition(node.part, values)
            return lambda subject: not part(subject)
        case All():
            needed = [condition(part, values) for part in node.parts]
            return lambda subject: all(part(subject) for part in needed)
        case Any():
            options = [condition(part, values) for part in node.parts]
            return lambda subject: any(part(subject) for part in options)


def is_like(pieces: Sequence[str], value: str) -> bool:
    """Whether the value is these pieces (two or more), with anything between each two.

    In one pass, whatever a stranger wrote: a regular expression could be made to take for ever.
    """
    first, *between, last = pieces
    if len(value) < len(first) + len(last):
        return False
    if not (value.startswith(first) and value.endswith(last)):
        return False
    at, end = len(first), len(value) - len(last)
    for piece in between:
        at = value.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


class _Reader:
    """A recursive descent over the text. at: how far it has come."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._at = 0
        self._terms = 0

    def is_over(self) -> bool:
        blanks = _BLANKS.match(self._query, self._at)
        return blanks is not None and blanks.end() == len(self._query)

    def rest(self) -> str:
        return self._query[self._at :].strip()

    def either(self, depth: int) -> Node:
        parts = [self._every(depth)]
        while self._took("OR"):
            parts.append(self._every(depth))
        return parts[0] if len(parts) == 1 else Any(parts=tuple(parts))

    def _every(self, depth: int) -> Node:
        parts = [self._one(depth)]
        while self._took("AND") or self._peek() not in {None, ")", "OR"}:
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else All(parts=tuple(parts))

    def _one(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise _bad(f"it is nested more than {DEEPEST} deep")
        if self._took("-") or self._took("NOT"):
            return Not(part=self._one(depth + 1))
        if self._took("("):
            inside = self.either(depth + 1)
            if not self._took(")"):
                raise _bad("a parenthesis is not closed")
            return inside
        return self._term()

    def _peek(self) -> str | None:
        """The next sign or word; "" for anything else, None at the end."""
        if self.is_over():
            return None
        token = _TOKEN.match(self._query, self._at)
        return (token["sign"] or token["word"] or "") if token else ""

    def _took(self, sign: str) -> bool:
        token = _TOKEN.match(self._query, self._at)
        if token is None or sign not in (token["sign"], token["word"]):
            return False
        self._at = token.end()
        return True

    def _term(self) -> Node:
        token = _TOKEN.match(self._query, self._at)
        if token is None or token["key"] is None:
            raise _bad(_missing(self.rest()))
        self._terms += 1
        if self._terms > MOST_TERMS:
            raise _bad(f"it has more than {MOST_TERMS} terms")
        self._at = token.end()
        key = token["key"]
        if key not in KEYS:
            raise _bad(f"there is no key {_shown(key)}; the keys are {', '.join(KEYS)}")
        return _leaf(key, token["quoted"], token["bare"])


def _leaf(key: str, quoted: str | None, bare: str | None) -> Node:
    text = quoted if bare is None else bare
    text = (text or "").casefold() if key in FOLDED else text or ""
    if key == REPOSITORY and text != text.lower():
        raise _bad(f"{REPOSITORY} must be lower-case")
    if bare is None or "*" not in _ESCAPED.sub("", bare):
        return Exactly(key=key, value=_ESCAPED.sub(r"\1", text))
    pieces = [""]
    for char, star, plain in _PIECE.findall(text):
        if star:
            pieces.append("")
        else:
            pieces[-1] += char or plain
    return Like(key=key, pieces=(pieces[0], *filter(None, pieces[1:-1]), pieces[-1]))


def _missing(rest: str) -> str:
    if not rest:
        return "a term is missing at its end"
    if re.match(r'@?[\w.]+:"', rest):
        return f"a quote is not closed, or something follows it at once: {_shown(rest)}"
    return f"a term like key:value is missing before {_shown(rest)}"


def _shown(text: str) -> str:
    return ascii(text[:40]) + ("…" if len(text) > 40 else "")  # noqa: PLR2004 - enough to find it


def _bad(why: str) -> Refusal:
    return Refusal(400, f"filter.query: {why}")
