from __future__ import annotations

import time
from datetime import datetime, timezone

import pytest

from shop import orders, prices
from shop.cart import Cart


@pytest.fixture
def cart() -> Cart:
    return Cart(prices={"tea": 450, "pot": 3900}, lines={"tea": 2, "pot": 1})


def test_the_total_has_tax_and_shipping(cart: Cart) -> None:
    assert orders.total(cart) == 4800 + 912 + prices.SHIPPING


def test_a_voucher_lowers_the_total(cart: Cart) -> None:
    assert orders.total(cart, voucher=1800) == 3000 + 570 + prices.SHIPPING


def test_an_empty_cart_cannot_be_paid() -> None:
    with pytest.raises(orders.EmptyCartError):
        orders.pay(Cart(prices={}), charge=lambda _: None)


def test_a_refused_card_gives_no_receipt(cart: Cart) -> None:
    def refuse(_: int) -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        orders.pay(cart, charge=refuse)


def test_the_receipt_carries_the_time_of_payment(cart: Cart) -> None:
    def card_terminal(_: int) -> None:
        time.sleep(0.12)

    receipt = orders.pay(cart, charge=card_terminal)
    assert receipt.issued == datetime.now(timezone.utc).replace(microsecond=0)
