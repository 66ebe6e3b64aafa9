from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flakegate.junit import MAX_MESSAGE, Case, Outcome, Report
from flakegate.reading.document import MAX_DEPTH, MAX_PROBLEMS, Reader
from flakegate.reading.numbers import seconds

CASES = sorted((Path(__file__).parent.parent / "cases" / "reports").glob("*.xml"))
TWO = (
    b'<testsuite name="s"><testcase classname="A" name="a"/>'
    b'<testcase classname="A" name="b"><failure message="m">text</failure></testcase></testsuite>'
)


def read(document: bytes | str, piece: int = 1 << 20, path: str = "r.xml") -> Report:
    data = document.encode() if isinstance(document, str) else document
    reader = Reader(path, base_dir="base", attempts_of="glob")
    for start in range(0, len(data), piece):
        reader.feed(data[start : start + piece])
    return reader.close()


def only(document: bytes | str) -> Case:
    (case,) = read(document).cases
    return case


def in_suite(content: str, attributes: str = "") -> str:
    return f'<testsuite name="s" {attributes}>{content}</testsuite>'


def test_a_report_says_where_it_is_from() -> None:
    report = read(TWO)
    assert (report.path, report.base_dir, report.attempts_of) == ("r.xml", "base", "glob")
    assert report.problems == ()
    assert [case.name for case in report.cases] == ["a", "b"]


def test_every_attribute_of_a_case_is_read_verbatim() -> None:
    case = only(
        '<testsuites name="root" file="root.py"><testsuite name=" s " file="suite.py">'
        '<testcase classname="A.B" name="n[&#10;&quot;1&quot;]" file="f.py" line="7" time="0.5"/>'
        "</testsuite></testsuites>"
    )
    assert case == Case(
        suite=" s ",
        classname="A.B",
        name='n[\n"1"]',
        file="f.py",
        suite_file="suite.py",
        line=7,
        outcome=Outcome.PASSED,
        duration=0.5,
        message=None,
        earlier=(),
    )


def test_absent_attributes_are_none_and_empty_ones_are_not() -> None:
    bare, empty = read('<testsuites><testcase/><testcase name="" file=""/></testsuites>').cases
    assert (bare.suite, bare.classname, bare.name, bare.file, bare.suite_file) == (None,) * 5
    assert (bare.line, bare.duration, bare.message) == (None, None, None)
    assert (empty.name, empty.file) == ("", "")


def test_the_nearest_suite_names_the_case_and_the_nearest_file_places_it() -> None:
    cases = read(
        '<testsuites name="root"><testsuite name="out" file="f"><testsuite name="in">'
        '<testcase name="1"/></testsuite><testcase name="2"/>'
        '<testsuite><testcase name="3"/></testsuite></testsuite><testcase name="4"/></testsuites>'
    ).cases
    assert [(case.suite, case.suite_file) for case in cases] == [
        ("in", "f"),
        ("out", "f"),
        (None, "f"),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("content", "outcome", "message"),
    [
        ("", Outcome.PASSED, None),
        ("<skipped/>", Outcome.SKIPPED, None),
        ("<skipped/><failure/>", Outcome.FAILURE, None),
        ("<failure message='f'/><error message='e'/>", Outcome.ERROR, "e"),
        ("<failure message='1'/><failure message='2'/>", Outcome.FAILURE, "1"),
        ("<failure message='m'>text</failure>", Outcome.FAILURE, "m\ntext"),
        ("<failure message='m'>\n  m: more </failure>", Outcome.FAILURE, "m: more"),
        ("<failure>a<b>c</b>d</failure>", Outcome.FAILURE, "acd"),
        ("<failure><![CDATA[a <b> & c]]></failure>", Outcome.FAILURE, "a <b> & c"),
        ("<properties><failure/></properties>", Outcome.PASSED, None),
        ("<system-out><error/></system-out>", Outcome.PASSED, None),
        ("<flakyFailure><failure/></flakyFailure>", Outcome.PASSED, None),
        ("<skipped><failure/></skipped>", Outcome.SKIPPED, None),
        ("<unheard-of><failure/></unheard-of>", Outcome.PASSED, None),
    ],
)
def test_the_outcome_comes_from_direct_children(
    content: str, outcome: Outcome, message: str | None
) -> None:
    case = only(in_suite(f'<testcase name="a">{content}</testcase>'))
    assert (case.outcome, case.message) == (outcome, message)


