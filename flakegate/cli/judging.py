"""Evidence to verdict: what `gate` and `run` do first."""

from __future__ import annotations

import functools
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flakegate.cli.call import opened, opened_snapshot
from flakegate.errors import BackendError
from flakegate.gate import CommandEnd, Verdict, judge
from flakegate.reports import read
from flakegate.results import SHARED, Result, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flakegate.backends.base import Backend
    from flakegate.ci.context import CIContext
    from flakegate.cli.call import Call
    from flakegate.junit import Report
    from flakegate.matching.frameworks import Wrote
    from flakegate.model import FlakyTest
    from flakegate.reports import Before

# Where the CI says that it has checked the repository out.
CHECKOUTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
NOTHING_KNOWN = "{} holds no run of {}, so no failure can be excused; is that its right name?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict, and what it was made from. backend: asked, in words; "" if none was needed."""

    verdict: Verdict
    results: tuple[Result, ...]
    context: CIContext
    backend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """results: `ambiguous` where the backend's tests cannot be told apart. known: what they are.

    known: None if nothing could be asked; unavailable: what else is known of why. exempt: why, by
    test id. barred: see `gate.judge`. is_empty: the backend has no run of this repository at all.
    snapshot, wrote: see Verdict.
    """

    results: tuple[Result, ...]
    known: Mapping[Result, FlakyTest] | None = field(default_factory=dict)
    exempt: Mapping[str, str] = field(default_factory=dict)
    barred: Mapping[Result, tuple[str, str]] = field(default_factory=dict)
    backend: str = ""
    unavailable: str = ""
    is_empty: bool = False
    snapshot: float | None = None
    wrote: tuple[Wrote, ...] = ()


def how_ended(exit_code: int | None, outcome: str | None) -> CommandEnd | None:
    """What --test-exit-code and --test-outcome say; where they disagree, the worse counts."""
    if exit_code is None and outcome is None:
        return None
    return CommandEnd(exit_code=exit_code, outcome=outcome)


def judge_reports(
    call: Call,
    arguments: Sequence[str],
    *,
    base_dir: str,
    ended: CommandEnd | None,
    warn: Callable[[str], None],
    before: Before | None = None,
    whole: bool = True,
) -> Judged:
    """Reads the reports, looks up the failing tests and nothing else, and judges.

    before: what the arguments named before the tests ran, where this call ran them. whole: the
    results of all tests are wanted; else those only that the verdict can depend on.
    """
    settings = call.policy.gate
    gather = functools.partial(
        read,
        arguments,
        folder=call.folder,
        settings=call.policy.reports,
        base_dir=base_dir,
        expect=settings.expect,
        before=before,
    )
    evidence = gather(whole=whole, meanwhile=functools.partial(_load_backend, call))
    results = fold(evidence.reports)
    context = call.context()
    if not whole and not context.run_id and any(each.outcome.failing for each in results):
        # Which run this is, all of its results tell.
        evidence = gather(whole=True)
        results = fold(evidence.reports)
    found = _look_up(call, context, evidence.reports, results, warn)
    verdict = judge(
        reports=evidence.reports,
        results=found.results,
        problems=evidence.problems,
        known=found.known,
        exempt=found.exempt,
        settings=settings,
        ended=ended,
        now=call.now,
        barred=found.barred,
        unavailable=found.unavailable,
        snapshot=found.snapshot,
        wrote=found.wrote,
    )
    return Judged(verdict=verdict, results=results, context=context, backend=found.backend)


def _load_backend(call: Call) -> None:
    """Loads the modules that will be asked of failing tests, which takes a while."""
    from flakegate.backends.registry import choose, load

    with suppress(BackendError):  # it is told when the backend is opened
        load(choose(call.where.backend_kind or call.policy.backend.kind, call.env))


def run_of(context: CIContext, results: Sequence[Result]) -> CIContext:
    """Outside of a CI the same results are the same run, and others are another."""
    if context.run_id:
        return context
    from flakegate.record import digest, from_results

    return replace(context, run_id=digest(from_results(results, context, 0.0)).hex()[:16])


