"""What an answer that is not the expected one says to a person, whatever sent it."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 300
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_UNSEEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def human(body: bytes, content_type: str, *, redact: Callable[[str], str]) -> str:
    """The human part of an error answer, in one line of at most 300 characters; "" if none.

    Understands `{"errors": ["text"]}`, `{"errors": [{"status", "title", "detail"}]}` with any
    subset, `{"error": {…}}` or text, `{"message": …}`, a proxy's HTML page, and plain text.
    redact: takes secrets out, before anything is cut off.
    """
    text = body[:65536].decode("utf-8", "replace")
    try:
        said = _said(json.loads(text))
    except (ValueError, RecursionError):
        said = _page(text) if "html" in content_type.lower() or "<html" in text.lower() else text
    line = " ".join("".join(c if c.isprintable() else " " for c in redact(said)).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _said(answer: object) -> str:
    """The texts of a decoded error answer, joined; "" where it says nothing to a person."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, list):
        return "; ".join(said for item in answer if (said := _said(item)))
    if not isinstance(answer, dict):
        return ""
    for envelope in ("errors", "error"):
        if said := _said(answer.get(envelope)):
            return said
    parts = [_said(answer.get(key)) for key in ("title", "detail", "message")]
    return ": ".join(part for part in parts if part)


def _page(text: str) -> str:
    title = _TITLE.search(text)
    said = title.group(1) if title else _TAG.sub(" ", _UNSEEN.sub(" ", text))
    return unescape(said)
