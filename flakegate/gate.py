"""The verdict: a job passes only if every failure is provably excused and the evidence complete."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from flakegate.errors import ExitCode
from flakegate.excuse import BLOCKED, excuse
from flakegate.junit import Case, Outcome, Problem, Report
from flakegate.results import UNTOLD
from flakegate.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flakegate.matching.frameworks import Wrote
    from flakegate.model import FlakyTest, Identity
    from flakegate.policy.rules import GateSettings
    from flakegate.results import Result

_KILLED_ABOVE = 128  # a shell reports a program that died of signal N as 128 + N
_HIGHEST = 255  # of what a process can end with only eight bits arrive: 256 would be a 0
_SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT: interrupted",
    6: "SIGABRT: it aborted",
    7: "SIGBUS: it crashed",
    9: "SIGKILL: often out of memory, or a time limit",
    11: "SIGSEGV: it crashed",
    13: "SIGPIPE",
    15: "SIGTERM: often a cancelled job or a time limit",
}
_NOT_ENDED = {
    "cancelled": ("killed", "the test step was cancelled before it ended"),
    "skipped": ("empty", "the test step was skipped: these reports are not of this run"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEnd:
    """How the test command ended. exit_code: None if not known.

    outcome: success, failure, cancelled or skipped, as CI names it; None if not known.
    killed: how it was made to end before it was through, in words that follow "the test command";
    None if it was not, as far as anybody knows.
    """

    exit_code: int | None = None
    outcome: str | None = None
    killed: str | None = None

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise than well."""
        return self.exit_code not in (None, 0) or self.outcome not in (None, "success")


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts of `<testcase>` elements, each of which is one of passed to skipped.

    flaky: tests that failed and then passed. reruns: proven attempts before a last one.
    reports: the reports read, broken ones included.
    """

    tests: int
    passed: int
    failures: int
    errors: int
    skipped: int
    flaky: int
    reruns: int
    reports: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failing case that no proven later attempt turned into a pass.

    decision: "excused" or "blocked". reason: its code (design: quarantined, not-flaky, ...).
    test: the flaky test that it is, None if none or unknown. detail: the reason in words.
    """

    case: Case
    report: str
    identity: Identity
    decision: str
    reason: str
    test: FlakyTest | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """verdict: "pass", "block" or "incomplete". code: what it means among our exit codes.

    exit_code: what the process should end with: the test command's own code where that failed too.
    snapshot: when the list of flaky tests was saved, in seconds since the epoch; None for one that
    was asked for now.
    """

    verdict: str
    code: ExitCode
    exit_code: int
    totals: Totals
    failures: tuple[Failure, ...]
    evidence: tuple[Problem, ...]
    snapshot: float | None = None
    wrote: tuple[Wrote, ...] = ()


def judge(  # noqa: PLR0913 - all that a verdict weighs, each by its name
    *,
    reports: Sequence[Report],
    results: Sequence[Result],
    problems: Sequence[Problem],
    known: Mapping[Result, FlakyTest] | None,
    exempt: Mapping[str, str],
    settings: GateSettings,
    ended: CommandEnd | None,
    now: float,
    barred: Mapping[Result, tuple[str, str]] = MappingProxyType({}),
    unavailable: str = "",
    snapshot: float | None = None,
    wrote: Sequence[Wrote] = (),
) -> Verdict:
    """The verdict over all reports of a job.

    results: `fold(reports)`. problems: of finding and opening the reports. known: the flaky test
    that a failing result is, None if the backend could not be asked. exempt: why, by test id.
    ended: the test command, None if nothing is known of it. now: seconds since the epoch. barred:
    what this change keeps from being excused: reason code and words. unavailable: what is known of
    why nobody could be asked, in words. snapshot: when the list was saved that was asked instead of
    the backend, None if the backend was. wrote: what the reports were read as, where that matters.
    """
    totals = _totals(reports, results)
    asked = _Asked(known, exempt, barred, unavailable, settings, now)
    failures = tuple(
        failure
        for result in results
        if result.outcome.failing
        for failure in _failures(result, _ruling(result, asked))
    )
    evidence = [*problems, *(problem for report in reports for problem in report.problems)]
    evidence += _missing(totals, settings, has_problems=bool(evidence))
    if ended is not None:
        evidence += _command(ended, settings, has_failures=bool(failures))
    blocked = [failure.reason for failure in failures if failure.decision == BLOCKED]
    if evidence:
        verdict, code = "incomplete", ExitCode.INCOMPLETE
    elif blocked:
        verdict = "block"
        code = ExitCode.BACKEND if set(blocked) == {"unavailable"} else ExitCode.BLOCKED
    else:
        verdict, code = "pass", ExitCode.PASSED
    return Verdict(
        verdict=verdict,
        code=code,
        exit_code=_exit_code(code, settings, ended),
        totals=totals,
        failures=failures,
        evidence=tuple(evidence),
        snapshot=snapshot,
        wrote=tuple(wrote),
    )


