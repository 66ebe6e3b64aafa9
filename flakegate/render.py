"""A summary as text for people: Markdown for forges, plain or coloured lines for terminals.

What a template inserts is escaped for its medium without being asked; a template says `raw` where
it means markup of its own.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from flakegate import escape, wording
from flakegate.summary import answer, steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jinja2 import Environment

    from flakegate.summary import Summary

    Load = Callable[[str], str | None]

LIMIT = 60_000  # characters, emoji twice; GitHub refuses a comment of more than 65,536
# How much is shown, most first: failures in full, failures in brief, rows of a table.
_SIZES = ((10, 100, 50), (5, 50, 25), (3, 20, 10), (1, 5, 3), (0, 0, 0))
_TERMINAL_SIZE = (20, 80, 40)
_WHOLE = (1_000_000, 0, 1_000_000)  # as good as everything
_NAME = 160  # characters of a name
_TEXT = 400  # characters of a reason or a detail
_MESSAGE_LINES, _MESSAGE = 12, 1_000
_SAFE_URL = re.compile(r"https?://[\w.:/~%+-]+", re.ASCII)
_COLOURS = {"red": "31;1", "green": "32;1", "yellow": "33;1", "bold": "1", "dim": "2"}
_WIDEST = 52  # columns for names on a terminal


class Raw(str):
    """Text that is already what its medium expects: it is inserted as it stands."""

    __slots__ = ()


def markdown(summary: Summary, load: Load) -> str:
    """The comment or job summary, at most LIMIT characters; it says what was left out.

    load: gives the source of a template by its name, None if there is none.
    """
    environment = _environment(load, escape.markdown)
    environment.filters.update(
        code=lambda text: Raw(escape.code(_name(text))),
        fence=lambda text: Raw(escape.fence(_head(text))),
        link=_link,
        linked=_linked,
        tight=lambda text: Raw(escape.markdown(text).replace(" ", "&nbsp;")),
    )
    template = environment.get_template("summary.md.j2")
    text = ""
    for size in _SIZES:
        text = _tidy(template.render(_values(summary, size)))
        if _length(text) <= LIMIT:
            break
    return text


def terminal(
    summary: Summary, load: Load, *, colour: bool, width: int | None, whole: bool = False
) -> str:
    """Lines for a terminal or a CI's log. width: columns, None if lines need not fit.

    whole: every row and all that is kept of every message, however long that gets.

    A green gate is told without the template engine, which costs more than the verdict.
    """

    def paint(text: object, *names: str) -> Raw:
        shown = text if isinstance(text, Raw) else Raw(escape.terminal(str(text)))
        codes = ";".join(_COLOURS[name] for name in names)
        return Raw(f"\x1b[{codes}m{shown}\x1b[0m") if colour and shown else shown

    values = _values(summary, _WHOLE if whole else _TERMINAL_SIZE) | {"whole": whole}
    if _is_plain(summary):
        return _plain(summary, paint)
    environment = _environment(load, escape.terminal)
    environment.filters.update(
        paint=paint,
        pad=_pad,
        widest=_widest,
        fit=lambda text, indent: Raw(_fit(escape.terminal(str(text)), indent, width)),
        first_line=_first_line,
        lines=lambda text: [Raw(line) for line in escape.block((text or "").strip("\n"))],
    )
    return _tidy(environment.get_template("summary.txt.j2").render(values))


def head(summary: Summary) -> str:
    """The first line on a terminal: what is at work, and on what."""
    parts = (
        f"flakegate {summary.version}",
        summary.context.repository,
        summary.backend,
        f"policy {summary.policy}" if summary.policy else "no policy file: defaults",
    )
    return " · ".join(part for part in parts if part)


def counted(summary: Summary) -> str:
    """What was read: files, tests, and how they ended; "" without reports."""
    if summary.verdict is None:
        return ""
    totals = summary.verdict.totals
    failed = totals.failures + totals.errors
    parts = [wording.count(totals.reports, "file"), wording.count(totals.tests, "test")]
    parts += [f"{failed:,} failed"] if failed else []
    parts += [f"{totals.skipped:,} skipped"] if totals.skipped else []
    parts += [f"{totals.flaky:,} passed on retry"] if totals.flaky else []
    return ", ".join(parts)


def _is_plain(summary: Summary) -> bool:
    """Whether there is nothing to tell but counts."""
    verdict, plan = summary.verdict, summary.plan
    told = summary.warnings or summary.changes or summary.trouble or summary.held
    doubts = plan is not None and (plan.unknown or summary.left_alone)
    passed = verdict is not None and verdict.verdict == "pass" and not verdict.failures
    return passed and not told and not doubts


def _plain(summary: Summary, paint: Callable[..., Raw]) -> str:
    lines = [paint(head(summary), "dim"), "", f"  {'reports':<9}  {counted(summary)}"]
    if summary.recorded:
        lines.append(f"  {'recorded':<9}  {escape.terminal(summary.recorded)}")
    if summary.plan:
        lines.append(f"  {'plan':<9}  nothing to change")
    reply = answer(summary)
    return "\n".join([*lines, "", paint(reply.line, reply.colour), ""])


def _values(summary: Summary, size: tuple[int, int, int]) -> dict[str, object]:
    """What a template can insert."""
    in_full, in_brief, rows = size
    return {
        "summary": summary,
        "answer": answer(summary),
        "steps": steps(summary),
        "head": head(summary),
        "counted": counted(summary),
        "in_full": in_full,
        "in_brief": in_brief,
        "rows": rows,
    }


def _environment(load: Load, escaped: Callable[[str], str]) -> Environment:
    """Templates in which every inserted value is escaped, and a missing one is an error."""
    import jinja2

    def finalize(value: object) -> str:
        if isinstance(value, Raw):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return f"{value:,}"
        return escaped(_short(escape.visible, str(value), _TEXT))

    environment = jinja2.Environment(  # noqa: S701 - escaped by finalize, for the medium at hand
        loader=jinja2.FunctionLoader(load),
        finalize=finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        raw=Raw,
        count=wording.count,
        title=wording.title,
        place=wording.place,
        figures=wording.figures,
        cause=wording.cause,
        since=wording.since,
        until=wording.until,
        located=wording.located,
        excuse=wording.excuse,
        sentence=wording.sentence,
        day=wording.day,
    )
    return environment


def _head(text: str) -> str:
    """The beginning of a message."""
    lines = text.strip("\n").splitlines()
    shown = "\n".join(wording.clip(line, _TEXT) for line in lines[:_MESSAGE_LINES])
    more = len(lines) > _MESSAGE_LINES or len(shown) > _MESSAGE
    return shown[:_MESSAGE].rstrip() + ("\n…" if more else "")


def _first_line(text: str | None) -> str:
    return next((line.strip() for line in (text or "").splitlines() if line.strip()), "")


def _link(url: str | None, text: str) -> Raw:
    """A link where the address is certainly one, else nothing."""
    return Raw(f"[{text}]({url})" if url and _SAFE_URL.fullmatch(url) else "")


def _linked(text: str, url: str | None) -> Raw:
    """The text, as a link where the address is certainly one."""
    shown = escape.markdown(_short(escape.visible, text, _NAME))
    return Raw(f"[{shown}]({url})" if url and _SAFE_URL.fullmatch(url) else shown)


def _length(text: str) -> int:
    """Characters as whoever counts most counts them: one beyond the first 65,536 is two."""
    return len(text.encode("utf-16-le")) // 2


def _tidy(text: str) -> str:
    """No blanks at line ends, never two empty lines in a row, one line end at the end."""
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _short(shown: Callable[[str], str], text: str, length: int) -> str:
    """Cut before escaping, since a name can have megabytes, and after, since escapes are long."""
    return wording.clip(shown(wording.clip(text, length + 1)), length)


def _name(text: object) -> str:
    return _short(escape.terminal, str(text), _NAME)


def _widest(texts: Iterable[object]) -> int:
    """The width of a column for these names, within reason."""
    return min(_WIDEST, max((_columns(_name(text)) for text in texts), default=0))


def _pad(text: object, width: int) -> Raw:
    shown = _name(text)
    return Raw(shown + " " * (width - _columns(shown)))


def _fit(text: str, indent: int, width: int | None) -> str:
    """Cuts a line that would wrap."""
    return text if width is None else wording.clip(text, max(20, width - indent))
