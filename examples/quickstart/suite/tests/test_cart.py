from __future__ import annotations

import pytest

from shop.cart import MOST_OF_ONE, Cart


@pytest.fixture
def cart() -> Cart:
    return Cart(prices={"tea": 450, "mug": 1200, "pot": 3900})


def test_a_new_cart_is_empty(cart: Cart) -> None:
    assert cart.count() == 0
    assert cart.subtotal() == 0


def test_adding_counts_pieces(cart: Cart) -> None:
    cart.add("tea", 2)
    cart.add("mug")
    assert cart.count() == 3


def test_adding_the_same_again_adds_up(cart: Cart) -> None:
    cart.add("tea")
    cart.add("tea", 2)
    assert cart.lines == {"tea": 3}


def test_subtotal_is_price_times_quantity(cart: Cart) -> None:
    cart.add("tea", 2)
    cart.add("pot")
    assert cart.subtotal() == 4800


def test_removing_takes_all_of_an_article(cart: Cart) -> None:
    cart.add("tea", 5)
    cart.remove("tea")
    assert cart.count() == 0


def test_removing_what_is_not_there(cart: Cart) -> None:
    with pytest.raises(KeyError):
        cart.remove("tea")


def test_unknown_articles_are_refused(cart: Cart) -> None:
    with pytest.raises(KeyError):
        cart.add("spoon")


@pytest.mark.parametrize("quantity", [0, -1, MOST_OF_ONE + 1])
def test_quantities_have_bounds(cart: Cart, quantity: int) -> None:
    with pytest.raises(ValueError, match="between 1 and"):
        cart.add("tea", quantity)


def test_the_most_of_one_article_is_allowed(cart: Cart) -> None:
    cart.add("tea", MOST_OF_ONE)
    assert cart.count() == MOST_OF_ONE
