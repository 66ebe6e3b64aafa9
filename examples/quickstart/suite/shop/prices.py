"""Vouchers, tax and shipping. Amounts are in cents, taxes in percent."""

from __future__ import annotations

import re

FREE_SHIPPING_FROM = 5000
SHIPPING = 490
TAX = 19


def parse(text: str) -> int:
    """Cents of a text like "12.50" or "12". Raises ValueError."""
    price = re.fullmatch(r"\s*([0-9]+)(?:\.([0-9]{2}))?\s*", text)
    if not price:
        raise ValueError(f"not a price: {text!r}")
    return int(price[1]) * 100 + int(price[2] or 0)


def show(cents: int) -> str:
    """What customers read."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02}"


def with_voucher(subtotal: int, voucher: int) -> int:
    """The voucher comes off, but nobody is paid for shopping."""
    return max(subtotal - voucher, 0)


def shipping(subtotal: int) -> int:
    """Free for large orders."""
    return 0 if subtotal >= FREE_SHIPPING_FROM else SHIPPING


def tax(net: int) -> int:
    """The tax on one amount, rounded to whole cents."""
    return (net * TAX + 50) // 100


def tax_of_lines(amounts: list[int]) -> int:
    """The tax on an invoice: that of its lines."""
    return sum(tax(amount) for amount in amounts)


def split(total: int, people: int) -> list[int]:
    """Shares that differ by a cent at most; the first ones pay the odd cents."""
    share, odd = divmod(total, people)
    return [share + 1] * odd + [share] * (people - odd)
