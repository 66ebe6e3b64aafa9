from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

import jinja2
import pytest

from flakegate import render
from flakegate.apply import Applied
from tests.markdown import ACTIVE, COMMAND, blocks, leaves, plain_texts, shape
from tests.summaries import (
    CASES,
    FOLLOWED,
    HOSTILE,
    MAIN,
    MOVES,
    PLAN,
    QUIET,
    RETRY,
    SUMMARIES,
    TOTAL,
    UPLOADS,
    hostile,
    load,
    verdict,
)

if TYPE_CHECKING:
    from flakegate.summary import Summary

OURS = {"<br>", "<sub>", "</sub>", "<b>", "</b>", "<code>", "</code>"}
GOLDEN = CASES / "summaries"
ISSUE_LINKS = {FOLLOWED[0].page, UPLOADS.case.jira_url if UPLOADS.case else None}


def no_template(name: str) -> str:
    raise AssertionError(name)


def variants(name: str) -> list[Summary]:
    """A sample; or a hostile text at every place, in every kind of summary."""
    if name in SUMMARIES:
        return [SUMMARIES[name]]
    full = hostile([HOSTILE[name]])
    assert full.verdict
    assert full.plan
    moves = tuple((move, HOSTILE[name]) for move in full.plan.transitions)
    return [
        full,
        replace(full, verdict=replace(full.verdict, verdict="incomplete")),
        replace(full, verdict=replace(full.verdict, verdict="pass", failures=full.excused)),
        replace(full, verdict=None),
        replace(full, verdict=None, applied=Applied(failed=moves, unknown=moves)),
    ]


def shown(summary: Summary, *, width: int | None = None) -> str:
    return render.terminal(summary, load, colour=False, width=width)


@pytest.mark.parametrize("name", SUMMARIES)
def test_golden_markdown(name: str) -> None:
    assert render.markdown(SUMMARIES[name], load) == (GOLDEN / f"{name}.md").read_text()


@pytest.mark.parametrize("name", SUMMARIES)
def test_golden_terminal(name: str) -> None:
    assert shown(SUMMARIES[name], width=120) == (GOLDEN / f"{name}.txt").read_text()


def test_every_golden_file_is_compared() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(SUMMARIES)


def assert_all_markup_is_ours(written: str) -> None:
    tokens = list(leaves(written))
    assert sum(token.type == "heading_open" for token in tokens) == 1
    assert not [token for token in tokens if token.type in {"image", "hr", "s_open", "em_open"}]
    links = [token.attrs["href"] for token in tokens if token.type == "link_open"]
    assert links[-1] == "https://github.com/acme/shop/actions/runs/77"
    assert set(links[:-1]) <= ISSUE_LINKS
    assert {t.content for t in tokens if t.type == "html_inline"} <= OURS
    for token in tokens:
        if token.type == "html_block":
            rest = re.sub(r"</?(?:details|summary|b)>", "", token.content)
            assert not re.search(r"[<>&]", rest)


def assert_harmless(written: str) -> None:
    assert_all_markup_is_ours(written)
    assert not [read for read in plain_texts(written) if ACTIVE.search(read)]
    assert not COMMAND.search(written)
    assert not re.search(r"^/", written, re.MULTILINE)
    unseen = {char for char in written if unicodedata.category(char)[0] == "C"}
    assert unseen <= {"\n", "\u200b"}


@pytest.mark.parametrize("name", SUMMARIES)
def test_all_markup_is_ours(name: str) -> None:
    assert_harmless(render.markdown(SUMMARIES[name], load))


@pytest.fixture(scope="module")
def plain_shapes() -> list[list[str]]:
    return [shape(render.markdown(summary, load)) for summary in variants("plain")]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_adds_no_markup(name: str, plain_shapes: list[list[str]]) -> None:
    for summary, plain in zip(variants(name), plain_shapes, strict=True):
        written = render.markdown(summary, load)
        assert_harmless(written)
        assert shape(written) == plain or not HOSTILE[name].strip()


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_row_of_a_table_has_its_columns(name: str) -> None:
    columns = 0
    for line in render.markdown(SUMMARIES[name], load).splitlines():
        columns = 0 if not line.startswith("|") else columns or line.count("|")
        assert not columns or line.count("|") == columns


@pytest.mark.parametrize("name", [*SUMMARIES, *HOSTILE])
def test_a_terminal_sees_nothing_but_text(name: str) -> None:
    for summary in variants(name):
        written = shown(summary)
        assert not COMMAND.search(written)
        assert {char for char in written if unicodedata.category(char)[0] == "C"} <= {"\n"}


