"""What flakegate knows of the place that it runs in, as it would use it; no secret's value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flakegate.errors import FlakegateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flakegate.ci.context import CIContext
    from flakegate.cli.call import Call

KEYS = ("DD_API_KEY", "DD_APP_KEY", "DD_ACCESS_TOKEN", "GITHUB_TOKEN", "GITLAB_TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """This run. None: not known.

    provider: the CI, "local" for none. policy: its file, "" for the defaults. backend: its kind, ""
    where that cannot be told. place: where it is, "" where that is in trouble. keys: which are set.
    checks_changes: whether the policy lets a change block. trouble: what would keep the backend
    from being asked, in words; None for nothing that shows without asking it.
    """

    provider: str
    repository: str
    commit: str | None
    branch: str | None
    default_branch: str | None
    pull_request: str | None
    policy: str
    backend: str
    place: str
    keys: Mapping[str, bool]
    checks_changes: bool
    trouble: str | None

    def rows(self) -> Iterator[tuple[str, str]]:
        """Labels and words, one line each."""
        yield "repository", self.repository or "not known: name it with --repository"
        yield "commit", self.commit or "not known, or files differ from it"
        default = f" (default branch: {self.default_branch or 'not known'})"
        yield "branch", (self.branch or "not known") + default
        yield "CI", self.provider if self.provider != "local" else "none that is known"
        if self.pull_request:
            yield "change", f"pull or merge request {self.pull_request}"
        yield "policy", self.policy or "none: the defaults; `flakegate init` writes one"
        yield "backend", f"{self.backend} {self.place}".rstrip()
        present = [name for name, there in self.keys.items() if there]
        yield "keys set", ", ".join(present) or "none"
        if self.trouble:
            yield "TROUBLE", self.trouble


def surroundings(call: Call) -> Surroundings:
    """Asks environment, git and disk; nothing goes over the network."""
    context = call.context()
    backend, place, trouble = _backend(call, context)
    return Surroundings(
        provider=context.provider,
        repository=context.repository,
        commit=context.commit,
        branch=context.branch,
        default_branch=context.default_branch,
        pull_request=context.pull_request,
        policy=call.policy.name,
        backend=backend,
        place=place,
        keys={name: bool(call.env.get(name)) for name in KEYS},
        checks_changes=call.policy.gate.blocks_changed,
        trouble=trouble,
    )


def _backend(call: Call, context: CIContext) -> tuple[str, str, str | None]:
    """Kind, place, and what would keep it from being asked."""
    from flakegate.backends.registry import choose

    kind = call.where.backend_kind or call.policy.backend.kind
    try:
        kind = choose(kind, call.env)
        place = _datadog(call) if kind == "datadog" else _store(call, context)
    except FlakegateError as error:
        tip = f" ({error.tip})" if error.tip else ""
        return kind or "", "", error.message + tip
    return kind, place, None


def _datadog(call: Call) -> str:
    from flakegate.backends.datadog.access import address, required_keys

    required_keys(call.env)
    return address(call.env, call.where.api_url or call.env.get("FLAKEGATE_API_URL"))


def _store(call: Call, context: CIContext) -> str:
    from flakegate.backends.store.address import sqlite_path, store_location
    from flakegate.cli.call import refuse_tracked

    path = sqlite_path(store_location(call.where.store_url, call.env))
    if context.brings_files:
        refuse_tracked(path, "store")
    return str(path) if path.exists() else f"{path} (not there yet: it is empty)"
