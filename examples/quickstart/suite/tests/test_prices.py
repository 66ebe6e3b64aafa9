from __future__ import annotations

import random

import pytest

from shop import prices


@pytest.mark.parametrize(("text", "cents"), [("12", 1200), ("12.50", 1250), (" 0.05 ", 5)])
def test_prices_are_read(text: str, cents: int) -> None:
    assert prices.parse(text) == cents


@pytest.mark.parametrize("text", ["", "1.5", "-3", "free"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a price"):
        prices.parse(text)


@pytest.mark.parametrize(("cents", "text"), [(5, "0.05"), (1250, "12.50"), (-199, "-1.99")])
def test_prices_are_shown(cents: int, text: str) -> None:
    assert prices.show(cents) == text


def test_a_voucher_comes_off() -> None:
    assert prices.with_voucher(3000, 500) == 2500


def test_a_voucher_never_pays_out() -> None:
    assert prices.with_voucher(300, 500) == 0


def test_small_orders_pay_shipping() -> None:
    assert prices.shipping(prices.FREE_SHIPPING_FROM - 1) == prices.SHIPPING


def test_large_orders_ship_free() -> None:
    assert prices.shipping(prices.FREE_SHIPPING_FROM) == 0


def test_tax_is_rounded_to_cents() -> None:
    assert prices.tax(1000) == 190
    assert prices.tax(1003) == 191


def test_the_tax_of_an_invoice_is_the_tax_of_its_sum() -> None:
    # Any two prices should do.
    tea, mug = random.randint(100, 2000), random.randint(100, 2000)
    assert prices.tax_of_lines([tea, mug]) == prices.tax(tea + mug)


def test_shares_add_up() -> None:
    assert prices.split(1000, 3) == [334, 333, 333]
