"""pytest: from classname and name back to the node id, and from that to what ddtrace makes of it.

pytest writes the path and the classes of a node id by dots, so that a classname alone does not say
which part is the file; `junit_family=xunit1` writes the file beside it. Without that, the names
that pytest collects by default decide: `test_*.py`, `*_test.py`, and classes with a capital.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flakegate.matching.candidate import Candidate, Checkout, Reading

if TYPE_CHECKING:
    from flakegate.junit import Case

MAX_PARTS = 64
_FILE = re.compile(r"test_.*|.*_test")
# As ddtrace splits a node id: at the last slash that has `::` after it and no slash between.
_NODE_ID = re.compile(r"(?:(?P<module>.*)/)?(?P<suite>[^/]*?)::(?P<name>.*)", re.DOTALL)
_REMEDY = "let pytest write the file of each test: -o junit_family=xunit1"


def read(case: Case, checkout: Checkout) -> Reading:
    """What a case of pytest can be."""
    name, base = case.name or "", checkout.base_dir
    if not case.classname:
        return _whole_id(name, base)
    parts = case.classname.split(".")
    if len(parts) > MAX_PARTS:
        return Reading(refusal=f"its classname has more than {MAX_PARTS} parts")
    if (own := _by_file(case, base)) is not None:
        return Reading(candidates=(own,))
    if "." in name.partition("[")[0]:
        return Reading(candidates=tuple(_doctest(parts, name, base)))
    likely = _likely(parts)
    doubt = f"its classname {case.classname} does not say which part of it is the file; {_REMEDY}"
    candidates = []
    for at in range(len(parts)):
        file, classes = [*parts[:at], parts[at] + ".py"], parts[at + 1 :]
        sure = likely == [at]
        candidates.append(_candidate(file, [*classes, name], base, None if sure else doubt))
    return Reading(candidates=tuple(candidates))


def _likely(parts: list[str]) -> list[int]:
    """Which parts of a classname are a file, by the names that pytest expects."""
    capitals = 0
    while capitals < len(parts) and parts[-1 - capitals].lstrip("_")[:1].isupper():
        capitals += 1
    first = len(parts) - 1 - capitals
    by_name = [at for at in range(max(first, 0), len(parts)) if _FILE.fullmatch(parts[at])]
    return by_name or ([] if capitals else [first])


def _by_file(case: Case, base: str) -> Candidate | None:
    """The reading that a `file` attribute gives; None if that is no part of the classname.

    It then is where an inherited test is written, not the file that pytest collected it from.
    """
    file, classname = case.file or "", case.classname or ""
    stem = file.removesuffix(".py").replace("/", ".")
    if not stem or (classname != stem and not classname.startswith(stem + ".")):
        return None
    classes = classname[len(stem) + 1 :].split(".") if classname != stem else []
    return _from_id(file, [*classes, case.name or ""], base, re.escape(file), None)


def _doctest(parts: list[str], name: str, base: str) -> list[Candidate]:
    """No function has a dot in its name: doctests have, and they are in no class."""
    found = [_candidate([*parts[:-1], parts[-1] + ".py"], [name], base, None)]
    whole = ".".join(parts)
    if whole == name or whole.endswith("." + name):
        before = whole[: -len(name)].rstrip(".")
        found.append(_candidate([*before.split("."), name] if before else [name], [name], base))
    return found


def _whole_id(name: str, base: str) -> Reading:
    """A whole node id is the name that pytest before 9.1 writes where a folder has a `[` in it."""
    path, colons, rest = name.partition("::")
    if not colons:
        return Reading(refusal="the collection of tests failed, and no test has that name")
    if "/" not in path:
        return Reading(refusal=f"its file cannot be told from its folder; {_REMEDY}")
    pattern = "[./]".join(re.escape(part) for part in re.split("[./]", path))
    return Reading(candidates=(_from_id(path, [rest], base, pattern, None),))


def _candidate(file: list[str], names: list[str], base: str, doubt: str | None = None) -> Candidate:
    pattern = "[./]".join(re.escape(part) for part in file)
    return _from_id("/".join(file), names, base, pattern, doubt)


def _from_id(path: str, names: list[str], base: str, pattern: str, doubt: str | None) -> Candidate:
    split = _NODE_ID.fullmatch("::".join([path, *names]))
    assert split is not None  # noqa: S101 - there is a `::` after the path
    return Candidate(
        module=(split["module"] or "").replace("/", "."),
        suite=split["suite"],
        name=split["name"],
        base_dir=base,
        path=pattern,
        doubt=doubt,
    )
