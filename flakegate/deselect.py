"""The `--deselect` arguments by which pytest leaves out tests of the store. Exact, or left out.

pytest's report says `classname` (the file's path and the classes, joined by dots) and `name`; the
node id that it deselects by is `path::Class::name`. A dot of the classname can be a folder, a dot
in a name, or a class: only the files that exist can tell.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flakegate.escape import terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from flakegate.model import FlakyTest, Identity

_OPTION = "--deselect="
_ESCAPED = re.compile("#x[0-9A-F]{2,4}")  # how pytest writes what XML cannot hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The folder that pytest runs in. All paths are relative to it, with `/`.

    name: its path in the repository, "" = root: the `module` of its tests. read: a file's text,
    None where there is none.
    """

    name: str
    is_file: Callable[[str], bool]
    is_dir: Callable[[str], bool]
    read: Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """lines: one argument each. left_out: tests that cannot be named exactly, and why in words."""

    lines: tuple[str, ...]
    left_out: tuple[tuple[FlakyTest, str], ...]


def arguments(
    tests: Sequence[FlakyTest], recorded: Mapping[str, Identity], folder: Folder
) -> Arguments:
    """What to give to pytest. recorded: every test of the store by its id."""
    wanted = {test.id for test in tests}
    others = sorted(each.fqn for key, each in recorded.items() if key not in wanted)
    lines: list[str] = []
    left_out: list[tuple[FlakyTest, str]] = []
    for test in tests:
        paths = _paths(test, folder)
        why = _refusal(test, folder, paths, others)
        if why:
            left_out.append((test, why))
        else:
            lines.append(_OPTION + _node_id(test, paths[0]))
    return Arguments(lines=tuple(dict.fromkeys(lines)), left_out=tuple(left_out))


def _refusal(
    test: FlakyTest, folder: Folder, paths: Sequence[str], others: Sequence[str]
) -> str | None:
    if test.module != folder.name:
        return f"it runs in {test.module or 'the root of the repository'} (see --base-dir)"
    if not paths:
        return f"no Python file here is `{test.suite}`"
    if len(paths) > 1:
        return f"`{test.suite}` can be {' or '.join(paths)}"
    return _unsayable(test, paths[0]) or _too_much(test, folder.read(paths[0]) or "", others)


def _unsayable(test: FlakyTest, path: str) -> str | None:
    node_id = _node_id(test, path)
    if terminal(node_id) != node_id:
        return "its name holds characters that a line of arguments cannot"
    if _ESCAPED.search(test.name):
        return "its name may hold a character that XML cannot"
    return None


def _too_much(test: FlakyTest, source: str, others: Sequence[str]) -> str | None:
    """What else would go. source: of its file. others: full names of all other tests, sorted."""
    at = bisect_left(others, test.fqn)
    longer = others[at] if at < len(others) and others[at].startswith(test.fqn) else None
    if longer is None and not test.name.endswith("]"):
        # Perhaps a test that was never recorded.
        word = re.search(rf"(?<!\w){re.escape(test.name)}\w+", source)
        longer = word[0] if word else None
    if longer is None:
        return None
    return f"pytest deselects by the beginning of a name: {longer} would be left out, too"


def _node_id(test: FlakyTest, path: str) -> str:
    classes = test.suite[len(_dotted(path)) + 1 :]
    return "::".join(part for part in (path, classes.replace(".", "::"), test.name) if part)


def _dotted(path: str) -> str:
    """As pytest writes a file into a classname."""
    return path.removesuffix(".py").replace("/", ".")


def _paths(test: FlakyTest, folder: Folder) -> tuple[str, ...]:
    """The files that the classname can mean; the only one that the report named, if it did."""
    found = tuple(_readings("", test.suite.split("."), folder))
    return (test.source_file,) if test.source_file in found else found


def _readings(start: str, parts: Sequence[str], folder: Folder) -> Iterator[str]:
    for end in range(1, len(parts) + 1):
        name = ".".join(parts[:end])
        if not name.strip(".") or "/" in name or "\\" in name:
            continue
        path = f"{start}{name}"
        if folder.is_file(f"{path}.py"):
            yield f"{path}.py"
        if folder.is_dir(path):
            yield from _readings(f"{path}/", parts[end:], folder)
