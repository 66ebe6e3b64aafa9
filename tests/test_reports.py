from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate import reports
from flakegate.policy.rules import ReportSettings
from flakegate.reports import Evidence, matches

REPORT = b'<testsuite name="s"><testcase classname="A" name="a"/></testsuite>'


def write(folder: Path, *names: str, data: bytes = REPORT) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def read(
    folder: Path,
    *arguments: str,
    settings: tuple[ReportSettings, ...] = (),
    base_dir: str = "",
    expect: tuple[str, ...] = (),
    whole: bool = True,
) -> Evidence:
    return reports.read(
        arguments, folder=folder, settings=settings, base_dir=base_dir, expect=expect, whole=whole
    )


def paths(evidence: Evidence) -> list[str]:
    return [report.path for report in evidence.reports]


def codes(evidence: Evidence) -> list[str]:
    return [problem.problem for problem in evidence.problems]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write(tmp_path, "a.xml", "b/c.xml", "b/d/e.xml", "b/d/e.txt", "b/.f/g.xml", "b/h[1].xml")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a.xml"], ["a.xml"]),
        (["b/d/e.txt"], ["b/d/e.txt"]),
        (["b"], ["b/.f/g.xml", "b/c.xml", "b/d/e.xml", "b/h[1].xml"]),
        (["b/d", "a.xml"], ["a.xml", "b/d/e.xml"]),
        (["*.xml"], ["a.xml"]),
        (["*/*.xml"], ["b/c.xml", "b/h[1].xml"]),
        (["**/*.xml"], ["a.xml", "b/c.xml", "b/d/e.xml", "b/h[1].xml"]),
        (["b/**/e.*"], ["b/d/e.txt", "b/d/e.xml"]),
        (["b/**"], ["b/c.xml", "b/d/e.xml", "b/h[1].xml"]),
        (["**/**/c.xml"], ["b/c.xml"]),
        (["b/.f/*.xml"], ["b/.f/g.xml"]),
        (["b/.?/*.xml"], ["b/.f/g.xml"]),
        (["b/?"], ["b/d/e.xml"]),
        (["b/[cd]*"], ["b/c.xml", "b/d/e.xml"]),
        (["b/h[1].xml"], ["b/h[1].xml"]),
        (["b/h[[]1[]].xml"], ["b/h[1].xml"]),
        (["./b/../a.xml", "a.xml", "*.xml"], ["a.xml"]),
        (["./*.xml"], ["a.xml"]),
    ],
)
def test_arguments_name_reports(tree: Path, arguments: list[str], expected: list[str]) -> None:
    evidence = read(tree, *arguments)
    assert paths(evidence) == expected
    assert codes(evidence) == []
    assert all(len(report.cases) == 1 for report in evidence.reports)


def test_a_folder_is_searched_for_xml_in_any_case_of_letters(tmp_path: Path) -> None:
    write(tmp_path, "r/A.XML", "r/b.Xml", "r/c.xmlx", "r/xml", "r/d.txt")
    assert paths(read(tmp_path, "r")) == ["r/A.XML", "r/b.Xml"]


def test_arguments_may_be_absolute(tree: Path) -> None:
    assert paths(read(tree / "b", str(tree / "b" / "d"), str(tree / "*.xml"))) == [
        (tree / "a.xml").as_posix(),
        "d/e.xml",
    ]


def test_relative_arguments_start_at_the_folder_and_may_leave_it(tree: Path) -> None:
    assert paths(read(tree / "b", "../*.xml", "c.xml")) == [(tree / "a.xml").as_posix(), "c.xml"]


@pytest.mark.parametrize(
    "argument", ["gone.xml", "gone/", "gone/*.xml", "*.gone", "", "b/d/e.xml/x"]
)
def test_an_argument_that_matches_nothing_is_named(tree: Path, argument: str) -> None:
    evidence = read(tree, "a.xml", argument)
    assert paths(evidence) == ["a.xml"]
    (problem,) = evidence.problems
    assert (problem.problem, problem.report) == ("no-report", argument)
    assert argument in problem.detail


