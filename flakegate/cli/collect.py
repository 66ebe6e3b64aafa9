"""`flakegate collect`: folds shards into the store, in any order, any number of times."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flakegate import shards
from flakegate.backends.store.recording import Fate
from flakegate.cli import options
from flakegate.cli.call import Where, begin, opened_store
from flakegate.cli.fetching import fetch
from flakegate.cli.folded import Folded, left_out_words
from flakegate.cli.progress import progress
from flakegate.cli.say import complain, warn
from flakegate.errors import BackendError, EvidenceError, ExitCode, UsageError
from flakegate.escape import terminal
from flakegate.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from flakegate.backends.base import Progress
    from flakegate.backends.store.store import Store
    from flakegate.ci.context import CIContext
    from flakegate.cli.call import Call
    from flakegate.shards import Shard

    T = TypeVar("T")

PORTION = 200  # shards whose results are in memory at once
NAMED = 5  # other repositories in a message
TOLD = 10  # refused runs that are named: a clock that is wrong refuses all of them


@click.command("collect")
@click.argument("paths", nargs=-1, metavar="PATH…")
@click.option(
    "--artifacts",
    is_flag=True,
    help="Fetch the shards that this repository's jobs left as artifacts, those not folded in yet.",
)
@options.policy
@options.where_shards
@options.dry_run
@options.output_format
def command(
    *,
    paths: tuple[str, ...],
    artifacts: bool,
    policy_file: str | None,
    where: Where,
    dry_run: bool,
    output_format: str,
) -> int:
    """Fold shards into the store. PATH is a shard, or a folder (all *.json.gz below it).

    Any number of times: a run that is known changes nothing. A shard that cannot be used is named,
    the others are folded in, and the exit code is 3. --artifacts needs GITHUB_TOKEN or
    GITLAB_TOKEN.
    """
    if not paths and not artifacts:
        raise UsageError("neither a PATH nor --artifacts was given", tip="name a folder of shards")
    call = begin(policy_file, where)
    context = call.context()
    with tempfile.TemporaryDirectory(prefix="flakegate-") as folder:
        unusable = fetch(call, context, Path(folder)) if artifacts else 0
        fetched = sorted(Path(folder).iterdir())
        files = [*(shards.find(paths) if paths else ()), *fetched]
        return _collect(
            call,
            context,
            files,
            unusable=unusable,
            dry_run=dry_run,
            output_format=output_format,
        )


def _collect(
    call: Call,
    context: CIContext,
    files: list[Path],
    *,
    unusable: int,
    dry_run: bool,
    output_format: str,
) -> int:
    """unusable: artifacts that were no shards, beside these files."""
    whole = _usable(files, shards.look)
    only = context.repository if call.where.repository else None
    wanted = [shard for shard in whole if only in {None, shard.repository}]
    folded = Folded(broken=unusable + len(files) - len(whole), left_out=len(whole) - len(wanted))
    if only and not wanted and not folded.broken:
        raise _all_of_others(only, whole)
    if dry_run:
        _rehearse(len(wanted), folded, output_format)
        return ExitCode.INCOMPLETE if folded.broken else ExitCode.PASSED
    with opened_store(call, context, write=True, warn=warn) as store:
        with progress("collecting shards") as tell:
            _fold(sorted(wanted, key=lambda shard: shard.order), store, folded, tell)
        place = store.place
    if (more := len(folded.total.refused) - TOLD) > 0:
        complain(f"{more:,} more runs are refused", tip="`--format json` names them all")
    if output_format == "json":
        click.echo(json.dumps(folded.document(place), indent=2))
    else:
        click.echo(folded.text(place))
    if folded.broken:
        return ExitCode.INCOMPLETE
    return ExitCode.USAGE if folded.total.refused else ExitCode.PASSED


def _usable(files: Iterable[Path], read: Callable[[Path], T]) -> list[T]:
    """What `read` makes of these files; those that are no whole shard are named and left out."""
    return [each for file in files if (each := _or_complain(file, read)) is not None]


def _or_complain(file: Path, read: Callable[[Path], T]) -> T | None:
    try:
        return read(file)
    except EvidenceError as error:
        complain(terminal(error.message), tip=error.tip)  # a file can have any name
        return None


def _fold(ordered: list[Shard], store: Store, folded: Folded, tell: Progress) -> None:
    """Records the runs in the order of their times, which is known before they are read whole."""
    for start in range(0, len(ordered), PORTION):
        portion = ordered[start : start + PORTION]
        records = _usable((shard.path for shard in portion), shards.read)
        folded.broken += len(portion) - len(records)
        try:
            recorded = store.record(records, partial(_further, tell, start, len(ordered)))
        except BackendError as error:
            before = f"; of those before, {count(start, 'shard')} are folded in" if start else ""
            raise BackendError(f"{error.message}{before}", tip=error.tip) from error
        room = max(0, TOLD - len(folded.total.refused))
        for run in recorded.of(Fate.REFUSED)[:room]:
            complain(terminal(run.reason or run.key))  # a key is a claim, too: no line breaks
        folded.add(records, recorded.runs)


def _further(tell: Progress, before: int, of: int, done: int, _portion: int | None) -> None:
    tell(before + done, of)


def _rehearse(wanted: int, folded: Folded, output_format: str) -> None:
    if output_format == "json":
        found = {"shards": wanted, "broken": folded.broken, "left_out": folded.left_out}
        click.echo(json.dumps({"version": 1, "result": "dry-run", **found}, indent=2))
        return
    parts = [f"{count(wanted, 'shard')} would be folded in, so far as new (--dry-run)"]
    click.echo("; ".join(parts + left_out_words(folded.left_out)))


def _all_of_others(only: str, whole: list[Shard]) -> UsageError:
    found = Counter(shard.repository for shard in whole).most_common()
    names = ", ".join(f"{terminal(name)} ({many:,})" for name, many in found[:NAMED])
    more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
    return UsageError(
        f"no shard of {only} among these {count(len(whole), 'shard')}, which are of {names}{more}",
        tip="name one of these with --repository, or leave it out to fold in all",
    )
