from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flakegate.errors import ExitCode
from flakegate.gate import CommandEnd, Failure, Verdict, judge, to_json
from flakegate.identity import identify
from flakegate.junit import Problem, Report
from flakegate.model import FlakyTest, Identity, State, StateCause
from flakegate.policy.rules import GateSettings
from flakegate.reading.document import Reader
from flakegate.results import fold

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

DAY = 86_400.0
NOW = 1_794_000_000.0  # 6 November 2026
RECORDED = Path(__file__).parent / "cases" / "reports"
PASSING = '<testcase classname="A" name="passes"/>'
FAILING = '<testcase classname="A" name="fails"><failure message="m"/></testcase>'
FAILS = Identity(module="", suite="A", name="fails", source_file="")
NOISY = StateCause(at=NOW - 3 * DAY, rule="noisy")


def read(document: str | bytes, path: str = "r.xml") -> Report:
    reader = Reader(path)
    reader.feed(document.encode() if isinstance(document, str) else document)
    return reader.close()


def suite(*cases: str) -> str:
    return f'<testsuite name="s">{"".join(cases)}</testsuite>'


def flaky(state: State, **changes: Any) -> FlakyTest:
    test = FlakyTest(
        id="id-of-fails",
        module="",
        suite="A",
        name="fails",
        state=state,
        state_since=NOW - 3 * DAY,
        cause=NOISY,
    )
    return replace(test, **changes)


def verdict(*documents: str | bytes, known: Any = (), **changes: Any) -> Verdict:
    """Judges these documents; known: the state of the test A.fails, a mapping, or None."""
    if isinstance(known, State):
        known = {FAILS: flaky(known)}
    reports = [read(one, f"{number}.xml") for number, one in enumerate(documents)]
    results = changes.pop("results", fold(reports))
    if known is not None:
        tests = dict(known)
        known = {each: tests[each.identity] for each in results if each.identity in tests}
    arguments: dict[str, Any] = {
        "reports": reports,
        "results": results,
        "problems": (),
        "known": known,
        "exempt": {},
        "settings": GateSettings(),
        "ended": None,
        "now": NOW,
    }
    return judge(**arguments | changes)


def summary(result: Verdict) -> tuple[str, int, list[str]]:
    reasons = [one.problem for one in result.evidence] or [one.reason for one in result.failures]
    return result.verdict, result.exit_code, reasons


def only(result: Verdict) -> Failure:
    (failure,) = result.failures
    return failure


# Recorded reports: what each holds stands beside it. A new one is two new files.


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.xml")), ids=lambda path: path.stem)
def test_recorded_report(path: Path) -> None:
    report = read(path.read_bytes(), path.name)
    result = verdict(reports=[report], results=fold([report]))
    totals = to_json(result)["totals"]
    del totals["reports"]
    found = {
        "totals": totals,
        "writer": report.writer,
        "failing": [
            f"{one.case.classname} :: {one.case.name} [{one.reason}]" for one in result.failures
        ],
        "evidence": [one.problem for one in result.evidence],
    }
    assert found == json.loads(path.with_suffix(".json").read_text("utf-8"))


# The verdict


def test_a_green_report_passes_without_asking_anybody() -> None:
    assert summary(verdict(suite(PASSING), known=None)) == ("pass", 0, [])


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (State.QUARANTINED, ("pass", 0, ["quarantined"])),
        (State.DISABLED, ("pass", 0, ["disabled"])),
        (State.ACTIVE, ("block", 1, ["active"])),
        (State.FIXED, ("block", 1, ["fixed"])),
        ((), ("block", 1, ["not-flaky"])),
    ],
)
def test_the_state_decides(known: Any, expected: tuple[str, int, list[str]]) -> None:
    assert summary(verdict(suite(PASSING, FAILING), known=known)) == expected


def test_one_failure_that_is_not_excused_blocks_all() -> None:
    other = '<testcase classname="A" name="other"><error/></testcase>'
    result = verdict(suite(FAILING, other), known=State.QUARANTINED)
    assert summary(result) == ("block", 1, ["quarantined", "not-flaky"])
    assert [one.decision for one in result.failures] == ["excused", "blocked"]


@pytest.mark.parametrize(
    "identity",
    [
        replace(FAILS, module="web"),
        replace(FAILS, suite="a"),
        replace(FAILS, name="fails "),
        replace(FAILS, source_file="a.py"),
    ],
)
def test_only_the_exact_identity_excuses(identity: Identity) -> None:
    known = {identity: flaky(State.QUARANTINED)}
    assert summary(verdict(suite(FAILING), known=known)) == ("block", 1, ["not-flaky"])


