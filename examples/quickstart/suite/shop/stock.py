"""What is on the shelves, with a ledger of every piece that left them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO


class OutOfStockError(Exception):
    """There is less on the shelf than was asked for."""


@dataclass(kw_only=True)
class Stock:
    """left: quantities by article. ledger: gets a line for whatever is taken or put back."""

    left: dict[str, int]
    ledger: TextIO

    def reserve(self, article: str, quantity: int = 1) -> None:
        """Takes pieces off the shelf. Raises OutOfStockError."""
        left = self.left.get(article, 0)
        if left < quantity:
            raise OutOfStockError(article)
        self._enter(article, -quantity)
        self.left[article] = left - quantity

    def put_back(self, article: str, quantity: int = 1) -> None:
        """Puts pieces back."""
        self._enter(article, quantity)
        self.left[article] = self.left.get(article, 0) + quantity

    def _enter(self, article: str, change: int) -> None:
        self.ledger.write(f"{article} {change:+}\n")
        self.ledger.flush()
