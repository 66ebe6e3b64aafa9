"""Who is shopping, and in which currency."""

from __future__ import annotations

from dataclasses import dataclass

LIFETIME = 1800.0
CURRENCIES = ("EUR", "CHF", "USD")

_defaults = {"currency": "EUR"}


@dataclass(kw_only=True)
class Session:
    """Times are seconds on a clock of the caller's."""

    customer: str
    currency: str
    seen: float

    def expired(self, now: float) -> bool:
        """Whether the customer was away too long."""
        return now - self.seen > LIFETIME

    def touch(self, now: float) -> None:
        """The customer is still there."""
        self.seen = max(self.seen, now)


def use_currency(currency: str) -> None:
    """The currency of sessions opened from now on. Raises ValueError."""
    if currency not in CURRENCIES:
        raise ValueError(f"not a currency we take: {currency}")
    _defaults["currency"] = currency


def open_session(customer: str, now: float) -> Session:
    """A new session."""
    return Session(customer=customer, currency=_defaults["currency"], seen=now)
