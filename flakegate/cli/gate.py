"""`flakegate gate`: only the verdict."""

from __future__ import annotations

import click

from flakegate.cli import options
from flakegate.cli.call import Where, begin
from flakegate.cli.judging import how_ended, judge_reports
from flakegate.cli.publishing import Publishing, annotate, publish, set_outputs
from flakegate.cli.telling import Output, tell
from flakegate.gate import to_json
from flakegate.summary import Summary
from flakegate.version import VERSION


@click.command("gate")
@click.argument("reports", nargs=-1, metavar="REPORT…", required=True)
@options.how_tests_ended
@options.policy
@options.where_or_saved
@options.base_dir
@options.publishing
@options.output
def command(
    *,
    reports: tuple[str, ...],
    test_exit_code: int | None,
    test_outcome: str | None,
    policy_file: str | None,
    where: Where,
    base_dir: str,
    publishing: Publishing,
    output: Output,
) -> int:
    """Judge REPORT…: exit 0 only if every failure is excused and the evidence is complete.

    REPORT is a JUnit file, a folder (all *.xml below it), or a quoted glob. Nothing is recorded
    and no state is changed.
    """
    call = begin(policy_file, where, verbose=output.verbose)
    warnings = call.warnings()
    judged = judge_reports(
        call,
        reports,
        base_dir=base_dir,
        ended=how_ended(test_exit_code, test_outcome),
        warn=warnings.append,
        whole=False,
    )
    verdict = judged.verdict
    summary = Summary(
        exit_code=verdict.exit_code,
        now=call.now,
        version=VERSION,
        context=judged.context,
        backend=judged.backend,
        policy=call.policy.name,
        verdict=verdict,
        observe=call.policy.gate.observe,
        max_age=call.policy.gate.max_age,
        warnings=tuple(warnings),
    )
    tell(summary, to_json(verdict), output, call.env)
    annotate(call, summary)
    set_outputs(call, summary, "", output.summary_file)
    publish(call, summary, publishing)
    return verdict.exit_code
