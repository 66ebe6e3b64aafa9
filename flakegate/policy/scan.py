"""The text of a condition → tokens, and every slip that can be told from the characters alone."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from flakegate.policy.syntax import ESCAPES, UNITS

KEYWORDS = frozenset({"and", "or", "not", "in", "has", "known", "default"})
MAX_SHOWN = 60

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | (?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>%|[A-Za-z_][A-Za-z0-9_]*)?
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:[.-][A-Za-z0-9_]+)*)
    | (?P<text>"(?:[^"\\\r\n]|\\.)*")
    | (?P<slip>&&?|\|\|?|===|<>|=<|=>|!~|!(?!=)|~|=(?![=~]))
    | (?P<mark>==|!=|<=|>=|=~|[<>()\[\],])
    | (?P<foreign>[^\x00-\x7f]+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_COMPOUND = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|[smhdw]))+")

# What people write from other languages, and the word or sign that stands for it here. The token
# goes on as what was meant, so that one slip does not hide the next mistake.
_MEANT = {
    "&": "and", "&&": "and", "|": "or", "||": "or", "!": "not", "=": "==", "===": "==",
    "<>": "!=", "=<": "<=", "=>": ">=", "~": "=~", "!~": "=~",
}  # fmt: skip
_LOOK_ALIKES = str.maketrans(
    {
        "≥": ">=", "⩾": ">=", "≤": "<=", "⩽": "<=", "≠": "!=", "“": '"', "”": '"', "„": '"',
        "‟": '"', "«": '"', "»": '"', "‘": '"', "’": '"', "‚": '"', "′": '"', "″": '"',  # noqa: RUF001 - on purpose
        "–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-", "×": "*", "∧": "and", "∨": "or",  # noqa: RUF001 - on purpose
        "¬": "not", "∈": "in", "…": "...", "\u200b": "", "\u200c": "", "\u200d": "",
        "\u2060": "", "\ufeff": "", "\xad": "",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """One mistake in a condition: from offset `start` up to `end` in its text.

    hint: what to write instead, where that can be told. open_text: a text is never closed, which
    in YAML can be the work of a comment sign.
    """

    message: str
    start: int
    end: int
    hint: str | None = None
    open_text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """kind: "name", "keyword", "number", "text", a sign such as "(" or ">=", or "end".

    text: as meant: of texts the content, of numbers the digits, whose unit stands in `unit`.
    """

    kind: str
    text: str
    start: int
    end: int
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """tokens: the last is "end". fatal: some character could not be read, so do not parse."""

    tokens: tuple[Token, ...]
    flaws: tuple[Flaw, ...]
    fatal: bool


def clip(written: str) -> str:
    """What a message repeats of the input: short, and without characters that a screen obeys."""
    short = written if len(written) <= MAX_SHOWN else written[: MAX_SHOWN - 1] + "…"
    return "".join(char if char.isprintable() else "\ufffd" for char in short)


def scan(text: str) -> Scanned:
    """Cuts the text of a condition into tokens. Takes time linear in its length."""
    tokens: list[Token] = []
    flaws: list[Flaw] = []
    fatal = False
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        assert found is not None  # noqa: S101 - `other` takes any character
        position = found.end()
        match found.lastgroup:
            case "space":
                pass
            case "number" | "unit":
                tokens.append(_number(found, flaws))
            case "name":
                tokens.append(_name(found, flaws))
            case "text":
                tokens.append(_text(found, flaws))
            case "slip":
                tokens.append(_slip(found, flaws))
            case "mark":
                tokens.append(_token(found[0], found[0], found))
            case "foreign":
                flaws.append(_foreign(found))
                fatal = True
            case _:
                flaw = _unreadable(found, text)
                flaws.append(flaw)
                fatal, position = True, flaw.end
    tokens.append(Token(kind="end", text="", start=len(text), end=len(text)))
    return Scanned(tokens=tuple(tokens), flaws=tuple(flaws), fatal=fatal)


def _token(kind: str, text: str, found: re.Match[str], unit: str = "") -> Token:
    return Token(kind=kind, text=text, start=found.start(), end=found.end(), unit=unit)


def _number(found: re.Match[str], flaws: list[Flaw]) -> Token:
    unit = found["unit"] or ""
    if unit and unit != "%" and unit not in UNITS:
        hint = _unit_hint(found[0])
        flaws.append(_flaw(f"unknown unit `{clip(unit)}`", found, hint))
        unit = "?"
    return _token("number", found["number"], found, unit)


def _unit_hint(written: str) -> str:
    """What to write for `2h30m` or `5min`."""
    if _COMPOUND.fullmatch(written):
        parts = re.findall(r"([0-9.]+)(ms|[smhdw])", written)
        seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
        smallest = min((unit for _, unit in parts), key=lambda unit: UNITS[unit])
        return f"a duration has one unit: write `{seconds / UNITS[smallest]:.10g}{smallest}`"
    return "units are `%` for percentages and `ms`, `s`, `m`, `h`, `d`, `w` for durations"


def _name(found: re.Match[str], flaws: list[Flaw]) -> Token:
    written = found[0]
    lower = written.lower()
    if written not in KEYWORDS and lower in KEYWORDS:
        flaws.append(_flaw(f"`{written}` is written in small letters", found, f"write `{lower}`"))
        written = lower
    return _token("keyword" if written in KEYWORDS else "name", written, found)


def _text(found: re.Match[str], flaws: list[Flaw]) -> Token:
    for escape in _ESCAPE.finditer(found[0], 1, len(found[0]) - 1):
        if escape[1] not in ESCAPES:
            start = found.start() + escape.start()
            flaws.append(
                Flaw(
                    message=f"unknown escape `{escape[0]}` in a text",
                    start=start,
                    end=start + 2,
                    hint="write `\\\\` for a backslash",
                )
            )
    content = _ESCAPE.sub(lambda escape: ESCAPES.get(escape[1], escape[1]), found[0][1:-1])
    return _token("text", content, found)


def _slip(found: re.Match[str], flaws: list[Flaw]) -> Token:
    meant = _MEANT[found[0]]
    hint = 'write `not … =~ "…"`' if found[0] == "!~" else f"write `{meant}`"
    flaws.append(_flaw(f"`{found[0]}` is not part of the language", found, hint))
    return _token("keyword" if meant in KEYWORDS else meant, meant, found)


def _foreign(found: re.Match[str]) -> Flaw:
    """A run of characters outside ASCII: most likely look-alikes that an editor put there."""
    run = clip(found[0])
    first = unicodedata.name(found[0][0], f"U+{ord(found[0][0]):04X}")
    plain = "".join(_plain(char) for char in found[0][:MAX_SHOWN].translate(_LOOK_ALIKES))
    message = f"`{run}` is {first}, which only looks like part of the language"
    if not plain:
        return _flaw(f"an invisible character: {first}", found, "remove it")
    if plain.isspace():
        return _flaw(f"{first} instead of a plain space", found, "write a plain space")
    if plain.isascii():
        return _flaw(message, found, f"write `{plain}`")
    message = f"`{run}` ({first}) is not part of the language"
    return _flaw(message, found, 'texts stand in double quotes: "…"')


def _plain(char: str) -> str:
    """The ASCII that a full-width form, another script's digit or an odd space stands for."""
    digit = unicodedata.digit(char, None)
    return str(digit) if digit is not None else unicodedata.normalize("NFKC", char)


def _unreadable(found: re.Match[str], text: str) -> Flaw:
    char = found[0]
    if char == '"':
        return Flaw(
            message="the text that begins here is never closed",
            start=found.start(),
            end=len(text),
            hint='a text ends with `"` on the same line; write `\\"` for a quote inside it',
            open_text=True,
        )
    if char == "'":
        close = text.find("'", found.end())
        end = close + 1 if close > 0 else len(text)
        return Flaw(
            message="texts are written in double quotes",
            start=found.start(),
            end=end,
            hint=f'write `"{clip(text[found.end() : end].rstrip(chr(39)))}"`',
        )
    if char == "-":
        return _flaw("there are no negative numbers and no arithmetic here", found)
    if char == "%":
        return _flaw("`%` stands right after its number, as in `20%`", found)
    if char == ".":
        return _flaw("a number begins and ends with a digit", found, "write `0.5`, not `.5`")
    shown = char if char.isprintable() else f"U+{ord(char):04X}"
    return _flaw(f"unexpected character `{shown}`", found)


def _flaw(message: str, found: re.Match[str], hint: str | None = None) -> Flaw:
    return Flaw(message=message, start=found.start(), end=found.end(), hint=hint)
