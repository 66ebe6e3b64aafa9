from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flakegate.policy.globs import matcher


@pytest.mark.parametrize(
    ("glob", "text", "expected"),
    [
        ("", "", True),
        ("", "a", False),
        ("a", "a", True),
        ("a", "A", False),
        ("a", "ab", False),
        ("*", "", True),
        ("*", "a\nb", True),
        ("?", "\n", True),
        ("?", "", False),
        ("a*", "a", True),
        ("a*a", "a", False),
        ("*a*", "bab", True),
        ("*ab*ab", "ab", False),
        ("*ab*ab", "abab", True),
        ("a*b*c", "abbbc", True),
        ("a*b*c", "acb", False),
        ("[a-c]?", "bz", True),
        ("[!a-c]?", "bz", False),
        ("[]]", "]", True),
        ("[!]]", "]", False),
        ("[a", "[a", True),
        ("test[[]*]", "test[linux-3.12]", True),
        ("test[*]", "test[linux]", False),
        ("[c-a]", "b", False),
        ("[!c-a]", "b", True),
        ("a.b", "axb", False),
        ("(a|b)+", "(a|b)+", True),
        (r"a\d", r"a\d", True),
        (r"[\]x]", "x", False),
    ],
)
def test_globs(glob: str, text: str, expected: bool) -> None:
    assert matcher(glob)(text) is expected


@given(st.text("ab*?[]!-\n", max_size=9), st.text("ab[]!-\n", max_size=7))
@example("[!]a", "[!]a")
@example("[]-a]", "]")
def test_the_same_answers_as_the_standard_library(glob: str, text: str) -> None:
    assert matcher(glob)(text) == fnmatchcase(text, glob)


def test_hostile_globs_come_to_an_end() -> None:
    # A translation into one regular expression with `.*` would take longer than the universe.
    text = "a" * 50_000
    assert not matcher("*a" * 200 + "*b")(text)
    assert not matcher("*a?[ab]" * 100 + "*b")(text)
    assert matcher("*a" * 200 + "*")(text)
