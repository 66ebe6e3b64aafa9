"""Finds the reports that the arguments name, and reads them. What cannot be read is a problem.

A report is at most `MAX_BYTES` large.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from flakegate.junit import Problem, Report
from flakegate.reading.bulk import Bulk
from flakegate.reading.document import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import BinaryIO

    from flakegate.policy.rules import ReportSettings

MAX_BYTES = 1 << 30
PIECE = 1 << 20  # bytes fed at once; expat's cost for a long token grows as its pieces get smaller

SMALL = 4 << 10  # bytes; for a report below that, reading in bulk takes longer
SHARE = 4 << 20  # bytes that are worth a process of their own

COARSE = 2.0  # seconds: the coarsest times that file systems keep

Stamp = tuple[int, int, int]  # inode, bytes, nanoseconds since the epoch

_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The reports that were there before the tests ran: none of them is of this run.

    at: seconds since the epoch. stamps: what shows that a file was written since, by its real path.
    """

    at: float
    stamps: Mapping[str, Stamp]

    def is_stale(self, path: str, about: os.stat_result) -> bool:
        """Whether a file is one of them, or was restored from somewhere with an older time."""
        return self.stamps.get(path) == _stamp(about) or about.st_mtime < self.at - COARSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The reports, sorted by path, and what was wrong before any of them could be read."""

    reports: tuple[Report, ...]
    problems: tuple[Problem, ...]


def before(arguments: Sequence[str], *, folder: Path, at: float) -> Before:
    """What the arguments of `read` name now, before the tests run. at: seconds since the epoch."""
    stamps = {}
    for argument in arguments:
        for path in _Search(folder).find(argument):
            real = os.path.realpath(path)
            with suppress(OSError):
                stamps[real] = _stamp(Path(real).stat())
    return Before(at=at, stamps=stamps)


def read(  # noqa: PLR0913 - what names the reports, and what says how to read them
    arguments: Sequence[str],
    *,
    folder: Path,
    settings: Sequence[ReportSettings],
    base_dir: str,
    expect: Sequence[str],
    before: Before | None = None,
    whole: bool = True,
    meanwhile: Callable[[], None] = lambda: None,
) -> Evidence:
    """Reads every report that the arguments name, each once. Raises nothing for what it finds.

    An argument is a file, a folder (all `*.xml` below it, in any case of letters), or a glob (`**`
    for any folders, names with a leading dot only where the glob has it); relative ones start at
    `folder`. settings: the first whose `paths` match a report's path, as shown, says how it is
    read; base_dir holds for the others. expect: globs, each of which must match the path of a
    report. before: what was there before the tests ran, and is refused; None if nobody looked.
    whole: with all cases; else with those only that a verdict can depend on, which is far quicker.
    meanwhile: called once a case failed, where other processes are then still reading.
    """
    problems: list[Problem] = []
    files: dict[str, str] = {}  # the path as shown, by the real path
    real_path = _real_path()
    for argument in arguments:
        search = _Search(folder)
        found = list(search.find(argument))
        problems += search.problems
        if not (found or search.problems):
            problems.append(_missing(argument, f"{argument}: no report there"))
        for path in found:
            real, shown = real_path(path), _shown(path, folder)
            files[real] = min(files.get(real, shown), shown)

    def read_one(file: tuple[str, str]) -> Report | Problem:
        return _read_one(*file, settings, base_dir, before, whole=whole)

    reports = []
    for report in _read_all(files, read_one, whole=whole, meanwhile=meanwhile):
        if isinstance(report, Report):
            reports.append(report)
        else:
            problems.append(report)
    problems += [
        _missing(None, f"no report matches {pattern}, which gate.expect asks for")
        for pattern in expect
        if not any(matches(pattern, report.path) for report in reports)
    ]
    return Evidence(reports=tuple(reports), problems=tuple(problems))


def matches(pattern: str, path: str) -> bool:
    """Whether a glob matches a whole path; `*` stays within one name, `**` is any folders."""
    parts = _parts(pattern)
    places = _start(parts)
    for name in path.split("/"):
        places = _step(parts, places, name)
    return len(parts) in places


# A glob is matched name by name: a place is a part of it that may come next. However many `**` it
# has, that takes no backtracking, and a folder that leaves no place open need not be entered.


def _parts(pattern: str) -> list[str]:
    parts = [part for part in Path(pattern).as_posix().split("/") if part != "."]
    return [*parts, "*.xml"] if parts and parts[-1] == "**" else parts


def _start(parts: list[str]) -> frozenset[int]:
    return _past_stars(parts, {0})


def _step(parts: list[str], places: frozenset[int], name: str) -> frozenset[int]:
    """The places that are open once `name` was seen; as in a shell, `*` passes over `.hidden`."""
    after = set()
    for at in places - {len(parts)}:
        part = parts[at]
        if name.startswith(".") and not part.startswith("."):
            continue
        if part == "**":
            after.add(at)
        elif fnmatch.fnmatchcase(name, part):
            after.add(at + 1)
    return _past_stars(parts, after)


def _past_stars(parts: list[str], places: set[int]) -> frozenset[int]:
    """These places and those behind each `**` there, which may also stand for no folder."""
    for at in sorted(places):
        after = at
        while after < len(parts) and parts[after] == "**":
            after += 1
            places.add(after)
    return frozenset(places)


class _Search:
    """The files that one argument names. Folders that cannot be read are left in `problems`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entered: set[tuple[int, int, frozenset[int]]] = set()
        self.problems: list[Problem] = []

    def find(self, argument: str) -> Iterator[str]:
        path = self._folder / argument
        if argument and os.path.lexists(path):
            yield from self._below(str(path)) if path.is_dir() else [str(path)]
        elif _MAGIC.search(argument):
            parts = path.parts
            fixed = next(number for number, part in enumerate(parts) if _MAGIC.search(part))
            top, pattern = str(Path(*parts[:fixed])), _parts("/".join(parts[fixed:]))
            for found in self._walk(top, pattern):
                yield from self._below(found) if Path(found).is_dir() else [found]

    def _below(self, folder: str) -> Iterator[str]:
        """Every `*.xml` file (or `*.XML`) below a folder, hidden ones too."""
        pending = [folder]
        while pending:
            for entry in self._entries(pending.pop(), frozenset()):
                if _is_dir(entry):
                    pending.append(entry.path)
                elif entry.name.lower().endswith(".xml"):
                    yield entry.path

    def _walk(self, folder: str, parts: list[str]) -> Iterator[str]:
        """Every path below a folder that the rest of a glob matches."""
        pending = [(folder, _start(parts))]
        while pending:
            current, places = pending.pop()
            for entry in self._entries(current, places):
                after = _step(parts, places, entry.name)
                if len(parts) in after:
                    yield entry.path
                if after - {len(parts)} and _is_dir(entry):
                    pending.append((entry.path, after))

    def _entries(self, folder: str, places: frozenset[int]) -> list[os.DirEntry[str]]:
        """What is in a folder; nothing where it was entered before like this: links make loops."""
        try:
            about = Path(folder).stat()
            if (key := (about.st_dev, about.st_ino, places)) in self._entered:
                return []
            self._entered.add(key)
            with os.scandir(folder) as entries:
                return list(entries)
        except FileNotFoundError:
            return []
        except OSError as error:
            shown = _shown(folder, self._folder)
            self.problems.append(_missing(shown, f"{shown}: cannot be read: {error.strerror}"))
            return []


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; reading it as a file will say so
        return False


