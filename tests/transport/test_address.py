"""Which addresses may see the keys."""

from __future__ import annotations

import pytest

from flakegate.errors import UsageError
from flakegate.transport.address import allows_http, checked_address, reads_environment


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://api.datadoghq.com", "https://api.datadoghq.com"),
        ("https://proxy.example/datadog/", "https://proxy.example/datadog"),
        ("http://127.0.0.1:8126/", "http://127.0.0.1:8126"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://[::1]:80", "http://[::1]:80"),
        (" HTTPS://host/\n", "https://host"),
    ],
)
def test_addresses(url: str, base: str) -> None:
    assert checked_address(url) == base


@pytest.mark.parametrize(
    "url",
    [
        "http://api.datadoghq.com", "http://127.0.0.1.example", "http://localhost.example",
        "ftp://127.0.0.1", "api.datadoghq.com", "", "https://", "https://host?x=1",
        "https://host#x", "https://host:port", "http://10.0.0.1", "https://a..b", "https://a b",
        "https://*", "https://\u2603.example", "https://" + "a" * 64, "https://-a", "https://[::1",
    ],
)  # fmt: skip
def test_addresses_that_keys_must_not_go_to(url: str) -> None:
    with pytest.raises(UsageError):
        checked_address(url)


@pytest.mark.parametrize(
    "url", ["https://ann:hunter2hunter2@host", "https://host/v1?api_key=hunter2hunter2"]
)
def test_a_password_in_the_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked_address(url)
    assert "hunter2" not in f"{caught.value.message} {caught.value.tip}"


@pytest.mark.parametrize("url", ["http://datadog.intranet", "http://10.0.0.1:8080/"])
def test_plain_http_to_another_machine_must_be_asked_for(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked_address(url)
    assert "FLAKEGATE_ALLOW_HTTP=1" in (caught.value.tip or "")
    assert checked_address(url, plain_http=True) == url.rstrip("/")


@pytest.mark.parametrize("url", ["ftp://host", "http://a b", "http://ann:b@host", "http://h?q"])
def test_what_is_asked_for_is_plain_http_and_nothing_else(url: str) -> None:
    with pytest.raises(UsageError):
        checked_address(url, plain_http=True)


def test_how_it_is_asked_for() -> None:
    assert [allows_http(env) for env in ({}, {"FLAKEGATE_ALLOW_HTTP": "1"})] == [False, True]
    assert [allows_http({"FLAKEGATE_ALLOW_HTTP": text}) for text in ("", "0")] == [False, False]
    with pytest.raises(UsageError, match="FLAKEGATE_ALLOW_HTTP='yes' is neither 1 nor 0"):
        allows_http({"FLAKEGATE_ALLOW_HTTP": "yes"})


@pytest.mark.parametrize(
    ("url", "reads"),
    [
        ("https://api.datadoghq.com", True), ("https://127.0.0.1", True),
        ("http://intranet", True), ("http://127.0.0.1:1", False), ("http://localhost", False),
        ("http://[::1]", False), ("http://127.8.8.8", False),
    ],
)  # fmt: skip
def test_whose_proxies_are_used(url: str, reads: bool) -> None:
    assert reads_environment(url) is reads
