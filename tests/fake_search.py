"""The search syntax of Datadog's flaky tests, as far as its reference describes it, for the fake.

`key:value`, `key:"quoted"`, `AND` (or nothing), `OR`, `-`, parentheses, `*` in bare values.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    Facets = Mapping[str, tuple[str, ...]]
    Matches = Callable[[Facets], bool]

KEYS = {
    "flaky_test_state", "flaky_test_category", "@test.name", "@test.suite", "@test.module",
    "@test.service", "@git.repository.id_v2", "@git.branch", "@test.codeowners", "env",
    "fingerprint_fqn",
}  # fmt: skip
TOKEN = re.compile(
    r"""\s*(?:(?P<sign>[()]|-(?=[@\w(])|(?:AND|OR)(?=[\s(]))
    |(?P<key>@?[\w.]+):(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>(?:[^\s()"\\]|\\.)+)))""",
    re.VERBOSE,
)


class QueryError(Exception):
    """The query is not one."""


def parse(query: str, keys: Collection[str] = KEYS) -> Matches:
    """The query as a function of the facets of a test, or whatever has these keys.

    Raises QueryError.
    """
    parser = _Parser(query, keys)
    matches = parser.either()
    if parser.rest():
        raise QueryError(f"unexpected {parser.rest()!r}")
    return matches


class _Parser:
    def __init__(self, query: str, keys: Collection[str]) -> None:
        self.query = query
        self.keys = keys
        self.at = 0

    def rest(self) -> str:
        return self.query[self.at :].strip()

    def either(self) -> Matches:
        options = [self.both()]
        while self.took("OR"):
            options.append(self.both())
        return lambda facets: any(option(facets) for option in options)

    def both(self) -> Matches:
        needed = [self.one()]
        while self.took("AND") or (self.rest() and not re.match(r"\)|OR\b", self.rest())):
            needed.append(self.one())
        return lambda facets: all(need(facets) for need in needed)

    def one(self) -> Matches:
        if self.took("-"):
            inner = self.one()
            return lambda facets: not inner(facets)
        if self.took("("):
            inside = self.either()
            if not self.took(")"):
                raise QueryError("a parenthesis is not closed")
            return inside
        return self.term()

    def took(self, sign: str) -> bool:
        token = TOKEN.match(self.query, self.at)
        if token is None or token["sign"] != sign:
            return False
        self.at = token.end()
        return True

    def term(self) -> Matches:
        token = TOKEN.match(self.query, self.at)
        if token is None or token["key"] is None:
            raise QueryError(f"a term is missing before {self.rest()!r}")
        self.at = token.end()
        key = token["key"]
        if key not in self.keys:
            raise QueryError(f"unknown key {key}")
        if token["quoted"] is not None:
            value = re.sub(r"\\(.)", r"\1", token["quoted"])
            pattern = re.sub(r"([*?[])", r"[\1]", value)
        else:
            value = re.sub(r"\\(.)", r"\1", token["bare"])
            pattern = re.sub(r"([?[])", r"[\1]", value)
        if key == "@git.repository.id_v2" and value != value.lower():
            raise QueryError("the repository id must be lower-case")
        return lambda facets: any(fnmatchcase(each, pattern) for each in facets.get(key, ()))
