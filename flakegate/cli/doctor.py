"""`flakegate doctor`: is all there that a bad day will need?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from flakegate.cli import options
from flakegate.cli.call import Where, begin
from flakegate.cli.judging import roots_of
from flakegate.cli.surroundings import surroundings
from flakegate.doctor import diagnose
from flakegate.errors import ExitCode
from flakegate.escape import terminal
from flakegate.junit import Problem
from flakegate.publish import console
from flakegate.reports import read
from flakegate.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flakegate.cli.surroundings import Surroundings
    from flakegate.doctor import Diagnosis, Reason

NO_TEST = "no report holds a test case; was the right suite run?"


@click.command("doctor")
@click.argument("reports", nargs=-1, metavar="[REPORT…]")
@options.policy
@options.where
@options.base_dir
@options.output_format
def command(
    *,
    reports: tuple[str, ...],
    policy_file: str | None,
    where: Where,
    base_dir: str,
    output_format: str,
) -> int:
    """Say before a bad day what the gate could not do on it, had each test of REPORT… failed.

    Which tests could not be matched to a flaky test, and the option of the reporter that mends it;
    which could not be told from others; which report is broken. And what is known of this run:
    repository, commit, branch, policy, backend, and which keys are set. Nothing is asked over the
    network, and nothing is changed. Exit 3 where a report is broken or missing, 4 where keys are
    missing or the store must not be used.
    """
    call = begin(policy_file, where)
    around = surroundings(call)
    evidence = read(
        reports,
        folder=call.folder,
        settings=call.policy.reports,
        base_dir=base_dir,
        expect=call.policy.gate.expect if reports else (),
    )
    by_identity, roots = around.backend != "datadog", roots_of(call)
    found = [diagnose(each, by_identity=by_identity, roots=roots) for each in evidence.reports]
    problems = [*evidence.problems, *(each for one in evidence.reports for each in one.problems)]
    if reports and not problems and not any(each.tests for each in found):
        problems.append(Problem(report=None, problem="empty", detail=NO_TEST))
    code = ExitCode.BACKEND if around.trouble else ExitCode.PASSED
    code = ExitCode.INCOMPLETE if problems else code
    if output_format == "json":
        document = {
            "version": 1,
            "exit_code": int(code),
            "run": asdict(around),
            "reports": [asdict(each) for each in found],
            "evidence": [asdict(each) for each in problems],
        }
        console.document(json.dumps(document, indent=2), stream=sys.stdout)
        return code
    for line in _lines(around, found, problems):
        print(terminal(line))
    return code


def _lines(around: Surroundings, found: list[Diagnosis], problems: list[Problem]) -> Iterator[str]:
    for label, words in around.rows():
        yield _row(label, words)
    for each in found:
        yield ""
        yield from _report(each, around, [one for one in problems if one.report == each.report])
    shown = {each.report for each in found}
    rest = [one for one in problems if one.report not in shown]
    yield from ("", *(_row("EVIDENCE", one.detail) for one in rest)) if rest else ()
    yield ""
    yield _last(found, problems, around)


def _report(each: Diagnosis, around: Surroundings, problems: list[Problem]) -> Iterator[str]:
    looks = "looks like " if each.guessed else "read as "
    wrote = f", {looks}{each.framework}" if each.framework else ""
    yield f"{each.report}: {count(each.tests, 'test')}{wrote}"
    for one in problems:
        yield _row("EVIDENCE", one.detail)
    if each.tests:
        yield _row("matchable", f"{each.matchable:,} of {count(each.tests, 'test')}")
    for reason in each.refused:
        yield _row("NOT MATCHED", _words(reason))
    for reason in each.without_file if around.checks_changes else ():
        yield _row("NO FILE", f"{_words(reason)}; so any change may touch it (change-unknown)")


def _row(label: str, words: str) -> str:
    return f"  {label:<12} {words}"


def _words(reason: Reason) -> str:
    return f"{count(reason.tests, 'test')}, such as {reason.example}: {reason.why}"


def _last(found: list[Diagnosis], problems: list[Problem], around: Surroundings) -> str:
    if problems:
        many = count(len(problems), "problem")
        return f"broken: {many} with the evidence, and nothing is excused while there is one"
    if around.trouble:
        return f"not ready: {around.trouble}"
    if lost := sum(each.tests - each.matchable for each in found):
        return f"{count(lost, 'test')} could not be excused, because of how the reports are written"
    return "well: nothing stands in the gate's way"
