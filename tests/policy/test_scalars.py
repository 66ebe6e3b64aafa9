from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.policy.document import Mapping, Scalar, Source, compose
from flakegate.policy.scalars import offsets


def scalar_of(text: str) -> Scalar:
    root = compose(Source("p.yml", text))
    assert isinstance(root, Mapping)
    node = root.get("when")
    assert isinstance(node, Scalar)
    return node


@pytest.mark.parametrize(
    "text",
    [
        "when: a MARK b\n",
        "when: a\n  b\n\n  MARK\n",
        "when: 'it''s MARK'\n",
        "when: 'it''sMARK'\n",
        'when: "\\u00e9\\"MARK"\n',
        "when: 'a\n  b MARK'\n",
        'when: "\\u00e9\\x41\\"\\U0001F600 MARK"\n',
        'when: "a \\\n    b MARK"\n',
        'when: "a\n    b\n\n  MARK"\n',
        "when: |\n  a\n    b MARK\n",
        "when: |2  # why\n  a\n    b\n  MARK\n",
        "when: >-\n  a\n  b\n\n  c MARK\n",
        "when: >\n  a\n    more\n  MARK\n",
        "when: |\r\n  a\r\n  MARK\r\n",
        "when: >\r\n  a\r\n  MARK\r\n",
        "other: |\n  日本😀\nwhen: |\n  日本😀 MARK\n",
    ],
)
def test_a_word_is_found_where_it_stands(text: str) -> None:
    scalar = scalar_of(text)
    assert offsets(text, scalar)[scalar.text.index("MARK")] == text.index("MARK")


@given(
    st.sampled_from(["'{}'", '"{}"', "|\n  {}\n", ">\n  {}\n"]),
    st.lists(st.sampled_from(["a", "b", " ", "\n  ", "\n\n  ", "é"]), max_size=10).map("".join),
)
def test_offsets_never_go_back_and_stay_inside(form: str, body: str) -> None:
    text = "when: " + form.format("x" + body + "x") + "\n"
    scalar = scalar_of(text)
    found = offsets(text, scalar)
    assert len(found) == len(scalar.text) + 1
    assert found == sorted(found)
    assert scalar.start <= found[0]
    assert found[-1] <= scalar.end
    for char, at in zip(scalar.text, found, strict=False):
        assert char in " \n" or text[at] == char
