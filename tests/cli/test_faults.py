"""Whole commands against a Datadog whose answers are spoiled on the way, over real sockets.

Whatever happens: no state other than the planned ones, a message that says what to do, a code.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests import faults
from tests.cli.reports import SMALLEST, junit, write
from tests.fake_datadog import API_KEY, APP_KEY, KEYS, FakeDatadog, flaky, rate_limited
from tests.faults import PASS, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Caller, Done

NOON = 1_795_176_000.0  # what FLAKEGATE_TIME says
PLANNED = {f"want-{number}": "quarantined" for number in range(5)}
IMPATIENT = {"FLAKEGATE_TIMEOUT": "0.3"}  # seconds for one request and all its attempts
BRIEF = {"FLAKEGATE_TIMEOUT": "1"}  # likewise, where an answer comes: also on a busy machine


@pytest.fixture
def datadog(folder: Path) -> Iterator[FakeDatadog]:
    """Twenty tests in pages of three; the policy wants five of them quarantined."""
    write(folder, "flakegate.yml", SMALLEST)
    tests = [flaky(test_id, rate=50.0) for test_id in PLANNED]
    tests += [flaky(f"below-{number}", rate=1.0) for number in range(14)]
    tests += [flaky("disabled", state="disabled", rate=90.0)]
    with FakeDatadog(tests=tests, page_cap=3, clock=lambda: NOON) as fake:
        yield fake


@pytest.fixture
def apply(flakegate: Caller, datadog: FakeDatadog) -> Callable[..., Done]:
    """Calls `flakegate apply`. No state but a planned one, and no secret, ever comes of it."""
    before = datadog.states

    def call(*arguments: str, **env: str) -> Done:
        done = flakegate("apply", *arguments, "--api-url", datadog.url, **{**KEYS, **env})
        for key in (API_KEY, APP_KEY):
            assert key not in done.out + done.err
        for test_id, state in datadog.states.items():
            assert state in {before.get(test_id, state), PLANNED.get(test_id, state)}
        return done

    return call


def carried_out(datadog: FakeDatadog) -> bool:
    """Whether exactly the plan was carried out."""
    moved = {test_id for test_id, state in datadog.states.items() if state == "quarantined"}
    return moved == PLANNED.keys()


def untouched(datadog: FakeDatadog) -> bool:
    return "PATCH" not in {request.method for request in datadog.requests}


# Each of these passes by itself: the request is made again, and nothing is lost or made twice.
PASSING = {
    "429 with headers": [rate_limited("0.05")],
    "429 without headers": [Reply(status=429)],
    "500": [Reply(status=500)],
    "502": [faults.page("Bad gateway", status=502)],
    "503": [Reply(status=503, headers={"Retry-After": "0"})],
    "504": [Reply(status=504, act=True)],
    "hang-up": [faults.HANG_UP],
    "hang-up, carried out": [faults.DONE_AND_HANG_UP],
    "reset before": [faults.RESET],
    "reset before, carried out": [faults.DONE_AND_RESET],
    "reset in the middle": [faults.RESET_IN_THE_MIDDLE],
    "break-off in the middle": [faults.BREAK_OFF_IN_THE_MIDDLE],
    "reset after": [faults.RESET_AFTERWARDS],
    "truncated gzip": [faults.TRUNCATED_GZIP],
}


def passes(name: str, apply: Callable[..., Done], datadog: FakeDatadog) -> None:
    datadog.scripts = {"POST": [PASS, *PASSING[name]], "PATCH": [*PASSING[name]]}
    done = apply()
    assert done.code == 0, done.out + done.err
    assert datadog.scripts == {"POST": [], "PATCH": []}
    assert carried_out(datadog)


@pytest.mark.parametrize("name", ["429 with headers", "429 without headers"])
def test_rate_limits_pass(name: str, apply: Callable[..., Done], datadog: FakeDatadog) -> None:
    passes(name, apply, datadog)


@pytest.mark.parametrize("name", ["500", "502", "503", "504"])
def test_server_errors_pass(name: str, apply: Callable[..., Done], datadog: FakeDatadog) -> None:
    passes(name, apply, datadog)


@pytest.mark.parametrize("name", [name for name in PASSING if name.startswith(("hang", "reset b"))])
def test_connections_that_end_before_the_answer_pass(
    name: str, apply: Callable[..., Done], datadog: FakeDatadog
) -> None:
    passes(name, apply, datadog)


@pytest.mark.parametrize("name", [name for name in PASSING if name.endswith("middle")])
def test_answers_that_break_off_pass(
    name: str, apply: Callable[..., Done], datadog: FakeDatadog
) -> None:
    passes(name, apply, datadog)


def test_a_reset_after_the_answer_passes(apply: Callable[..., Done], datadog: FakeDatadog) -> None:
    passes("reset after", apply, datadog)


def test_a_truncated_gzip_is_asked_for_again(
    apply: Callable[..., Done], datadog: FakeDatadog
) -> None:
    passes("truncated gzip", apply, datadog)


def test_a_rate_limit_that_does_not_end(apply: Callable[..., Done], datadog: FakeDatadog) -> None:
    datadog.always = rate_limited("0.2", name="flaky_tests_search")
    done = apply(**BRIEF)
    assert done.code == 4
    assert "429 Too Many Requests (rate limit flaky_tests_search)" in done.err
    assert "the rate limit is spent: try again later, or run fewer jobs at once" in done.err
    assert untouched(datadog)


def test_a_rate_limit_that_ends_after_an_hour_is_not_waited_for(
    apply: Callable[..., Done], datadog: FakeDatadog
) -> None:
    datadog.always = rate_limited("3600")
    began = time.monotonic()
    assert apply(**BRIEF).code == 4
    assert time.monotonic() - began < 10


def test_a_spent_limit_is_waited_for_before_the_next_request(
    apply: Callable[..., Done], datadog: FakeDatadog
) -> None:
    spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1.2", "X-RateLimit-Name": "x"}

    def last_of_the_limit(reply: Reply) -> Reply:
        return replace(reply, headers={**reply.headers, **spent})

    datadog.scripts = {"POST": [Reply(spoil=last_of_the_limit)]}
    began = time.monotonic()
    done = apply()
    assert done.code == 0
    assert time.monotonic() - began >= 1.2
    assert "the rate limit is spent; going on in 1.2 s" in done.err
    assert carried_out(datadog)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_errors_that_do_not_end(
    status: int, apply: Callable[..., Done], datadog: FakeDatadog
) -> None:
    datadog.always = Reply(status=status)
    done = apply(**BRIEF)
    assert done.code == 4
    assert f": {status} " in done.err
    assert "the service is in trouble: try again later" in done.err
    assert untouched(datadog)


def test_connection_refused(apply: Callable[..., Done], datadog: FakeDatadog) -> None:
    datadog.leave()
    done = apply(**BRIEF)
    assert done.code == 4
    assert "connection refused" in done.err
    assert "check the network, the proxy (HTTPS_PROXY) and the API address" in done.err


@pytest.mark.parametrize(
    ("drip", "says"),
    [
        (Reply(own=True, drip=0.05), "no complete answer in time"),
        (Reply(own=True, drip=0.05, drip_head=True), "no answer in time"),
    ],
)
def test_a_slow_drip(
    drip: Reply, says: str, apply: Callable[..., Done], datadog: FakeDatadog
) -> None:
    datadog.always = drip
    began = time.monotonic()
    done = apply(**IMPATIENT)
    assert done.code == 4
    assert says in done.err
    assert time.monotonic() - began < 5
    assert untouched(datadog)


def test_no_answer(apply: Callable[..., Done], datadog: FakeDatadog) -> None:
    datadog.always = faults.NEVER
    done = apply(**IMPATIENT)
    assert done.code == 4
    assert "no answer in time" in done.err
    assert "try again later" in done.err
    assert untouched(datadog)


def test_no_answer_to_a_change(
    apply: Callable[..., Done], datadog: FakeDatadog, folder: Path
) -> None:
    datadog.scripts = {"PATCH": [faults.NEVER]}
    done = apply(FLAKEGATE_TIMEOUT="1")
    assert done.code == 0
    assert carried_out(datadog)
    assert '"unknown"' not in (folder / ".flakegate/journal.jsonl").read_text()


def test_a_gzip_that_is_always_truncated(apply: Callable[..., Done], datadog: FakeDatadog) -> None:
    datadog.always = faults.TRUNCATED_GZIP
    done = apply(**BRIEF)
    assert done.code == 4
    assert "the answer broke off" in done.err
    assert untouched(datadog)


@pytest.mark.parametrize("status", [200, 502])
def test_html_instead_of_json(
    status: int, apply: Callable[..., Done], datadog: FakeDatadog
) -> None:
    datadog.always = faults.page("Sign in to <b>Acme</b>", status=status)
    done = apply(**BRIEF)
    assert done.code == 4
    assert f": {status}" in done.err
    assert "Sign in to" in done.err
    assert ("check that the API address" in done.err) is (status == 200)
    assert untouched(datadog)


def test_bytes_that_are_not_http(apply: Callable[..., Done], datadog: FakeDatadog) -> None:
    datadog.always = Reply(raw=b"\x00\xff\x1b[31m SSH-2.0-OpenSSH\r\n\r\n")
    done = apply(**BRIEF)
    assert done.code == 4
    assert "\x1b" not in done.err
    assert untouched(datadog)


WRONG_SHAPES = [
    b"null", b"[]", b"7", b'{"data": 7}', b'{"data": {"id": "a"}}', b'{"data": [7]}',
    b'{"data": [{"id": 5, "attributes": {}}]}', b'{"meta": {"pagination": {"next_page": 7}}}',
    b'{"data": [{"id": "a", "attributes": {"test_stats": {"failure_rate_pct": "much"}}}]}',
    b'{"data": [{"id": "a"', b"\xff\xfe", b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("body", WRONG_SHAPES, ids=lambda body: body[:40].decode("latin-1"))
def test_json_of_the_wrong_shape(
    body: bytes, apply: Callable[..., Done], datadog: FakeDatadog
) -> None:
    datadog.always = Reply(body=body)
    done = apply()
    assert done.code == 4, done.out
    assert "the answer is not what Datadog's API gives" in done.err
    assert "check that the API address (DD_SITE, --api-url)" in done.err
    assert untouched(datadog)


def odd(test_id: str, **attributes: Any) -> dict[str, Any]:
    test = flaky(test_id, rate=60.0)
    return {**test, "attributes": {**test["attributes"], **attributes}}


def test_one_test_of_the_wrong_shape_is_left_out_and_named(
    apply: Callable[..., Done], datadog: FakeDatadog
) -> None:
    datadog.tests.append(odd("strange", test_run_metadata="3 s"))
    done = apply()
    assert done.code == 0
    assert "1 of Datadog's tests left out" in done.out
    assert carried_out(datadog)


def test_unknown_enums(apply: Callable[..., Done], datadog: FakeDatadog) -> None:
    datadog.tests += [
        flaky("new-state", state="on_hold", rate=60.0),
        odd("below-new", impact_level="apocalyptic", flaky_category="cosmic_rays",
            test_stats={"failure_rate_pct": 1.0}, a_new_attribute={"x": [1]}),
    ]  # fmt: skip
    done = apply()
    assert done.code == 0
    assert carried_out(datadog)


def test_nulls_everywhere(apply: Callable[..., Done], datadog: FakeDatadog) -> None:
    """What is not known matches no rule; without a state a test is not even looked at."""
    names = flaky("x")["attributes"].keys()
    datadog.tests += [
        odd("nothing-known", **{**dict.fromkeys(names), "flaky_state": "active"}),
        odd("no-state", **dict.fromkeys(names)),
        odd("no-attribute"),
    ]
    datadog.tests[-1]["attributes"] = {"flaky_state": "active"}
    done = apply()
    assert done.code == 0
    assert carried_out(datadog)


def test_envs_as_text(
    apply: Callable[..., Done], flakegate: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    datadog.tests.append(odd("below-text", envs="ci", test_stats={"failure_rate_pct": 1.0}))
    listed = flakegate("list", "--format", "json", "--api-url", datadog.url, **KEYS)
    envs = {test["id"]: test["envs"] for test in json.loads(listed.out)["tests"]}
    assert envs["below-text"] == envs["below-1"] == ["ci"]
    condition = SMALLEST.replace("failure_rate > 20%", 'envs has "ci" and failure_rate > 20%')
    write(folder, "flakegate.yml", condition)
    assert apply().code == 0
    assert carried_out(datadog)


def pointing(at: str | None) -> Callable[[Reply], Reply]:
    """Makes an answer whose next page is this."""

    def spoil(reply: Reply) -> Reply:
        answer = json.loads(reply.body)
        answer["meta"] = {"pagination": {"next_page": at}}
        return replace(reply, body=json.dumps(answer).encode())

    return spoil


def test_a_repeated_cursor(apply: Callable[..., Done], datadog: FakeDatadog) -> None:
    page = json.dumps({"data": [flaky("want-1", rate=50.0)]}).encode()
    datadog.always = pointing("the-same")(Reply(body=page))
    done = apply()
    assert done.code == 4
    assert "points back to an earlier one" in done.err
    assert "the list cannot be read to its end; try again" in done.err
    assert untouched(datadog)


def test_an_empty_page_in_the_middle(apply: Callable[..., Done], datadog: FakeDatadog) -> None:
    datadog.gaps = True
    assert apply().code == 0
    assert carried_out(datadog)


def test_a_page_that_shrinks(apply: Callable[..., Done], datadog: FakeDatadog) -> None:
    def shrink(reply: Reply) -> Reply:
        datadog.page_cap = 1
        return reply

    datadog.scripts = {"POST": [PASS, Reply(spoil=shrink)]}
    assert apply().code == 0
    assert carried_out(datadog)


def test_a_list_that_shrinks_while_it_is_read(
    apply: Callable[..., Done], datadog: FakeDatadog
) -> None:
    """What slips past this reading is found by the next; nothing else is moved in its place."""

    def shrink(reply: Reply) -> Reply:
        datadog.tests = [test for test in datadog.tests if test["id"] != "below-0"]
        return reply

    datadog.scripts = {"POST": [Reply(spoil=shrink)]}
    assert apply().code == 0
    assert apply().code == 0
    assert carried_out(datadog)


@pytest.mark.parametrize(
    "fault", [Reply(status=503), rate_limited("9"), faults.RESET, faults.NEVER, faults.page("Hi")]
)
def test_a_failure_that_cannot_be_looked_up_is_not_excused(
    flakegate: Caller, datadog: FakeDatadog, folder: Path, fault: Reply
) -> None:
    write(folder, "flakegate.yml", "version: 1\nreports: [{paths: r.xml, framework: pytest}]\n")
    report = write(folder, "r.xml", junit("-test_a"))
    datadog.always = fault
    done = flakegate(
        "gate", report, "--format", "json", "--api-url", datadog.url, **KEYS, **IMPATIENT
    )
    assert done.code == 4
    (failure,) = json.loads(done.out)["failures"]
    assert (failure["decision"], failure["reason"]) == ("blocked", "unavailable")
    assert "try again later" in done.err or "check that the API address" in done.err
    assert untouched(datadog)


def test_a_job_whose_tests_pass_needs_no_datadog(
    flakegate: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    report = write(folder, "r.xml", junit("test_a"))
    datadog.leave()
    assert flakegate("gate", report, "--api-url", datadog.url, **KEYS).code == 0
    done = flakegate("run", report, "--apply", "--api-url", datadog.url, **KEYS, **IMPATIENT)
    assert done.code == 0
    assert "connection refused" in done.out
