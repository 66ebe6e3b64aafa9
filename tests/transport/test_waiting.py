"""How long is waited: before another attempt, in all, and while others are held back."""

from __future__ import annotations

import threading

import pytest

from flakegate.errors import UsageError
from flakegate.transport.waiting import PATIENCE, Hold, Patience, patience


def test_waits_double_and_are_spread() -> None:
    waits = [PATIENCE.before_retry(attempt, asked=None, jitter=1.0) for attempt in range(1, 9)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
    least = [PATIENCE.before_retry(attempt, asked=None, jitter=0.0) for attempt in range(1, 9)]
    assert least == [wait / 2 for wait in waits]
    assert PATIENCE.before_retry(1, asked=3.0, jitter=0.0) == 3.0
    assert PATIENCE.before_retry(1, asked=3.0, jitter=1.0) == 3.5
    assert PATIENCE.before_retry(1, asked=9e9, jitter=0.0) == 60.0


@pytest.mark.parametrize(
    ("text", "total"), [("", 240.0), (" ", 240.0), ("30", 30.0), ("0.5", 0.5), ("3600", 3600.0)]
)
def test_the_timeout_of_the_environment(text: str, total: float) -> None:
    expected = Patience(total=total, longest_wait=min(total, 60.0))
    assert patience({"FLAKEGATE_TIMEOUT": text}) == expected
    assert patience({}) == PATIENCE


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "3601", "1e308", "soon", "1 s", "0.05"])
def test_a_timeout_that_is_none(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        patience({"FLAKEGATE_TIMEOUT": text})
    assert f"FLAKEGATE_TIMEOUT={text!r}" in caught.value.message
    assert "240" in (caught.value.tip or "")


def test_a_hold_is_never_shortened() -> None:
    hold = Hold()
    assert hold.left(0.0) == 0.0
    hold.extend(10.0)
    hold.extend(5.0)
    assert hold.left(4.0) == 6.0
    assert hold.left(10.0) == hold.left(11.0) == 0.0


def test_a_hold_is_that_of_all_threads() -> None:
    hold = Hold()
    threads = [threading.Thread(target=hold.extend, args=(float(n),)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hold.left(0.0) == 49.0
