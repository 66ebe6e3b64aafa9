"""Whatever bytes come back: an answer, or an error in words. No crash, no leak, no long wait."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flakegate.errors import BackendError
from flakegate.transport.client import Transport
from flakegate.transport.waiting import Patience, Timer
from tests.faults import Front, Reply

KEY = "0123456789abcdef-key"
PACKED = "Transfer-Encoding: chunked|Content-Encoding: gzip||5|abcde|0||"
LIMIT = "Date: Wed, 21 Oct 2026 07:28:00 GMT|X-RateLimit-Reset: 3|X-RateLimit-Remaining: 0"
ANSWERS = [
    answer.replace("|", "\r\n").encode("latin-1")
    for answer in (
        "HTTP/1.1 200 OK|Content-Type: application/json|Content-Length: 2||{}",
        f"HTTP/1.1 200 OK|{PACKED}",
        f"HTTP/1.1 429 Too Many|Retry-After: 1|{LIMIT}|Content-Length: 2||{{}}",
        "HTTP/1.1 301 Moved|Location: http://[::1|Set-Cookie: a=b; Domain=\xff|Content-Length: 0||",
        f"HTTP/1.1 403 No|Content-Length: 28||you sent {KEY}",
    )
]
PIECES = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [b"\r\n", b": ", b"\x00", b"gzip", b"9" * 30, b"-1", b"\xff", b"<html>", b"nan"]
    ),
)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), PIECES), max_size=6)


def edited(answer: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """The answer, at some places a few bytes replaced by others."""
    for where, length, piece in edits:
        at = int(where * len(answer))
        answer = answer[:at] + piece + answer[at + length :]
    return answer


class Service(Front):
    """Answers nothing but what a test says."""


def refusal(transport: Transport) -> BackendError | None:
    try:
        transport.send("POST", "/", b"{}")
    except BackendError as error:
        return error
    return None


def test_bytes_of_any_kind() -> None:
    slept: list[float] = []
    patience = Patience(read=2, total=1e9, retries=1, longest_wait=30)
    with Service() as service:
        transport = Transport(
            service.url,
            headers={"DD-API-KEY": KEY},
            patience=patience,
            timer=Timer(sleep=slept.append),
        )

        @settings(max_examples=150)
        @given(answer=st.sampled_from(ANSWERS), edits=EDITS)
        def any_of_them(answer: bytes, edits: list[tuple[float, int, bytes]]) -> None:
            service.always = Reply(raw=edited(answer, edits))
            error = refusal(transport)
            assert error is None or error.message.startswith(f"POST {service.url}/: ")
            assert error is None or (error.message.isprintable() and error.tip)
            assert KEY not in str(error)

        any_of_them()
        transport.close()
    assert max(slept) <= 30.5


@pytest.mark.parametrize("target", ["http://[::1", "//", "\\", "http://a:b:c", "https://h:port"])
def test_a_redirect_to_nowhere_is_not_even_read(target: str) -> None:
    with Service() as service:
        service.always = Reply(status=302, headers={"Location": target})
        transport = Transport(service.url, headers={})
        with pytest.raises(BackendError, match="302 Found"):
            transport.send("POST", "/", b"{}")
        transport.close()
