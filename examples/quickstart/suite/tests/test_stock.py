from __future__ import annotations

import contextlib
import io
import random
import time
from threading import Thread

import pytest

from shop.stock import OutOfStockError, Stock


def with_tea(quantity: int) -> Stock:
    return Stock(left={"tea": quantity}, ledger=io.StringIO())


def test_reserving_takes_from_the_shelf() -> None:
    stock = with_tea(5)
    stock.reserve("tea", 2)
    assert stock.left == {"tea": 3}


def test_the_last_piece_can_be_reserved() -> None:
    stock = with_tea(1)
    stock.reserve("tea")
    assert stock.left == {"tea": 0}


def test_nothing_left_to_reserve() -> None:
    with pytest.raises(OutOfStockError):
        with_tea(1).reserve("tea", 2)


def test_what_is_put_back_can_be_reserved_again() -> None:
    stock = with_tea(1)
    stock.reserve("tea")
    stock.put_back("tea")
    stock.reserve("tea")
    assert stock.left == {"tea": 0}


def test_the_ledger_has_a_line_for_each_change() -> None:
    ledger = io.StringIO()
    stock = Stock(left={"tea": 2}, ledger=ledger)
    stock.reserve("tea", 2)
    stock.put_back("tea")
    assert ledger.getvalue() == "tea -2\ntea +1\n"


class NetworkLedger(io.StringIO):
    def flush(self) -> None:
        time.sleep(0.005)


def test_the_last_piece_is_sold_once() -> None:
    stock = Stock(left={"tea": 1}, ledger=NetworkLedger())
    sold: list[str] = []

    def customer(name: str) -> None:
        time.sleep(random.uniform(0, 0.04))  # customers come when they come
        with contextlib.suppress(OutOfStockError):
            stock.reserve("tea")
            sold.append(name)

    customers = [Thread(target=customer, args=(name,)) for name in ("ada", "grace")]
    for thread in customers:
        thread.start()
    for thread in customers:
        thread.join()
    assert len(sold) == 1
