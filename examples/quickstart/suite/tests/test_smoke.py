from __future__ import annotations

import io

from shop import orders
from shop.cart import Cart
from shop.stock import Stock


def test_a_customer_can_buy_a_cup_of_tea() -> None:
    stock = Stock(left={"tea": 1}, ledger=io.StringIO())
    cart = Cart(prices={"tea": 450})
    charged: list[int] = []
    stock.reserve("tea")
    cart.add("tea")
    receipt = orders.pay(cart, charge=charged.append)
    assert charged == [receipt.total] == [450 + 86 + 490]
    assert receipt.text.endswith("10.26")