@pytest.mark.parametrize("reason", ["must block the merge", ""])
def test_an_exempt_test_is_never_excused(reason: str) -> None:
    exempt = {"id-of-fails": reason}
    result = verdict(suite(FAILING), known=State.QUARANTINED, exempt=exempt)
    assert summary(result) == ("block", 1, ["exempt"])
    assert reason in only(result).detail


def test_what_the_policy_does_not_excuse_blocks_with_its_state() -> None:
    settings = GateSettings(excuse=frozenset({State.DISABLED}))
    result = verdict(suite(FAILING), known=State.QUARANTINED, settings=settings)
    assert summary(result) == ("block", 1, ["quarantined"])
    assert only(result).decision == "blocked"
    assert "gate.excuse" in only(result).detail


def test_without_the_backend_nothing_is_excused() -> None:
    result = verdict(suite(FAILING), known=None)
    assert summary(result) == ("block", 4, ["unavailable"])
    assert result.code is ExitCode.BACKEND


TWICE = '<testcase classname="A" name="twice"><failure/></testcase>'


def test_the_backend_is_no_excuse_for_what_it_could_not_have_excused() -> None:
    result = verdict(suite(FAILING, TWICE, TWICE), known=None)
    assert summary(result) == ("block", 1, ["unavailable", "ambiguous", "ambiguous"])


def test_an_ambiguous_failure_is_not_excused_by_its_name() -> None:
    known = {replace(FAILS, name="twice"): flaky(State.QUARANTINED)}
    result = verdict(suite(TWICE, PASSING.replace("passes", "twice")), known=known)
    assert summary(result) == ("block", 1, ["ambiguous"])
    assert only(result).test is None


@pytest.mark.parametrize(
    ("since", "settings", "reason"),
    [
        (NOW - 5, GateSettings(min_state_age=5), "quarantined"),
        (NOW - 5, GateSettings(min_state_age=5.1), "too-young"),
        (NOW + 5, GateSettings(min_state_age=1), "too-young"),
        (None, GateSettings(min_state_age=1), "too-young"),
        (None, GateSettings(), "quarantined"),
        (NOW + 5, GateSettings(), "quarantined"),
        (NOW - 30 * DAY, GateSettings(max_age=30 * DAY), "quarantined"),
        (NOW - 30 * DAY - 1, GateSettings(max_age=30 * DAY), "expired"),
        (None, GateSettings(max_age=30 * DAY), "expired"),
    ],
)
def test_the_age_of_a_state(since: float | None, settings: GateSettings, reason: str) -> None:
    known = {FAILS: flaky(State.QUARANTINED, state_since=since)}
    result = verdict(suite(FAILING), known=known, settings=settings)
    assert only(result).reason == reason
    assert result.verdict == ("pass" if reason == "quarantined" else "block")


# Evidence


@pytest.mark.parametrize("document", [suite(), suite('<testcase name="a"/>')[:-3], "<html/>", ""])
def test_incomplete_evidence_is_never_a_pass(document: str) -> None:
    assert verdict(suite(PASSING), document, known=()).verdict == (
        "pass" if document == suite() else "incomplete"
    )
    result = verdict(document)
    assert (result.verdict, result.exit_code, result.code) == ("incomplete", 3, ExitCode.INCOMPLETE)
    assert len(result.evidence) == 1


def test_no_report_at_all() -> None:
    assert summary(verdict()) == ("incomplete", 3, ["no-report"])


def test_problems_of_finding_reports_come_first_and_say_enough() -> None:
    missing = Problem(report="gone.xml", problem="no-report", detail="gone.xml: no report there")
    assert summary(verdict(problems=[missing])) == ("incomplete", 3, ["no-report"])
    result = verdict("<html/>", problems=[missing])
    assert [one.problem for one in result.evidence] == ["no-report", "not-junit"]


def test_failures_are_listed_though_the_evidence_is_incomplete() -> None:
    result = verdict(suite(FAILING, TWICE), "<testsuite>", known=State.QUARANTINED)
    assert result.verdict == "incomplete"
    assert [(one.reason, one.report) for one in result.failures] == [
        ("quarantined", "0.xml"),
        ("not-flaky", "0.xml"),
    ]


def test_all_skipped_is_not_empty_but_counts_as_not_run() -> None:
    skipped = suite('<testcase classname="A" name="a"><skipped/></testcase>')
    assert summary(verdict(skipped)) == ("pass", 0, [])
    few = GateSettings(min_tests=1)
    assert summary(verdict(skipped, settings=few)) == ("incomplete", 3, ["too-few-tests"])


