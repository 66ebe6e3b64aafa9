"""Reads Markdown as a forge does, to see what a text has become there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

_READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

# What a forge makes a link or a mention of by itself.
ACTIVE = re.compile(
    r"@\w|\w@|[#!~%&$^][\w\"]|\w://|www\.|:[\w+-]+:|mailto:\S+@\w|\bGH-\d", re.ASCII | re.IGNORECASE
)
# What a CI's runner obeys.
COMMAND = re.compile(r"^\s*::|##\w*\[", re.MULTILINE)


def blocks(text: str) -> list[Token]:
    """The block tokens of a document."""
    return _READER.parse(text)


def leaves(text: str) -> Iterator[Token]:
    """The tokens of a document that carry text or markup."""
    for token in blocks(text):
        if token.children:
            yield from token.children
        else:
            yield token


def shape(text: str) -> list[str]:
    """What kinds of things a document consists of, code and texts left out."""
    return [
        token.type
        for token in leaves(text)
        if token.type not in {"text", "code_inline"} and token.content not in {"<code>", "</code>"}
    ]


def plain_texts(text: str) -> Iterator[str]:
    """The texts outside of code, as a person reads them."""
    in_code = False
    for token in leaves(text):
        if token.type == "html_inline" and token.content in {"<code>", "</code>"}:
            in_code = token.content == "<code>"
        elif token.type == "text" and not in_code:
            yield token.content
