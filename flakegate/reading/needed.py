"""What a verdict needs of a report's cases: those that failed, and what can be taken for them.

A case that passed is kept as the texts it was written with until it is known whether it is needed:
most are not, and a report of 100,000 cases must not need the memory for them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flakegate.junit import Case, Outcome
from flakegate.reading import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Text = str | None
    # A case that passed and has no attempts before: suite, its file; classname, name, file, line,
    # time of the case.
    Row = tuple[Text, Text, Text, Text, Text, Text, Text]

# Whatever two cases that can be one test have in common, and as little more as is cheap to say.
_APART = re.compile(r"[\s\x00-\x1f\x7f-\x9f./>]+|[(\[{].*", re.DOTALL)
_LEFT_OUT = dict.fromkeys((*range(0x21), 0x7F, *b"./>"))  # of ASCII
_OPENED = re.compile(r"[(\[{]")
GROUPED = re.compile(" > ")


def in_common(name: str | None) -> str:
    """The part of a case's name that all spellings of its test's name share."""
    if not name or name.isidentifier():  # nothing in it is left out, and most names are
        return name or ""
    return _APART.sub("", name)


def all_in_common(names: str, between: str) -> list[str]:
    """`in_common` of many names at once. between: a character that stands in none of them."""
    if not names.isascii():
        return [in_common(name) for name in names.split(between)]
    found = names.translate(_LEFT_OUT).split(between)
    return [_OPENED.split(name, 1)[0] for name in found] if _OPENED.search(names) else found


def whole(entries: Sequence[Row | Case]) -> tuple[Case, ...]:
    """All cases of a report."""
    return tuple(entry if isinstance(entry, Case) else case_of(entry) for entry in entries)


def needed(
    entries: Sequence[Row | Case], *, title: str | None, writer: str | None
) -> tuple[Case, ...]:
    """The cases that a verdict can depend on, in their order. title, writer: as in Report."""
    failing = [each for each in entries if isinstance(each, Case) and each.outcome.failing]
    if not failing:
        return tuple(each for each in entries if isinstance(each, Case) and each.earlier)
    alike = _Alike(failing)
    keep = {
        at
        for at, each in enumerate(entries)
        if (
            alike.to(each[2], each[3])
            if isinstance(each, tuple)
            else each.earlier or alike.to(each.classname, each.name)
        )
    }
    from flakegate.matching.frameworks import named, witnesses

    if named(title, writer) is None:
        keep.update(witnesses(whole(entries)))
    return whole([entries[at] for at in sorted(keep)])


def left_out(entries: Sequence[Row | Case], cases: Sequence[Case]) -> tuple[int, int]:
    """How many passed and how many were skipped of those that `needed` left out."""
    skipped = sum(not isinstance(each, tuple) and _skipped(each) for each in entries)
    skipped -= sum(map(_skipped, cases))
    return len(entries) - len(cases) - skipped, skipped


def _skipped(case: Case) -> bool:
    return case.outcome is Outcome.SKIPPED


class _Alike:
    """Which cases can be the same test as a failing one, or show that it is no test at all."""

    def __init__(self, failing: Iterable[Case]) -> None:
        self._names = {in_common(case.name) for case in failing}
        self._full = {(case.classname, case.name or "") for case in failing}

    def to(self, classname: str | None, name: str | None) -> bool:
        """Whether a case has to do with a failing one."""
        if in_common(name) in self._names:
            return True
        if name is None or " > " not in name:
            return False
        # A failing case may bear the name of a group that this one is in: see `results.py`.
        return any((classname, name[: at.start()]) in self._full for at in GROUPED.finditer(name))


def case_of(
    row: Row,
    outcome: Outcome = Outcome.PASSED,
    message: str | None = None,
    earlier: tuple[Outcome, ...] = (),
) -> Case:
    """The case that these texts are of."""
    suite, suite_file, classname, name, file, line, time = row
    return Case(
        suite=suite,
        classname=classname,
        name=name,
        file=file,
        suite_file=suite_file,
        line=numbers.line(line),
        outcome=outcome,
        duration=numbers.seconds(time),
        message=message,
        earlier=earlier,
    )
