from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate import escape
from tests.markdown import ACTIVE, COMMAND, blocks, leaves, shape

HOSTILE = sorted((Path(__file__).parent / "cases" / "hostile").glob("*.txt"))
TEXTS = [pytest.param(path.read_bytes().decode(), id=path.stem) for path in HOSTILE]
PLACES = {
    "line": "{}",
    "inside": "before {} after",
    "bold": "**before {}** after",
    "item": "- {}\n- second",
    "cell": "| a | b |\n|---|---|\n| {} | second |",
    "summary": "<details>\n<summary>{}</summary>\n\nmore\n</details>",
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_text_in_markdown_stays_text(text: str, place: str) -> None:
    written = place.format(escape.markdown(text))
    assert shape(written) == shape(place.format("x" if text.strip() else ""))
    assert "\n" not in escape.markdown(text)
    for token in leaves(written):
        if token.type == "text":
            assert not ACTIVE.search(token.content)
            assert not COMMAND.search(token.content)


@pytest.mark.parametrize("text", TEXTS)
def test_text_in_markdown_reads_as_it_was(text: str) -> None:
    shown = "".join(t.content for t in leaves(escape.markdown(text)) if t.type == "text")
    assert shown.replace("\u200b", "").strip() == escape.visible(text).strip()


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_code_stays_code(text: str, place: str) -> None:
    written = place.format(escape.code(text))
    if text.strip():
        assert shape(written) == shape(place.format("x"))


@pytest.mark.parametrize("text", TEXTS)
def test_code_reads_as_it_was(text: str) -> None:
    written = escape.code(text)
    shown = "".join(t.content for t in leaves(written) if t.type in {"text", "code_inline"})
    assert shown.replace("\u200b", "").strip() == escape.terminal(text).strip()


@pytest.mark.parametrize("text", TEXTS)
def test_a_fence_holds_its_text_to_the_end(text: str) -> None:
    written = f"before\n\n{escape.fence(text)}\n\nafter"
    assert [t.type for t in blocks(written) if t.type in {"fence", "inline"}] == [
        "inline", "fence", "inline"
    ]  # fmt: skip
    assert not re.search(r"^/", written, re.MULTILINE)


@pytest.mark.parametrize("text", TEXTS)
def test_a_terminal_sees_one_harmless_line(text: str) -> None:
    for line in [escape.terminal(text), *escape.block(text)]:
        assert all(unicodedata.category(char)[0] != "C" for char in line)
        assert "\n" not in line
        assert not COMMAND.search(line)


@pytest.mark.parametrize("text", TEXTS)
def test_json_carries_no_command_and_the_same_text(text: str) -> None:
    document = escape.json_text(json.dumps({"name": text}, indent=2))
    assert json.loads(document) == {"name": text}
    assert not COMMAND.search(document)


@given(st.text(alphabet=st.sampled_from("|`*_[]()<>&@#!~$\\/:. \n\t-+=1aw\u202e\x1b"), max_size=30))
def test_no_mixture_of_signs_breaks_out(text: str) -> None:
    for place in PLACES.values():
        written = place.format(escape.markdown(f"x{text}".rstrip()))
        assert shape(written) == shape(place.format("x"))
        assert "|" not in escape.code(text)
    shown = "".join(t.content for t in leaves(escape.markdown(text)) if t.type == "text")
    assert shown.replace("\u200b", "").strip() == escape.visible(text).strip()
    assert not ACTIVE.search(shown)
    assert not COMMAND.search("\n".join(escape.block(text)))


@given(st.text())
def test_whatever_cannot_be_seen_becomes_an_escape(text: str) -> None:
    shown = escape.visible(text)
    unseen = {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.category(char) for char in shown} & unseen
    assert escape.visible(shown) == shown


def test_every_format_character_is_seen() -> None:
    # Signs of Arabic and others that are set around digits are visible themselves.
    visible = {*range(0x600, 0x606), 0x6DD, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    for number in range(0x110000):
        if unicodedata.category(chr(number)) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            assert (escape.visible(chr(number)) == chr(number)) is (number in visible), hex(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain [x]", "plain [x]"),
        ("a\nb", "a\\nb"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\u202e", "\\u202e"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("TestCart::test", "TestCart::test"),
        ("::error::x", ": :error::x"),
        ("\u00a0 ::x", "\u00a0 : :x"),
        ("a ##[error]", "a # #[error]"),
        ("##vso[x]", "# #vso[x]"),
        ("## heading", "## heading"),
    ],
)
def test_terminal(text: str, expected: str) -> None:
    assert escape.terminal(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "`a`"),
        ("", ""),
        ("  ", ""),
        ("`", "`` ` ``"),
        ("a``b", "```a``b```"),
        (" a", "`  a `"),
        ("a|b", "<code>a&#124;b</code>"),
    ],
)
def test_code(text: str, expected: str) -> None:
    assert escape.code(text) == expected
