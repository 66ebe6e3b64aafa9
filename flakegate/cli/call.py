"""What a command needs before its first stage: clock, policy, CI context, backend, journal."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flakegate.backends.store.address import sqlite_path, store_location
from flakegate.cli.say import note
from flakegate.errors import BackendError, PolicyError, UsageError
from flakegate.policy.rules import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flakegate.backends.base import Backend
    from flakegate.backends.snapshot import Saved
    from flakegate.backends.store.store import Store
    from flakegate.ci.context import CIContext
    from flakegate.error_tracking.client import ErrorTracking
    from flakegate.journal import Journal

POLICY_FILES = ("flakegate.yml", ".github/flakegate.yml")
JOURNAL = ".flakegate/journal.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The options that say which flaky tests are meant; None where one was not given.

    snapshot: the file of a saved list of them.
    """

    backend_kind: str | None = None
    store_url: str | None = None
    api_url: str | None = None
    repository: str | None = None
    snapshot: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of flakegate. policy: the defaults without a file.

    now: when it began, in seconds since the epoch; all decisions are of that moment. clock: the
    seconds since the epoch that go on. verbose: every request to a service is told.
    """

    folder: Path
    env: Mapping[str, str]
    now: float
    clock: Callable[[], float]
    policy: Policy
    has_policy: bool
    where: Where
    verbose: bool = False

    def context(self) -> CIContext:
        """Asks the CI's environment, and git for what it does not say."""
        from flakegate.ci.detect import context
        from flakegate.git import facts

        # The option is one more override of what the CI's environment says.
        named = {"FLAKEGATE_REPOSITORY": self.where.repository} if self.where.repository else {}
        return context({**self.env, **named}, _event(self.env), facts(self.folder))

    def warnings(self) -> list[str]:
        """What the policy's own dates say by now: exemptions that have expired."""
        if not self.policy.exempt:
            return []
        from flakegate.policy.review import warnings

        found = warnings(self.policy, now=self.now, fields=None)
        return [f"{each.file}:{each.place.line}: {each.message}" for each in found]

    def journal(self, backend: Backend | ErrorTracking, context: CIContext) -> Journal:
        """The record of what is changed, of tests as of issues."""
        import secrets
        from itertools import count

        from flakegate.journal import Journal

        name, batches = secrets.token_hex(6), count(1)
        # Datadog dates a change by its own clock, and a call may have waited long for its turn;
        # the store dates it by the call.
        clock = (lambda: self.now) if backend.kind == "store" else self.clock
        return Journal(
            path=Path(JOURNAL),
            run=context.key,
            backend=backend.kind,
            repository=context.repository,
            clock=clock,
            token=lambda: f"{name}-{next(batches)}",
        )


def begin(policy_file: str | None, where: Where, *, verbose: bool = False) -> Call:
    """Reads clock and policy. Raises PolicyError with every problem of the policy at once."""
    from flakegate.ci.clock import clock

    env = dict(os.environ)
    folder = _here()
    fixed = clock(env)
    path = policy_path(policy_file, folder)
    store_location(where.store_url, env)  # said at once, not only when a test fails
    return Call(
        folder=folder,
        env=env,
        now=time.time() if fixed is None else fixed,
        clock=time.time if fixed is None else lambda: fixed,
        policy=_read_policy(path, folder) if path else Policy(),
        has_policy=path is not None,
        where=where,
        verbose=verbose,
    )


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(
            f"the folder that this was called in cannot be used: {error.strerror}",
            tip="it was probably deleted or moved; change into one that exists",
        ) from None


def need_policy(call: Call) -> None:
    """Raises UsageError where there is no policy file: nothing to decide by."""
    if not call.has_policy:
        raise UsageError(
            f"there is no policy file here: neither {' nor '.join(POLICY_FILES)}",
            tip="`flakegate init` writes one to start from; or name yours with --policy FILE",
        )


def need_trust(context: CIContext, what: str) -> None:
    """Raises UsageError in a job of a fork, where nobody may change anything. what: in words."""
    from flakegate.ci.permission import may_apply

    permission = may_apply("always", context, override=True)
    if not permission.allowed:
        raise UsageError(
            f"{what} are not changed here: {permission.because}",
            tip="do it in a job of the repository's own, or on a machine of yours",
        )


