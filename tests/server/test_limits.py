"""How many requests a pair of keys may send."""

from __future__ import annotations

from flakegate.server.limits import PERIOD, Limits


def test_a_period_holds_so_many_requests_and_then_begins_anew() -> None:
    limits = Limits(limit=3)
    taken = [limits.take("ci", 100.0 + n) for n in range(5)]
    assert [each.allowed for each in taken] == [True, True, True, False, False]
    assert [each.remaining for each in taken] == [2, 1, 0, 0, 0]
    assert [each.reset for each in taken] == [60.0, 59.0, 58.0, 57.0, 56.0]
    assert not limits.take("ci", 100.0 + PERIOD - 0.1).allowed
    again = limits.take("ci", 100.0 + PERIOD)
    assert (again.allowed, again.remaining, again.reset) == (True, 2, PERIOD)


def test_each_pair_of_keys_has_its_own() -> None:
    limits = Limits(limit=1)
    assert limits.take("ci", 0.0).allowed
    assert limits.take("bot", 0.0).allowed
    assert not limits.take("ci", 1.0).allowed


def test_the_headers_say_whole_seconds_that_are_enough() -> None:
    limits = Limits(limit=1)
    limits.take("ci", 0.0)
    assert limits.take("ci", 0.5).headers() == {
        "X-RateLimit-Limit": "1",
        "X-RateLimit-Period": "60",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "60",
        "X-RateLimit-Name": "flakegate",
    }
