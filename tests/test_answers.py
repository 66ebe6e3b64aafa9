"""What error answers say to a person."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.answers import LONGEST, human

JSON = "application/vnd.api+json"


def same(text: str) -> str:
    return text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"errors": ["limit must be greater than 1"]}, "limit must be greater than 1"),
        ({"errors": ["one", "two"]}, "one; two"),
        (
            {"errors": [{"status": "400", "title": "Bad", "detail": "query is wrong"}]},
            "Bad: query is wrong",
        ),
        ({"errors": [{"detail": "only this"}]}, "only this"),
        ({"errors": [{"status": "403", "title": "Forbidden", "detail": None}]}, "Forbidden"),
        ({"error": {"code": 3, "message": "no such thing"}}, "no such thing"),
        ({"error": "plain"}, "plain"),
        ({"message": "Not Found", "documentation_url": "https://x"}, "Not Found"),
        ({"errors": []}, ""),
        ({"errors": {"title": "an object"}}, "an object"),
        ([], ""),
        (None, ""),
    ],
)
def test_json_errors(answer: object, said: str) -> None:
    assert human(json.dumps(answer).encode(), JSON, redact=same) == said


def test_an_html_page_says_its_title() -> None:
    page = b"<html><head><title>502 Bad\nGateway &amp; more</title></head><body>x</body></html>"
    assert human(page, "text/html; charset=utf-8", redact=same) == "502 Bad Gateway & more"


def test_an_html_page_without_title_says_its_text() -> None:
    page = b"<html><style>b {}</style><body><h1>Access</h1><!-- no --> denied</body></html>"
    assert human(page, "", redact=same) == "Access denied"


def test_secrets_go_before_the_text_is_cut() -> None:
    body = b"x" * (LONGEST - 4) + b"SECRETSECRET"
    said = human(body, "text/plain", redact=lambda text: text.replace("SECRETSECRET", "***"))
    assert said == "x" * (LONGEST - 4) + "***"


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert human(b"a\x1b[31m\n::error::b\r", "text/plain", redact=same) == "a [31m ::error::b"


@given(st.binary(max_size=2000), st.sampled_from(["", "text/html", JSON]))
def test_any_bytes_become_one_bounded_printable_line(body: bytes, content_type: str) -> None:
    said = human(body, content_type, redact=same)
    assert len(said) <= LONGEST
    assert said.isprintable()


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["errors", "error", "title"]), inner)
        ),
    )
)
def test_any_json_is_said_without_python_in_it(answer: object) -> None:
    said = human(json.dumps(answer).encode(), JSON, redact=same)
    assert said.isprintable()


def test_deeply_nested_json_is_no_trouble() -> None:
    body = b'{"error":' * 5000 + b'"deep"' + b"}" * 5000
    assert len(human(body, JSON, redact=same)) <= LONGEST
