"""In bulk or case by case: the same report, whatever the bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flakegate.reading.bulk import LONGEST, STANDS_FOR, Bulk
from flakegate.reading.document import Reader

if TYPE_CHECKING:
    from flakegate.junit import Report

REAL = sorted((Path(__file__).parent.parent / "cases" / "reports").glob("*.xml"))
FILLING = "".join(f'<testcase classname="C" name="filling{at}" time="0.1"/>' for at in range(40))


def in_bulk(document: bytes, piece: int = 1 << 20) -> Report | None:
    reader = Bulk("r.xml", "base")
    for start in range(0, len(document), piece):
        if not reader.feed(document[start : start + piece]):
            return None
    return reader.close()


def by_case(document: bytes, *, whole: bool = False) -> Report:
    reader = Reader("r.xml", "base")
    reader.feed(document)
    return reader.close(whole=whole)


def suite(*content: str, root: str = 'testsuites name="pytest tests"', prolog: str = "") -> bytes:
    text = f'<testsuite name="pytest">{"".join(content)}</testsuite>'
    return f"{prolog}<{root}>{text}</{root.split(maxsplit=1)[0]}>".encode()


@pytest.mark.parametrize("piece", [7, 100, 1 << 20])
@pytest.mark.parametrize(
    ("content", "passed", "kept"),
    [
        ("", 40, 0),
        ('<testcase name="a"/>' * 3, 43, 0),
        ('<testcase name="a" />\n' * 3, 43, 0),
        ('<testcase name="a"></testcase>' * 3, 43, 0),
        ('\n  <testcase name="a">\n  </testcase>' * 3, 43, 0),
        ('<testcase name="a"></testcase><testcase name="b"/>text<testcase name="c"/>', 43, 0),
        ("<testcase name='a'/><testcase name=\"don't\"/>", 42, 0),
        ('<properties><property name="status=" value="1"/></properties>', 40, 0),
        ("<system-out><![CDATA[ <testcase ]]></system-out><!-- -->", 40, 0),
        ('<testcase name="a"><system-out>x</system-out></testcase><testcase name="b"/>', 42, 0),
        ('<testcase name="a" status="run" result="completed"/><properties/>', 41, 0),
        ('<testcase name="status"/>', 41, 0),
        ('<testcase name="a > b"/><testcase name="/>"/><properties/>', 42, 0),
        ('<testcase name="a"><failure/></testcase>', 40, 1),
        ('<testcase name="x"/><testcase name="a"><error>e</error></testcase>', 41, 1),
        ('<testcase name="a"><flakyFailure/></testcase>', 40, 1),
        ('<testsuite name="in"><testcase name="a"/></testsuite>', 41, 0),
        ('<!-- <testcase name="b"/> --><![CDATA[<testcase name="b"/>]]><properties/>', 40, 0),
        ('<testcase\nname="a"/><x:testcase xmlns:x="u" name="b"/>', 42, 0),
    ],
)
def test_read_in_bulk(content: str, passed: int, kept: int, piece: int) -> None:
    document = suite(content, FILLING)
    report = in_bulk(document, piece)
    if piece >= len(document):
        assert report is not None  # in pieces, a failure may be seen too late
    if report is not None:
        assert (report.passed, len(report.cases)) == (passed, kept)
        assert report == by_case(document)
        assert len(by_case(document, whole=True).cases) == passed + kept


def test_skipped_cases_are_counted_apart() -> None:
    report = in_bulk(suite('<testcase name="a"><skipped/></testcase>' * 2, FILLING))
    assert report is not None
    assert (report.passed, report.skipped, report.cases) == (40, 2, ())


@pytest.mark.parametrize(
    "document",
    [
        suite(FILLING)[:-3],
        suite(FILLING) + b"<",
        suite(FILLING, '<testcase name="a" name="b"/>'),
        suite(FILLING, '<testcase x:name="a"/>'),
        suite(FILLING, '<x:testcase name="a"/>'),
        suite(FILLING, "&nbsp;"),
        suite(FILLING).replace(b"filling7", b"\xff"),
        suite(FILLING, '<testcase name="a" status="failed"/>'),
        suite(FILLING, "<testcase result\n=\n'Error' name='a'/>"),
        suite(FILLING, '<testcase name="a/>" status="failed"/>'),
        suite(FILLING, '<testcase name="a/>" status="failed"></testcase>'),
        suite(FILLING, "<failure/>"),
        suite(FILLING, '<testsuite failures="1"><testcase name="a"/></testsuite>'),
        suite(FILLING, '<testcase name="a"><testcase name="b"/></testcase>'),
        suite(FILLING, '<testcase name="a"><testcase name="b"></testcase></testcase>'),
        suite(FILLING, '<testcase name="a"><testcase name="b"/><testcase name="c"/></testcase>'),
        suite(FILLING, '<wrapper><testcase name="b"/></wrapper>'),
        suite(FILLING, '<system-out><testcase name="b"/></system-out>'),
        suite(FILLING, '<!-- <testcase name="b"/><p> -->'),
        suite(FILLING, '<![CDATA[<testcase name="b"/><p>]]>'),
        suite(FILLING, '<?so <testcase name="b"/><p> ?>'),
        suite(FILLING, f'<{STANDS_FOR} cases="9"/>'),
        suite(FILLING, f'<x:{STANDS_FOR} xmlns:x="u" cases="9"/>'),
        suite(FILLING, f'<!-- <testcase name="b"/><p> --><{STANDS_FOR} cases="1"/>'),
        suite(FILLING, '<testcase name="filling7 [2]"><failure/></testcase>'),
        suite(FILLING, '<testcase name="filling7"><failure/></testcase>'),
        suite(FILLING, '<testcase name="a &gt; b"/><testcase name="a"><failure/></testcase>'),
        suite(FILLING, '<testcase name="&#97;"/><testcase name="a"><failure/></testcase>'),
        suite(
            FILLING,
            "<testcase x=' name=\"b\" ' name='a'/><testcase name=\"a\"><failure/></testcase>",
        ),
        suite(
            FILLING, '<testcase x=\' name="b" \' name="a"/><testcase name="a"><failure/></testcase>'
        ),
        suite(FILLING, "<testcase name='a'/><testcase name=\"a\"><failure/></testcase>"),
        suite(FILLING, "<testcase x='1'/><testcase><failure/></testcase>"),
        suite(FILLING, '<testcase name="a"><failure/></testcase>', root="testsuites"),
        suite(FILLING, prolog="<!DOCTYPE testsuites>"),
        suite(FILLING, prolog='<!DOCTYPE testsuites [<!ATTLIST testcase status CDATA "failed">]>'),
        suite(FILLING, prolog="<?xml version='1.0' encoding='latin1'?>"),
        suite(FILLING, prolog="<?xml version='1.0' encoding='us-ascii'?>").replace(
            b"7", b"\xc3\xa9"
        ),
        suite(FILLING).decode().encode("utf-16"),
        suite(FILLING).decode().encode("utf-16-le"),
        suite(FILLING, root="html"),
        b"<testsuites-of-sorts>" + FILLING.encode() + b"</testsuites-of-sorts>",
        f"<testcase>{FILLING}</testcase>".encode(),
        FILLING.encode(),
        b"",
    ],
)
@pytest.mark.parametrize("piece", [7, 1 << 20])
def test_left_to_the_reader(document: bytes, piece: int) -> None:
    assert in_bulk(document, piece) is None
    assert by_case(document) is not None


def test_what_stands_for_cases_counts_only_where_it_was_put() -> None:
    report = by_case(suite(f'<{STANDS_FOR} cases="9"/>'))
    assert (report.passed, report.cases) == (0, ())


def test_a_report_without_an_end_of_anything_is_not_kept_in_memory() -> None:
    reader = Bulk("r.xml")
    assert reader.feed(suite(FILLING)[:-25] + b'<testcase name="')
    assert not all(reader.feed(b"x" * (1 << 20)) for _ in range((LONGEST >> 20) + 1))


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_reports_are_the_same_in_bulk(path: Path) -> None:
    document = path.read_bytes()
    assert in_bulk(document) in (None, by_case(document))


ODD = [
    '<testcase name="a"/>', "<testcase name='a' />", '<testcase name="a"></testcase>',
    '<testcase name="b">\n</testcase>', '<testcase name="b > a"/>', '<testcase name="b/>"/>',
    "<testcase name=\"b'/>\" status='failed'/>", '<testcase name="b" status="failed"/>',
    '<testcase name="b" result = "error"></testcase>', '<testcase name="c" status="disabled"/>',
    '<testcase\nname="a"/>', "<testcase/>", '<testcase name="a"><failure message="m"/></testcase>',
    '<testcase name="c"><skipped/></testcase>', '<testcase name="d"><flakyFailure/></testcase>',
    '<testcase name="e"><rerunFailure/></testcase>', '<x:testcase xmlns:x="u" name="a"/>',
    '<testcase name="a"><testcase name="b"/></testcase>', '<testcase name="&#97;"/>',
    '<testcase name="a[1]"/>', "text > text", '<!-- <testcase name="a"/> -->', "<!--", "-->",
    '<![CDATA[<testcase name="a"/>]]>', "<![CDATA[", "]]>", '<system-out><testcase name="a"/>',
    "</system-out>", '<w><testcase name="a"/></w>', "<properties><property/></properties>",
    f'<{STANDS_FOR} cases="1"/>', "<failure/>", '<?p <testcase name="a"/>?>', "<testcase >",
    "</testcase>", '<testsuite name="a">', "</testsuite>", "</testsuites>", "\n",
    '<testcase name="', '"/>', " status='failed'/>", "<error>", "</error>", "<FAILURE/>", "&lt;",
    "&x;", "\x00", "\x7f",
]  # fmt: skip
PROLOGS = [
    "", "\ufeff", "\n", "<?xml version='1.0' encoding='UTF-8'?>", "<?xml version='1.1'?>",
    "<?xml version='1.0' encoding='utf-16'?>", "<!DOCTYPE a>", "<?xml version='1.0'  ?>",
    '<!DOCTYPE a [<!ATTLIST testcase status CDATA "failed">]>', "<!-- -->",
]  # fmt: skip
ODD_DOCUMENTS = st.builds(
    lambda before, after, prolog, root: suite(
        "".join(before), FILLING, "".join(after), prolog=prolog, root=root
    ),
    st.lists(st.sampled_from(ODD), max_size=3),
    st.lists(st.sampled_from(ODD), max_size=4),
    st.one_of(st.just(""), st.sampled_from(PROLOGS)),
    st.sampled_from(['testsuites name="pytest tests"', "testsuites", "testsuite", "other"]),
)


@settings(max_examples=600)
@given(ODD_DOCUMENTS, st.sampled_from([11, 200, 1 << 20]))
def test_odd_documents_are_the_same_in_bulk(document: bytes, piece: int) -> None:
    assert in_bulk(document, piece) in (None, by_case(document))


STYLES = [
    suite(FILLING, '<testcase name="a"><failure message="m">t</failure></testcase>'),
    suite(FILLING.replace("/>", ">\n</testcase>"), '<testcase name="a"></testcase>'),
    suite("<properties/>", FILLING, "<system-out><![CDATA[]]></system-out>"),
    suite(FILLING, '<testcase name="a"><skipped message="b"/></testcase>', FILLING),
]
PATCHES = st.one_of(
    st.binary(max_size=3),
    st.sampled_from([b"<", b">", b"/>", b'"', b"'", b"/", b"=", b"status", b"</testcase>", b"]]>"]),
    st.sampled_from([each.encode() for each in ODD]),
)

CHANGES = st.tuples(st.integers(0, 1 << 13), st.integers(0, 9), PATCHES)  # where, how long, what


@settings(max_examples=600)
@given(
    st.sampled_from([*STYLES, *STYLES, *(path.read_bytes() for path in REAL)]),
    st.lists(
        st.tuples(st.integers(0, 1 << 13), st.integers(0, 9), PATCHES), min_size=1, max_size=3
    ),
    st.sampled_from([13, 1 << 20]),
)
def test_mutants_are_the_same_in_bulk(
    document: bytes, changes: list[tuple[int, int, bytes]], piece: int
) -> None:
    for at, length, patch in changes:
        place = at % (len(document) + 1)
        document = document[:place] + patch + document[place + length :]
    assert in_bulk(document, piece) in (None, by_case(document))


@settings(max_examples=200)
@given(st.sampled_from(STYLES), st.data())
def test_no_part_of_a_report_is_a_report(document: bytes, data: st.DataObject) -> None:
    cut = document[: data.draw(st.integers(0, len(document) - 1))]
    assert in_bulk(cut) is None


def test_the_place_and_settings_of_a_report_are_kept() -> None:
    report = in_bulk(suite(FILLING))
    assert report is not None
    assert report == replace(by_case(suite(FILLING)), path="r.xml", base_dir="base")
