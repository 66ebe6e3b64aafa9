"""Made suites, written by models of the reporters and of the tracers: no case is ever another test.

The models say in their own words what reporters and tracers do; the names are chosen to collide.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from flakegate.junit import Outcome
from flakegate.policy.rules import ReportSettings
from tests.matching.build import case, flaky, match, report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flakegate.junit import Case
    from flakegate.matching.resolve import Matches
    from flakegate.model import FlakyTest


@dataclass(frozen=True, slots=True)
class Made:
    """One test of a made suite: its case, whose line is its number, and what Datadog calls it."""

    case: Case
    test: FlakyTest


def judged(made: Sequence[Made], framework: str, tests: Sequence[FlakyTest]) -> Matches:
    written = report(
        *(each.case for each in made),
        settings=ReportSettings(paths="*", framework=framework),
        base_dir="base",
    )
    return match([written], tests)


def never_another(made: Sequence[Made], framework: str, chosen: set[int]) -> None:
    """With any of the tests in the list, and with each of them alone."""
    by_line = {each.case.line: each.test for each in made}
    owners = Counter(each.test for each in made)
    everything = list(owners)
    pools = [everything, [made[at].test for at in chosen if at < len(made)]]
    for pool in [*pools, *([each] for each in everything)]:
        for result, test in judged(made, framework, pool).known.items():
            assert test == by_line[result.case.line]
            assert owners[test] == 1


# pytest

FOLDERS = st.sampled_from(["tests", "a", "a.b", "test_b", "t[x]", "TestZ"])
FILES = st.sampled_from(["test_b.py", "TestZ.py", "b_test.py", "test_a.b.py", "b.py", "test_b.txt"])
CLASSES = st.sampled_from(["TestZ", "test_b", "B", "Bad_test"])
PARAMETERS = st.sampled_from(
    ["", "[1]", "[a/b]", "[a.b]", "[a::b]", "[a/b::c]", "[a.b::c]", "[[]", "[b.py::TestZ::test_z]"]
)
NODE_IDS = st.builds(
    lambda folders, file, classes, function, parameters: (
        "::".join(["/".join([*folders, file]), *classes, function]) + parameters
    ),
    st.lists(FOLDERS, max_size=3),
    FILES,
    st.lists(CLASSES, max_size=2),
    st.sampled_from(["test_z", "test_b"]),
    PARAMETERS,
)


def ddtrace(node_id: str) -> FlakyTest:
    """At the last slash that has `::` behind it before the next slash, the node id is split."""
    pieces = node_id.split("/")
    at = max((number for number, piece in enumerate(pieces) if "::" in piece), default=0)
    suite, _, name = "/".join(pieces[at:]).partition("::")
    return flaky(".".join(pieces[:at]), suite, name, "base/" + node_id.partition("::")[0])


def in_pytest(node_id: str, *, old: bool) -> tuple[str, str]:
    """Old: the first bracket of all, else the first behind the file, begins the parameters."""
    path, _, rest = node_id.partition("::")
    if old:
        start, bracket, parameters = node_id.partition("[")
        names = start.split("::")
    else:
        start, bracket, parameters = rest.partition("[")
        names = [path, *start.split("::")]
    names[0] = re.sub(r"\.py$", "", names[0].replace("/", "."))
    names[-1] += bracket + parameters
    return ".".join(names[:-1]), names[-1]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(NODE_IDS, min_size=1, max_size=8, unique=True),
    st.booleans(),
    st.booleans(),
    st.sets(st.integers(0, 7)),
)
def test_pytest(node_ids: list[str], old: bool, files: bool, chosen: set[int]) -> None:
    made = []
    for line, node_id in enumerate(node_ids):
        classname, name = in_pytest(node_id, old=old)
        file = node_id.partition("::")[0] if files else None
        made.append(Made(case(name, classname=classname, file=file, line=line), ddtrace(node_id)))
    never_another(made, "pytest", chosen)


# JavaScript

TITLES = st.lists(
    st.sampled_from(["a", "b", "a b", "", " ", "a > b", "> b", "a\nb", "a\tb", "a\x07", "\x1b[1m"]),
    min_size=1,
    max_size=4,
)
PATHS = st.sampled_from(["a.test.js", "src/a.test.js", "src/a b.test.ts", "src/src/a.test.js"])
SUITES = st.lists(st.tuples(PATHS, TITLES), min_size=1, max_size=8)


def attribute(text: str) -> str:
    """What a parser gives for the text unescaped in an attribute."""
    return "".join(" " if each in "\n\t" else each for each in text)


def jest(path: str, titles: Sequence[str], line: int) -> Made:
    name = attribute(" ".join(titles[:-1]) + " " + titles[-1])
    written = case(name, classname=name, file=path, line=line)
    return Made(written, flaky("jest", path, " ".join(titles), f"base/{path}"))


def mocha(path: str, titles: Sequence[str], line: int) -> Made:
    name = " ".join(titles)
    file = f"/srv/checkout/base/{path}"
    written = case(attribute(name), classname=attribute(titles[-1]), suite_file=file, line=line)
    return Made(written, flaky("mocha", path, name, f"base/{path}"))


def vitest(path: str, titles: Sequence[str], line: int) -> Made:
    shown = "".join(each for each in " > ".join(titles) if each >= " " or each in "\n\t")
    written = case(attribute(shown), classname=path, suite=path, line=line)
    return Made(written, flaky("vitest", f"base/{path}", " ".join(titles), f"base/{path}"))


def made_by(
    reporter: Callable[[str, Sequence[str], int], Made], suite: list[tuple[str, list[str]]]
) -> list[Made]:
    return [reporter(path, titles, line) for line, (path, titles) in enumerate(suite)]


@settings(max_examples=100, deadline=None)
@given(SUITES, st.sets(st.integers(0, 7)))
def test_jest(suite: list[tuple[str, list[str]]], chosen: set[int]) -> None:
    never_another(made_by(jest, suite), "jest", chosen)


@settings(max_examples=100, deadline=None)
@given(SUITES, st.sets(st.integers(0, 7)))
def test_mocha(suite: list[tuple[str, list[str]]], chosen: set[int]) -> None:
    never_another(made_by(mocha, suite), "mocha", chosen)


@settings(max_examples=100, deadline=None)
@given(SUITES, st.sets(st.integers(0, 7)))
def test_vitest(suite: list[tuple[str, list[str]]], chosen: set[int]) -> None:
    never_another(made_by(vitest, suite), "vitest", chosen)


# Whatever the tests are


@settings(max_examples=100, deadline=None)
@given(SUITES, st.sets(st.integers(0, 7)), st.integers(0, 7))
def test_one_more_flaky_test_changes_no_match_to_another(
    suite: list[tuple[str, list[str]]], chosen: set[int], more: int
) -> None:
    for framework, reporter in (("jest", jest), ("mocha", mocha), ("vitest", vitest)):
        made = made_by(reporter, suite)
        pool = [made[at].test for at in chosen if at < len(made)]
        added = [*pool, made[more % len(made)].test]
        before = {
            each.case.line: test for each, test in judged(made, framework, pool).known.items()
        }
        after = judged(made, framework, added)
        refused = {each.case.line for each in after.results if each.ambiguous}
        known = {each.case.line: test for each, test in after.known.items()}
        for line, test in before.items():
            assert known.get(line, test) == test
            assert line in known or line in refused


@settings(max_examples=50, deadline=None)
@given(SUITES, st.sets(st.integers(0, 7)))
def test_whether_a_twin_passes_makes_no_difference(
    suite: list[tuple[str, list[str]]], passing: set[int]
) -> None:
    made = made_by(vitest, suite)
    pool = [each.test for each in made]
    all_fail = judged(made, "vitest", pool).known
    some = [
        Made(_with(each.case, Outcome.PASSED if at in passing else Outcome.FAILURE), each.test)
        for at, each in enumerate(made)
    ]
    expected = {each.case.line: test for each, test in all_fail.items()}
    for result, test in judged(some, "vitest", pool).known.items():
        assert expected.get(result.case.line) == test


def _with(written: Case, outcome: Outcome) -> Case:
    names = {"classname": written.classname, "suite": written.suite, "line": written.line}
    return case(written.name, outcome, **names)
