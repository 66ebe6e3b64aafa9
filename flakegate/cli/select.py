"""TEST on the command line: an id, a full name, or a unique part of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 10


def select(text: str, names: Mapping[str, str]) -> str:
    """The id of the one test that `text` names. names: full name by id.

    Raises UsageError where there is none, or several, which it lists.
    """
    if text in names:
        return text
    found = [test_id for test_id, fqn in names.items() if fqn == text]
    if not found:
        wanted = text.lower()
        found = [test_id for test_id, fqn in names.items() if wanted in fqn.lower()]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(
            f"no test is called {text!r}",
            tip="`flakegate list` names the flaky tests; a part of a name will do",
        )
    rows = [f"  {test_id}  {names[test_id]}" for test_id in sorted(found)[:MOST]]
    if len(found) > MOST:
        rows.append(f"  … and {len(found) - MOST:,} more")
    raise UsageError(
        f"{len(found):,} tests match {text!r}\n" + "\n".join(rows),
        tip="give more of the name, or the id",
    )
