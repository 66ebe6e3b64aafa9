"""Keys and sites from the environment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.backends.datadog.access import (
    API_KEY,
    APP_KEY,
    SITES,
    TOKEN,
    Keys,
    Token,
    address,
    keys,
    required_keys,
)
from flakegate.errors import BackendError
from flakegate.redaction import SECRETS

API, APP = "0123456789abcdef-api", "0123456789abcdef-app"
BOTH = Keys(api=API, app=APP)


@pytest.mark.parametrize(
    "env",
    [
        {"DD_API_KEY": API, "DD_APP_KEY": APP},
        {"DD_API_KEY": API, "DD_APPLICATION_KEY": APP},
        {"DATADOG_API_KEY": API, "DATADOG_APP_KEY": APP},
        {"DATADOG_API_KEY": API, "DATADOG_APPLICATION_KEY": APP},
        {"DD_API_KEY": API, "DATADOG_API_KEY": "other", "DD_APP_KEY": "", "DATADOG_APP_KEY": APP},
    ],
)
def test_spellings(env: dict[str, str]) -> None:
    assert keys(env) == BOTH
    assert required_keys(env) == BOTH


@pytest.mark.parametrize(
    "env",
    [
        {"DD_ACCESS_TOKEN": API},
        {"DATADOG_ACCESS_TOKEN": API},
        {"DD_ACCESS_TOKEN": API, "DD_API_KEY": "of-the-tracer"},
        {"DD_ACCESS_TOKEN": API, "DD_API_KEY": "one", "DD_APP_KEY": "other"},
    ],
)
def test_a_token_needs_no_keys(env: dict[str, str]) -> None:
    assert keys(env) == required_keys(env) == Token(token=API)
    assert required_keys(env).headers() == {"Authorization": f"Bearer {API}"}


@pytest.mark.parametrize("env", [{}, {"DD_API_KEY": "", "DD_APP_KEY": "", "DD_ACCESS_TOKEN": ""}])
def test_no_keys(env: dict[str, str]) -> None:
    assert keys(env) is None
    with pytest.raises(BackendError, match="DD_API_KEY and DD_APP_KEY are not set"):
        required_keys(env)


@pytest.mark.parametrize(
    ("env", "missing", "there"),
    [
        ({"DD_API_KEY": API}, "DD_APP_KEY", "DD_API_KEY"),
        ({"DD_API_KEY": API, "DD_APP_KEY": ""}, "DD_APP_KEY", "DD_API_KEY"),
        ({"DATADOG_APPLICATION_KEY": APP}, "DD_API_KEY", "DATADOG_APPLICATION_KEY"),
    ],
)
def test_one_key_alone_names_the_missing_one(env: dict[str, str], missing: str, there: str) -> None:
    with pytest.raises(BackendError) as caught:
        keys(env)
    assert caught.value.message.startswith(f"{missing} is not set, although {there} is")


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("   ", "is blank"),
        (f"{API}\n", "holds a line break"),
        (f"{API}\r\nX-Other: 1", "holds a line break"),
        (f" {API}", "holds a character that no key has"),
        (f"{API}\u00e9", "holds a character that no key has"),
        (f"{API}\x00", "holds a character that no key has"),
    ],
)
def test_what_is_no_key_is_not_repeated(key: str, problem: str) -> None:
    with pytest.raises(BackendError) as caught:
        keys({"DD_API_KEY": key, "DD_APP_KEY": APP})
    assert caught.value.message == f"DD_API_KEY {problem}"
    assert API not in f"{caught.value.message}{caught.value.tip}"


@pytest.mark.parametrize("name", ["DD_ACCESS_TOKEN", "DATADOG_ACCESS_TOKEN"])
def test_what_is_no_token_is_not_repeated(name: str) -> None:
    with pytest.raises(BackendError) as caught:
        keys({name: f"Bearer {API}"})
    assert caught.value.message == f"{name} holds a character that no key has"
    assert API not in f"{caught.value.message}{caught.value.tip}"


def test_every_secret_is_known_to_be_one() -> None:
    assert {*API_KEY, *APP_KEY, *TOKEN} <= set(SECRETS)


def test_keys_have_no_repr() -> None:
    assert repr(BOTH) == "Keys()"
    assert repr(Token(token=API)) == "Token()"


@pytest.mark.parametrize(
    ("site", "host"),
    [
        ("", "datadoghq.com"),
        ("datadoghq.eu", "datadoghq.eu"),
        ("app.datadoghq.com", "datadoghq.com"),
        ("https://app.datadoghq.eu/", "datadoghq.eu"),
        ("https://us5.datadoghq.com/account/login", "us5.datadoghq.com"),
        ("api.us2.ddog-gov.com", "us2.ddog-gov.com"),
        (" AP1.datadoghq.com ", "ap1.datadoghq.com"),
    ],
)
def test_sites(site: str, host: str) -> None:
    assert address({"DD_SITE": site}, None) == f"https://api.{host}"
    assert address({"DATADOG_SITE": site}, None) == f"https://api.{host}"


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("written", ["{}", "{}/", "api.{}", "https://app.{}", "HTTPS://{}/a?b=c#d"])
def test_every_site_however_it_is_written(site: str, written: str) -> None:
    for spelling in (written.format(site), written.format(site.upper())):
        assert address({"DD_SITE": spelling}, None) == f"https://api.{site}"


@pytest.mark.parametrize("site", ["acme.datadoghq.com", "us1", "datadoghq", "evil.com", " ", "a b"])
def test_an_unknown_site_lists_those_there_are(site: str) -> None:
    with pytest.raises(BackendError) as caught:
        address({"DD_SITE": site}, None)
    assert caught.value.tip is not None
    assert all(each in caught.value.tip for each in SITES)


def test_an_address_of_ones_own_replaces_the_site() -> None:
    assert address({"DD_SITE": "nonsense"}, "http://127.0.0.1:1") == "http://127.0.0.1:1"


@given(st.text())
def test_keys_only_ever_go_to_a_known_host(site: str) -> None:
    try:
        base = address({"DD_SITE": site}, None)
    except BackendError:
        return
    assert base.removeprefix("https://api.") in SITES
