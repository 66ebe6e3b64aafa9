"""From a cart to a receipt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from shop import prices

if TYPE_CHECKING:
    from collections.abc import Callable

    from shop.cart import Cart


class EmptyCartError(Exception):
    """There is nothing to pay."""


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """total: cents, all included. issued: to the second, UTC, as it is printed."""

    total: int
    issued: datetime
    text: str


def total(cart: Cart, voucher: int = 0) -> int:
    """What there is to pay, in cents: after the voucher, with tax and shipping."""
    goods = prices.with_voucher(cart.subtotal(), voucher)
    return goods + prices.tax(goods) + prices.shipping(goods)


def pay(cart: Cart, charge: Callable[[int], None], voucher: int = 0) -> Receipt:
    """Charges the card, then writes the receipt. Raises EmptyCartError."""
    if not cart.lines:
        raise EmptyCartError
    issued = datetime.now(timezone.utc).replace(microsecond=0)
    cents = total(cart, voucher)
    charge(cents)
    text = f"{issued:%Y-%m-%d %H:%M:%S}  {prices.show(cents)}"
    return Receipt(total=cents, issued=issued, text=text)
