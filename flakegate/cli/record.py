"""`flakegate record`: a run's reports into the store, or into a shard."""

from __future__ import annotations

import json
from pathlib import Path

import click

from flakegate.cli import options
from flakegate.cli.call import Where, begin, opened_store
from flakegate.cli.files import write_whole
from flakegate.cli.judging import run_of
from flakegate.cli.say import warn
from flakegate.errors import EvidenceError, ExitCode, UsageError
from flakegate.escape import terminal
from flakegate.record import RunRecord, decode_shard, digest, encode_shard, from_results
from flakegate.reports import Evidence, read
from flakegate.results import fold
from flakegate.wording import count


@click.command("record")
@click.argument("reports", nargs=-1, metavar="REPORT…", required=True)
@click.option(
    "--shard-out",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write one small immutable file for `collect` instead of touching the store.",
)
@options.policy
@options.where_store
@options.base_dir
@options.dry_run
@options.output_format
def command(
    *,
    reports: tuple[str, ...],
    shard_out: str | None,
    policy_file: str | None,
    where: Where,
    base_dir: str,
    dry_run: bool,
    output_format: str,
) -> int:
    """Record the results in REPORT… as one run of this job.

    Exits 0 whatever the results are. The same run again changes nothing; incomplete evidence
    (a truncated report, say) records nothing and exits 3.
    """
    call = begin(policy_file, where)
    settings = call.policy.reports
    evidence = read(reports, folder=call.folder, settings=settings, base_dir=base_dir, expect=())
    _need_whole(evidence)
    results = fold(evidence.reports)
    context = run_of(call.context(), results)
    record = from_results(results, context, call.now)
    if dry_run:
        result, words = "dry-run", "nothing: --dry-run"
    elif shard_out:
        result, words = "shard", _write_shard(record, Path(shard_out))
    else:
        from flakegate.cli.recording import in_words, refused

        with opened_store(call, context, write=True, warn=warn) as store:
            run = store.record([record]).runs[0]
        refused([run])
        result, words = run.fate.value, in_words(run, len(record.results))
    if output_format == "json":
        document = {"version": 1, "run": record.key, "tests": len(record.results), "result": result}
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(f"recorded {terminal(words)}")
    return ExitCode.PASSED


def _need_whole(evidence: Evidence) -> None:
    """Raises EvidenceError: half a run would be taken for all of it."""
    problems = [
        *evidence.problems,
        *(problem for report in evidence.reports for problem in report.problems),
    ]
    if problems:
        raise EvidenceError(
            "nothing was recorded, because the evidence is incomplete\n"
            + "\n".join(f"{problem.problem}: {problem.detail}" for problem in problems),
            tip="record whole reports only; `flakegate gate` judges what is there",
        )


def _write_shard(record: RunRecord, path: Path) -> str:
    """Writes the shard, never over another run's, and says so in words."""
    try:
        held = path.read_bytes() if path.exists() else None
    except OSError as error:
        raise UsageError(
            f"cannot read the shard {path}: {error.strerror}",
            tip="name another file with --shard-out: what is there is never overwritten unread",
        ) from None
    if held is None:
        write_whole(path, encode_shard(record), "the shard")
        return f"{count(len(record.results), 'test')} into {path}"
    if digest(decode_shard(held, str(path))) == digest(record):
        return f"nothing: {path} holds this run already"
    raise UsageError(
        f"{path} holds another run, and shards are immutable",
        tip="give every job a file of its own, for instance with its run, attempt and job",
    )
