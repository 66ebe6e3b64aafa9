"""Which Datadog, and with which keys: the environment, read without touching it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flakegate.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SITES = (
    "datadoghq.com", "us3.datadoghq.com", "us5.datadoghq.com", "ap1.datadoghq.com",
    "ap2.datadoghq.com", "uk1.datadoghq.com", "datadoghq.eu", "ddog-gov.com", "us2.ddog-gov.com",
)  # fmt: skip
API_KEY = ("DD_API_KEY", "DATADOG_API_KEY")
APP_KEY = ("DD_APP_KEY", "DD_APPLICATION_KEY", "DATADOG_APP_KEY", "DATADOG_APPLICATION_KEY")
TOKEN = ("DD_ACCESS_TOKEN", "DATADOG_ACCESS_TOKEN")
SITE = ("DD_SITE", "DATADOG_SITE")
KEYS_TIP = (
    "check DD_API_KEY and DD_APP_KEY (or DD_ACCESS_TOKEN in their place), and that they belong to"
    " the site in DD_SITE"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The API key and the application key of one Datadog organisation."""

    api: str = field(repr=False)
    app: str = field(repr=False)

    def headers(self) -> dict[str, str]:
        """The two headers that every request carries."""
        return {"DD-API-KEY": self.api, "DD-APPLICATION-KEY": self.app}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token of a person or a service account, which needs no keys beside it."""

    token: str = field(repr=False)

    def headers(self) -> dict[str, str]:
        """The header that every request carries."""
        return {"Authorization": f"Bearer {self.token}"}


def keys(env: Mapping[str, str]) -> Keys | Token | None:
    """The keys of the environment; None where none is set (an empty variable is not set).

    A token goes first: jobs that only send traces have an API key, and need no other.
    Raises BackendError where only one key is set, or where something set is none.
    """
    token_name, token = _first(env, TOKEN)
    if token:
        return Token(token=_checked(token_name, token))
    api_name, api = _first(env, API_KEY)
    app_name, app = _first(env, APP_KEY)
    if not api and not app:
        return None
    for missing, there, value in ((API_KEY, app_name, api), (APP_KEY, api_name, app)):
        if not value:
            raise BackendError(
                f"{missing[0]} is not set, although {there} is: Datadog needs both keys",
                tip=f"set {missing[0]} too, or unset {there} to work with the store",
            )
    return Keys(api=_checked(api_name, api), app=_checked(app_name, app))


def required_keys(env: Mapping[str, str]) -> Keys | Token:
    """The keys of the environment. Raises BackendError also where none is set."""
    found = keys(env)
    if found is None:
        raise BackendError(
            "DD_API_KEY and DD_APP_KEY are not set: Datadog needs both keys, or DD_ACCESS_TOKEN",
            tip="CI systems give no secrets to pull requests from forks; elsewhere set them",
        )
    return found


def address(env: Mapping[str, str], api_url: str | None) -> str:
    """The base address of the API: `api_url` where given, else that of the site in `DD_SITE`.

    Raises BackendError for a site that is not one of Datadog's.
    """
    if api_url:
        return api_url
    name, value = _first(env, SITE)
    site = value.strip().lower().partition("://")[2] or value.strip().lower()
    site = site.partition("/")[0]
    for prefix in ("app.", "api."):
        site = site.removeprefix(prefix)
    if not name:
        site = SITES[0]
    if site not in SITES:
        raise BackendError(
            f"{name}={value!r} is not a Datadog site",
            tip=f"it is one of {', '.join(SITES)}; any other host goes into --api-url",
        )
    return f"https://api.{site}"


def _first(env: Mapping[str, str], names: Sequence[str]) -> tuple[str, str]:
    """The first of these variables that is not empty: its name and value, or two empty texts."""
    return next(((name, env[name]) for name in names if env.get(name)), ("", ""))


def _checked(name: str, key: str) -> str:
    """The key, if it can be one. The message never shows it, not even a part."""
    if not key.strip():
        problem = "is blank"
    elif "\n" in key or "\r" in key:
        problem = "holds a line break"
    elif not (key.isascii() and key.isprintable()) or " " in key:
        problem = "holds a character that no key has"
    else:
        return key
    raise BackendError(f"{name} {problem}", tip=f"store the secret {name} again, without it")