@pytest.mark.parametrize("status", ["disabled", "notrun", "NotRun"])
def test_a_case_that_was_not_run_is_skipped(status: str) -> None:
    assert only(in_suite(f'<testcase name="a" status="{status}"/>')).outcome is Outcome.SKIPPED
    ran = only(in_suite(f'<testcase name="a" status="{status}"><failure/></testcase>'))
    assert ran.outcome is Outcome.FAILURE


@pytest.mark.parametrize("key", ["status", "result"])
@pytest.mark.parametrize("word", ["failed", "Failure", "ERROR", "errored", " broken ", "fail"])
def test_a_case_that_calls_itself_failed_is_no_pass(key: str, word: str) -> None:
    document = f"<testsuite>\n <testcase name='a' {key}='{word}'>"
    for children in ("", "<system-out/>", "<flakyFailure/>"):
        report = read(f"{document}{children}</testcase></testsuite>")
        (problem,), (case,) = report.problems, report.cases
        assert case.outcome is Outcome.FAILURE
        assert problem.problem == "missing-failures"
        words = f"r.xml:2:2: the case 'a' has {key}=\"{word.strip()}\", but holds no failure"
        assert problem.detail == words
    for children in ("<failure/>", "<error/>", "<rerunFailure/>"):
        assert problems(f"{document}{children}</testcase></testsuite>") == []
    skipped = read(f"{document}<skipped/></testcase></testsuite>")
    assert skipped.cases[0].outcome is Outcome.SKIPPED


@pytest.mark.parametrize("word", ["passed", "run", "completed", "skipped", "flaky", ""])
def test_any_other_status_says_nothing(word: str) -> None:
    report = read(in_suite(f"<testcase status='{word}' result='{word}'/>"))
    assert (report.cases[0].outcome, report.problems) == (Outcome.PASSED, ())


def test_a_failed_status_is_of_its_own_case_only() -> None:
    report = read(
        in_suite("<testcase name='a' status='failed'><error/></testcase><testcase name='b'/>")
    )
    assert [case.outcome for case in report.cases] == [Outcome.ERROR, Outcome.PASSED]
    assert report.problems == ()


@pytest.mark.parametrize(
    ("child", "outcome"),
    [
        ("<Failure message='m'/>", Outcome.FAILURE),
        ("<ERROR message='m'/>", Outcome.ERROR),
        ("<Skipped message='m'/>", Outcome.SKIPPED),
        ("<RerunFailure message='m'/>", Outcome.FAILURE),
        ("<j:FAILURE xmlns:j='j' message='m'/>", Outcome.FAILURE),
    ],
)
def test_result_elements_in_any_case_of_letters(child: str, outcome: Outcome) -> None:
    declared = 'failures="1"' if "rerun" not in child.lower() and "kip" not in child else ""
    report = read(in_suite(f"<testcase>{child}</testcase>", declared))
    assert (report.cases[0].outcome, report.cases[0].message) == (outcome, "m")
    assert report.problems == ()


def test_rerun_elements_are_earlier_attempts_in_their_order() -> None:
    flaky = only(in_suite("<testcase><flakyFailure/><flakyError/></testcase>"))
    assert (flaky.outcome, flaky.earlier) == (Outcome.PASSED, (Outcome.FAILURE, Outcome.ERROR))
    failed = only(in_suite("<testcase><failure/><rerunError/><rerunFailure/></testcase>"))
    assert (failed.outcome, failed.earlier) == (Outcome.FAILURE, (Outcome.ERROR, Outcome.FAILURE))


@pytest.mark.parametrize("beside", ["", "<skipped/>", "<flakyFailure/>"])
def test_failed_reruns_alone_are_no_pass(beside: str) -> None:
    failure = only(in_suite(f'<testcase>{beside}<rerunFailure message="m"/></testcase>'))
    assert (failure.outcome, failure.message) == (Outcome.FAILURE, "m")
    error = only(in_suite(f"<testcase>{beside}<rerunFailure/><rerunError/></testcase>"))
    assert (error.outcome, error.earlier[-1]) == (Outcome.ERROR, Outcome.FAILURE)


@pytest.mark.parametrize("count", [" 1 ", "1,024", "9999999999", "9" * 5000])
def test_a_count_is_read_however_it_is_written(count: str) -> None:
    (problem,) = read(f"<testsuite failures='{count}'><testcase name='a'/></testsuite>").problems
    assert problem.problem == "missing-failures"


