"""What a command needs before its first stage: clock, policy, CI context, backend."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flakegate.cli.say import warn
from flakegate.errors import PolicyError, UsageError
from flakegate.policy.rules import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flakegate.backends.base import Backend
    from flakegate.ci import CIContext

POLICY_FILES = ("flakegate.yml", ".github/flakegate.yml")
DEFAULT_STORE = "sqlite:///.flakegate/history.db"
JOURNAL = ".flakegate/journal.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of flakegate: where, when and with which policy. now: seconds since the epoch."""

    folder: Path
    env: Mapping[str, str]
    now: float
    policy: Policy
    has_policy: bool
    repository: str | None

    def context(self) -> CIContext:
        """Asks the CI's environment, and git for what it does not say."""
        from flakegate.ci import context
        from flakegate.cli.event import read_event
        from flakegate.git import facts

        found = context(self.env, read_event(self.env), facts(self.folder))
        return replace(found, repository=self.repository) if self.repository else found


def begin(policy_file: str | None = None, repository: str | None = None) -> Call:
    """Reads clock and policy. Raises PolicyError with every problem of the policy at once."""
    env = dict(os.environ)
    folder = Path.cwd()
    now = _now(env)
    path = _policy_path(policy_file, folder)
    policy = _read_policy(path, folder, now) if path else Policy()
    return Call(
        folder=folder,
        env=env,
        now=now,
        policy=policy,
        has_policy=path is not None,
        repository=repository,
    )


def need_policy(call: Call) -> None:
    """Raises UsageError where there is no policy file: nothing to decide by."""
    if not call.has_policy:
        raise UsageError(
            f"there is no policy file: looked for {' and '.join(POLICY_FILES)}",
            tip="`flakegate init` writes one to start from, or name yours with --policy FILE",
        )


@contextmanager
def opened(
    call: Call,
    *,
    context: CIContext,
    kind: str | None,
    store_url: str | None,
    api_url: str | None,
    write: bool,
) -> Iterator[Backend]:
    """The backend that option, policy or environment name; closed at the end."""
    from flakegate.backends.registry import Settings, choose, open_backend

    chosen = choose(kind or call.policy.backend.kind, call.env)
    settings = Settings(
        store_url=store_location(store_url, call.env),
        api_url=api_url or call.env.get("FLAKEGATE_API_URL") or None,
        query=call.policy.backend.query,
        rate_from=call.policy.rate_from,
        repository=context.repository,
        pipeline=context.pipeline,
        now=call.now,
        write=write,
    )
    backend = open_backend(chosen, settings, call.env)
    try:
        yield backend
    finally:
        backend.close()


def store_location(option: str | None, env: Mapping[str, str]) -> str:
    """The store's URL: option, environment, default. A password in the option is refused."""
    if option and urlsplit(option).password:
        raise UsageError(
            "--store carries a password, which every process of this machine can read",
            tip="put the URL into the environment variable FLAKEGATE_STORE instead",
        )
    return option or env.get("FLAKEGATE_STORE") or DEFAULT_STORE


def _now(env: Mapping[str, str]) -> float:
    from flakegate.ci import clock

    fixed = clock(env)
    return time.time() if fixed is None else fixed


def _policy_path(option: str | None, folder: Path) -> Path | None:
    if option:
        return folder / option
    return next((folder / name for name in POLICY_FILES if (folder / name).is_file()), None)


def _read_policy(path: Path, folder: Path, now: float) -> Policy:
    from flakegate.policy.load import MAX_BYTES, load, warnings

    name = os.path.relpath(path, folder)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read the policy {name}: {error.strerror}") from None
    loaded = load(data, name)
    if loaded.policy is None:
        raise PolicyError("\n".join(str(problem) for problem in loaded.problems))
    for problem in warnings(loaded.policy, now=now, fields=None):
        warn(str(problem))
    return loaded.policy