def policy_path(option: str | None, folder: Path) -> Path | None:
    """The policy file: as named, else the first of the usual places that has one."""
    if option is not None:
        if not option.strip():
            raise UsageError("--policy names no file", tip="leave it out for the usual places")
        return folder / option
    # A broken link or a folder of that name is there, too: reading it will say what is wrong.
    if found := next((name for name in POLICY_FILES if os.path.lexists(folder / name)), None):
        return folder / found
    for name in POLICY_FILES:
        misspelt = f"{name.removesuffix('.yml')}.yaml"
        if (folder / misspelt).exists():
            raise UsageError(
                f"{misspelt} is not read: the policy is called {name}",
                tip=f"rename it, or name it with --policy {misspelt}",
            )
    return None


def policy_bytes(path: Path, name: str) -> bytes:
    """The file, but not more of it than a policy may have. Raises UsageError."""
    from flakegate.policy.load import MAX_BYTES

    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read the policy {name}: {error.strerror}",
            tip="`flakegate init` writes one to start from",
        ) from None


@contextmanager
def opened(
    call: Call, context: CIContext, *, write: bool, warn: Callable[[str], None]
) -> Iterator[Backend]:
    """The backend that option, policy or environment name; closed at the end."""
    from flakegate.backends.registry import Settings, choose, open_backend

    kind = choose(call.where.backend_kind or call.policy.backend.kind, call.env)
    store_url = store_location(call.where.store_url, call.env)
    if kind == "store" and context.brings_files:
        refuse_tracked(sqlite_path(store_url), "store")
    settings = Settings(
        store_url=store_url,
        api_url=call.where.api_url or call.env.get("FLAKEGATE_API_URL") or None,
        query=call.policy.backend.query,
        rate_from=call.policy.rate_from,
        keep=call.policy.keep,
        repository=context.repository,
        pipeline=context.pipeline,
        now=call.now,
        write=write,
        warn=warn,
        note=note,
        log=note if call.verbose else lambda _: None,
    )
    backend = open_backend(kind, settings, call.env)
    try:
        yield backend
    finally:
        backend.close()


@contextmanager
def opened_snapshot(call: Call, context: CIContext) -> Iterator[Saved]:
    """The list that --snapshot names. Raises BackendError where it must not excuse anything."""
    from flakegate.backends.snapshot import open_snapshot

    path = Path(call.where.snapshot or "")
    if context.brings_files:
        refuse_tracked(path, "snapshot")
    yield open_snapshot(
        path,
        context,
        kind=call.where.backend_kind or call.policy.backend.kind,
        now=call.now,
        max_age=call.policy.gate.snapshot_max_age,
    )


def as_store(backend: Backend) -> Store | None:
    """The same backend where it is one that runs can be recorded in."""
    if backend.kind != "store":
        return None
    from flakegate.backends.store.store import Store

    return backend if isinstance(backend, Store) else None


@contextmanager
def opened_store(
    call: Call, context: CIContext, *, write: bool, warn: Callable[[str], None]
) -> Iterator[Store]:
    """The store, for commands that are about nothing else."""
    with opened(call, context, write=write, warn=warn) as backend:
        store = as_store(backend)
        if store is None:
            raise UsageError(
                f"runs are recorded in the store, not in {backend.kind}",
                tip="add --backend store; Datadog's tracers report runs to Datadog by themselves",
            )
        yield store


def refuse_tracked(path: Path, what: str) -> None:
    """Raises BackendError for a file that a change could bring along, and its own excuse in it.

    what: that the file is, in a word.
    """
    from flakegate.git import tracks

    tracked = tracks(path)
    if tracked is None:
        raise BackendError(
            f"git cannot say whether the {what} {path} is a file of the repository, in which this"
            " change could excuse itself",
            tip="install git and let it read the checkout (`git config --global --add"
            f" safe.directory DIR`), or keep the {what} outside of it",
        )
    if tracked:
        raise BackendError(
            f"the {what} {path} is a file of the repository, so this change could excuse itself",
            tip="remove it from git (`git rm --cached`) and carry it in a cache or as an artifact",
        )


def _event(env: Mapping[str, str]) -> Mapping[str, object] | None:
    """The event that GitHub describes in a file; None where there is none to read."""
    path = env.get("GITHUB_EVENT_PATH")
    try:
        event = json.loads(Path(path).read_bytes()) if path else None
    except (OSError, ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _read_policy(path: Path, folder: Path) -> Policy:
    from flakegate.policy.load import load

    name = os.path.relpath(path, folder)
    loaded = load(policy_bytes(path, name), name)
    if loaded.policy is None:
        errors = [str(problem) for problem in loaded.problems if problem.is_error]
        raise PolicyError("the policy is invalid\n" + "\n".join(errors))
    return loaded.policy