def _look_up(
    call: Call,
    context: CIContext,
    reports: Sequence[Report],
    results: tuple[Result, ...],
    warn: Callable[[str], None],
) -> _Found:
    """What is known of the failing tests, and nothing else is asked.

    Without a failure no backend is opened: a green run needs no network.
    """
    # Names that the store cannot tell apart, Datadog may: by their files.
    if not any(each.outcome.failing and each.ambiguous in (None, SHARED) for each in results):
        return _Found(results=results)
    found = _ask(call, context, reports, results, warn)
    if found.known:
        from flakegate.cli.changed import keep_from_excuse

        barred = keep_from_excuse(
            call, context, reports=reports, known=found.known, exempt=found.exempt, warn=warn
        )
        found = replace(found, barred=barred)
    return found


def _ask(
    call: Call,
    context: CIContext,
    reports: Sequence[Report],
    results: tuple[Result, ...],
    warn: Callable[[str], None],
) -> _Found:
    """Asks the backend, or the list that was saved of it, as option and policy say."""
    unavailable = ""
    if not call.where.snapshot or call.policy.gate.falls_back:
        try:
            with opened(call, run_of(context, results), write=False, warn=warn) as backend:
                found = _known(call, context, backend, reports, results)
                if found.is_empty:
                    warn(NOTHING_KNOWN.format(found.backend, context.repository))
                return found
        except BackendError as error:
            warn(_words(error))
    if call.where.snapshot:
        try:
            with opened_snapshot(call, context) as saved:
                found = _known(call, context, saved, reports, results)
                return replace(found, snapshot=saved.snapshot.taken_at)
        except BackendError as error:
            warn(_words(error))
            unavailable = error.message
    elif call.policy.gate.falls_back:
        unavailable = "no snapshot was named (--snapshot FILE)"
    return _Found(results=results, known=None, unavailable=unavailable)


def _words(error: BackendError) -> str:
    return f"{error.message} ({error.tip})" if error.tip else error.message


def _known(
    call: Call,
    context: CIContext,
    backend: Backend,
    reports: Sequence[Report],
    results: tuple[Result, ...],
) -> _Found:
    """What this backend knows of the failing tests."""
    if not backend.by_identity:
        return _matched(call, context, backend, reports, results)
    words = f"{backend.kind} {backend.place}"
    failing = [each for each in results if each.outcome.failing and not each.ambiguous]
    tests = backend.find([each.identity for each in failing])
    known = {each: tests[each.identity] for each in failing if each.identity in tests}
    return _Found(
        results=results,
        known=known,
        exempt=_exempt(call, known),
        backend=words,
        is_empty=bool(failing) and not known and backend.suite_size() == 0,
    )


def _matched(
    call: Call,
    context: CIContext,
    backend: Backend,
    reports: Sequence[Report],
    results: tuple[Result, ...],
) -> _Found:
    """As above, where a backend names tests otherwise than reports do."""
    from flakegate.cli.causes import with_causes
    from flakegate.matching.frameworks import framework_of
    from flakegate.matching.resolve import resolve, seek

    sought = seek(reports, results, roots_of(call))
    candidates = [each for one in sought if not one.refusal for each in one.candidates]
    matches = resolve(results, sought, backend.in_suites(candidates) if candidates else ())
    # What a person set for a time may be over, which only the journal tells.
    tests = with_causes(call, context, backend, tuple(matches.known.values()))
    known = dict(zip(matches.known, tests, strict=True))
    failing = {each.report for each in results if each.outcome.failing}
    return _Found(
        results=matches.results,
        known=known,
        exempt=_exempt(call, known),
        backend=f"{backend.kind} {backend.place}",
        wrote=tuple(framework_of(report) for report in reports if report.path in failing),
    )


def roots_of(call: Call) -> tuple[str, ...]:
    """The folders that a report's absolute paths may begin with, each the repository's root."""
    from flakegate.git import top

    folders = [str(top(call.folder) or call.folder), *(call.env.get(name) for name in CHECKOUTS)]
    return tuple(folder for folder in folders if folder)


def _exempt(call: Call, known: Mapping[Result, FlakyTest]) -> Mapping[str, str]:
    from flakegate.policy.decide import exempted

    return exempted(call.policy, known.values(), call.now)
