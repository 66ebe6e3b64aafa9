"""Which backend: one line for each, made from what option, policy and environment say."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flakegate.backends.base import Backend
    from flakegate.transport.client import Transport

KINDS = ("datadog", "store")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that a backend may be made from.

    store_url: of the embedded store. api_url: instead of the address that the site gives.
    query, rate_from, keep: from the policy. repository: its id. pipeline: this CI run, whose own
    records excuse nothing. now: seconds since the epoch. write: whether anything will be changed.
    warn: is told, in a line, what should be known beside the answer. note: likewise, at once, why
    it takes longer. log: likewise every request to a service, and what came of it.
    """

    store_url: str
    api_url: str | None
    query: str | None
    rate_from: str
    keep: float
    repository: str
    pipeline: str
    now: float
    write: bool
    warn: Callable[[str], None]
    note: Callable[[str], None]
    log: Callable[[str], None]


def choose(kind: str | None, env: Mapping[str, str]) -> str:
    """The backend's kind: as named, else datadog where its keys are set, else store.

    Raises BackendError where only one of the two keys is set.
    """
    from flakegate.backends.datadog.access import keys

    return kind or ("store" if keys(env) is None else "datadog")


def load(kind: str) -> None:
    """Loads the modules of a backend, which takes longer than to open it."""
    importlib.import_module(
        {
            "datadog": "flakegate.backends.datadog.backend",
            "store": "flakegate.backends.store.store",
        }[kind]
    )


def open_backend(kind: str, settings: Settings, env: Mapping[str, str]) -> Backend:
    """The backend of that kind, opened. Raises UsageError and BackendError."""
    return {"datadog": _datadog, "store": _store}[kind](settings, env)


def datadog_transport(
    api_url: str | None,
    env: Mapping[str, str],
    *,
    note: Callable[[str], None],
    log: Callable[[str], None],
) -> Transport:
    """Requests to Datadog with the keys of the environment; api_url, note, log: as in Settings.

    Raises UsageError for the address, BackendError for the keys.
    """
    from flakegate.backends.datadog.access import address, required_keys
    from flakegate.transport.address import allows_http
    from flakegate.transport.client import Transport
    from flakegate.transport.waiting import patience

    return Transport(
        address(env, api_url),
        headers=required_keys(env).headers(),
        plain_http=allows_http(env),
        patience=patience(env),
        tell=note,
        log=log,
    )


def _datadog(settings: Settings, env: Mapping[str, str]) -> Backend:
    from flakegate.backends.datadog.backend import Datadog

    transport = datadog_transport(settings.api_url, env, note=settings.note, log=settings.log)
    return Datadog(
        transport, repository=settings.repository, query=settings.query, warn=settings.warn
    )


def _store(settings: Settings, env: Mapping[str, str]) -> Backend:
    del env
    from flakegate.backends.store.store import Store

    return Store.open(
        settings.store_url,
        repository=settings.repository,
        pipeline=settings.pipeline,
        now=settings.now,
        rate_from=settings.rate_from,
        keep=settings.keep,
        write=settings.write,
        warn=settings.warn,
    )


def fields_of(kind: str) -> frozenset[str]:
    """The fields of `when` that this kind of backend supplies."""
    if kind == "datadog":
        from flakegate.backends.datadog.backend import FIELDS as DATADOG

        return DATADOG
    from flakegate.backends.store.store import FIELDS as STORE

    return STORE