def test_messages_are_cut_and_long_text_streams_by() -> None:
    text = "x" * 10_000_000
    document = in_suite(f"<testcase><failure>{text}</failure></testcase>").encode()
    reader = Reader("r.xml")
    tracemalloc.start()
    for start in range(0, len(document), 1 << 20):
        reader.feed(document[start : start + (1 << 20)])
    (case,) = reader.close().cases
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert case.message == "x" * MAX_MESSAGE
    assert peak < 8_000_000
    both = only(in_suite(f"<testcase><error message='{'m' * 3000}'>t</error></testcase>"))
    assert both.message == "m" * MAX_MESSAGE


def test_blanks_before_a_message_are_not_kept() -> None:
    blanks = " \n" * MAX_MESSAGE
    assert only(in_suite(f"<testcase><failure>{blanks}<b/>x</failure></testcase>")).message == "x"


def test_a_huge_attribute_is_read_in_reasonable_time() -> None:
    document = in_suite(f"<testcase name='a'><failure message='{'&lt;' * 2_500_000}'/></testcase>")
    started = time.process_time()
    case = only(document)
    assert time.process_time() - started < 5
    assert case.message == "<" * MAX_MESSAGE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5", 1.5),
        ("0,512", 0.512),
        ("1,000.5", 1000.5),
        ("1.000,5", 1000.5),
        ("1,234,567.25", 1234567.25),
        ("1,234,567", 1234567.0),
        ("12ms", 0.012),
        ("3 s", 3.0),
        (" 2 ", 2.0),
        ("1.0E-4", 0.0001),
        (".5", 0.5),
        ("7.", 7.0),
        ("0", 0.0),
        ("NaN", None),
        ("inf", None),
        ("1e999", None),
        ("-1", None),
        ("", None),
        ("soon", None),
        (".", None),
        ("1:30", None),
        (None, None),
    ],
)
def test_times_of_every_locale(text: str | None, expected: float | None) -> None:
    assert seconds(text) == expected


@given(st.text(alphabet="0123456789.,eE+- ms", max_size=12))
def test_no_time_is_a_surprise(text: str) -> None:
    value = seconds(text)
    assert value is None or value >= 0


PYTEST = (
    'name="pytest" errors="0" failures="0" skipped="0" tests="0" time="0" timestamp="" hostname=""'
)
GRADLE = 'name="A" tests="0" skipped="0" failures="0" errors="0" timestamp="" hostname="" time="0"'


@pytest.mark.parametrize(
    ("document", "writer"),
    [
        (f"<testsuites name='pytest tests'><testsuite {PYTEST}/></testsuites>", "pytest"),
        (f"<testsuite {GRADLE}><properties/></testsuite>", "gradle"),
        (f"<testsuites><testsuite {PYTEST}/><testsuite {PYTEST}/></testsuites>", None),
        (f"<testsuite {GRADLE}><testsuite {GRADLE}/></testsuite>", None),
        (f"<testsuite {PYTEST} id='1'/>", None),
        (f"<testsuites {PYTEST}/>", None),
        ("<testsuite name='pytest'/>", None),
    ],
)
def test_the_writer_of_a_whole_report(document: str, writer: str | None) -> None:
    assert read(document).writer == writer


# Evidence of suites


def problems(document: str) -> list[str]:
    return [problem.problem for problem in read(document).problems]


@pytest.mark.parametrize("tag", ["error", "failure", "Error"])
def test_a_failure_of_a_suite_is_a_problem_and_the_cases_stay(tag: str) -> None:
    report = read(in_suite(f"<{tag}/><testcase name='a'/>"))
    assert [problem.problem for problem in report.problems] == ["suite-error"]
    assert len(report.cases) == 1


@pytest.mark.parametrize(
    ("declared", "content", "missing"),
    [
        ('failures="1"', "<testcase/>", True),
        ('failures="1" errors="1"', "<testcase><failure/></testcase>", True),
        ('errors="1"', "<testcase><failure/></testcase>", False),
        ('failures="2"', "<testcase><failure/><failure/></testcase>", False),
        ('failures="0"', "<testcase><failure/></testcase>", False),
        ('failures="1"', "<testcase><skipped/></testcase>", True),
        ('failures="1"', "<testcase><system-out><failure/></system-out></testcase>", True),
        ('failures="1"', "<testcase><flakyFailure/></testcase>", True),
        ('failures="1"', "<testsuite><testcase><error/></testcase></testsuite>", False),
        ('failures=""', "<testcase/>", False),
        ('failures="many"', "<testcase/>", False),
        ('failures="-1" errors="1"', "<testcase/>", True),
    ],
)
def test_declared_failures_must_be_there(declared: str, content: str, missing: bool) -> None:
    assert problems(in_suite(content, declared)) == ["missing-failures"] * missing


