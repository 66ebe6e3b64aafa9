"""Shards that jobs left behind as artifacts: which there are, and what of them can be believed.

Facts: docs.github.com "REST API endpoints for GitHub Actions artifacts" (the newest first; a
download is a redirect to an archive); docs.gitlab.com "Jobs API" and "Job artifacts API" (one file
of an archive can be asked for by its path).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from flakegate.errors import EvidenceError
from flakegate.forges.pages import MOST_PAGES, PAGE, decoded, nonsense, pages
from flakegate.hosted import FOLDER, SHARD, artifact_name
from flakegate.record import decode_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from flakegate.forges.access import Forge
    from flakegate.record import RunRecord

    Get = Callable[[str], bytes]

PREFIX = "flakegate-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What one job left. name: for people. path: where it is asked for.

    run_id: of the CI run that it belongs to; attempt: of that run, None where the forge does not
    say. fork: the forge says that another repository's change ran there. packed: it is an archive.
    """

    name: str
    path: str
    run_id: str
    attempt: str | None = None
    fork: bool = False
    packed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A run that is in the store: its id, which attempt, and what its artifact is called."""

    run_id: str
    attempt: str
    name: str


def known(key: str, pipeline: str, leg: str) -> Known:
    """What a recorded run's artifact was. key, pipeline, leg: as in CIContext."""
    run_id = pipeline.rpartition(":")[2]
    attempt = key.removeprefix(f"{pipeline}:").removesuffix(f":{leg}")
    return Known(run_id=run_id, attempt=attempt, name=artifact_name(run_id, attempt, leg))


def unseen(forge: Forge, get: Get, seen: Collection[Known], *, since: float) -> Iterator[Artifact]:
    """The shards' artifacts that are not of runs in `seen`, the newest first.

    since: artifacts of before are not looked at, in seconds since the epoch. get: answers the path
    of a GET request. Raises BackendError.
    """
    if forge.kind == "github":
        names = {each.name for each in seen}
        for artifact in _github(forge, get, since):
            if artifact.name not in names:
                yield artifact
        return
    jobs = {(each.run_id, each.attempt) for each in seen}
    for artifact in _gitlab(forge, get, since):
        if (artifact.run_id, artifact.attempt) not in jobs:
            yield artifact


def run_in(artifact: Artifact, data: bytes, repository: str) -> RunRecord:
    """The run in a shard that was fetched, as far as it is this artifact's.

    What a shard says is the claim of the job that wrote it; which run left it, and whether of a
    fork, the forge knows. Raises EvidenceError where both do not agree.
    """
    record = decode_shard(data, artifact.name)
    run_id = record.pipeline.rpartition(":")[2]
    if record.repository != repository or run_id != artifact.run_id:
        raise EvidenceError(
            f"{artifact.name}: it says that it is of run {run_id} of {record.repository}, and run"
            f" {artifact.run_id} of {repository} left it",
            tip="look at what that run did: no job of flakegate writes such a shard",
        )
    return replace(record, fork=record.fork or artifact.fork)


def split_address(address: str) -> tuple[str, str]:
    """The host and the path of where an archive is. Raises BackendError where it is no address."""
    try:
        parts = urlsplit(address)
    except ValueError:
        raise nonsense() from None
    if not parts.scheme or not parts.netloc:
        raise nonsense()
    return f"{parts.scheme}://{parts.netloc}", urlunsplit(("", "", parts.path, parts.query, ""))


def _github(forge: Forge, get: Get, since: float) -> Iterator[Artifact]:
    for page in range(1, MOST_PAGES + 1):
        path = f"{forge.repository}/actions/artifacts?per_page={PAGE}&page={page}"
        answer = decoded(get(path))
        rows = answer.get("artifacts") if isinstance(answer, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise nonsense()
        for row in rows:
            if (found := _of_github(forge, row)) is not None:
                yield found
        if not rows or _time(rows[-1].get("created_at")) < since:
            return


def _of_github(forge: Forge, row: dict[str, Any]) -> Artifact | None:
    name, number, run = row.get("name"), row.get("id"), row.get("workflow_run")
    if not isinstance(name, str) or not name.startswith(PREFIX) or row.get("expired") is not False:
        return None
    if not isinstance(run, dict) or not isinstance(number, int):
        return None  # its run was deleted
    head, base = run.get("head_repository_id"), run.get("repository_id")
    return Artifact(
        name=name,
        path=f"{forge.repository}/actions/artifacts/{number}/zip",
        run_id=str(run.get("id")),
        fork=head is None or head != base,
    )


def _gitlab(forge: Forge, get: Get, since: float) -> Iterator[Artifact]:
    for row in pages(f"{forge.repository}/jobs?scope[]=success&scope[]=failed", get):
        if _time(row.get("created_at")) < since:
            return
        kept, pipeline, number = row.get("artifacts"), row.get("pipeline"), row.get("id")
        types = {each.get("file_type") for each in kept or () if isinstance(each, dict)}
        # The component leaves both; asking every job for a shard would be one request for each.
        if {"archive", "dotenv"} <= types and isinstance(pipeline, dict):
            yield Artifact(
                name=f"job {number}",
                path=f"{forge.repository}/jobs/{number}/artifacts/{FOLDER}/{SHARD}",
                run_id=str(pipeline.get("id")),
                attempt=str(number),
                packed=False,
            )


def _time(text: object) -> float:
    """Seconds since the epoch; that of today for what is no time, so that nothing is left out."""
    try:
        at = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return float("inf")
    return at.replace(tzinfo=at.tzinfo or timezone.utc).timestamp()
