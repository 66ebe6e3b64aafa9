"""What a pull or merge request changes, and whether that keeps a failing test from being excused.

Files are compared by their paths in the repository. Where it is not said which folder a runner was
started in, a changed file counts if it ends like the test's: that blocks at worst too much.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from unicodedata import normalize

from flakegate.matching.candidate import Checkout
from flakegate.matching.frameworks import READ, framework_of
from flakegate.matching.java import CLASS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flakegate.junit import Case, Report
    from flakegate.model import FlakyTest
    from flakegate.policy.rules import GateSettings

ANYWAY = "or let it be excused anyway: `gate.changed_tests: excuse`"
_CODE = "java|kt|groovy|scala"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a pull or merge request changes; by default nothing.

    files: paths from the repository's root, of what was renamed both. messages: of its commits.
    None: that cannot be read. why: what is in the way, and what to do about it, in words.
    """

    files: frozenset[str] | None = frozenset()
    messages: tuple[str, ...] | None = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a test is written.

    files: what is known of that, each as a path from the root of the repository, from base_dir, or
    absolute. patterns: regular expressions, from base_dir, one of which its file matches. untold:
    why neither is known, in words with a remedy; "" where one of them is.
    """

    base_dir: str = ""
    files: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    untold: str = ""


def place_of(test: FlakyTest, case: Case | None = None, report: Report | None = None) -> Place:
    """Where a flaky test is written, by the backend and by its case in a report."""
    base = report.base_dir if report else ""
    written = (test.source_file, case and case.file, case and case.suite_file)
    files = tuple(dict.fromkeys(file for file in written if file and file.strip()))
    patterns, untold = _read(case, report) if case and report else ((), "its file is not known")
    return Place(
        base_dir=base, files=files, patterns=patterns, untold="" if files or patterns else untold
    )


def barred(
    test: FlakyTest, place: Place, change: Change, settings: GateSettings
) -> tuple[str, str] | None:
    """Reason code and words where the change keeps a test from being excused; None if not."""
    fixes = _fixes(test, change) if settings.blocks_attempted_fixes else None
    return fixes or (_touches(place, change) if settings.blocks_changed else None)


def _fixes(test: FlakyTest, change: Change) -> tuple[str, str] | None:
    fix = test.attempt_to_fix_id
    if not fix:
        return None
    if change.messages is None:
        return "change-unknown", f"whether this change claims to fix it is unknown: {change.why}"
    if any(fix.casefold() in message.casefold() for message in change.messages):
        return "attempted-fix", f"a commit of this change claims to fix it ({fix})"
    return None


def _touches(place: Place, change: Change) -> tuple[str, str] | None:
    unknown = "whether this change touches it is unknown"
    if change.files is None:
        return "change-unknown", f"{unknown}: {change.why}"
    if touched := _touched(place, change.files):
        return "changed", f"this change touches {touched}"
    if place.untold and change.files:
        return "change-unknown", f"{unknown}: {place.untold}; {ANYWAY}"
    return None


def _read(case: Case, report: Report) -> tuple[tuple[str, ...], str]:
    """What its reporter says of a case's file by its names: patterns, or why there are none."""
    framework = framework_of(report).framework
    if framework is None:
        return (), "its report names no file; let the reporter write the `file` of each test"
    classname = case.classname or ""
    if framework == "java" and CLASS.fullmatch(classname):
        name = classname.rpartition(".")[2]
        return (rf"(?:.*/)?{re.escape(name.partition('$')[0] or name)}\.(?:{_CODE})",), ""
    reading = READ[framework](case, Checkout(base_dir=report.base_dir))
    sure = [each for each in reading.candidates if each.doubt is None] or reading.candidates
    # A package of Go is found by the end of its path already.
    above = "(?:.*/)?" if not report.base_dir and framework != "go" else ""
    patterns = tuple(dict.fromkeys(f"{above}(?:{each.path})" for each in sure))
    return patterns, reading.refusal or ""


def _touched(place: Place, changed: Iterable[str]) -> str | None:
    """The first of the changed files that is, or may be, the test's; a submodule is all in it."""
    base = f"{place.base_dir}/" if place.base_dir else ""
    names = {_clean(name) for file in place.files for name in (file, _below(base, file))}
    patterns = [re.compile(pattern) for pattern in place.patterns]
    for path in sorted(changed):
        clean = _clean(path)
        if any(_same(name, clean, deeper=not base) for name in names):
            return path
        inside = clean[len(base) :] if clean.startswith(base) else None
        if inside is not None and any(pattern.fullmatch(inside) for pattern in patterns):
            return path
    return None


def _same(name: str, changed: str, *, deeper: bool) -> bool:
    """Whether a changed path is that of a test's file, or of the submodule that holds it."""
    if name.startswith("/"):
        return f"{name}/".endswith(f"/{changed}/")
    within = f"{name}/".startswith(f"{changed}/")
    return within or (deeper and changed.endswith(f"/{name}"))


def _below(base: str, file: str) -> str:
    return file if file.startswith("/") else base + file


@lru_cache(maxsize=10_000)
def _clean(path: str) -> str:
    """The same file is always written the same: `./a//é.py` is `a/é.py`, however é is encoded."""
    drive = re.compile("[A-Za-z]:(?=[/\\\\])").match(path)
    slashes = path[drive.end() if drive else 0 :].replace("\\", "/")
    return normalize("NFC", posixpath.normpath(slashes))
