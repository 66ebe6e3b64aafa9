"""Lists that a forge gives page by page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flakegate.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = 100
MOST_PAGES = 300


def pages(path: str, get: Callable[[str], bytes]) -> Iterator[dict[str, Any]]:
    """The items of a list, up to an empty page: one that is not full need not be the last.

    get: answers the path of a GET request. Raises BackendError, also where there is no end.
    """
    sign = "&" if "?" in path else "?"
    for page in range(1, MOST_PAGES + 1):
        rows = decoded(get(f"{path}{sign}per_page={PAGE}&page={page}"))
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise nonsense()
        if not rows:
            return
        yield from rows
    raise BackendError(f"the forge lists more than {MOST_PAGES * PAGE:,} items")


def decoded(body: bytes) -> Any:
    """The JSON of an answer. Raises BackendError where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise nonsense() from None


def nonsense() -> BackendError:
    """An answer that no forge gives."""
    return BackendError("the answer is not what the forge's API gives")