def test_a_missing_failure_names_both_numbers() -> None:
    (problem,) = read(
        in_suite("<testcase><failure/></testcase>", 'failures="3" errors="2"')
    ).problems
    assert problem.detail.startswith("r.xml:1:1: suite 's' declares 5 ")
    assert problem.detail.endswith("hold 1")


def test_many_problems_of_one_report_are_bounded() -> None:
    found = read(in_suite("<error/>" * 100)).problems
    assert len(found) == MAX_PROBLEMS
    assert found[-1].detail.endswith("outside of any case (and 80 more problems)")
    assert not any("more" in problem.detail for problem in found[:-1])
    one_more = read(in_suite("<error/>" * (MAX_PROBLEMS + 1))).problems
    assert one_more[-1].detail.endswith("(and 1 more problem)")
    assert "more" not in read(in_suite("<error/>" * MAX_PROBLEMS)).problems[-1].detail
    *_, last, broken = read(f"<testsuite>{'<error/>' * 100}").problems
    assert "80 more" in last.detail
    assert broken.problem == "truncated"


# Broken and foreign documents (more of them, with what is said, are in cases/reports)


def test_a_broken_report_has_no_cases_but_says_how_far_it_was_read() -> None:
    report = read(TWO[:-5])
    assert report.cases == ()
    (problem,) = report.problems
    assert problem.problem == "truncated"
    assert problem.detail.startswith("r.xml:1:")
    assert "(cases read before that: 2, failing: 1)" in problem.detail


def test_the_place_of_a_problem_is_its_line_and_column() -> None:
    (problem,) = read(b"<testsuite>\n  <testcase>\n   <failure>\x00").problems
    assert problem.detail.startswith("r.xml:3:13: ")


@pytest.mark.parametrize("length", range(len(TWO)))
def test_every_proper_prefix_is_truncated(length: int) -> None:
    (problem,) = read(TWO[:length]).problems
    assert problem.problem == "truncated"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", "it is empty"),
        ("<testsuite><testcase name='", "before its root element is closed"),
        ("<testsuite><testcase>", "in the middle of a test case"),
        ("<testsuite><testcase/>", "before its root element is closed"),
        ("<!DOCTYPE html>\n<p>", "an HTML page"),
        (" <!doctype html><title>x", "an HTML page"),
        ("<html lang='en'>", "an HTML page"),
        ('{"tests": 1}', "it is not XML"),
        ("tests: 1", "it is not XML"),
        ("<testsuite>&</testsuite>", "a stray < or &"),
        ("<testsuite/><testsuite/>", "two runs probably wrote"),
        ("<testsuite></testsuites>", "two processes probably wrote"),
        ("<TestRun/>", "(TRX)"),
        ("<pmd/>", "not a JUnit report"),
        ('<?xml version="1.0" encoding="klingon"?><testsuite/>', "encoding is not known"),
        ('<?xml version="1.0" encoding="UTF-16"?><testsuite/>', "not in the encoding"),
    ],
)
def test_what_was_probably_the_matter(document: str, words: str) -> None:
    (problem,) = read(document).problems
    assert words in problem.detail


def test_bytes_after_a_break_are_not_looked_at() -> None:
    reader = Reader("r.xml")
    reader.feed(b"<testsuite>\x00" + b" " * 2000)
    reader.feed(TWO)
    reader.feed(b"\xff" * 10)
    (problem,) = reader.close().problems
    assert problem.problem == "not-junit"


@pytest.mark.parametrize("depth", [3_000, MAX_DEPTH])
def test_deep_nesting_is_read(depth: int) -> None:
    opening, closing = "<testsuite>" * (depth - 2), "</testsuite>" * (depth - 2)
    case = "<testcase name='a'><failure/></testcase>"
    assert only(opening + case + closing).outcome is Outcome.FAILURE


@pytest.mark.parametrize("tag", ["testsuite", "properties"])
def test_nesting_beyond_the_limit_is_refused(tag: str) -> None:
    (problem,) = read(f"<testsuites>{f'<{tag}>' * 50_000}").problems
    assert problem.problem == "not-junit"
    assert "nest more than 10,000 deep" in problem.detail


def test_a_case_beyond_the_limit_is_refused() -> None:
    (problem,) = read("<testsuite>" * MAX_DEPTH + "<testcase/>").problems
    assert "nest more than 10,000 deep" in problem.detail


