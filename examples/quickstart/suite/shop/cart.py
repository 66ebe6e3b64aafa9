"""What a customer is about to buy."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_OF_ONE = 20


@dataclass(kw_only=True)
class Cart:
    """Quantities by article. Prices are in cents."""

    prices: dict[str, int]
    lines: dict[str, int] = field(default_factory=dict)

    def add(self, article: str, quantity: int = 1) -> None:
        """Puts more of an article in. Raises KeyError, ValueError."""
        if article not in self.prices:
            raise KeyError(article)
        wanted = self.lines.get(article, 0) + quantity
        if not 0 < wanted <= MOST_OF_ONE:
            raise ValueError(f"between 1 and {MOST_OF_ONE} of {article}, not {wanted}")
        self.lines[article] = wanted

    def remove(self, article: str) -> None:
        """Takes an article out, however many there are. Raises KeyError."""
        del self.lines[article]

    def count(self) -> int:
        """How many pieces there are."""
        return sum(self.lines.values())

    def subtotal(self) -> int:
        """Cents, before vouchers, tax and shipping."""
        return sum(self.prices[article] * quantity for article, quantity in self.lines.items())
