"""`flakegate collect`: folds shards into the store, in any order, any number of times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flakegate.backends.store.recording import Fate
from flakegate.cli import options
from flakegate.cli.call import Where, begin, opened_store
from flakegate.cli.progress import progress
from flakegate.cli.say import complain, warn
from flakegate.errors import EvidenceError, ExitCode, UsageError
from flakegate.escape import terminal
from flakegate.record import decode_shard
from flakegate.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flakegate.record import RunRecord

SUFFIX = "*.json.gz"
MAX_BYTES = 64 * 1024 * 1024


@click.command("collect")
@click.argument("paths", nargs=-1, metavar="PATH…", required=True)
@options.policy
@options.where_store
@options.dry_run
@options.output_format
def command(
    *,
    paths: tuple[str, ...],
    policy_file: str | None,
    where: Where,
    dry_run: bool,
    output_format: str,
) -> int:
    """Fold shards into the store. PATH is a shard, or a folder (all *.json.gz below it).

    Any number of times: a run that is known changes nothing. A shard that cannot be used is named,
    the others are folded in, and the exit code is 3.
    """
    call = begin(policy_file, where)
    records, broken = _read(_files(paths))
    if dry_run:
        if output_format == "json":
            shards = {"shards": len(records), "broken": broken}
            click.echo(json.dumps({"version": 1, "result": "dry-run", **shards}, indent=2))
        else:
            click.echo(f"{count(len(records), 'shard')} would be folded in (--dry-run)")
        return ExitCode.INCOMPLETE if broken else ExitCode.PASSED
    with opened_store(call, call.context(), write=True, warn=warn) as store:
        with progress("collecting shards") as tell:
            recorded = store.record(records, tell)
        place = store.place
    refused = recorded.of(Fate.REFUSED)
    for run in refused:
        complain(run.reason or run.key)
    new, known = recorded.of(Fate.NEW), recorded.of(Fate.KNOWN)
    flaky = len({test for run in new for test in run.detected})
    if output_format == "json":
        document = {
            "version": 1,
            "store": place,
            "new": len(new),
            "known": len(known),
            "too_old": len(recorded.of(Fate.OLD)),
            "outages": sum(run.infra for run in new),
            "detected": flaky,
            "refused": [run.key for run in refused],
            "broken": broken,
        }
        click.echo(json.dumps(document, indent=2))
    else:
        parts = [f"{len(new):,} new runs, {len(known):,} known already"]
        parts += [count(outages, "outage")] if (outages := sum(run.infra for run in new)) else []
        parts += [f"{count(flaky, 'test')} found to be flaky"] if flaky else []
        parts += [f"{len(old):,} too old"] if (old := recorded.of(Fate.OLD)) else []
        parts += [f"{len(refused):,} refused"] if refused else []
        parts += [f"{broken:,} broken"] if broken else []
        click.echo(f"{terminal(place)}: {'; '.join(parts)}")
    if broken:
        return ExitCode.INCOMPLETE
    return ExitCode.USAGE if refused else ExitCode.PASSED


def _files(paths: Iterable[str]) -> list[Path]:
    """The shards, sorted. Raises UsageError for a path where there is none."""
    found: set[Path] = set()
    for path in map(Path, paths):
        shards = sorted(path.rglob(SUFFIX)) if path.is_dir() else [path]
        if not shards or not path.exists():
            raise UsageError(
                f"{path}: no shard there",
                tip="`flakegate record --shard-out FILE` writes them; name them *.json.gz",
            )
        found.update(shards)
    return sorted(found)


def _read(files: Iterable[Path]) -> tuple[list[RunRecord], int]:
    """The runs in these shards, and how many shards were not whole; each of those is named."""
    found = [_read_one(path) for path in files]
    records = [record for record in found if record is not None]
    return records, len(found) - len(records)


def _read_one(path: Path) -> RunRecord | None:
    try:
        with path.open("rb") as file:
            return decode_shard(file.read(MAX_BYTES + 1), str(path))
    except EvidenceError as error:
        complain(error.message, tip=error.tip)
    except OSError as error:
        complain(f"cannot read the shard {path}: {error.strerror}")
    return None
