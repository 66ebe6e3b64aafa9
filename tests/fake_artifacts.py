"""What jobs left on a GitHub or GitLab on loopback: real HTTP, written from their references."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.faults import Front, Reply

if TYPE_CHECKING:
    from tests.faults import Request

TOKEN = "ghs_forged-for-these-tests"  # noqa: S105 - nobody's
MINE, FORK = 11, 99  # numbers of repositories


def archive(data: bytes, *names: str) -> bytes:
    """A zip with these files, all of the same content."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as written:
        for name in names or ("shard.json.gz",):
            written.writestr(name, data)
    return target.getvalue()


def as_json(body: Any) -> Reply:
    return Reply(body=json.dumps(body).encode(), headers={"Content-Type": "application/json"})


@dataclass(slots=True, kw_only=True, eq=False)
class FakeArtifacts(Front):
    """rows, jobs: as GitHub and GitLab list them. archives: what is behind them, by number.

    elsewhere: the storage that a download is redirected to; it must never see the token.
    """

    token: str = TOKEN
    rows: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    archives: dict[str, bytes] = field(default_factory=dict)
    elsewhere: Storage

    def add(  # noqa: PLR0913 - what GitHub says of an artifact
        self,
        name: str,
        data: bytes,
        *,
        run: int = 1,
        head: int = MINE,
        expired: bool = False,
        created: str = "2026-11-20T10:00:00Z",
    ) -> None:
        """An artifact on GitHub; the newest is listed first."""
        number = len(self.rows) + 1
        about = {"id": run, "repository_id": MINE, "head_repository_id": head}
        self.rows.insert(
            0,
            {
                "id": number, "name": name, "expired": expired, "created_at": created,
                "size_in_bytes": len(data), "workflow_run": about,
            },
        )  # fmt: skip
        self.archives[str(number)] = self.elsewhere.archives[str(number)] = data

    def add_job(self, number: int, pipeline: int, data: bytes, *types: str) -> None:
        """A job on GitLab with these kinds of artifacts."""
        kinds = types or ("archive", "dotenv", "metadata")
        about = {"id": pipeline, "project_id": MINE}
        artifacts = [{"file_type": kind} for kind in kinds]
        created = "2026-11-20T10:00:00.000Z"
        self.jobs.insert(
            0, {"id": number, "pipeline": about, "artifacts": artifacts, "created_at": created}
        )
        self.archives[str(number)] = data

    def answer(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        if self.token not in (request.headers.get("authorization", ""))[7:] + request.headers.get(
            "private-token", ""
        ):
            return Reply(status=401, body=b'{"message": "Bad credentials"}')
        query = parse_qs(parts.query)
        page, size = int(query.get("page", ["1"])[0]), int(query.get("per_page", ["30"])[0])
        shown = slice((page - 1) * size, page * size)
        if parts.path == "/repos/acme/shop/actions/artifacts":
            return as_json({"total_count": len(self.rows), "artifacts": self.rows[shown]})
        if parts.path == "/projects/7/jobs" and query["scope[]"] == ["success", "failed"]:
            return as_json(self.jobs[shown])
        if found := re.fullmatch(r"/repos/acme/shop/actions/artifacts/(\d+)/zip", parts.path):
            address = f"{self.elsewhere.url}/{found[1]}?sig=a%2Fb"
            return Reply(status=302, headers={"Location": address})
        found = re.fullmatch(
            r"/projects/7/jobs/(\d+)/artifacts/flakegate/shard.json.gz", parts.path
        )
        if found and found[1] in self.archives:
            return Reply(body=self.archives[found[1]])
        return Reply(status=404, body=b'{"message": "Not Found"}')


@dataclass(slots=True, kw_only=True, eq=False)
class Storage(Front):
    """Where GitHub keeps what was uploaded: knows signed addresses, and refuses tokens."""

    archives: dict[str, bytes] = field(default_factory=dict)

    def answer(self, request: Request) -> Reply:
        number, _, query = request.path[1:].partition("?")
        if "authorization" in request.headers or query != "sig=a%2Fb":
            return Reply(status=403, body=b"<Error>signature</Error>")
        return Reply(body=self.archives[number], headers={"Content-Type": "application/zip"})
