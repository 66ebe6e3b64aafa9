"""The verdict: a job passes only if every failure is provably excused and the evidence complete."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from flakegate.errors import ExitCode
from flakegate.junit import Case, Outcome, Problem, Report
from flakegate.model import FlakyTest, Identity, State, StateCause
from flakegate.results import UNTOLD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flakegate.matching.frameworks import Wrote
    from flakegate.policy.rules import GateSettings
    from flakegate.results import Result

EXCUSED, BLOCKED = "excused", "blocked"

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
    """

    verdict: str
    code: ExitCode
    exit_code: int
    totals: Totals
    failures: tuple[Failure, ...]
    evidence: tuple[Problem, ...]
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
    wrote: Sequence[Wrote] = (),
) -> Verdict:
    """The verdict over all reports of a job.

    results: `fold(reports)`. problems: of finding and opening the reports. known: the flaky test
    that a failing result is, None if the backend could not be asked. exempt: why, by test id.
    ended: the test command, None if nothing is known of it. now: seconds since the epoch. wrote:
    what the reports were read as, where that matters.
    """
    totals = _totals(reports, results)
    failures = tuple(
        failure
        for result in results
        if result.outcome.failing
        for failure in _failures(result, known, exempt, settings, now)
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
    if verdict.wrote:
        document["reports"] = [
            {"report": each.report, "framework": each.framework, "guessed": each.guessed}
            for each in verdict.wrote
        ]
    return document


def _totals(reports: Sequence[Report], results: Iterable[Result]) -> Totals:
    counts = dict.fromkeys(Outcome, 0)
    for report in reports:
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
    if ended.outcome == "cancelled":
        return [_problem("killed", "the test step was cancelled before it ended")]
    if ended.outcome == "skipped":
        return [_problem("empty", "the test step was skipped: these reports are not of this run")]
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


def _failures(
    result: Result,
    known: Mapping[Result, FlakyTest] | None,
    exempt: Mapping[str, str],
    settings: GateSettings,
    now: float,
) -> list[Failure]:
    """A row for each failing case of a test: one, or two where its teardown failed as well."""
    test = None
    if result.ambiguous is not None:
        decision, reason, detail = BLOCKED, "ambiguous", result.ambiguous
        if not detail.startswith(UNTOLD):
            detail = f"it cannot be excused: {detail}"
    elif known is None:
        decision, reason = BLOCKED, "unavailable"
        detail = "the backend could not be asked whether it is a flaky test"
    else:
        test = known.get(result)
        exemption = exempt.get(test.id) if test else None
        decision, reason, detail = excuse(test, exemption, settings, now)
    return [
        Failure(
            case=case,
            report=result.report,
            identity=result.identity,
            decision=decision,
            reason=reason,
            test=test,
            detail=detail,
        )
        for case in (result.case, *result.also)
    ]


def excuse(
    test: FlakyTest | None, exemption: str | None, settings: GateSettings, now: float
) -> tuple[str, str, str]:
    """Decision, reason code and words for the failure of a test. test: None if it is not flaky.

    exemption: why it is exempt, None if it is not. now: seconds since the epoch.
    """
    if test is None:
        return BLOCKED, "not-flaky", "not known to be flaky"
    state, since = test.state, test.state_since
    if exemption is not None:
        return BLOCKED, "exempt", f"exempt by the policy: {exemption}"
    if state not in settings.excuse:
        return BLOCKED, state.value, _not_excusing(state)
    if test.cause is not None and test.cause.is_over(now):
        return BLOCKED, "expired", _over(test.state, test.cause)
    if unfit := _unfit(state, since, settings, now):
        return BLOCKED, *unfit
    return EXCUSED, state.value, _cause(test, now)


def _unfit(
    state: State, since: float | None, settings: GateSettings, now: float
) -> tuple[str, str] | None:
    """Reason code and words where a state is too old or too young to excuse."""
    age = None if since is None else now - since
    held = f"{state} {_since(since, now)}"
    if settings.max_age is not None and (age is None or age > settings.max_age):
        limit = _duration(settings.max_age)
        return "expired", f"{held}: longer than gate.max_age, {limit}"
    if settings.min_state_age > 0 and (age is None or age < settings.min_state_age):
        limit = _duration(settings.min_state_age)
        return "too-young", f"{held}: less than gate.min_state_age, {limit}"
    return None


def _not_excusing(state: State) -> str:
    if state is State.ACTIVE:
        return "its state is active: the policy has not quarantined it"
    if state is State.FIXED:
        return "its state is fixed: it is expected to pass"
    return f"its state is {state}, which gate.excuse does not name"


def _over(state: State, cause: StateCause) -> str:
    """`quarantined by dana until 2026-12-24, which is over; …`."""
    by = f" by {cause.actor}" if cause.actor else ""
    return (
        f"{state}{by} until {cause.last_day}, which is over; `flakegate set` with a new --until "
        "renews it, else the next `flakegate apply` ends it"
    )


def _cause(test: FlakyTest, now: float) -> str:
    """`quarantined by rule noisy since 3 Nov`, `disabled by dana since 3 Nov, until 24 Dec: …`."""
    since = "" if test.state_since is None else f" {_since(test.state_since, now)}"
    cause = test.cause
    if cause is None:
        return f"{test.state}{since}"
    if cause.rule is not None:
        return f"{test.state} by rule {cause.rule}{since}"
    by = f" by {cause.actor}" if cause.actor else ""
    until = "" if cause.until is None else f", until {_day(cause.until - 1, now)}"
    return f"{test.state}{by}{since}{until}{f': {cause.reason}' if cause.reason else ''}"


def _since(at: float | None, now: float) -> str:
    if at is None:
        return "since nobody knows when"
    return f"since {_day(at, now)}"


def _day(at: float, now: float) -> str:
    then, today = (datetime.fromtimestamp(one, timezone.utc) for one in (at, now))
    year = "" if then.year == today.year else f" {then.year}"
    return f"{then.day} {then:%b}{year}"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"
