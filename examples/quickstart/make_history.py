"""Makes the history that the quickstart starts from, by really running the shop's tests.

In a temporary git repository it commits the changes of `changes.py` at their times, runs the tests
as CI would (every push, every merge, two nightly runs, and again where people would have asked for
it), and has `flakegate record` write one shard for each run. No result is made up: a test fails
where it failed. Two things are normalised: reports carry neither this machine's name nor today's
date, but the time at which the run is set.

Then it runs the tests of the pull request that the quickstart judges, until luck gives reports with
known flaky failures in them, and says how often that took. It needs flakegate, pytest and git, and
about two minutes: python make_history.py
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from changes import Edit, PullRequest

HERE = Path(__file__).resolve().parent
REPOSITORY = "acme/shop"
FIRST_RUN = 7001
BUSY = 2  # runs at a time: they only wait a little for each other, and one machine is enough
TRIES = 40
EXCUSED = 2  # at least so many known flaky failures make an instructive report
REGRESSION = "test_what_is_put_back_can_be_reserved_again"
SHELL = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One CI run. at: when it starts. attempts: how often people run it until it is green."""

    at: datetime
    commit: str
    branch: str
    event: str
    attempts: int
    pull_request: int | None = None
    number: int = 0


def main() -> int:
    """Replaces the shards, today's reports and today.env beside this file."""
    with tempfile.TemporaryDirectory(prefix="shop-") as folder:
        work = Path(folder)
        shop = Shop(work / "shop")
        runs = [
            replace(run, number=number)
            for number, run in enumerate(sorted(history(shop), key=lambda run: run.at), FIRST_RUN)
        ]
        (work / "shards").mkdir()
        with ThreadPoolExecutor(BUSY) as pool:
            reports = [
                report
                for made in pool.map(lambda run: record(shop, run, work), runs)
                for report in made
            ]
        tell(reports)
        number = FIRST_RUN + len(runs)
        good, bad = (
            replace(run, number=number + again)
            for again, run in enumerate(pushes(shop, changes.TODAY))
        )
        (work / "today.env").write_text(env_file(good), encoding="utf-8")
        lucky(shop, good, work, "today", blocked=[])
        lucky(shop, bad, work, "today-regression", blocked=[REGRESSION])
        for name in ("shards", "today", "today-regression"):
            shutil.rmtree(HERE / name, ignore_errors=True)
            shutil.copytree(work / name, HERE / name)
        shutil.copy(work / "today.env", HERE)
    return 0


