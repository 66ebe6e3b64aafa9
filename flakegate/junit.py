"""JUnit XML, fed in as bytes, to the cases in it. One element, one case; headers are not believed.

The parser is expat itself: it streams, so that a report of any size needs memory only for its
cases, and it stops at the first thing that is not well-formed. There is no recovery: a report is
read to its closing root tag or it is a problem. Namespaces are read and dropped.

Limits: elements nest at most `MAX_DEPTH` deep, and `MAX_MESSAGE` characters of a message are kept.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, NoReturn
from xml.parsers import expat

from flakegate import wellformed

if TYPE_CHECKING:
    import codecs
    from collections.abc import Callable, Sequence

    from flakegate.policy.rules import ReportSettings

MAX_DEPTH = 10_000
MAX_MESSAGE = 2_000
MAX_PROBLEMS = 20
MAX_DIGITS = 9

_HEAD = 1024  # bytes that hold any honest XML declaration

_SUITES = frozenset({"testsuites", "testsuite"})
_STRUCTURE = _SUITES | {"testcase"}
_FINAL = frozenset({"error", "failure", "skipped"})
_RERUNS = frozenset({"rerunFailure", "rerunError"})
_INTERIM = _RERUNS | {"flakyFailure", "flakyError"}
_LEAVES = _FINAL | _INTERIM | {"properties", "system-out", "system-err"}
_RESULTS = {tag.lower(): tag for tag in _FINAL | _INTERIM}  # some writers capitalise them
# The attributes of a suite in the order in which these write them; one suite is a whole report.
_WRITERS = {
    "name errors failures skipped tests time timestamp hostname": "pytest",
    "name tests skipped failures errors timestamp hostname time": "gradle",
}
_TIME = re.compile(r"(?=[.,]?[0-9])([0-9.,]+)([eE][+-]?[0-9]+)?\s*(ms|s)?")
_NOT_RUN = frozenset({"disabled", "notrun"})
_FAILED = frozenset({"fail", "failed", "failure", "error", "errored", "broken"})


class Outcome(str, Enum):
    """How a case ended. An error counts before a failure, a failure before a skip."""

    PASSED = "passed"
    FAILURE = "failure"
    ERROR = "error"
    SKIPPED = "skipped"

    def __str__(self) -> str:
        return self.value

    @property
    def failing(self) -> bool:
        """True for a failure and for an error."""
        return self is Outcome.FAILURE or self is Outcome.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One `<testcase>`. Names are verbatim; None means that the attribute is absent.

    suite: the name of the nearest enclosing suite. suite_file: the `file` attribute of the nearest
    enclosing suite that has one. line: as written. duration: seconds. message: of the deciding
    error, failure or skip: its message attribute and the head of its text, at most MAX_MESSAGE
    characters. earlier: the attempts before the last that rerun elements prove, oldest first.
    """

    suite: str | None
    classname: str | None
    name: str | None
    file: str | None
    suite_file: str | None
    line: int | None
    outcome: Outcome
    duration: float | None
    message: str | None
    earlier: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why the evidence is incomplete.

    report: its path as shown, None if the problem is not of one report. problem: a code:
    no-report, stale, empty, truncated, not-junit, suite-error, missing-failures, too-few-tests,
    killed, exit-code, no-failure. detail: words for people, with `file:line:column` where there is one.
    """

    report: str | None
    problem: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report, read to its end or to what is wrong with it.

    path: as shown to people. base_dir: where its runner was started, relative to the repository
    root ("" = root). attempts_of: the pattern whose files are declared attempts of one another,
    else None. cases: in document order; empty where the report is broken. writer: "pytest" or
    "gradle" where the document proves that it wrote all of it, else None. title: the name of its
    root element. settings: the policy's for its path, None if it has none.
    """

    path: str
    base_dir: str
    attempts_of: str | None
    cases: tuple[Case, ...]
    problems: tuple[Problem, ...]
    writer: str | None = None
    title: str | None = None
    settings: ReportSettings | None = None


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


@dataclass(slots=True)
class _Child:
    """A result element of the open case."""

    tag: str
    attributes: dict[str, str]
    text: list[str]


