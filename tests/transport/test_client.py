"""Requests over real sockets: retried, bounded, explained, and never with a key in any text."""

from __future__ import annotations

import gzip
import socket
import time
import traceback
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flakegate.errors import BackendError, NothingChangedError
from flakegate.transport.body import MOST_BYTES
from flakegate.transport.client import Transport
from flakegate.transport.waiting import Patience, Timer
from flakegate.version import VERSION
from tests.fake_datadog import API_KEY, APP_KEY, FakeDatadog, rate_limited
from tests.faults import HANG_UP, Reply, page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OK = Reply(body=b'{"fine":true}')
HEADERS = {"DD-API-KEY": API_KEY, "DD-APPLICATION-KEY": APP_KEY}


class Wire:
    """A fake service, a transport to it, and what that waited, told and logged."""

    def __init__(self, fake: FakeDatadog) -> None:
        self.fake = fake
        self.slept: list[float] = []
        self.told: list[str] = []
        self.logged: list[str] = []

    def transport(
        self, patience: Patience | None = None, log: Callable[[str], None] | None = None
    ) -> Transport:
        return Transport(
            self.fake.url,
            headers=HEADERS,
            patience=patience or Patience(read=5),
            tell=self.told.append,
            log=log or self.logged.append,
            timer=Timer(now=lambda: sum(self.slept), sleep=self.slept.append, jitter=lambda: 0.0),
        )

    def send(self, *replies: Reply, tips: Mapping[int, str] | None = None) -> bytes:
        self.fake.script = deque(replies)
        transport = self.transport()
        try:
            return transport.send("PATCH", "/somewhere?token=hidden", b"{}", tips=tips)
        finally:
            transport.close()

    def refused(self, *replies: Reply, tips: Mapping[int, str] | None = None) -> BackendError:
        with pytest.raises(BackendError) as caught:
            self.send(*replies, tips=tips)
        return caught.value


@pytest.fixture
def wire() -> Iterator[Wire]:
    with FakeDatadog() as fake:
        yield Wire(fake)


def test_an_answer_is_its_body(wire: Wire) -> None:
    assert wire.send(OK) == OK.body
    [request] = wire.fake.requests
    assert request.method == "PATCH"
    assert request.body == b"{}"
    assert request.headers["dd-api-key"] == API_KEY
    assert request.headers["user-agent"] == f"flakegate/{VERSION}"
    assert request.headers["content-type"] == "application/json"
    assert wire.slept == []


def test_gzip_is_unpacked(wire: Wire) -> None:
    packed = Reply(body=gzip.compress(OK.body), headers={"Content-Encoding": "gzip"})
    assert wire.send(packed) == OK.body


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


PACKED = gzip.compress(b'{"whole":true}')
FORMS = {
    "plain": Reply(body=b'{"whole":true}'),
    "gzip": Reply(body=PACKED, headers={"Content-Encoding": "gzip"}),
    "chunked": Reply(body=chunked(b'{"whole":true}', 5), headers={"Transfer-Encoding": "chunked"}),
    "chunked gzip": Reply(
        body=chunked(PACKED, 7),
        headers={"Transfer-Encoding": "chunked", "Content-Encoding": "gzip"},
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reset", [False, True])
def test_wherever_an_answer_breaks_off_no_part_of_it_is_taken_for_the_whole(
    wire: Wire, form: str, reset: bool
) -> None:
    assert wire.send(FORMS[form]) == b'{"whole":true}'
    patience = Patience(read=5, total=1e9)
    transport = wire.transport(patience)
    answers = set()
    for cut in range(0, 230, 3):
        wire.fake.script = deque([replace(FORMS[form], cut=cut, reset=reset), OK])
        answers.add(transport.send("POST", "/", b"{}"))
    transport.close()
    assert answers <= {OK.body, b'{"whole":true}'}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_trouble_is_tried_again(wire: Wire, status: int) -> None:
    assert wire.send(Reply(status=status), Reply(status=status), OK) == OK.body
    assert wire.slept == [0.25, 0.5]
    assert len(wire.told) == 2
    assert str(status) in wire.told[0]


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 413, 422])
def test_a_refusal_is_final_and_changed_nothing(wire: Wire, status: int) -> None:
    error = wire.refused(Reply(status=status))
    assert isinstance(error, NothingChangedError)
    assert str(status) in error.message
    assert wire.slept == []
    assert len(wire.fake.requests) == 1