class Shop:
    """The git repository. Commits have the times they are set at, so their ids never change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(HERE / "suite", folder, ignore=ignored)
        self.git("init", "-q", "-b", "main")
        self.commit("The shop", when(f"{changes.FIRST_DAY} 00:00"))

    def git(self, *args: str, at: datetime | None = None) -> bytes:
        """What git answers."""
        env = SHELL | {"HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1"}
        for who in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{who}_NAME": "Ada", f"GIT_{who}_EMAIL": "ada@shop.example"}
            env |= {f"GIT_{who}_DATE": at.isoformat()} if at else {}
        command = ["git", "-C", str(self.folder), *args]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env).stdout

    def head(self) -> str:
        """The commit that is checked out."""
        return self.git("rev-parse", "HEAD").decode().strip()

    def commit(self, message: str, at: datetime) -> None:
        """Commits all there is."""
        self.git("add", "-A")
        self.git("commit", "-qm", message, at=at)

    def merge(self, branch: str, message: str, at: datetime) -> str:
        """Merges the branch into what is checked out, and returns the merge commit."""
        self.git("merge", "-q", "--no-ff", "-m", message, branch, at=at)
        return self.head()

    def edit(self, edits: Sequence[Edit]) -> None:
        """Changes files. Raises ValueError where a place is not there, or there twice."""
        for each in edits:
            path = self.folder / each.path
            text = path.read_text(encoding="utf-8")
            if each.old and text.count(each.old) != 1:
                raise ValueError(f"{each.path}: {each.old!r} stands there {text.count(each.old)} x")
            text = text.replace(each.old, each.new) if each.old else text + each.new
            path.write_text(text, encoding="utf-8")

    def files(self, commit: str, into: Path) -> None:
        """Checks a commit out into a folder of its own."""
        with tarfile.open(fileobj=io.BytesIO(self.git("archive", commit))) as archive:
            archive.extractall(into, filter="data")


def when(text: str) -> datetime:
    """The time that "day hour:minute" is in November 2026."""
    return datetime.strptime(f"2026-11-{text} +0000", "%Y-%m-%d %H:%M %z")


def history(shop: Shop) -> Iterator[Run]:
    """Makes all commits up to yesterday, and yields the CI runs that they cause."""
    days = range(changes.FIRST_DAY, changes.LAST_DAY + 1)
    todo: list[tuple[datetime, PullRequest | None]] = [
        (when(f"{day} {time}"), None) for day in days for time in changes.NIGHTLY
    ]
    for merged in changes.MERGED:
        todo += [(when(merged.opened), merged), (when(merged.merged), merged)]
    for at, change in sorted(todo, key=lambda each: each[0]):
        if change is None:
            yield Run(at=at, commit=shop.head(), branch="main", event="schedule", attempts=1)
        elif at == when(change.opened):
            yield from pushes(shop, change)
        else:
            title = f"{change.title} (#{change.number})"
            commit = shop.merge(change.branch, title, at)
            yield Run(at=at, commit=commit, branch="main", event="push", attempts=2)


def pushes(shop: Shop, change: PullRequest) -> Iterator[Run]:
    """Makes the branch of a pull request, and yields the CI run of each push.

    Tested is what the merge would be, as GitHub's pull_request event does.
    """
    shop.git("checkout", "-qb", change.branch, "main")
    for push, edits in enumerate(change.pushes, 1):
        at = when(change.follow_up if push > 1 else change.opened)
        shop.edit(edits)
        shop.commit(change.title if push == 1 else "Follow-up", at)
        shop.git("checkout", "-q", "--detach", "main")
        commit = shop.merge(change.branch, f"Merge {change.branch} into main", at)
        shop.git("checkout", "-q", change.branch)
        # Who sees seven red tests in a row does not ask for another run but looks.
        last = push == len(change.pushes)
        yield Run(
            at=at,
            commit=commit,
            branch=change.branch,
            event="pull_request",
            attempts=3 if last else 2,
            pull_request=change.number,
        )
    shop.git("checkout", "-q", "main")


def record(shop: Shop, run: Run, work: Path) -> list[bytes]:
    """Runs the tests of one CI run until they pass or nobody asks again; one shard each time."""
    reports: list[bytes] = []
    while len(reports) < run.attempts:
        attempt = len(reports) + 1
        at = run.at + timedelta(minutes=12 * attempt)
        name = f"flakegate-{run.number}-{attempt}-unit.json.gz"
        with tempfile.TemporaryDirectory(dir=work) as folder:
            report = test(shop, run.commit, Path(folder), at)
            env = ci(run, attempt, at, Path(folder))
            flakegate(folder, env, "record", "--shard-out", str(work / "shards" / name), "unit.xml")
        reports.append(report)
        if not failed(report):
            break
    return reports


def test(shop: Shop, commit: str, folder: Path, at: datetime) -> bytes:
    """Really runs the tests of a commit in this folder, and leaves unit.xml there."""
    shop.files(commit, folder)
    env = SHELL | {"HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "--junitxml=unit.xml"]
    done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, check=False)
    if done.returncode not in {0, 1}:
        raise RuntimeError(done.stdout.decode())
    path = folder / "unit.xml"
    text = path.read_text(encoding="utf-8")
    text = re.sub(r'timestamp="[^"]*"', f'timestamp="{at.isoformat()}"', text)
    text = re.sub(r'hostname="[^"]*"', 'hostname="ci"', text)
    for place in (str(folder), str(HERE), sys.prefix, sys.base_prefix):
        if place in text:
            raise RuntimeError(f"a report names {place}")
    path.write_text(text, encoding="utf-8")
    return text.encode()


def ci(run: Run, attempt: int, at: datetime, folder: Path) -> dict[str, str]:
    """The environment that GitHub Actions gives, and the clock."""
    number, event = run.pull_request, folder / "event.json"
    side = {"repo": {"full_name": REPOSITORY}}
    payload: dict[str, object] = {"repository": {"default_branch": "main"}}
    ref = f"refs/heads/{run.branch}"
    env = SHELL | {"HOME": str(folder)}
    if number is not None:
        ref = f"refs/pull/{number}/merge"
        payload["pull_request"] = {"number": number, "head": side, "base": side}
        env |= {"GITHUB_HEAD_REF": run.branch, "GITHUB_BASE_REF": "main"}
    event.write_text(json.dumps(payload), encoding="utf-8")
    return env | {
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_EVENT_NAME": run.event,
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REF": ref,
        "GITHUB_SHA": run.commit,
        "GITHUB_RUN_ID": str(run.number),
        "GITHUB_RUN_ATTEMPT": str(attempt),
        "GITHUB_JOB": "unit",
        "FLAKEGATE_TIME": at.isoformat(),
    }


def flakegate(folder: str | Path, env: Mapping[str, str], *args: str) -> str:
    """What flakegate answers in this folder. Raises RuntimeError unless it passes or blocks."""
    command = [sys.executable, "-m", "flakegate", *args]
    done = subprocess.run(
        command, cwd=folder, env=dict(env), capture_output=True, text=True, check=False
    )
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"{args}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def failed(report: bytes) -> list[str]:
    """The names of the tests that failed."""
    cases = ET.fromstring(report).iter("testcase")  # noqa: S314 - pytest wrote it a moment ago
    return [case.get("name", "") for case in cases if len(case) > 0]


def tell(reports: Sequence[bytes]) -> None:
    """Says how often which test really failed."""
    counts = Counter(name for report in reports for name in failed(report))
    print(f"{len(reports)} runs of all tests; failed:")
    for name, count in counts.most_common():
        print(f"{count:5} {100 * count / len(reports):4.0f}%  {name}")


def today(run: Run) -> dict[str, str]:
    """What tells flakegate where and when it is, on any machine and in any year.

    FLAKEGATE_PULL_REQUEST is left out: the branch says enough here. In a real pipeline the CI says
    whose pull request it is, and another job applies.
    """
    return {
        "FLAKEGATE_TIME": (run.at + timedelta(minutes=12)).isoformat(),
        "FLAKEGATE_REPOSITORY": f"github.com/{REPOSITORY}",
        "FLAKEGATE_COMMIT": run.commit,
        "FLAKEGATE_BRANCH": run.branch,
        "FLAKEGATE_DEFAULT_BRANCH": "main",
        "FLAKEGATE_RUN_ID": str(run.number),
        "FLAKEGATE_JOB": "unit",
    }


def env_file(run: Run) -> str:
    """The same for a shell."""
    lines = ["# Written by make_history.py: the CI run of the pull request under judgement."]
    return (
        "\n".join(lines + [f"export {name}={value}" for name, value in today(run).items()]) + "\n"
    )


def lucky(shop: Shop, run: Run, work: Path, name: str, *, blocked: list[str]) -> None:
    """Runs the tests until the gate excuses two failures and blocks only these; says how often.

    Both reports must show what the quickstart is about. Nothing else about them is chosen.
    """
    judge = work / f"judge-{name}"
    judge.mkdir()
    shutil.copy(HERE / "flakegate.yml", judge)
    env = SHELL | {"HOME": str(judge)} | today(run)
    flakegate(judge, env, "collect", str(work / "shards"))
    flakegate(judge, env, "apply")
    for tries in range(1, TRIES + 1):
        with tempfile.TemporaryDirectory(dir=work) as folder:
            report = test(shop, run.commit, Path(folder), run.at + timedelta(minutes=11))
        (judge / "unit.xml").write_bytes(report)
        verdict = json.loads(flakegate(judge, env, "gate", "--format", "json", "unit.xml"))
        rows = verdict["failures"]
        excused = [row["name"] for row in rows if row["decision"] == "excused"]
        if (
            len(excused) >= EXCUSED
            and [r["name"] for r in rows if r["decision"] == "blocked"] == blocked
        ):
            (work / name).mkdir()
            shutil.copy(judge / "unit.xml", work / name)
            print(f"{name}: {tries} runs until {', '.join(blocked + excused)} failed, and no other")
            return
    raise RuntimeError(f"{name}: no luck in {TRIES} runs")


if __name__ == "__main__":
    sys.exit(main())