def _shown(path: str, folder: Path) -> str:
    """Relative to the folder where the path is in it, with forward slashes; else as it is."""
    normal = Path(os.path.normpath(path))
    try:
        return normal.relative_to(os.path.normpath(folder)).as_posix()
    except ValueError:
        return normal.as_posix()


# Reading


def _read_all(
    files: Mapping[str, str],
    read_one: Callable[[tuple[str, str]], Report | Problem],
    *,
    whole: bool,
    meanwhile: Callable[[], None],
) -> list[Report | Problem]:
    """Each of the files, sorted by their paths as shown. files: these paths, by the real ones."""
    in_order = sorted(files.items(), key=lambda item: item[1])
    sizes = [] if whole else [_size(real) for real, _ in in_order]
    if sum(sizes) < 2 * SHARE:  # whole reports are large: sending them would cost what it saves
        return [read_one(file) for file in in_order]
    from flakegate.spread import cores, spread

    processes = min(cores(), sum(sizes) // SHARE)
    return spread(
        read_one,
        in_order,
        weights=sizes,
        processes=processes,
        notable=_has_failing,
        meanwhile=meanwhile,
    )


def _has_failing(report: Report | Problem) -> bool:
    return isinstance(report, Report) and any(case.outcome.failing for case in report.cases)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:  # reading it will say so
        return 0


def _read_one(  # noqa: PLR0913 - as `read`
    path: str,
    shown: str,
    settings: Sequence[ReportSettings],
    base_dir: str,
    before: Before | None,
    *,
    whole: bool,
) -> Report | Problem:
    setting = next((one for one in settings if matches(one.paths, shown)), None)
    attempts_of = setting.paths if setting and setting.attempts else None
    if setting and setting.base_dir is not None:
        base_dir = setting.base_dir
    # Of declared attempts all cases count, and a map by hand may map any of them to anything.
    whole = whole or attempts_of is not None or (setting is not None and setting.by_hand)
    try:
        about = Path(path).stat()
        if not stat.S_ISREG(about.st_mode):
            return _missing(shown, f"{shown}: it is not a regular file")
        if before is not None and before.is_stale(path, about):
            words = f"{shown}: it is older than this run of the tests, which did not write it anew"
            return Problem(report=shown, problem="stale", detail=words)
        if about.st_size > MAX_BYTES:
            words = f"{shown}: it is larger than {MAX_BYTES >> 20:,} MiB, which is refused"
            return Problem(report=shown, problem="not-junit", detail=words)
        with Path(path).open("rb", buffering=0) as file:
            report = None
            if not whole and about.st_size >= SMALL:
                report = _in_bulk(Bulk(shown, base_dir), file)
                file.seek(0)
            if report is None:
                reader = Reader(shown, base_dir, attempts_of)
                while piece := file.read(PIECE):
                    reader.feed(piece)
                report = reader.close(whole=whole)
    except OSError as error:
        return _missing(shown, f"{shown}: cannot be read: {error.strerror}")
    return replace(report, settings=setting)


def _in_bulk(reader: Bulk, file: BinaryIO) -> Report | None:
    """The report, None if it has to be read case by case."""
    while piece := file.read(PIECE):
        if not reader.feed(piece):
            return None
    return reader.close()


def _real_path() -> Callable[[str], str]:
    """What gives the real path of a file, and looks at every folder only once."""
    folders: dict[str, str] = {}

    def real(path: str) -> str:
        folder, name = os.path.split(path)
        if not name or Path(path).is_symlink():
            return os.path.realpath(path)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        return f"{folders[folder].rstrip(os.sep)}{os.sep}{name}"

    return real


def _stamp(about: os.stat_result) -> Stamp:
    return about.st_ino, about.st_size, about.st_mtime_ns


def _missing(report: str | None, detail: str) -> Problem:
    return Problem(report=report, problem="no-report", detail=detail)
