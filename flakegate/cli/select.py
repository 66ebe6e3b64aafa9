"""TEST on the command line: an id, a full name, or a unique part of one.

A test may also be named as pytest does: `tests/test_cart.py::TestCart::test_total`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from flakegate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST = 10
_FEW = 3
_MANY = 20_000  # names: to compare more of them with a misspelt one takes seconds


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
    wrong: list[tuple[str, list[str]]] = []
    for text in dict.fromkeys(texts):
        found = [text] if text in names else by_name.get(text)
        if found is None:
            wanted = _dotted(text) if "::" in text else text.lower()
            found = [test_id for test_id, fqn in folded.items() if wanted in fqn]
            # A whole name is meant rather than the longer ones that begin with it.
            whole = [test_id for test_id in found if folded[test_id].endswith(f".{wanted}")]
            found = whole or found
        if len(found) == 1:
            chosen[found[0]] = None
        else:
            wrong.append((text, found))
    if wrong:
        errors = [_not_one(text, found, names) for text, found in wrong[:MOST]]
        messages = [error.message for error in errors]
        if len(wrong) > MOST:
            messages.append(f"and {len(wrong) - MOST:,} more names are not those of one test")
        raise UsageError("\n".join(messages), tip=errors[0].tip)
    return tuple(chosen)


def _dotted(node_id: str) -> str:
    """A test's id in pytest's words as a part of its full name."""
    path, *names = node_id.lower().split("::")
    return ".".join([path.removesuffix(".py").replace("/", "."), *names])


def _not_one(text: str, found: list[str], names: Mapping[str, str]) -> UsageError:
    if not names:
        return UsageError(
            f"no test is called {text!r}, for none is known of this repository",
            tip="`flakegate list` says which it is; --repository names another",
        )
    if not found:
        near = _near(text, names)
        meant = "".join(f"\n  {fqn}" for fqn in near)
        return UsageError(
            f"no test is called {text!r}" + (f"; did you mean{meant}" if near else ""),
            tip="`flakegate list` names the flaky tests; a part of a name will do",
        )
    rows = [f"  {test_id}  {names[test_id]}" for test_id in sorted(found)[:MOST]]
    if len(found) > MOST:
        rows.append(f"  … and {len(found) - MOST:,} more")
    return UsageError(
        f"{len(found):,} tests match {text!r}\n" + "\n".join(rows),
        tip="give more of the name, or the id",
    )


def _near(text: str, names: Mapping[str, str]) -> list[str]:
    """The names that are spelt most like the text, as wholes or in their last part."""
    if len(names) > _MANY:
        return []
    from difflib import get_close_matches

    wanted = _dotted(text) if "::" in text else text.lower()
    spelt: dict[str, str] = {}
    for fqn in sorted(names.values()):
        spelt.setdefault(fqn.rpartition(".")[2].lower(), fqn)
        spelt[fqn.lower()] = fqn
    close = get_close_matches(wanted, spelt, n=2 * _FEW)
    return list(dict.fromkeys(spelt[each] for each in close))[:_FEW]