@pytest.mark.parametrize(("least", "code"), [(2, 0), (3, 3)])
def test_the_fewest_tests_that_must_have_run(least: int, code: int) -> None:
    reports = [suite(PASSING), suite(PASSING)]
    assert verdict(*reports, settings=GateSettings(min_tests=least)).exit_code == code


# How the command ended


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (CommandEnd(exit_code=1), ("pass", 0, ["quarantined"])),
        (CommandEnd(exit_code=0), ("pass", 0, ["quarantined"])),
        (CommandEnd(outcome="failure"), ("pass", 0, ["quarantined"])),
        (CommandEnd(outcome="success"), ("pass", 0, ["quarantined"])),
        (CommandEnd(exit_code=2), ("incomplete", 2, ["exit-code"])),
        (CommandEnd(exit_code=128), ("incomplete", 128, ["exit-code"])),
        (CommandEnd(exit_code=137), ("incomplete", 137, ["killed"])),
        (CommandEnd(exit_code=255), ("incomplete", 255, ["killed"])),
        (CommandEnd(exit_code=-9), ("incomplete", 137, ["killed"])),
        (CommandEnd(exit_code=256), ("incomplete", 3, ["killed"])),  # a process can only say 0
        (CommandEnd(exit_code=-128), ("incomplete", 3, ["killed"])),
        (CommandEnd(outcome="cancelled"), ("incomplete", 3, ["killed"])),
        (CommandEnd(exit_code=1, outcome="cancelled"), ("incomplete", 1, ["killed"])),
        (CommandEnd(outcome="skipped"), ("incomplete", 3, ["empty"])),
        (CommandEnd(), ("pass", 0, ["quarantined"])),
    ],
)
def test_the_end_of_the_command(ended: CommandEnd, expected: tuple[str, int, list[str]]) -> None:
    assert summary(verdict(suite(FAILING), known=State.QUARANTINED, ended=ended)) == expected


@pytest.mark.parametrize(
    "ended", [CommandEnd(exit_code=1), CommandEnd(outcome="failure"), CommandEnd(outcome="odd")]
)
def test_a_failed_command_needs_a_failing_case(ended: CommandEnd) -> None:
    retried = suite('<testcase classname="A" name="a"><flakyFailure/></testcase>')
    for document in (suite(PASSING), retried):
        result = verdict(document, ended=ended)
        assert summary(result) == ("incomplete", ended.exit_code or 3, ["no-failure"])


def test_a_command_that_ended_well_needs_none() -> None:
    for ended in (CommandEnd(exit_code=0), CommandEnd(outcome="success")):
        assert summary(verdict(suite(PASSING), ended=ended)) == ("pass", 0, [])


def test_the_policy_says_which_exit_codes_are_failing_tests() -> None:
    settings = GateSettings(command_exit_codes=frozenset({100}))
    for code, expected in ((100, "pass"), (1, "incomplete")):
        ended = CommandEnd(exit_code=code)
        document = suite(FAILING)
        result = verdict(document, known=State.QUARANTINED, settings=settings, ended=ended)
        assert result.verdict == expected


def test_a_killed_command_is_named_by_its_signal() -> None:
    (problem,) = verdict(suite(FAILING), ended=CommandEnd(exit_code=137)).evidence
    assert "137" in problem.detail
    assert "SIGKILL: often out of memory" in problem.detail


def test_the_own_code_of_the_command_is_returned_where_it_does_not_pass() -> None:
    settings = GateSettings(command_exit_codes=frozenset({7}))
    blocked = verdict(suite(FAILING), settings=settings, ended=CommandEnd(exit_code=7))
    assert (blocked.verdict, blocked.code, blocked.exit_code) == ("block", ExitCode.BLOCKED, 7)
    zero = verdict(suite(FAILING), ended=CommandEnd(exit_code=0))
    assert (zero.verdict, zero.exit_code) == ("block", 1)


def test_observing_tells_the_truth_and_blocks_nothing() -> None:
    observe = GateSettings(observe=True)
    ended = CommandEnd(exit_code=1)
    blocked = verdict(suite(FAILING), settings=observe, ended=ended)
    assert (blocked.verdict, blocked.code, blocked.exit_code) == ("block", ExitCode.BLOCKED, 0)
    assert verdict("<html/>", settings=observe).exit_code == 3
    killed = verdict(suite(FAILING), settings=observe, ended=CommandEnd(exit_code=137))
    assert killed.exit_code == 137


# Totals, rows, words


