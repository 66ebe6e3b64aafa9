"""Is a literal one that its field can be compared with, and if not, what to write instead."""

from __future__ import annotations

from difflib import get_close_matches
from math import isfinite
from typing import TYPE_CHECKING

from flakegate.model import State
from flakegate.policy.fields import Field, Kind
from flakegate.policy.scan import Flaw, clip
from flakegate.policy.syntax import UNITS, Literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flakegate.policy.scan import Token

WHOLE = 100.0
_A_KIND = {
    Kind.TEXT: "a text",
    Kind.LIST: "a list of texts",
    Kind.PERCENT: "a percentage",
    Kind.NUMBER: "a plain number",
    Kind.DURATION: "a duration",
    Kind.BOOL: "either true or false",
}


def did_you_mean(written: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that is close to what was written, as a hint. cutoff: 1 is equality."""
    spelt = {word.lower(): word for word in known}
    close = get_close_matches(written.lower()[:100], list(spelt), n=1, cutoff=cutoff)
    return f"did you mean `{spelt[close[0]]}`?" if close else None


def a_kind(kind: Kind) -> str:
    """What a field is, in words: "a percentage"."""
    return _A_KIND[kind]


def literal(token: Token) -> Literal:
    """The value of a number or text token, in the unit of its kind."""
    span = (token.start, token.end)
    if token.kind == "text":
        return Literal(kind=Kind.TEXT, value=token.text, text=quote(token.text), span=span)
    kind = Kind.DURATION if token.unit in UNITS else Kind.NUMBER
    kind = Kind.PERCENT if token.unit == "%" else kind
    value = float(token.text) * UNITS.get(token.unit, 1.0)
    return Literal(kind=kind, value=value, text=token.text + token.unit, span=span)


def misfit(field: Field, written: Literal) -> Flaw | None:
    """Why this literal cannot be compared with this field; None if it can."""
    expected = Kind.TEXT if field.kind is Kind.LIST else field.kind
    value = written.value
    if isinstance(value, float) and not isfinite(value):
        return _flaw(written, "this number is too large", None)
    if written.kind is not expected:
        return _flaw(written, *_wrong_kind(field, written))
    if written.kind is Kind.PERCENT and isinstance(value, float) and value > WHOLE:
        return _flaw(written, f"`{field.name}` is never above 100%", "percentages end at `100%`")
    if field.name == "state" and value not in set(State):
        states = ", ".join(f'"{state}"' for state in State)
        close = did_you_mean(str(value), [state.value for state in State])
        return _flaw(
            written, f"no test has the state {clip(written.text)}", close or f"states are {states}"
        )
    return None


def _wrong_kind(field: Field, written: Literal) -> tuple[str, str]:
    """The message and what to write, for a literal of another kind than the field's."""
    name, value, shown = field.name, written.value, clip(written.text)
    plain = written.kind is Kind.NUMBER
    if field.kind is Kind.PERCENT and plain and isinstance(value, float):
        percent = value * WHOLE if value < 1 else value
        return f"`{name}` is a percentage", f"write `{percent:.10g}%`"
    if field.kind is Kind.DURATION and plain:
        units = f"`{shown}s`, `{shown}m`, `{shown}h` or `{shown}d`"
        return f"`{name}` is a duration and needs a unit", f"write {units}"
    if field.kind is Kind.NUMBER and written.kind is Kind.PERCENT and isinstance(value, float):
        number = shown.rstrip("%") if field.whole else f"{value / WHOLE:.10g}"
        return f"`{name}` is a plain number, not a percentage", f"write `{number}`"
    if field.kind in (Kind.TEXT, Kind.LIST):
        return f"`{name}` is {a_kind(field.kind)}, not {a_kind(written.kind)}", f'write `"{shown}"`'
    message = f"`{name}` is {a_kind(field.kind)}, not {a_kind(written.kind)}"
    return message, f"write for example `{field.example}`"


def _flaw(written: Literal, message: str, hint: str | None) -> Flaw:
    return Flaw(message=message, start=written.span[0], end=written.span[1], hint=hint)
