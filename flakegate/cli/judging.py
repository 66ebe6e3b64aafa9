"""Evidence to verdict: what `gate` and `run` do first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flakegate.cli.call import opened
from flakegate.errors import BackendError
from flakegate.gate import CommandEnd, Verdict, judge
from flakegate.reports import read
from flakegate.results import Result, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flakegate.ci import CIContext
    from flakegate.cli.call import Call
    from flakegate.model import FlakyTest, Identity
    from flakegate.reports import Before

NOT_MATCHED = (
    "{} cannot be asked about a report's cases yet; judge the reports with --backend store"
)
NOTHING_KNOWN = "{} holds no run of {}, so no failure can be excused; is that its right name?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict, and what it was made from. backend: asked, in words; "" if none was needed."""

    verdict: Verdict
    results: tuple[Result, ...]
    context: CIContext
    backend: str


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
) -> Judged:
    """Reads the reports, looks up the failing tests and nothing else, and judges.

    before: what the arguments named before the tests ran, where this call ran them.
    """
    settings = call.policy.gate
    evidence = read(
        arguments,
        folder=call.folder,
        settings=call.policy.reports,
        base_dir=base_dir,
        expect=settings.expect,
        before=before,
    )
    results: Sequence[Result] = fold(evidence.reports)
    context = call.context()
    known, exempt, results, backend = _look_up(call, context, results, warn)
    verdict = judge(
        reports=evidence.reports,
        results=results,
        problems=evidence.problems,
        known=known,
        exempt=exempt,
        settings=settings,
        ended=ended,
        now=call.now,
    )
    return Judged(verdict=verdict, results=tuple(results), context=context, backend=backend)


def run_of(context: CIContext, results: Sequence[Result]) -> CIContext:
    """Outside of a CI the same results are the same run, and others are another."""
    if context.run_id:
        return context
    from flakegate.record import digest, from_results

    return replace(context, run_id=digest(from_results(results, context, 0.0)).hex()[:16])


def _look_up(
    call: Call, context: CIContext, results: Sequence[Result], warn: Callable[[str], None]
) -> tuple[Mapping[Identity, FlakyTest] | None, Mapping[str, str], Sequence[Result], str]:
    """What is known of the failing tests (None: nothing could be asked), and which are exempt.

    Without a failure no backend is opened: a green run needs no network.
    """
    failing = [each.identity for each in results if each.outcome.failing and not each.ambiguous]
    if not failing:
        return {}, {}, results, ""
    from flakegate.policy.decide import exempted

    try:
        with opened(call, run_of(context, results), write=False, warn=warn) as backend:
            words = f"{backend.kind} {backend.place}"
            if not backend.matches_reports:
                why = NOT_MATCHED.format(backend.kind)
                warn(why)
                return {}, {}, [_refused(each, why) for each in results], words
            known = backend.find(failing)
            if not known and backend.suite_size() == 0:
                warn(NOTHING_KNOWN.format(words, context.repository))
    except BackendError as error:
        warn(f"{error.message} ({error.tip})" if error.tip else error.message)
        return None, {}, results, ""
    return known, exempted(call.policy, known.values(), call.now), results, words


def _refused(result: Result, why: str) -> Result:
    return result if result.ambiguous else replace(result, ambiguous=why)