def test_totals_count_cases_and_flaky_counts_tests() -> None:
    error = '<testcase classname="A" name="e"><error/><failure/></testcase>'
    retried = '<testcase classname="A" name="r"><flakyFailure/><flakyError/></testcase>'
    skipped = '<testcase classname="A" name="s"><skipped/></testcase>'
    result = verdict(suite(PASSING, FAILING, error), suite(retried, skipped))
    assert to_json(result)["totals"] == {
        "tests": 5,
        "passed": 2,
        "failures": 1,
        "errors": 1,
        "skipped": 1,
        "flaky": 1,
        "reruns": 2,
        "reports": 2,
    }


def test_a_teardown_error_beside_a_failure_has_a_row_of_its_own() -> None:
    teardown = FAILING.replace("failure", "error").replace('"m"', "'failed on teardown with \"x\"'")
    result = verdict(suite(FAILING, teardown), known=State.QUARANTINED)
    assert summary(result) == ("pass", 0, ["quarantined", "quarantined"])
    assert [one.case.outcome.value for one in result.failures] == ["failure", "error"]
    blocked = verdict(suite(FAILING, teardown))
    assert [one.decision for one in blocked.failures] == ["blocked", "blocked"]


def test_the_json_has_exactly_the_documented_keys() -> None:
    case = '<testcase name=" fails"><failure message="m">text</failure></testcase>'
    document = f'<testsuites><testsuite name="A">{case}</testsuite></testsuites>'
    known = {replace(FAILS, name=" fails"): flaky(State.QUARANTINED)}
    missing = Problem(report=None, problem="no-report", detail="words")
    result = to_json(verdict(document, known=known, problems=[missing]))
    totals = result.pop("totals")
    assert list(totals)[:3] == ["tests", "passed", "failures"]
    assert result == {
        "version": 1,
        "verdict": "incomplete",
        "exit_code": 3,
        "failures": [
            {
                "suite": "A",
                "classname": None,
                "name": " fails",
                "file": None,
                "outcome": "failure",
                "message": "m\ntext",
                "decision": "excused",
                "reason": "quarantined",
                "test_id": "id-of-fails",
                "rule": "noisy",
            }
        ],
        "evidence": [{"report": None, "problem": "no-report", "detail": "words"}],
    }
    assert json.loads(json.dumps(result)) == result


def test_the_json_of_a_failure_that_nobody_knows() -> None:
    (row,) = to_json(verdict(suite(FAILING)))["failures"]
    assert (row["test_id"], row["rule"], row["reason"]) == (None, None, "not-flaky")


PERSON = StateCause(at=NOW, actor="dana", reason="being rewritten")


@pytest.mark.parametrize(
    ("test", "settings", "words"),
    [
        (flaky(State.QUARANTINED), GateSettings(), "quarantined by rule noisy since 3 Nov"),
        (
            flaky(State.QUARANTINED, state_since=NOW - 400 * DAY),
            GateSettings(),
            "quarantined by rule noisy since 2 Oct 2025",
        ),
        (
            flaky(State.QUARANTINED, cause=PERSON),
            GateSettings(),
            "quarantined by dana since 3 Nov: being rewritten",
        ),
        (
            flaky(State.DISABLED, cause=PERSON, state_since=None),
            GateSettings(),
            "disabled by dana: being rewritten",
        ),
        (flaky(State.DISABLED, cause=None, state_since=None), GateSettings(), "disabled"),
        (
            flaky(State.ACTIVE),
            GateSettings(),
            "its state is active: the policy has not quarantined it",
        ),
        (flaky(State.FIXED), GateSettings(), "its state is fixed: it is expected to pass"),
        (
            flaky(State.QUARANTINED),
            GateSettings(max_age=2 * DAY),
            "quarantined since 3 Nov: longer than gate.max_age, 2d",
        ),
        (
            flaky(State.QUARANTINED, state_since=None),
            GateSettings(min_state_age=5400),
            "quarantined since nobody knows when: less than gate.min_state_age, 1.5h",
        ),
        (None, GateSettings(), "not known to be flaky"),
    ],
)
def test_the_reason_in_words(test: FlakyTest | None, settings: GateSettings, words: str) -> None:
    known = {FAILS: test} if test else {}
    assert only(verdict(suite(FAILING), known=known, settings=settings)).detail == words


# Properties

FAILING_DOCUMENTS = [
    path.read_bytes()
    for path in sorted(RECORDED.glob("*.xml"))
    if json.loads(path.with_suffix(".json").read_text("utf-8"))["failing"]
]


@pytest.mark.parametrize("document", [one for one in FAILING_DOCUMENTS if len(one) < 1500])
def test_no_proper_prefix_of_a_failing_report_passes(document: bytes) -> None:
    for length in range(len(document)):
        assert verdict(document[:length]).verdict != "pass"