def test_an_empty_folder_has_no_report(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert codes(read(tmp_path, "empty")) == ["no-report"]


def test_no_argument_is_no_problem_of_this_stage(tmp_path: Path) -> None:
    assert read(tmp_path) == Evidence(reports=(), problems=())


def test_a_report_counts_once_by_whatever_link(tree: Path) -> None:
    (tree / "link.xml").symlink_to("a.xml")
    (tree / "links").symlink_to("b")
    assert paths(read(tree, "link.xml", "a.xml")) == ["a.xml"]
    assert paths(read(tree, "links/d", "b/d")) == ["b/d/e.xml"]
    assert paths(read(tree, "links/d")) == ["links/d/e.xml"]


def test_links_that_form_a_loop_end(tree: Path) -> None:
    (tree / "b" / "loop").symlink_to("..")
    (tree / "b" / "d" / "again").symlink_to("../../b")
    assert paths(read(tree, "**/*.xml")) == ["a.xml", "b/c.xml", "b/d/e.xml", "b/h[1].xml"]
    assert len(paths(read(tree, "b"))) == 5


def test_a_link_to_itself_or_to_nothing_is_a_problem(tree: Path) -> None:
    (tree / "self.xml").symlink_to("self.xml")
    (tree / "nothing.xml").symlink_to("nowhere")
    evidence = read(tree, ".")
    assert codes(evidence) == ["no-report", "no-report"]
    assert len(evidence.reports) == 5


def test_what_is_not_a_regular_file_is_a_problem(tree: Path) -> None:
    os.mkfifo(tree / "pipe.xml")
    (problem,) = read(tree, "pipe.xml").problems
    assert "not a regular file" in problem.detail
    (tree / "folder.xml").mkdir()
    assert len(read(tree, ".").problems) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_a_problem(tree: Path) -> None:
    (tree / "a.xml").chmod(0)
    (tree / "b" / "d").chmod(0)
    evidence = read(tree, ".")
    (tree / "b" / "d").chmod(0o755)
    assert [problem.report for problem in evidence.problems] == ["b/d", "a.xml"]


def test_a_broken_report_hides_no_other(tree: Path) -> None:
    write(tree, "b/c.xml", data=REPORT[:-4])
    evidence = read(tree, "a.xml", "b/c.xml")
    assert codes(evidence) == []
    assert [(len(one.cases), len(one.problems)) for one in evidence.reports] == [(1, 0), (0, 1)]


def test_a_report_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "big.xml").open("wb") as file:
        file.write(b"<testsuite>")
        file.truncate(reports.MAX_BYTES + 1)  # sparse: it takes no room on the disk
    (problem,) = read(tmp_path, "big.xml").problems
    assert problem.problem == "not-junit"
    assert "larger than 1,024 MiB" in problem.detail


def test_settings_hold_for_the_reports_that_they_match_first(tree: Path) -> None:
    settings = (
        ReportSettings(paths="b/d/*.xml", base_dir="packages/d", attempts=True),
        ReportSettings(paths="b/**/*.xml", base_dir=""),
        ReportSettings(paths="**/e.xml", base_dir="never"),
        ReportSettings(paths="a.*", attempts=True),
    )
    evidence = read(tree, "b/c.xml", "b/d", "a.xml", settings=settings, base_dir="default")
    assert [(one.path, one.base_dir, one.attempts_of) for one in evidence.reports] == [
        ("a.xml", "default", "a.*"),
        ("b/c.xml", "", None),
        ("b/d/e.xml", "packages/d", "b/d/*.xml"),
    ]


