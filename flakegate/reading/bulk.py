"""Reads in bulk what needs no look at every case: cases that passed and hold nothing.

expat proves that the document is well-formed, without a call for each element. Meanwhile every run
of plain cases in it is replaced by one element, `STANDS_FOR`, with their number, and `Reader` reads
what is left: it decides all else, as it does for any report. A run is plain only where its bytes
prove it; whatever they leave open is left for the reader. The proof:

In a well-formed document no `<` stands within a tag, and names of tags and attributes stand as
they are. A run goes from `<testcase ` to the next tag that neither opens nor closes a case. In it
every closing tag comes directly behind a tag that opens a case, and there are as many `>` as tags:
so each tag ends at its own, none of them is quoted, and only text stands between cases. A case that
is still open at the end of its run is closed where the reader finds nothing open, and says so. In a
comment, a CDATA section or an element other than a suite a run is no cases, nor is what replaces
it: then fewer are stood for than were replaced. The name of the replacement does not occur in the
document itself.

Which cases that passed can be taken for one that failed is told by their names. Where any can, or
where the bytes do not tell it, all of the report is to be read by `Reader`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.parsers import expat

from flakegate.reading.document import Reader
from flakegate.reading.needed import all_in_common, in_common

if TYPE_CHECKING:
    from flakegate.junit import Report

LONGEST = 4 << 20  # bytes that may lie between two cases
STANDS_FOR = "flakegate-passed"

# ASCII and what extends it byte by byte; the root follows at once, so that there is no DTD.
_HEAD = re.compile(
    rb"(?:\xef\xbb\xbf)?"
    rb"(?:<\?xml version=(?:'1\.0'|\"1\.0\")"
    rb"(?: encoding=(?:'(?:utf-8|us-ascii)'|\"(?:utf-8|us-ascii)\"))?"
    rb"(?: standalone=(?:'(?:yes|no)'|\"(?:yes|no)\"))? ?\?>)?\s*<testsuite",
    re.IGNORECASE,
)
_NAME = STANDS_FOR.encode()
_OTHER = re.compile(rb"<(?!testcase |/testcase>)")
_CLOSED = re.compile(rb">\s*</testcase>")
_CLAIM = re.compile(rb"(?:status|result)\s*=")
_NAMES = re.compile(rb'<testcase (?:[\w:.-]+="[^"]*" )*?name="([^"]*)"')
_FAILING = (b"<failure", b"<error", b"<rerun")


class Bulk:
    """Reads one report as `Reader` does, where that can be done in bulk: feed it, then close it."""

    def __init__(self, path: str, base_dir: str = "") -> None:
        self._parser = expat.ParserCreate(None, "}")
        self._rest = Reader(path, base_dir, stands_for=STANDS_FOR)
        self._buffer = b""
        self._length = 0
        self._left = 0
        self._cases = 0
        self._names: list[bytes] | None = None

    def feed(self, data: bytes) -> bool:
        """Reads the next bytes. False: the report has to be read by `Reader`, from the start."""
        first = self._length == 0
        self._length += len(data)
        buffer = self._buffer + data
        if first and not _HEAD.match(buffer):
            return False
        if _NAME in buffer:
            return False
        # The cut is before a case; without any, before a tag.
        end = buffer.rfind(b"<testcase ")
        end = max(buffer.rfind(b"<"), 0) if end < 0 else end
        self._buffer = buffer[end:]
        self._pass_on(buffer[:end], first=first)
        if len(self._buffer) > LONGEST or self._left * 2 > self._length:
            return False
        try:
            self._parser.Parse(data, False)
        except expat.ExpatError:
            return False  # the reader says what is wrong, and where
        return True

    def close(self) -> Report | None:
        """The report with the cases that a verdict depends on. None: as False of `feed`."""
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError:
            return None
        self._pass_on(self._buffer, first=False)
        report = self._rest.close(whole=False)
        if report.problems or self._rest.stood_for != self._cases or self._has_alike(report):
            return None
        return report

    def _pass_on(self, data: bytes, *, first: bool) -> None:
        """Gives the reader this part of the document, up to a tag, its plain runs replaced."""
        others = [other.start() for other in _OTHER.finditer(data)]
        if first and (
            any(data.startswith(_FAILING, at) for at in others)
            or any(tag in self._buffer for tag in _FAILING)
        ):
            self._names = []
        rest = b"".join(
            self._replaced(data[start:end])
            for start, end in zip([0, *others], [*others, len(data)], strict=True)
        )
        self._left += len(rest)
        self._rest.feed(rest)

    def _replaced(self, part: bytes) -> bytes:
        """These bytes, of which no tag but the first is another than that of a case."""
        start, last = part.find(b"<testcase "), part.rfind(b"<testcase ")
        ends = part.find(b"/>", last) >= 0 or part.find(b"</testcase>", last) >= 0
        run = part[start : len(part) if ends else last]  # else what it holds comes after this part
        if not (cases := _plain(run)):
            return part
        if self._names is not None:
            names = _NAMES.findall(run)
            self._names.append(b'"'.join(names) if len(names) == cases else b"&")
        self._cases += cases
        return b'%b<%b cases="%d"/>%b' % (part[:start], _NAME, cases, part[start + len(run) :])

    def _has_alike(self, report: Report) -> bool:
        """Whether a case that was read in bulk can be taken for one that failed."""
        failing = {in_common(case.name) for case in report.cases if case.outcome.failing}
        if not failing:
            return False
        from flakegate.matching.frameworks import named

        if self._names is None or named(report.title, report.writer) is None:
            return True
        names = b'"'.join(self._names)
        # Without references names are as they stand, but for kinds of blanks.
        return b"&" in names or not failing.isdisjoint(all_in_common(names.decode(), '"'))


def _plain(run: bytes) -> int:
    """How many cases a run of their tags is, up to another tag; 0 where it may be more."""
    if (b"status" in run or b"result" in run) and _CLAIM.search(run):
        return 0  # the reader knows what these attributes mean
    if b"</testcase>" in run:
        # Every case with an end of its own as if it had none: `<testcase …/>`.
        run = _CLOSED.sub(b"/>", run)
        if b"//>" in run:
            return 0
    cases = run.count(b"<testcase ")
    return cases if run.count(b">") == cases else 0
