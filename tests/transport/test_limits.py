"""When to come back: what headers say, and what they cannot make us do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.transport.limits import asked_wait, is_passing
from flakegate.transport.waiting import Patience

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
EPOCH = 1_792_567_680.0  # the same
LATER = "Wed, 21 Oct 2026 07:28:30 GMT"


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {}, None),
        (429, {"Retry-After": "2.5"}, 2.5),
        (429, {"X-RateLimit-Reset": "1.5"}, 1.5),
        (429, {"X-RateLimit-Reset": "3", "Retry-After": "2"}, 3.0),
        (429, {"X-RateLimit-Reset": "2", "Retry-After": "3"}, 3.0),
        (429, {"X-RateLimit-Reset": "nan", "Retry-After": "-1"}, None),
        (429, {"X-RateLimit-Reset": "1e308"}, 1e308),
        (429, {"X-RateLimit-Reset": f"{EPOCH + 40:.0f}"}, 30.0),
        (429, {"X-RateLimit-Reset": f"{EPOCH - 40:.0f}"}, 0.0),
        (503, {"Retry-After": "4"}, 4.0),
        (503, {"X-RateLimit-Reset": "4"}, None),
        (404, {"Retry-After": "4"}, None),
        (200, {"Retry-After": "4"}, None),
        (200, {"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "4"}, None),
        (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4.25"}, 4.25),
        (200, {"X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "4"}, 4.0),
        (200, {"X-RateLimit-Remaining": "nan", "X-RateLimit-Reset": "4"}, None),
        (200, {"X-RateLimit-Remaining": "0"}, None),
        (400, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4"}, 4.0),
        (429, {"Retry-After": LATER, "Date": DATE}, 30.0),
        (429, {"Retry-After": DATE, "Date": LATER}, 0.0),
        (429, {"Retry-After": LATER}, 20.0),
        (429, {"Retry-After": LATER, "Date": "yesterday"}, 20.0),
        (429, {"Retry-After": "Wed, 21 Oct 99999 07:28:30 GMT"}, None),
        (429, {"Retry-After": "Fri, 31 Dec 9999 23:59:59 -2359", "Date": DATE}, None),
        (429, {"Retry-After": "soon"}, None),
    ],
)
def test_what_is_asked_for(status: int, headers: dict[str, str], wait: float | None) -> None:
    asked = asked_wait(status, headers, clock=EPOCH + 10)
    if wait is None and headers.get("Retry-After", "").startswith("Fri, 31 Dec 9999"):
        assert asked is None or asked > 1e9
    else:
        assert asked == wait


odd_texts = st.one_of(
    st.text(max_size=20),
    st.floats().map(str),
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from([DATE, LATER, "1e999", "-0", "0x10", "inf", "1_0", "٣", "", " 7 "]),
)
names = st.sampled_from(["Retry-After", "Date", "X-RateLimit-Reset", "X-RateLimit-Remaining"])


@given(
    status=st.integers(100, 599),
    headers=st.dictionaries(names, odd_texts),
    attempt=st.integers(1, 500),
    jitter=st.floats(0, 1),
)
def test_no_header_makes_us_wait_longer_than_the_longest_wait(
    status: int, headers: dict[str, str], attempt: int, jitter: float
) -> None:
    patience = Patience(longest_wait=7.0)
    asked = asked_wait(status, headers, clock=EPOCH)
    assert asked is None or (math.isfinite(asked) and asked >= 0)
    assert 0 <= patience.before_retry(attempt, asked=asked, jitter=jitter) <= 7.5


def test_what_passes_by_itself() -> None:
    passing = [status for status in range(100, 600) if is_passing(status)]
    assert passing == [408, 429, *range(500, 600)]
