"""Runs the tests in a new order each time, as pytest-randomly would, and says which."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

SEED = int(os.environ.get("SHOP_TEST_SEED") or random.SystemRandom().randrange(10**6))


def pytest_report_header() -> str:
    """Says how to get this order again."""
    return f"order of the tests: SHOP_TEST_SEED={SEED}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Shuffles all tests, across files."""
    random.Random(SEED).shuffle(items)
