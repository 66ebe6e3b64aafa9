"""Fetch: the shards that jobs of this repository left as artifacts, those not folded in yet."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from flakegate import shards
from flakegate.cli.call import opened_store
from flakegate.cli.files import write_whole
from flakegate.cli.forge import to_forge
from flakegate.cli.progress import progress
from flakegate.cli.say import complain, note, warn
from flakegate.errors import BackendError, EvidenceError, UsageError
from flakegate.escape import terminal
from flakegate.forges.access import forge_of
from flakegate.forges.artifacts import Artifact, known, run_in, split_address, unseen
from flakegate.record import encode_shard

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flakegate.backends.store.seen import Seen
    from flakegate.ci.context import CIContext
    from flakegate.cli.call import Call
    from flakegate.forges.access import Forge
    from flakegate.transport.client import Transport

WEEK = 7 * 86_400.0
TOKENS = {
    "github": "GITHUB_TOKEN, with `actions: read`",
    "gitlab": "GITLAB_TOKEN, a project access token with `read_api`",
}


def fetch(call: Call, context: CIContext, folder: Path) -> int:
    """Puts each shard that is not in the store into a file of `folder`; counts the unusable ones.

    Raises UsageError where there is no forge to ask, BackendError where it gives no list.
    """
    forge = forge_of(call.env, context)
    if forge is None:
        token = TOKENS.get(context.provider)
        raise UsageError(
            "the shards of other jobs cannot be asked for here: "
            + ("there is no token" if token else "this is no job of GitHub Actions or GitLab CI"),
            tip=f"give this step {token}" if token else "fetch them yourself, and name their PATH",
        )
    transport = to_forge(call, forge)
    get = partial(transport.send, "GET")
    there = _there(call, context)
    known_runs = [known(each.key, each.pipeline, each.leg) for each in there]
    broken = 0
    with progress("fetching shards") as tell:
        wanted = list(unseen(forge, get, known_runs, since=_since(call, there)))
        for done, artifact in enumerate(wanted):
            tell(done, len(wanted))
            try:
                data = _download(call, forge, transport, artifact)
                run = run_in(artifact, data, context.repository)
            except (BackendError, EvidenceError) as error:
                if artifact.fork:  # else any fork could keep the collecting job from passing
                    note(terminal(f"left out, of a fork: {error.message}"))
                    continue
                broken += 1
                complain(terminal(error.message), tip=error.tip)
            else:
                write_whole(folder / f"{done}.json.gz", encode_shard(run), "the shard")
    return broken


def _there(call: Call, context: CIContext) -> Sequence[Seen]:
    from flakegate.backends.store.seen import seen

    with opened_store(call, context, write=False, warn=warn) as store:
        return seen(store)


def _since(call: Call, there: Sequence[Seen]) -> float:
    """Nothing is recorded from before what the store keeps.

    Jobs leave their shards within hours, so a week before the newest run that is there already
    everything has been looked at.
    """
    oldest = call.now - call.policy.keep
    return max(oldest, min(there[0].at, call.now) - WEEK) if there else oldest


def _download(call: Call, forge: Forge, transport: Transport, artifact: Artifact) -> bytes:
    """What the artifact holds. An archive is elsewhere, where the token must not go."""
    if not artifact.packed:
        return transport.send("GET", artifact.path)
    address = transport.send("GET", artifact.path, moved=True).decode()
    base, path = split_address(address)
    elsewhere = to_forge(call, replace(forge, base_url=base, headers={}))
    try:
        data = elsewhere.send("GET", path)
    finally:
        elsewhere.close()
    return shards.in_archive(data, artifact.name)
