"""No secret stays in a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.redaction import SECRETS, blotted, redacted, secrets_of

KEY = "0123456789abcdef"


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_of_the_environment(name: str) -> None:
    found = secrets_of({name: f" {KEY}\n", "PATH": "/bin"})
    assert redacted(f"it is {KEY}.", found) == "it is ***."


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "FLAKEGATE_STORE"])
def test_the_passwords_in_urls(name: str) -> None:
    found = secrets_of({name: "http://ann:caf%C3%A9-au-lait@proxy:3128/x"})
    said = redacted("caf%C3%A9-au-lait café-au-lait http://bob:x@host", found)
    assert said == "*** *** http://***@host"


def test_what_holds_no_password() -> None:
    env = {"HTTPS_PROXY": "proxy:3128", "HTTP_PROXY": "http://[", "ALL_PROXY": ""}
    assert secrets_of(env) == []
    assert secrets_of({"https_proxy": "ann:hunter2hunter2@proxy:3128"}) == ["hunter2hunter2"] * 2


def test_nothing_is_left_of_a_secret_that_begins_with_another() -> None:
    assert redacted(f"{KEY}-and-more", [KEY[:8], f"{KEY}-and-more", KEY]) == "***"


def test_short_words_are_no_secrets() -> None:
    assert redacted("Bearer of a token", ["Bearer", "a", ""]) == "Bearer of a token"
    assert blotted(b"Bearer of a token", ["Bearer", "a", ""]) == b"Bearer of a token"


@given(st.text(max_size=30), st.text(max_size=30), st.lists(st.text("ab", min_size=8), max_size=4))
def test_no_secret_stays_not_even_one_within_another(
    before: str, after: str, secrets: list[str]
) -> None:
    text = before + "".join(secrets) + after
    assert not any(secret in redacted(text, secrets) for secret in secrets)
    assert not any(secret.encode() in blotted(text.encode(), secrets) for secret in secrets)