@pytest.mark.parametrize(
    "broken", [HANG_UP, Reply(body=b"{}", cut=20), Reply(body=b"x" * 99, cut=150)]
)
def test_a_broken_connection_is_tried_again(wire: Wire, broken: Reply) -> None:
    assert wire.send(broken, OK) == OK.body
    assert len(wire.fake.requests) == 2


def test_spent_retries_say_what_happened_and_how_often(wire: Wire) -> None:
    error = wire.refused(*[Reply(status=503)] * 5)
    assert error.message == (
        f"PATCH {wire.fake.url}/somewhere: 503 Service Unavailable (5 attempts)"
    )
    assert error.tip == "the service is in trouble: try again later"
    assert not isinstance(error, NothingChangedError)
    assert wire.slept == [0.25, 0.5, 1.0, 2.0]


def test_a_refusal_after_a_lost_answer_may_have_changed_something(wire: Wire) -> None:
    assert not isinstance(wire.refused(HANG_UP, Reply(status=403)), NothingChangedError)


def test_a_refusal_after_a_rate_limit_changed_nothing(wire: Wire) -> None:
    assert isinstance(wire.refused(rate_limited("1"), Reply(status=403)), NothingChangedError)


@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({"X-RateLimit-Reset": "1.5"}, 1.5),
        ({"X-RateLimit-Reset": "0"}, 0.0),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "3", "X-RateLimit-Reset": "9"}, 9.0),
        ({"X-RateLimit-Reset": "86400"}, 60.0),
        ({"X-RateLimit-Reset": "1e300"}, 60.0),
        ({"X-RateLimit-Reset": "-5"}, 0.25),
        ({"X-RateLimit-Reset": "nan"}, 0.25),
        ({"X-RateLimit-Reset": "inf"}, 0.25),
        ({"X-RateLimit-Reset": "soon"}, 0.25),
        ({"Retry-After": "Wed, 21 Oct 2037 07:28:00 GMT"}, 60.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 99 Nonsense"}, 0.25),
    ],
)
def test_a_rate_limit_is_waited_for(wire: Wire, headers: dict[str, str], waited: float) -> None:
    assert wire.send(Reply(status=429, headers=headers), OK) == OK.body
    assert wire.slept == [waited]


def spent(reset: str, status: int = 200) -> Reply:
    """An answer after which the limit is spent."""
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    return Reply(status=status, body=OK.body, headers=headers)


@pytest.mark.parametrize(
    ("first", "waited", "told"),
    [
        (spent("7.5"), [7.5], "the rate limit is spent; going on in 7.5 s"),
        (spent("7.5", status=404), [7.5], "the rate limit is spent; going on in 7.5 s"),
        (spent("1e308"), [60.0], "the rate limit is spent; going on in 60.0 s"),
        (spent("0.5"), [0.5], None),  # not worth a line in the log of every page
        (spent("0"), [], None),
        (spent("-1"), [], None),
        (spent("nan"), [], None),
        (spent("soon"), [], None),
        (Reply(body=b"{}", headers={"X-RateLimit-Remaining": "0"}), [], None),
        (Reply(body=b"{}", headers={"X-RateLimit-Reset": "9"}), [], None),
    ],
)
def test_a_limit_that_a_good_answer_spent_is_waited_for_before_the_next_request(
    wire: Wire, first: Reply, waited: list[float], told: str | None
) -> None:
    transport = wire.transport()
    wire.fake.script = deque([first, OK, OK])
    with suppress(NothingChangedError):
        transport.send("POST", "/one", b"{}")
    assert wire.slept == []
    transport.send("POST", "/two", b"{}")
    assert wire.slept == waited
    assert wire.told == ([f"POST {wire.fake.url}/two: {told}"] if told else [])
    transport.send("POST", "/three", b"{}")
    assert wire.slept == waited
    transport.close()