def to_json(verdict: Verdict) -> dict[str, Any]:
    """The document of `gate --format json`, version 1."""
    totals = verdict.totals
    document: dict[str, Any] = {
        "version": 1,
        "verdict": verdict.verdict,
        "exit_code": verdict.exit_code,
        "totals": {name: getattr(totals, name) for name in Totals.__dataclass_fields__},
        "failures": [
            {
                "suite": failure.case.suite,
                "classname": failure.case.classname,
                "name": failure.case.name,
                "file": failure.case.file,
                "outcome": failure.case.outcome.value,
                "message": failure.case.message,
                "decision": failure.decision,
                "reason": failure.reason,
                "test_id": failure.test.id if failure.test else None,
                "rule": failure.test.cause.rule if failure.test and failure.test.cause else None,
            }
            for failure in verdict.failures
        ],
        "evidence": [
            {"report": problem.report, "problem": problem.problem, "detail": problem.detail}
            for problem in verdict.evidence
        ],
    }
    if verdict.snapshot is not None:
        document["snapshot"] = {"taken_at": iso(verdict.snapshot)}
    if verdict.wrote:
        document["reports"] = [
            {"report": each.report, "framework": each.framework, "guessed": each.guessed}
            for each in verdict.wrote
        ]
    return document


def _totals(reports: Sequence[Report], results: Iterable[Result]) -> Totals:
    counts = dict.fromkeys(Outcome, 0)
    for report in reports:
        counts[Outcome.PASSED] += report.passed
        counts[Outcome.SKIPPED] += report.skipped
        for case in report.cases:
            counts[case.outcome] += 1
    flaky = reruns = 0
    for result in results:
        flaky += result.flaky
        reruns += len(result.earlier)
    return Totals(
        tests=sum(counts.values()),
        passed=counts[Outcome.PASSED],
        failures=counts[Outcome.FAILURE],
        errors=counts[Outcome.ERROR],
        skipped=counts[Outcome.SKIPPED],
        flaky=flaky,
        reruns=reruns,
        reports=len(reports),
    )


# Evidence


def _missing(totals: Totals, settings: GateSettings, *, has_problems: bool) -> list[Problem]:
    """What the reports as a whole lack. Where some are broken, that they are empty says nothing."""
    ran = totals.tests - totals.skipped
    if not totals.reports and not has_problems:
        return [_problem("no-report", "no report was given")]
    if not totals.tests and not has_problems:
        return [_problem("empty", "no report holds a test case; was the right suite run?")]
    if ran < settings.min_tests:
        return [
            _problem("too-few-tests", f"{ran} tests ran, gate.min_tests is {settings.min_tests}")
        ]
    return []


def _command(ended: CommandEnd, settings: GateSettings, *, has_failures: bool) -> list[Problem]:
    code = ended.exit_code
    if ended.killed is not None:
        return [_problem("killed", f"the test command {ended.killed}")]
    if code is not None and (code < 0 or code > _KILLED_ABOVE):
        signal = -code if code < 0 else code - _KILLED_ABOVE
        words = _SIGNALS.get(signal, f"signal {signal}, or a crash")
        return [_problem("killed", f"the test command ended with exit code {code} ({words})")]
    if ended.outcome in _NOT_ENDED:
        return [_problem(*_NOT_ENDED[ended.outcome])]
    if code and code not in settings.command_exit_codes:
        accepted = ", ".join(map(str, sorted(settings.command_exit_codes))) or "none"
        words = (
            f"the test command ended with exit code {code}, which is more than failing tests "
            f"(gate.command_exit_codes: {accepted})"
        )
        return [_problem("exit-code", words)]
    if ended.failed and not has_failures:
        return [_problem("no-failure", "the test step failed, but no case in the reports did")]
    return []


def _problem(problem: str, detail: str) -> Problem:
    return Problem(report=None, problem=problem, detail=detail)


def _exit_code(code: ExitCode, settings: GateSettings, ended: CommandEnd | None) -> int:
    if code is ExitCode.PASSED or (code is ExitCode.BLOCKED and settings.observe):
        return int(ExitCode.PASSED)
    own = ended.exit_code if ended else None
    if not own:
        return int(code)
    own = own if own > 0 else _KILLED_ABOVE - own  # as a shell says it
    return own if own <= _HIGHEST else int(code)


# Excuses


class _Asked(NamedTuple):
    """What decides about failing results; see `judge`."""

    known: Mapping[Result, FlakyTest] | None
    exempt: Mapping[str, str]
    barred: Mapping[Result, tuple[str, str]]
    unavailable: str
    settings: GateSettings
    now: float


class _Ruling(NamedTuple):
    """What is decided about a failing result, as in Failure."""

    decision: str
    reason: str
    detail: str
    test: FlakyTest | None = None


def _failures(result: Result, ruling: _Ruling) -> list[Failure]:
    """A row for each failing case of a test: one, or two where its teardown failed as well."""
    return [
        Failure(
            case=case,
            report=result.report,
            identity=result.identity,
            decision=ruling.decision,
            reason=ruling.reason,
            test=ruling.test,
            detail=ruling.detail,
        )
        for case in (result.case, *result.also)
    ]


def _ruling(result: Result, asked: _Asked) -> _Ruling:
    if result.ambiguous is not None:
        detail = result.ambiguous
        if not detail.startswith(UNTOLD):
            detail = f"it cannot be excused: {detail}"
        return _Ruling(BLOCKED, "ambiguous", detail)
    if asked.known is None:
        detail = "the backend could not be asked whether it is a flaky test"
        why = f"; {asked.unavailable}" if asked.unavailable else ""
        return _Ruling(BLOCKED, "unavailable", detail + why)
    test = asked.known.get(result)
    exemption = asked.exempt.get(test.id) if test else None
    bar = asked.barred.get(result)
    return _Ruling(*excuse(test, exemption, asked.settings, asked.now, bar), test)