@given(st.sampled_from(FAILING_DOCUMENTS), st.data())
def test_no_prefix_of_a_long_failing_report_passes(document: bytes, data: st.DataObject) -> None:
    assert verdict(document[: data.draw(st.integers(0, len(document)))]).verdict != "pass"


# Those that another reader can read as well, and in which no later attempt turns a failure.
PLAIN_DOCUMENTS = [one for one in FAILING_DOCUMENTS if not re.search(b"JIS|GB18|xmlns|total", one)]


@settings(max_examples=300)
@given(
    st.sampled_from(PLAIN_DOCUMENTS),
    st.lists(st.tuples(st.integers(0, 1 << 14), st.integers(0, 2), st.binary(max_size=3))),
)
def test_a_mutant_passes_only_if_well_formed_and_without_failure(
    document: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    for at, removed, patch in changes:
        place = at % (len(document) + 1)
        document = document[:place] + patch + document[place + removed :]
    report = read(document)
    result = verdict(reports=[report], results=fold([report]))
    if result.verdict == "pass":
        assert not _has_failing_case(ET.fromstring(document))  # noqa: S314 - we made it
    else:
        assert result.exit_code in (1, 3)


def _has_failing_case(root: Element) -> bool:
    """By another reader than ours. Namespaces aside, as these documents have none."""
    return any(
        child.tag in ("failure", "error") for case in root.iter("testcase") for child in case
    )


@given(
    st.lists(st.sampled_from(["pass", "fail", "skip"]), max_size=6),
    st.sets(st.integers(0, 5)),
)
def test_it_passes_only_if_every_failing_case_is_known(
    outcomes: list[str], known: set[int]
) -> None:
    inner = {"pass": "", "fail": "<failure/>", "skip": "<skipped/>"}
    cases = [
        f'<testcase classname="A" name="t{number}">{inner[outcome]}</testcase>'
        for number, outcome in enumerate(outcomes)
    ]
    report = read(suite(*cases))
    states = {
        identify(case, ""): flaky(State.QUARANTINED, id=str(number))
        for number, case in enumerate(report.cases)
        if number in known
    }
    result = verdict(reports=[report], results=fold([report]), known=states)
    failing = {number for number, outcome in enumerate(outcomes) if outcome == "fail"}
    expected = "incomplete" if not outcomes else "pass" if failing <= known else "block"
    assert result.verdict == expected
    assert len(result.failures) == len(failing)


# What the change of this job keeps from being excused, and lists that were saved


def test_a_bar_blocks_what_a_state_would_excuse() -> None:
    reports = [read(suite(FAILING))]
    (result,) = fold(reports)
    bar = {result: ("changed", "this change touches a.py")}
    known = {FAILS: flaky(State.QUARANTINED)}
    failure = only(verdict(suite(FAILING), known=known, results=(result,), barred=bar))
    assert (failure.decision, failure.reason) == ("blocked", "changed")
    assert failure.detail == "quarantined, but this change touches a.py"
    active = verdict(suite(FAILING), known=State.ACTIVE, results=(result,), barred=bar)
    assert only(active).reason == "active"  # without the change it would block, too
    exempt = {"exempt": {"id-of-fails": "smoke"}, "results": (result,), "barred": bar}
    assert only(verdict(suite(FAILING), known=known, **exempt)).reason == "exempt"
    old = {"settings": GateSettings(max_age=DAY), "results": (result,), "barred": bar}
    assert only(verdict(suite(FAILING), known=known, **old)).reason == "expired"


def test_why_nobody_could_be_asked_is_said() -> None:
    failure = only(verdict(suite(FAILING), known=None, unavailable="s.json is too old"))
    assert failure.reason == "unavailable"
    assert failure.detail.endswith("whether it is a flaky test; s.json is too old")


def test_observing_excuses_a_block_and_nothing_else() -> None:
    observed = {"settings": GateSettings(observe=True)}
    end = CommandEnd(exit_code=1)
    assert summary(verdict(suite(FAILING), ended=end, **observed)) == ("block", 0, ["not-flaky"])
    assert verdict(suite(FAILING), known=None, **observed).exit_code == 4
    assert verdict(suite(FAILING)[:-9], **observed).exit_code == 3
    assert verdict(suite(FAILING), ended=CommandEnd(exit_code=137), **observed).exit_code == 137


def test_the_document_says_which_list_was_asked() -> None:
    saved = verdict(suite(FAILING), known=State.QUARANTINED, snapshot=NOW)
    assert to_json(saved)["snapshot"] == {"taken_at": "2026-11-06T21:20:00Z"}
    assert "snapshot" not in to_json(verdict(suite(FAILING), known=State.QUARANTINED))