def test_entities_are_refused_before_they_grow() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    started = time.process_time()
    (problem,) = read(
        f'<!DOCTYPE testsuite [<!ENTITY l0 "lol">{laughs}]><testsuite><testcase>'
        "<failure>&l11;</failure></testcase></testsuite>"
    ).problems
    assert time.process_time() - started < 2
    assert "declares the entity 'l0'" in problem.detail


def test_an_external_entity_is_never_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    report = read(
        f'<!DOCTYPE testsuite [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
        "<testsuite><testcase><failure>&x;</failure></testcase></testsuite>"
    )
    assert report.cases == ()
    assert "s3cret" not in str(report)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16", "latin-1", "cp1252", "shift_jis", "euc_kr"]
)
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_encodings_are_read_in_pieces_of_any_size(encoding: str, piece: int) -> None:
    name = {"shift_jis": "日本", "euc_kr": "한글", "cp1252": "€"}.get(encoding, "é")
    filler = f"<!--{name * 600}-->"  # longer than the head that is kept back
    declaration = f'<?xml version="1.0" encoding="{encoding}"?>'
    document = f'{declaration}<testsuite>{filler}<testcase name="{name}"/></testsuite>'
    (case,) = read(document.encode(encoding), piece).cases
    assert case.name == name


def test_a_broken_character_of_a_transcoded_report() -> None:
    head = b'<?xml version="1.0" encoding="Shift_JIS"?><testsuite name="'
    assert [p.problem for p in read(head + b"\x81").problems] == ["truncated"]
    assert [p.problem for p in read(head + b'\x81\xff"/>').problems] == ["not-junit"]
    late = read(head + b"x" * 3000 + b'\x81\xff"/>', 512)
    assert [p.problem for p in late.problems] == ["not-junit"]


# Properties

ATTRIBUTES = st.sampled_from(
    [
        "",
        ' name="a"',
        ' classname="A" name="b"',
        ' name="é&#10;"',
        ' status="notrun"',
        ' failures="1"',
    ]
)
LEAVES = st.sampled_from(
    [
        "<failure/>", "<error message='m'>long text\n\n here</error>", "<skipped/>", "text", "<x/>",
        "<flakyFailure/>", "<system-out><failure/></system-out>", "<!-- c -->", "<![CDATA[<]]>",
    ]
)  # fmt: skip
ELEMENTS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda tag, attributes, content: f"<{tag}{attributes}>{''.join(content)}</{tag}>",
        st.sampled_from(["testsuites", "testsuite", "testcase", "testcase", "wrapper"]),
        ATTRIBUTES,
        st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)
DOCUMENTS = st.builds(
    lambda root, content: f"<{root}>{''.join(content)}</{root}>".encode(),
    st.sampled_from(["testsuites", "testsuite", "html"]),
    st.lists(ELEMENTS, max_size=5),
)


@given(DOCUMENTS, st.integers(1, 64), st.booleans())
def test_pieces_of_any_size_give_the_same_report(document: bytes, piece: int, cut: bool) -> None:
    if cut:
        document = document[: len(document) * 2 // 3]
    padded = document + b" " * 1100  # so that the head does not hold it all
    assert read(document, piece) == read(document)
    assert read(padded, piece) == read(padded)


@given(st.binary(max_size=300))
@example(b'<?xml version="1.0" encoding="rot13"?><testsuite/>')
@example(b'<?xml version="1.0" encoding="idna"?><testsuite/>')
@example(b'<?xml version="1.0" encoding="utf-7"?><testsuite/>')
@example(b'<?xml version="1.0" encoding="undefined"?><testsuite/>')
@example(b'<?xml version="1.0" encoding="UTF-32"?><testsuite/>')
def test_random_bytes_are_a_problem_and_never_an_exception(noise: bytes) -> None:
    report = read(noise)
    assert report.cases == ()
    assert len(report.problems) == 1


@settings(max_examples=300)
@given(
    st.sampled_from([path.read_bytes() for path in CASES]),
    st.lists(st.tuples(st.integers(0, 1 << 14), st.binary(max_size=3)), min_size=1, max_size=4),
)
def test_mutants_of_real_reports_never_crash(
    document: bytes, changes: list[tuple[int, bytes]]
) -> None:
    for at, patch in changes:
        place = at % (len(document) + 1)
        document = document[:place] + patch + document[place + 1 :]
    report = read(document)
    if any(problem.problem in {"truncated", "not-junit"} for problem in report.problems):
        assert report.cases == ()