def test_what_one_thread_is_told_of_the_limit_holds_for_all(wire: Wire) -> None:
    """Real time: the threads that come after the first answer all wait."""
    wire.fake.script = deque([spent("0.4"), OK, OK, OK, OK])
    transport = Transport(wire.fake.url, headers=HEADERS, timer=Timer(jitter=lambda: 0.0))
    transport.send("POST", "/", b"{}")
    began = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: transport.send("POST", "/", b"{}"), range(4)))
    assert 0.35 <= time.monotonic() - began < 0.8  # side by side, and not one after another
    transport.close()


def test_a_retry_waits_for_the_limit_too(wire: Wire) -> None:
    transport = wire.transport()
    wire.fake.script = deque([spent("9", status=503), OK])
    transport.send("POST", "/", b"{}")
    assert wire.slept == [9.0]
    transport.close()


def test_a_retry_waits_for_what_another_request_was_told(wire: Wire) -> None:
    def meanwhile(line: str) -> None:
        if "503" in line:
            transport.send("POST", "/other", b"{}")

    wire.fake.script = deque([Reply(status=503), spent("9"), OK])
    transport = wire.transport(log=meanwhile)
    transport.send("POST", "/", b"{}")
    assert wire.slept == [9.0]
    transport.close()


def test_every_attempt_is_logged_without_the_query(wire: Wire) -> None:
    wire.send(Reply(status=503), HANG_UP, OK)
    line = f"PATCH {wire.fake.url}/somewhere: "
    assert [each.removeprefix(line) for each in wire.logged] == [
        "503 Service Unavailable, 0.00 s (attempt 1)",
        "the connection closed without an answer, 0.00 s (attempt 2)",
        "200, 13 bytes, 0.00 s (attempt 3)",
    ]


def test_the_rate_limit_is_named(wire: Wire) -> None:
    error = wire.refused(*[rate_limited("1.5", name="flaky_tests_update")] * 5)
    assert "429 Too Many Requests (rate limit flaky_tests_update)" in error.message
    assert error.tip is not None
    assert "rate limit" in error.tip


def test_the_deadline_ends_the_waiting(wire: Wire) -> None:
    wire.fake.always = rate_limited("60")
    transport = wire.transport(Patience(total=100, retries=50))
    with pytest.raises(BackendError):
        transport.send("POST", "/", b"{}")
    transport.close()
    assert wire.slept == [60.0]


def test_how_long_the_service_asks_to_wait_is_said_where_that_is_too_long(wire: Wire) -> None:
    wire.fake.always = rate_limited("99")
    transport = wire.transport(Patience(total=5, longest_wait=5))
    with pytest.raises(BackendError, match=r"Too many requests; it asks to wait 99 s$"):
        transport.send("POST", "/", b"{}")
    wire.fake.always = rate_limited("1e308")
    with pytest.raises(BackendError, match=r"Too many requests$"):
        transport.send("POST", "/", b"{}")
    transport.close()


def test_a_slow_answer_is_not_waited_for_for_ever(wire: Wire) -> None:
    wire.fake.always = Reply(wait=2, body=b"{}")
    transport = wire.transport(Patience(read=0.1, retries=1))
    with pytest.raises(BackendError, match=r"no answer in time \(2 attempts\)"):
        transport.send("POST", "/", b"{}")
    transport.close()


def test_a_dripping_answer_meets_the_deadline(wire: Wire) -> None:
    wire.fake.always = Reply(drip=0.02, body=b"x" * 500)
    transport = Transport(
        wire.fake.url, headers=HEADERS, patience=Patience(read=1, total=0.3, retries=0)
    )
    with pytest.raises(BackendError, match="no complete answer in time"):
        transport.send("POST", "/", b"{}")
    transport.close()


def test_an_endless_answer_is_refused(wire: Wire) -> None:
    bomb = gzip.compress(b"\0" * (MOST_BYTES + 1))
    for endless in (
        Reply(body=bomb, headers={"Content-Encoding": "gzip"}),
        Reply(body=bytes(MOST_BYTES + 1)),
    ):
        assert "larger than 64 MiB" in wire.refused(endless).message