class Reader:
    """Reads one report: feed it bytes, then close it. Large pieces (1 MiB) are read fastest.

    Never raises for what the bytes are; after the first break the rest is not looked at.
    """

    def __init__(self, path: str, base_dir: str = "", attempts_of: str | None = None) -> None:
        self._path = path
        self._base_dir = base_dir
        self._attempts_of = attempts_of
        self._head = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._parser: expat.XMLParserType | None = None
        self._break: Problem | None = None
        self._problems: list[Problem] = []
        self._unsaid = 0
        self._cases: list[Case] = []
        # Suites and cases nest directly in one another, so `_inner`, the depth of the innermost
        # open one, is also their number; an element at `_inner + 1` is its direct child.
        self._depth = 0
        self._inner = 0
        self._suites: list[_Suite] = []
        self._case: dict[str, str] | None = None
        self._claim: str | None = None
        self._children: list[_Child] = []
        self._foreign = False
        self._room = 0
        self._title: str | None = None
        self._writer: str | None = None
        self._writers = 0
        self._same: dict[str, str] = {}

    def feed(self, data: bytes) -> None:
        """Reads the next bytes of the report."""
        if self._break is None:
            if self._parser is None:
                self._head += data
                if len(self._head) < _HEAD:
                    return
                data = self._begin()
            self._parse(data, final=False)

    def close(self) -> Report:
        """The report, once all of its bytes were fed."""
        if self._break is None:
            self._parse(self._begin() if self._parser is None else b"", final=True)
        self._parser = None  # it holds this reader through its handlers
        problems = self._problems
        if self._unsaid:
            more = f" (and {self._unsaid:,} more problem{'s' if self._unsaid > 1 else ''})"
            problems = [*problems[:-1], replace(problems[-1], detail=problems[-1].detail + more)]
        if self._break is not None:
            problems = [*problems, self._break]
        return Report(
            path=self._path,
            base_dir=self._base_dir,
            attempts_of=self._attempts_of,
            cases=() if self._break else tuple(self._cases),
            problems=tuple(problems),
            writer=self._writer if self._writers == 1 else None,
            title=self._title,
        )

    # Bytes, and what is wrong with them

    def _begin(self) -> bytes:
        """Makes the parser for the encoding that the head declares; returns the bytes kept back."""
        head, self._head = self._head, b""
        self._decoder = wellformed.decoder(head)
        parser = expat.ParserCreate("utf-8" if self._decoder else None, "}")
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
        failing = sum(case.outcome.failing for case in self._cases)
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
        self._depth += 1
        if "}" in tag:
            tag = tag.rpartition("}")[2]
        tag = _RESULTS.get(tag.lower(), tag)
        if self._depth > MAX_DEPTH:
            self._refuse(f"its elements nest more than {MAX_DEPTH:,} deep")
        if self._depth > self._inner + 1:
            if self._foreign and tag in _STRUCTURE:
                self._refuse(f"a <{tag}> inside an element that JUnit does not have")
        elif self._case is not None:
            self._start_in_case(tag, attributes)
        elif tag == "testcase" and self._suites:
            self._case = attributes
            self._inner = self._depth
            self._claim = self._claimed_failure(attributes)
        elif tag in _SUITES:
            self._open_suite(tag, attributes)
        elif not self._suites:
            known = wellformed.KNOWN_ROOTS.get(tag, "not a JUnit report")
            self._refuse(f"its root element is <{tag[:40]}>: this is {known}")
        elif tag in ("error", "failure"):
            article = "an" if tag == "error" else "a"
            words = (
                f"{self._suites[-1].title} has {article} <{tag}> of its own, outside of any case"
            )
            self._note("suite-error", f"{self._where()}: {words}")
        else:
            self._foreign = tag not in _LEAVES

    def _end(self, _tag: str) -> None:
        if self._depth == self._inner:
            if self._case is not None:
                self._close_case(self._case)
            else:
                self._close_suite()
            self._inner -= 1
        elif self._depth == self._inner + 1:
            self._foreign = False
            self._listen(0)
        self._depth -= 1

    def _claimed_failure(self, attributes: dict[str, str]) -> str | None:
        """How a case calls itself failed in its attributes, in words; None if it does not."""
        for key in ("status", "result"):
            word = attributes.get(key, "").strip()
            if word.lower() in _FAILED:
                name = attributes.get("name")
                case = "a case without a name" if name is None else f"the case {name[:80]!r}"
                return f'{self._where()}: {case} has {key}="{word}", but holds no failure'
        return None

    def _open_suite(self, tag: str, attributes: dict[str, str]) -> None:
        self._inner = self._depth
        if not self._suites:
            self._title = attributes.get("name")
        if tag == "testsuite":
            self._writers += 1
            self._writer = _WRITERS.get(" ".join(attributes))
        parent_file = self._suites[-1].file if self._suites else None
        declared = sum(_count(attributes.get(key)) for key in ("failures", "errors"))
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

    def _start_in_case(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in _FINAL or tag in _INTERIM:
            self._children.append(_Child(tag, attributes, []))
            if tag in _FINAL:
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
        self._case = None
        suite = self._suites[-1]
        outcome, message = Outcome.PASSED, None
        earlier: tuple[Outcome, ...] = ()
        if self._children:
            outcome, message, earlier = _judge(self._children)
            suite.found += sum(child.tag in ("failure", "error") for child in self._children)
            self._children = []
        elif attributes.get("status", "").lower() in _NOT_RUN:
            outcome = Outcome.SKIPPED
        if self._claim and outcome is Outcome.PASSED:
            outcome = Outcome.FAILURE
            self._note("missing-failures", self._claim)
        line = attributes.get("line")
        self._cases.append(
            Case(
                suite=suite.name,
                classname=self._once(attributes.get("classname")),
                name=attributes.get("name"),
                file=self._once(attributes.get("file")),
                suite_file=suite.file,
                line=int(line) if line and line.isdecimal() and len(line) <= MAX_DIGITS else None,
                outcome=outcome,
                duration=seconds(attributes.get("time")),
                message=message,
                earlier=earlier,
            )
        )

    def _once(self, text: str | None) -> str | None:
        """The same text as one object: class names repeat, and memory is what limits."""
        return None if text is None else self._same.setdefault(text, text)


def _judge(children: Sequence[_Child]) -> tuple[Outcome, str | None, tuple[Outcome, ...]]:
    """Outcome, message and earlier attempts of a case that has result elements.

    junitparser reads the element; it is given the direct children only, because its `result` walks
    all descendants, and the precedence is ours, because its `result[0]` is the first in the file.
    """
    from xml.etree.ElementTree import Element, SubElement

    from junitparser import Error, Failure, Skipped, xunit2

    element = Element("testcase")
    for child in children:
        SubElement(element, child.tag, child.attributes).text = "".join(child.text)
    wrap: Callable[[Element], xunit2.TestCase] = xunit2.TestCase.fromelem
    case = wrap(element)
    earlier = tuple(
        Outcome.ERROR if isinstance(attempt, (xunit2.FlakyError, xunit2.RerunError))
        else Outcome.FAILURE
        for attempt in case.interim_result
    )  # fmt: skip
    reruns = [child for child in children if child.tag in _RERUNS]
    for kind, outcome in (
        (Error, Outcome.ERROR),
        (Failure, Outcome.FAILURE),
        (Skipped, Outcome.SKIPPED),
    ):
        if kind is Skipped and reruns:
            # Beside a failure these are the attempts after it. Without one nothing says that an
            # attempt passed: that would be <flakyFailure> or <flakyError>.
            last = Outcome.ERROR if reruns[-1].tag == "rerunError" else Outcome.FAILURE
            return last, _message(reruns[-1].attributes.get("message", ""), ""), earlier[:-1]
        for result in case.result:
            if isinstance(result, kind):
                return outcome, _message(result.message or "", result.text or ""), earlier
    return Outcome.PASSED, None, earlier


def _message(message: str, text: str) -> str | None:
    """The message attribute and the head of the text, without saying the same twice."""
    message, text = message[:MAX_MESSAGE].strip(), text.strip()
    if message and not text.startswith(message):
        text = f"{message}\n{text}".rstrip()
    return text[:MAX_MESSAGE] or None


def _count(text: str | None) -> int:
    """What a header counts; 0 where it says no number. One that is too long is a large number."""
    digits = text.strip().replace(",", "") if text else ""
    return int(digits[:MAX_DIGITS]) if digits.isdecimal() else 0


def seconds(text: str | None) -> float | None:
    """Seconds of a `time` attribute as reporters of any locale write it, None if it has none.

    The last of two different separators, or a lone one, is the decimal one: "0,512", "1,000.5".
    """
    match = _TIME.fullmatch(text.strip()) if text and len(text) < _HEAD else None
    if match is None:
        return None
    number, exponent, unit = match.groups(default="")
    last = max(number.rfind("."), number.rfind(","))
    grouped = last >= 0 and number.count(number[last]) > 1
    whole, part = (number, "") if last < 0 or grouped else (number[:last], number[last + 1 :])
    digits = whole.replace(",", "").replace(".", "")
    value = float(f"{digits or 0}.{part or 0}{exponent}") / (1000 if unit == "ms" else 1)
    return value if math.isfinite(value) else None