@pytest.mark.parametrize("name", SUMMARIES)
def test_colour_adds_nothing_but_colour(name: str) -> None:
    coloured = render.terminal(SUMMARIES[name], load, colour=True, width=None)
    assert "\x1b[" in coloured
    plain = re.sub(r"\x1b\[[0-9;]+m", "", coloured)
    assert re.sub(r" +$", "", plain, flags=re.MULTILINE) == shown(SUMMARIES[name])


def test_a_green_gate_on_a_terminal_loads_no_template() -> None:
    code = (
        "import sys\n"
        "from tests.summaries import SUMMARIES\n"
        "from flakegate import render\n"
        "def load(name): raise AssertionError(name)\n"
        "print(render.terminal(SUMMARIES['green'], load, colour=False, width=None))\n"
        "sys.exit('jinja2' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        cwd=CASES.parent.parent,
    )
    assert done.returncode == 0, done.stderr
    assert "passed: 1,204 tests" in done.stdout


@pytest.mark.parametrize(
    "summary",
    [
        replace(QUIET, verdict=verdict("pass", RETRY)),
        replace(QUIET, verdict=verdict("pass"), warnings=("w",)),
        replace(QUIET, verdict=verdict("pass"), plan=PLAN),
        replace(QUIET, verdict=verdict("pass"), plan=replace(PLAN, transitions=(), held=MOVES)),
    ],
)
def test_what_is_not_plainly_green_is_told_in_full(summary: Summary) -> None:
    with pytest.raises(AssertionError):
        render.terminal(summary, no_template, colour=False, width=None)


@pytest.mark.parametrize("texts", [["x" * 5000], ["\u202e" * 5000], ["|`*_<" * 500], ["@" * 5000]])
def test_a_comment_is_never_too_long(texts: list[str]) -> None:
    summary = hostile(texts * 400)
    written = render.markdown(summary, load)
    assert 500 < len(written) <= render.LIMIT
    assert written.startswith("### ❌ 800 failures block this merge\n")
    assert re.search(r"left out|more", written)
    assert blocks(written)[-1].type != "fence"


def test_what_is_cut_is_counted() -> None:
    written = render.markdown(SUMMARIES["many"], load)
    in_full = len(re.findall(r"^\*\*`test_", written, re.MULTILINE))
    in_brief = len(re.findall(r"^- `test_", written, re.MULTILINE))
    left_out = re.search(r"^(\d+) more are left out", written, re.MULTILINE)
    assert left_out
    assert in_full + in_brief + int(left_out[1]) == 500
    assert f"<b>{500 - in_full} more failures</b>" in written


def test_insertions_are_escaped_unless_raw_is_asked_for() -> None:
    def hostile_load(name: str) -> str:
        assert name == "summary.md.j2"
        return (
            "{{ summary.backend }} {{ summary.backend|raw }} {{ 7204 }} {{ summary.backend|upper }}"
        )

    summary = replace(QUIET, backend="<b>@x</b>")
    written = render.markdown(summary, hostile_load)
    assert written == (
        "&lt;b&gt;\u200b@\u200bx&lt;/b&gt; <b>@x</b> 7,204 &lt;B&gt;\u200b@\u200bX&lt;/B&gt;\n"
    )


def test_a_template_that_inserts_nothing_known_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render.markdown(QUIET, lambda _: "{{ summery }}")
    with pytest.raises(jinja2.TemplateNotFound):
        render.markdown(QUIET, lambda _: None)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://x/) [y](https://z", "https://x/ y", "https://x/<b>", ""]
)
def test_an_address_that_is_none_is_no_link(url: str) -> None:
    written = render.markdown(replace(QUIET, context=replace(MAIN, run_url=url)), load)
    assert "link_open" not in shape(written)
    assert "·  ·" not in written
    assert "<sub> ·" not in written


def test_a_message_is_cut_to_the_terminals_width() -> None:
    long = replace(TOTAL, case=replace(TOTAL.case, message="m" * 500))
    summary = replace(QUIET, exit_code=1, verdict=verdict("block", long))
    line = next(line for line in shown(summary, width=80).splitlines() if "mmm" in line)
    assert len(line) == 80
    assert line.endswith("…")


def test_wide_signs_take_two_columns() -> None:
    wide = replace(RETRY, case=replace(RETRY.case, name="日本"))
    lines = shown(replace(QUIET, verdict=verdict("pass", wide, RETRY))).splitlines()
    rows = [line for line in lines if "quarantined" in line]
    assert rows[0].index("quarantined") + 2 == rows[1].index("quarantined")


def test_changes_without_a_plan_are_told() -> None:
    written = shown(replace(QUIET, applied=Applied(done=MOVES[:1], failed=((MOVES[1], "404"),))))
    assert "applied    1 state change" in written
    assert "FAILED     tests.core.test_flush" in written