def test_a_body_that_is_not_what_it_says_is_tried_again(wire: Wire) -> None:
    assert wire.send(Reply(body=b"plain", headers={"Content-Encoding": "gzip"}), OK) == OK.body


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (page("Sign in to Acme"), "200, but the answer is a web page: Sign in to Acme"),
        (Reply(body=b"<p>hello"), "200, but the answer is a web page: hello"),
        (Reply(body=b"{}", headers={"Content-Type": "TEXT/HTML"}), "the answer is a web page"),
        (page(f"you sent {API_KEY}"), "a web page: you sent ***"),
    ],
)
def test_a_page_for_people_is_no_answer(wire: Wire, reply: Reply, says: str) -> None:
    error = wire.refused(reply)
    assert says in error.message
    assert not isinstance(error, NothingChangedError)
    assert len(wire.fake.requests) == 1


def test_a_redirect_never_carries_the_keys_on(wire: Wire) -> None:
    with FakeDatadog() as elsewhere:
        error = wire.refused(Reply(status=307, headers={"Location": elsewhere.url}))
        assert elsewhere.requests == []
    assert error.tip is not None
    assert "--api-url" in error.tip


def test_a_redirect_that_is_wanted_is_an_address_and_nobody_goes_there(wire: Wire) -> None:
    transport = wire.transport()
    with FakeDatadog() as elsewhere, closing(transport):
        address = f"{elsewhere.url}/a?sig=b%2Fc"
        wire.fake.script.append(Reply(status=302, headers={"Location": address}))
        assert transport.send("GET", "/x", moved=True) == address.encode()
        for reply in (Reply(status=302), Reply(status=404, headers={"Location": address})):
            wire.fake.script.append(reply)
            with pytest.raises(BackendError, match=str(reply.status)):
                transport.send("GET", "/x", moved=True)
        assert elsewhere.requests == []


def test_the_service_knows_better_what_to_do(wire: Wire) -> None:
    assert wire.refused(Reply(status=403), tips={403: "ask Ann"}).tip == "ask Ann"
    assert wire.refused(Reply(status=401), tips={403: "ask Ann"}).tip != "ask Ann"


def test_nobody_there() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        transport = Transport(url, headers=HEADERS, timer=Timer(sleep=lambda _: None))
        with pytest.raises(NothingChangedError) as caught:
            transport.send("POST", "/x", b"{}")
        transport.close()
    assert caught.value.message == f"POST {url}/x: connection refused (5 attempts)"


def shown(error: BaseException) -> str:
    """All that a traceback could print of it: every exception it came from, their values too."""
    texts: list[str] = []
    todo: list[BaseException | None] = [error]
    while todo:
        if (each := todo.pop()) is not None:
            texts += [str(each), repr(each), repr(each.args), repr(vars(each))]
            texts += traceback.format_exception(each)
            todo += [each.__cause__, each.__context__]
    return "\n".join(texts)


@pytest.mark.parametrize(
    "reply",
    [
        HANG_UP,
        Reply(status=403, body=f'{{"errors":["key {API_KEY} is unknown"]}}'.encode()),
        Reply(status=500, body=f"<html><title>{APP_KEY}</title></html>".encode()),
        Reply(status=400, body=f"you sent {APP_KEY} and {API_KEY}".encode()),
        Reply(status=429, headers={"X-RateLimit-Name": f"of-{API_KEY}"}),
        Reply(status=307, headers={"Location": f"http://127.0.0.1:1/?key={API_KEY}"}),
    ],
)
def test_keys_never_appear(wire: Wire, reply: Reply) -> None:
    error = wire.refused(*[reply] * 5)
    texts = [shown(error), error.tip or "", *wire.told, *wire.logged, repr(wire.transport())]
    for key in (API_KEY, APP_KEY):
        assert not [text for text in texts if key in text]
    assert "hidden" not in error.message


def test_nor_in_an_answer_that_repeats_them(wire: Wire) -> None:
    body = f'{{"id":"a","error":"{APP_KEY} and {API_KEY} may not"}}'.encode()
    assert wire.send(Reply(body=body)) == b'{"id":"a","error":"*** and *** may not"}'
