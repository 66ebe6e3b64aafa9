"""TEST on the command line: an id, a full name, or a unique part of one."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from flakegate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST = 10


def select(text: str, names: Mapping[str, str]) -> str:
    """The id of the one test that `text` names. names: full name by id.

    Raises UsageError where there is none, or several, which it lists.
    """
    return select_all([text], names)[0]


def select_all(texts: Iterable[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """The ids of the tests that these texts name, each test once. names: full name by id.

    Raises UsageError that tells of every text which names none, or several.
    """
    by_name: dict[str, list[str]] = defaultdict(list)
    for test_id, fqn in names.items():
        by_name[fqn].append(test_id)
    folded = {test_id: fqn.lower() for test_id, fqn in names.items()}
    chosen: dict[str, None] = {}
    wrong: list[UsageError] = []
    for text in dict.fromkeys(texts):
        found = [text] if text in names else by_name.get(text)
        if found is None:
            wanted = text.lower()
            found = [test_id for test_id, fqn in folded.items() if wanted in fqn]
        if len(found) == 1:
            chosen[found[0]] = None
        else:
            wrong.append(_not_one(text, found, names))
    if wrong:
        messages = [each.message for each in wrong[:MOST]]
        if len(wrong) > MOST:
            messages.append(f"and {len(wrong) - MOST:,} more names are not those of one test")
        raise UsageError("\n".join(messages), tip=wrong[0].tip)
    return tuple(chosen)


def _not_one(text: str, found: list[str], names: Mapping[str, str]) -> UsageError:
    if not found:
        return UsageError(
            f"no test is called {text!r}",
            tip="`flakegate list` names the flaky tests; a part of a name will do",
        )
    rows = [f"  {test_id}  {names[test_id]}" for test_id in sorted(found)[:MOST]]
    if len(found) > MOST:
        rows.append(f"  … and {len(found) - MOST:,} more")
    return UsageError(
        f"{len(found):,} tests match {text!r}\n" + "\n".join(rows),
        tip="give more of the name, or the id",
    )
