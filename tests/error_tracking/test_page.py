"""Where people see an issue."""

from __future__ import annotations

import pytest

from flakegate.backends.datadog.access import SITES
from flakegate.error_tracking.page import page


@pytest.mark.parametrize(
    ("api", "host"),
    [
        ("https://api.datadoghq.com", "app.datadoghq.com"),
        ("https://api.datadoghq.eu", "app.datadoghq.eu"),
        ("https://api.us3.datadoghq.com", "us3.datadoghq.com"),
        ("https://api.ddog-gov.com", "app.ddog-gov.com"),
    ],
)
def test_a_site_has_pages(api: str, host: str) -> None:
    assert page(api, "abc") == f"https://{host}/error-tracking/issue/abc"


def test_every_site_has_pages() -> None:
    assert all(page(f"https://api.{site}", "a") for site in SITES)


@pytest.mark.parametrize("api", ["http://127.0.0.1:80", "https://proxy.acme.test/api", "", "x"])
def test_of_any_other_address_nothing_is_known(api: str) -> None:
    assert page(api, "abc") is None


def test_an_id_stays_an_id() -> None:
    assert page("https://api.datadoghq.com", "../a?b#c)") == (
        "https://app.datadoghq.com/error-tracking/issue/..%2Fa%3Fb%23c%29"
    )
