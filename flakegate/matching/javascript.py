"""jest, mocha and vitest: dd-trace-js names a test by its file and its titles joined by spaces.

The reporters write titles into XML attributes, where tabs and line breaks become spaces. A file
whose path is absolute is placed in the repository by the folders that it can have been checked out
to; where none fits, nothing can be said.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from flakegate.matching.candidate import Candidate, Checkout, Reading

if TYPE_CHECKING:
    from flakegate.junit import Case

_PATH = re.compile(r"\S(?:.*\S)?\.[cm]?[jt]sx?")
_BLANK = re.compile(r"\r\n|[\t\n\r]")
# What vitest leaves out of an attribute: XML does not have it, or discourages it.
_LEFT_OUT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
BETWEEN = " > "
MAX_FOLDERS = 16  # in which mocha can have been started
# Where the hosted runners of GitLab and GitHub check a repository out.
_CHECKED_OUT = re.compile(
    r"/builds/[^/]+/[^/]+|/(?:home/runner/work|__w)/([^/]+)/\1|/github/workspace"
)


def attribute(name: str) -> str:
    """The name as it is read back from an XML attribute that it was written to unescaped."""
    return _BLANK.sub(" ", name)


def in_vitest(name: str) -> str:
    """The name as vitest writes it, with spaces between titles on both sides."""
    return _LEFT_OUT.sub("", attribute(name)).replace(BETWEEN, " ")


def is_path(text: str | None) -> bool:
    """Whether it looks like the path of a JavaScript or TypeScript file."""
    return text is not None and _PATH.fullmatch(text) is not None


def jest(case: Case, checkout: Checkout) -> Reading:
    """What a case of jest-junit can be: its titles are in `name`, all of them."""
    name, classname = case.name or "", case.classname
    path = case.file or (classname if is_path(classname) else None)
    if path is None:
        return Reading(
            refusal="jest-junit wrote no path of its test file; set addFileAttribute=true"
        )
    if " " not in name or classname not in (name, path):
        return Reading(
            refusal="its name does not hold the titles of its describes; leave jest-junit's"
            ' titleTemplate as it is ("{classname} {title}"), and classNameTemplate too or'
            ' "{filepath}"'
        )
    placed, refusal = below(path, checkout)
    if placed is None:
        return Reading(refusal=refusal)
    # Outside of any describe there is nothing before the space; a describe may be called "".
    names = [name, name[1:]] if name.startswith(" ") else [name]
    return Reading(candidates=tuple(_candidate("jest", placed, each, checkout) for each in names))


def mocha(case: Case, checkout: Checkout) -> Reading:
    """What a case of mocha-junit-reporter can be: its titles are in `name`, all of them."""
    name, title = case.name or "", case.classname or ""
    path = case.file or case.suite_file
    if path is None:
        return Reading(
            refusal="mocha-junit-reporter writes no path for tests outside of any describe;"
            " put it into one"
        )
    if name != title and not name.endswith(" " + title):
        return Reading(
            refusal="its name does not end with its classname; leave mocha-junit-reporter's option"
            " testCaseSwitchClassnameAndName off"
        )
    placed, refusal = below(path, checkout)
    if placed is None:
        return Reading(refusal=refusal)
    # The tracer's suite is the path from where mocha was started; the whole path says the rest.
    parts = placed.split("/") if path.startswith("/") and not checkout.base_dir else [placed]
    suites = ["/".join(parts[at:]) for at in range(min(len(parts), MAX_FOLDERS))]
    return Reading(
        candidates=tuple(
            replace(_candidate("mocha", placed, name, checkout), suite=suite) for suite in suites
        )
    )


def vitest(case: Case, checkout: Checkout) -> Reading:
    """What a case of vitest can be. Its suite is named as the file, from where vitest started."""
    path = case.suite if is_path(case.suite) else case.classname
    if path is None or not is_path(path):
        return Reading(refusal="neither its suite nor its classname is a path of a test file")
    placed, refusal = below(path, checkout)
    if placed is None:
        return Reading(refusal=refusal)
    suite = f"{checkout.base_dir}/{placed}" if checkout.base_dir else placed
    candidate = Candidate(
        module="vitest",
        suite=suite,
        name=in_vitest(case.name or ""),
        base_dir=checkout.base_dir,
        path=re.escape(placed),
        spelled=in_vitest,
        between=BETWEEN,
    )
    return Reading(candidates=(candidate,))


def _candidate(module: str, path: str, name: str, checkout: Checkout) -> Candidate:
    return Candidate(
        module=module,
        suite=path,
        name=name,
        base_dir=checkout.base_dir,
        path=re.escape(path),
        spelled=attribute,
    )


def below(path: str, checkout: Checkout) -> tuple[str | None, str | None]:
    """The path from base_dir, where the runner was started; else why it is not known."""
    if not path.startswith("/"):
        return path, None
    base = f"{checkout.base_dir}/" if checkout.base_dir else ""
    root = next((root for root in checkout.roots if path.startswith(f"{root}/")), None)
    if root is None and (hosted := _CHECKED_OUT.match(path)):
        root = hosted[0]
    if root is None:
        return None, (
            f"where its file {path} is in the repository cannot be told; judge it in the folder"
            " that the tests ran in"
        )
    inside = path[len(root) + 1 :]
    if not inside.startswith(base):
        return None, f"its file {inside} is not below {checkout.base_dir}, its base_dir"
    return inside[len(base) :], None
