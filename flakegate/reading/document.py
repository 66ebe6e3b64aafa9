"""JUnit XML, fed in as bytes, to the cases in it. One element, one case; headers are not believed.

The parser is expat itself: it streams, so that a report of any size needs memory only for its
cases, and it stops at the first thing that is not well-formed. There is no recovery: a report is
read to its closing root tag or it is a problem. Namespaces are read and dropped.

Limits: elements nest at most `MAX_DEPTH` deep, and `MAX_MESSAGE` characters of a message are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn
from xml.parsers import expat

from flakegate.junit import MAX_MESSAGE, Case, Outcome, Problem, Report
from flakegate.reading import needed, numbers, outcome, wellformed

if TYPE_CHECKING:
    import codecs

    from flakegate.reading.needed import Row

MAX_DEPTH = 10_000
MAX_PROBLEMS = 20
MAX_SAME = 10_000

_HEAD = 1024  # bytes that hold any honest XML declaration

_SUITES = frozenset({"testsuites", "testsuite"})
_STRUCTURE = _SUITES | {"testcase"}
_RESULTS = outcome.FINAL | outcome.INTERIM
_LEAVES = _RESULTS | {"properties", "system-out", "system-err"}
# The attributes of a suite in the order in which these write them; one suite is a whole report.
_WRITERS = {
    "name errors failures skipped tests time timestamp hostname": "pytest",
    "name tests skipped failures errors timestamp hostname time": "gradle",
}


class _Refused(Exception):  # noqa: N818 - not an error of ours: a verdict on the document
    """Raised by the handlers below to stop the parser."""


@dataclass(slots=True)
class _Suite:
    """An open suite: what it declares, and the failure and error elements found below it."""

    name: str | None
    file: str | None
    declared: int
    where: str
    found: int = 0

    @property
    def title(self) -> str:
        """What to call it in a message."""
        return "a suite without a name" if self.name is None else f"suite {self.name[:80]!r}"


class Reader:
    """Reads one report: feed it bytes, then close it. Large pieces (1 MiB) are read fastest.

    Never raises for what the bytes are; after the first break the rest is not looked at.
    stands_for: an element of this name, directly in a suite, stands for as many cases that passed
    as its attribute `cases` says. None: there is none such.
    """

    def __init__(
        self,
        path: str,
        base_dir: str = "",
        attempts_of: str | None = None,
        *,
        stands_for: str | None = None,
    ) -> None:
        self.stood_for = 0
        self._stands_for = stands_for
        self._path = path
        self._base_dir = base_dir
        self._attempts_of = attempts_of
        self._head = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._parser: expat.XMLParserType | None = None
        self._break: Problem | None = None
        self._problems: list[Problem] = []
        self._unsaid = 0
        self._cases: list[Row | Case] = []
        # Suites and cases nest directly in one another, so `_inner`, the depth of the innermost
        # open one, is also their number; an element at `_inner + 1` is its direct child.
        self._depth = 0
        self._inner = 0
        self._suites: list[_Suite] = []
        self._case: dict[str, str] | None = None
        self._claim: str | None = None
        self._children: list[outcome.Child] = []
        self._foreign = False
        self._room = 0
        self._title: str | None = None
        self._writer: str | None = None
        self._writers = 0
        self._same: dict[str | None, str | None] = {}

    def feed(self, data: bytes) -> None:
        """Reads the next bytes of the report."""
        if self._break is None:
            if self._parser is None:
                self._head += data
                if len(self._head) < _HEAD:
                    return
                data = self._begin()
            self._parse(data, final=False)

    def close(self, *, whole: bool = True) -> Report:
        """The report, once all of its bytes were fed.

        whole: with all of its cases; else with those only that a verdict can depend on.
        """
        if self._break is None:
            self._parse(self._begin() if self._parser is None else b"", final=True)
        self._parser = None  # it holds this reader through its handlers
        problems = self._problems
        if self._unsaid:
            more = f" (and {self._unsaid:,} more problem{'s' if self._unsaid > 1 else ''})"
            problems = [*problems[:-1], replace(problems[-1], detail=problems[-1].detail + more)]
        if self._break is not None:
            problems = [*problems, self._break]
        entries = [] if self._break else self._cases
        writer = self._writer if self._writers == 1 else None
        if whole:
            cases, (passed, skipped) = needed.whole(entries), (0, 0)
        else:
            cases = needed.needed(entries, title=self._title, writer=writer)
            passed, skipped = needed.left_out(entries, cases)
        return Report(
            path=self._path,
            base_dir=self._base_dir,
            attempts_of=self._attempts_of,
            cases=cases,
            problems=tuple(problems),
            writer=writer,
            title=self._title,
            passed=passed + (0 if self._break else self.stood_for),
            skipped=skipped,
        )

    # Bytes, and what is wrong with them

    def _begin(self) -> bytes:
        """Makes the parser for the encoding that the head declares; returns the bytes kept back."""
        head, self._head = self._head, b""
        self._decoder = wellformed.decoder(head)
        parser = expat.ParserCreate("utf-8" if self._decoder else None, "}")
        parser.buffer_text = True  # else every line of a text is a call of its own
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.EntityDeclHandler = self._entity
        # Where an external DTD could declare them, expat drops unknown entities without a word.
        parser.NotStandaloneHandler = lambda: 0
        self._parser = parser
        if wellformed.is_html(head):
            self._stop("not-junit", f"{self._where()}: it is an HTML page")
        return head

    def _parse(self, data: bytes, *, final: bool) -> None:
        assert self._parser is not None  # noqa: S101 - feed and close call _begin first
        if self._break is not None:
            return
        try:
            if self._decoder:
                data = self._decoder.decode(data, final).encode()
            self._parser.Parse(data, final)
        except _Refused as refused:
            self._stop("not-junit", str(refused))
        except (expat.ExpatError, UnicodeDecodeError) as error:
            if wellformed.ends_too_early(error):
                self._stop("truncated", f"{self._where()}: {self._ending()}")
            else:
                self._stop("not-junit", f"{self._where()}: {wellformed.cause(error)}")
        except (LookupError, ValueError):
            if self._depth:
                raise  # a bug of ours: encodings are settled before the root element
            self._stop("not-junit", f"{self._where()}: its encoding is not known")

    def _ending(self) -> str:
        if self._case is not None:
            return "it ends in the middle of a test case; the run was probably killed"
        if self._suites:
            return "it ends before its root element is closed; the run was probably killed"
        return "it is empty or ends before its root element; the run was probably killed"

    def _where(self) -> str:
        assert self._parser is not None  # noqa: S101 - only called while parsing
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        return f"{self._path}:{line}:{column}"

    def _stop(self, problem: str, detail: str) -> None:
        failing = sum(isinstance(each, Case) and each.outcome.failing for each in self._cases)
        read = f" (cases read before that: {len(self._cases)}, failing: {failing})"
        self._break = Problem(
            report=self._path,
            problem=problem,
            detail=f"{detail}{read if self._cases else ''}",
        )

    def _note(self, problem: str, detail: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(report=self._path, problem=problem, detail=detail))
        else:
            self._unsaid += 1

    def _refuse(self, words: str) -> NoReturn:
        # The place is taken here: expat reads on to the end of the piece before it stops.
        raise _Refused(f"{self._where()}: {words}")

    # Elements

    def _entity(self, name: str, *_: object) -> None:
        self._refuse(f"it declares the entity {name[:40]!r}; a test report needs none")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        depth = self._depth = self._depth + 1
        direct = 1 < depth == self._inner + 1 <= MAX_DEPTH
        if direct and tag == "testcase" and self._case is None:
            self._open_case(attributes)  # nearly all elements are these
            return
        if "}" in tag:
            tag = tag.rpartition("}")[2]
        tag = outcome.RESULTS.get(tag.lower(), tag)
        if depth > MAX_DEPTH:
            self._refuse(f"its elements nest more than {MAX_DEPTH:,} deep")
        if depth > self._inner + 1:
            if self._foreign and tag in _STRUCTURE:
                self._refuse(f"a <{tag}> inside an element that JUnit does not have")
        elif self._case is not None:
            self._start_in_case(tag, attributes)
        elif tag in _SUITES:
            self._open_suite(tag, attributes)
        elif self._suites:
            self._start_in_suite(tag, attributes)
        else:
            known = wellformed.KNOWN_ROOTS.get(tag, "not a JUnit report")
            self._refuse(f"its root element is <{tag[:40]}>: this is {known}")

    def _start_in_suite(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "testcase":
            self._open_case(attributes)
        elif tag in ("error", "failure"):
            article = "an" if tag == "error" else "a"
            words = (
                f"{self._suites[-1].title} has {article} <{tag}> of its own, outside of any case"
            )
            self._note("suite-error", f"{self._where()}: {words}")
        elif tag == self._stands_for:
            self.stood_for += numbers.count(attributes.get("cases"))
        else:
            self._foreign = tag not in _LEAVES

    def _end(self, _tag: str) -> None:
        depth = self._depth
        if depth == self._inner:
            case = self._case
            if case is None:
                self._close_suite()
            elif self._children or "status" in case or "result" in case:
                self._close_case(case)
            else:
                self._case = None
                self._cases.append(self._row(case))
            self._inner -= 1
        elif depth == self._inner + 1:
            self._foreign = False
            self._listen(0)
        self._depth = depth - 1

    def _open_suite(self, tag: str, attributes: dict[str, str]) -> None:
        self._inner = self._depth
        if not self._suites:
            self._title = attributes.get("name")
        if tag == "testsuite":
            self._writers += 1
            self._writer = _WRITERS.get(" ".join(attributes))
        parent_file = self._suites[-1].file if self._suites else None
        declared = sum(numbers.count(attributes.get(key)) for key in ("failures", "errors"))
        self._suites.append(
            _Suite(
                name=attributes.get("name") if tag == "testsuite" else None,
                file=attributes.get("file", parent_file),
                declared=declared,
                where=self._where() if declared else "",
            )
        )

    def _close_suite(self) -> None:
        suite = self._suites.pop()
        if suite.declared > suite.found:
            words = (
                f"{suite.title} declares {suite.declared} failures and errors, "
                f"but its cases hold {suite.found}"
            )
            self._note("missing-failures", f"{suite.where}: {words}")
        if self._suites:
            self._suites[-1].found += suite.found

    def _open_case(self, attributes: dict[str, str]) -> None:
        self._case = attributes
        self._inner = self._depth
        if "status" in attributes or "result" in attributes:
            words = outcome.claimed_failure(attributes)
            self._claim = words and f"{self._where()}: {words}"

    def _start_in_case(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in _RESULTS:
            self._children.append(outcome.Child(tag, attributes, []))
            if tag in outcome.FINAL:
                self._listen(MAX_MESSAGE)
        elif tag in _STRUCTURE:
            self._refuse(f"a <{tag}> inside a <testcase>: its meaning is not known")
        else:
            self._foreign = tag not in _LEAVES

    def _listen(self, room: int) -> None:
        """Takes up to `room` characters of the text that follows; 0 stops."""
        assert self._parser is not None  # noqa: S101 - only called while parsing
        self._room = room
        self._parser.CharacterDataHandler = self._hear if room else None

    def _hear(self, text: str) -> None:
        kept = self._children[-1].text
        piece = (text if kept else text.lstrip())[: self._room]
        if piece:
            kept.append(piece)
            self._room -= len(piece)
            if not self._room:
                self._listen(0)

    def _close_case(self, attributes: dict[str, str]) -> None:
        """Closes a case that is more than its names."""
        self._case = None
        ended, message = Outcome.PASSED, None
        earlier: tuple[Outcome, ...] = ()
        if self._children:
            ended, message, earlier = outcome.judge(self._children)
            found = sum(child.tag in ("failure", "error") for child in self._children)
            self._suites[-1].found += found
            self._children = []
        elif outcome.was_not_run(attributes):
            ended = Outcome.SKIPPED
        if self._claim and ended is Outcome.PASSED:
            ended = Outcome.FAILURE
            self._note("missing-failures", self._claim)
        self._claim = None
        case = needed.case_of(self._row(attributes), ended, message, earlier)
        self._cases.append(case)

    def _row(self, attributes: dict[str, str]) -> Row:
        """The texts of a case. Most of them repeat; as one object they take less memory."""
        suite, same, get = self._suites[-1], self._same, attributes.get
        if len(same) > MAX_SAME:
            same.clear()
        classname, file, time = get("classname"), get("file"), get("time")
        return (
            suite.name,
            suite.file,
            same.setdefault(classname, classname),
            get("name"),
            same.setdefault(file, file),
            get("line"),
            same.setdefault(time, time),
        )
