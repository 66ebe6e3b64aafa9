from __future__ import annotations

import pytest

from shop import sessions


def test_a_new_session_is_in_euros() -> None:
    assert sessions.open_session("ada", now=0).currency == "EUR"


def test_the_swiss_shop_opens_sessions_in_francs() -> None:
    sessions.use_currency("CHF")
    assert sessions.open_session("ada", now=0).currency == "CHF"


@pytest.mark.parametrize("currency", ["eur", "BTC"])
def test_other_currencies_are_refused(currency: str) -> None:
    with pytest.raises(ValueError, match="not a currency"):
        sessions.use_currency(currency)


def test_a_session_keeps_its_currency() -> None:
    sessions.use_currency("EUR")
    session = sessions.open_session("ada", now=0)
    sessions.use_currency("USD")
    sessions.use_currency("EUR")
    assert session.currency == "EUR"


def test_the_euro_can_be_chosen() -> None:
    sessions.use_currency("EUR")
    assert sessions.open_session("grace", now=0).currency == "EUR"


def test_a_session_expires() -> None:
    session = sessions.open_session("ada", now=0)
    assert not session.expired(sessions.LIFETIME)
    assert session.expired(sessions.LIFETIME + 1)


def test_shopping_keeps_a_session_alive() -> None:
    session = sessions.open_session("ada", now=0)
    session.touch(sessions.LIFETIME)
    assert not session.expired(sessions.LIFETIME + 1)


def test_a_late_request_does_not_age_a_session() -> None:
    session = sessions.open_session("ada", now=100)
    session.touch(50)
    assert session.seen == 100