def test_every_expected_pattern_must_match_a_report(tree: Path) -> None:
    expect = ("a.xml", "b/*.xml", "unit/**/*.xml")
    (problem,) = read(tree, "**/*.xml", expect=expect).problems
    assert (problem.problem, problem.report) == ("no-report", None)
    assert "unit/**/*.xml" in problem.detail
    assert len(read(tree, "a.xml", expect=expect).problems) == 2


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.xml", "a.xml", True),
        ("*.xml", "a/b.xml", False),
        ("**/*.xml", "a.xml", True),
        ("a/**/b.xml", "a/b.xml", True),
        ("a/**/b.xml", "a/x/y/b.xml", True),
        ("a/**/b.xml", "c/a/b.xml", False),
        ("**", "a/b.xml", True),
        ("./a.xml", "a.xml", True),
        ("A.xml", "a.xml", False),
        ("a", "a/b", False),
        ("a/b", "a", False),
    ],
)
def test_globs_of_paths(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path) is expected


def test_a_hostile_glob_takes_no_time() -> None:
    assert not matches("**/" * 200 + "b", "/".join("a" * 200))


PARTS = st.lists(st.sampled_from(["a", "b", "*", "**", "a*"]), min_size=1, max_size=4)
NAMES = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4)


def _by_hand(parts: list[str], names: list[str]) -> bool:
    if not parts:
        return not names
    if parts[0] == "**":
        return _by_hand(parts[1:], names) or (bool(names) and _by_hand(parts, names[1:]))
    fits = {"*": ("a", "b", "ab"), "a*": ("a", "ab")}.get(parts[0], (parts[0],))
    return bool(names) and names[0] in fits and _by_hand(parts[1:], names[1:])


@given(PARTS, NAMES)
def test_globs_match_as_by_hand(parts: list[str], names: list[str]) -> None:
    assert matches("/".join([*parts, "a"]), "/".join(names)) is _by_hand([*parts, "a"], names)


def test_a_verdict_reads_the_same_of_real_reports() -> None:
    folder = Path(__file__).parent / "cases" / "reports"
    needed, whole = read(folder, ".", whole=False), read(folder, ".", whole=True)
    assert needed.problems == whole.problems
    for one, other in zip(needed.reports, whole.reports, strict=True):
        assert (one.path, one.problems, one.title, one.writer) == (
            other.path, other.problems, other.title, other.writer,
        )  # fmt: skip
        assert set(one.cases) <= set(other.cases)
        assert len(one.cases) + one.passed + one.skipped == len(other.cases)


LONG = "".join(f'<testcase classname="C" name="filling{at}"/>' for at in range(50_000))


def test_large_reports_are_spread_and_stay_in_order(tmp_path: Path) -> None:
    failing = '<testcase name="no"><failure message="m"/></testcase>'
    for number in range(6):
        cases = LONG + (failing if number % 2 else "")
        data = (
            f'<testsuites name="pytest tests"><testsuite name="s">{cases}</testsuite></testsuites>'
        )
        write(tmp_path, f"{number}.xml", data=data.encode()[: -3 if number == 4 else None])
    spread = read(tmp_path, ".", whole=False)
    alone = [read(tmp_path, f"{number}.xml", whole=False).reports[0] for number in range(6)]
    assert spread.reports == tuple(alone)
    assert [one.passed for one in alone] == [50_000] * 4 + [0, 50_000]
    assert [len(one.cases) for one in alone] == [0, 1, 0, 1, 0, 1]


def test_what_declared_attempts_and_maps_by_hand_hold_is_kept(tmp_path: Path) -> None:
    write(tmp_path, "a.xml", "b.xml", "c.xml", data=REPORT)
    settings = (
        ReportSettings(paths="a.xml", attempts=True),
        ReportSettings(paths="b.xml", suite="{classname}", name="{name}"),
    )
    evidence = read(tmp_path, ".", settings=settings, whole=False)
    assert [(len(one.cases), one.passed) for one in evidence.reports] == [(1, 0), (1, 0), (0, 1)]
