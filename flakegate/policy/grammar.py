"""The grammar of `when`: tokens → syntax tree, by recursive descent.

    expr  := term {"or" term}      term := fact {"and" fact}
    fact  := "not" fact | "(" expr ")" | bool_field | "known(" field ")"
           | value cmp literal | value "=~" glob | value ["not"] "in" "[" literal {"," literal} "]"
           | list "has" literal
    value := field | "default(" field "," literal ")"

A mistake in what is compared with what is noted and the reading goes on, so that one look shows
them all; a mistake in the shape of the condition ends it.
"""

from __future__ import annotations

from typing import NoReturn

from flakegate.policy.fields import FIELDS, Field, Kind
from flakegate.policy.literals import a_kind, did_you_mean, literal, misfit
from flakegate.policy.scan import KEYWORDS, Flaw, Token, clip, scan
from flakegate.policy.syntax import (
    Among,
    And,
    Compare,
    Flag,
    Has,
    Known,
    Leaf,
    Like,
    Literal,
    Node,
    Not,
    Operand,
    Or,
    Span,
)

COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
MAX_DEPTH = 50
MAX_LENGTH = 50_000
MAX_GLOB = 1_000
MAX_FLAWS = 20
_CONSTANTS = frozenset({"true", "false", "null", "none"})


def read(text: str) -> tuple[Node | None, tuple[Flaw, ...]]:
    """The syntax tree of a condition; None if there are flaws, which stand in text order."""
    if len(text) > MAX_LENGTH:
        flaw = Flaw(
            message=f"the condition is longer than {MAX_LENGTH:,} characters",
            start=0,
            end=1,
            hint="split it: `when` takes a list, and a state several rules",
        )
        return None, (flaw,)
    scanned = scan(text)
    if scanned.fatal:
        return None, scanned.flaws
    reader = _Reader(scanned.tokens, scanned.flaws)
    node = reader.whole()
    if reader.flaws:
        return None, tuple(sorted(reader.flaws, key=lambda flaw: flaw.start))
    return node, ()


class _Stop(Exception):  # noqa: N818 - a way out of the descent, not an error of its own
    """The shape of the condition is wrong: the flaw is noted and the reading ends."""


class _Reader:
    def __init__(self, tokens: tuple[Token, ...], flaws: tuple[Flaw, ...]) -> None:
        self.flaws = list(flaws)
        self._tokens = tokens
        self._index = 0
        self._depth = 0

    def whole(self) -> Node | None:
        try:
            if self._token.kind == "end":
                self._stop("the condition is empty", hint="write for example `failure_rate > 20%`")
            node = self._expr()
            if self._token.kind != "end":
                self._stop_after_fact()
        except _Stop:
            return None
        return node

    @property
    def _token(self) -> Token:
        return self._tokens[self._index]

    def _next(self) -> Token:
        token = self._tokens[self._index]
        self._index += token.kind != "end"
        return token

    def _is(self, text: str) -> bool:
        return self._token.kind in ("keyword", text) and self._token.text == text

    def _take(self, text: str) -> bool:
        found = self._is(text)
        self._index += found
        return found

    def _span(self, start: int) -> Span:
        return start, self._tokens[self._index - 1].end

    def _expr(self) -> Node:
        parts = [self._term()]
        while self._take("or"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else Or(parts=tuple(parts))

    def _term(self) -> Node:
        parts = [self._fact()]
        while self._take("and"):
            parts.append(self._fact())
        return parts[0] if len(parts) == 1 else And(parts=tuple(parts))

    def _fact(self) -> Node:
        token = self._token
        if not (self._is("not") or self._is("(")):
            return self._clause()
        self._next()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"more than {MAX_DEPTH} parentheses and `not` inside each other"
            self._stop(message, token, "split the condition: `when` takes a list")
        node: Node = Not(node=self._fact()) if token.text == "not" else self._parenthesis(token)
        self._depth -= 1
        return node

    def _parenthesis(self, opening: Token) -> Node:
        node = self._expr()
        if self._token.kind == "end":
            self._stop("this parenthesis is never closed", opening, "write `)` where it ends")
        if not self._take(")"):
            self._stop_after_fact()
        return node

    def _clause(self) -> Leaf:
        start = self._token.start
        if self._take("known"):
            self._expect("(", "after `known`: write `known(failure_rate)`")
            name, _ = self._field()
            self._expect(")", "after the field")
            return Known(operand=Operand(field=name), span=self._span(start))
        operand, field = self._operand()
        token = self._token
        if token.kind in COMPARISONS:
            return self._compare(operand, field, start)
        if self._take("=~"):
            return Like(operand=operand, glob=self._glob(field, token), span=self._span(start))
        if self._is("in") or self._is("not"):
            return self._among(operand, field, start)
        if self._take("has"):
            return self._has(operand, field, token, start)
        if field is not None and field.kind is not Kind.BOOL:
            self._stop_after_field(field)
        return Flag(operand=operand, span=self._span(start))

    def _operand(self) -> tuple[Operand, Field | None]:
        if not self._take("default"):
            name, field = self._field()
            return Operand(field=name), field
        self._expect("(", "after `default`: write `default(failure_rate, 0%)`")
        token = self._token
        name, field = self._field()
        if field is not None and field.kind in (Kind.LIST, Kind.BOOL):
            hint = f"use `known({name})`"
            self._note(f"`{name}` is {a_kind(field.kind)} and takes no default", token, hint)
            field = None
        self._expect(",", "between the field and its default")
        default = self._literal(field)
        self._expect(")", "after the default")
        return Operand(field=name, default=default), field

    def _field(self) -> tuple[str, Field | None]:
        token = self._token
        if token.kind in ("number", "text"):
            self._stop("a comparison begins with a field", hint="write `failure_rate > 20%`")
        if token.kind != "name":
            found = "the condition ends" if token.kind == "end" else f"found `{token.text}`"
            self._stop(f"expected a field, but {found}")
        self._next()
        field = FIELDS.get(token.text)
        if field is None and token.text.lower() in _CONSTANTS:
            hint = "write the field alone (`broken`, `not broken`), or `known(field)`"
            self._stop(f"`{token.text}` is not part of the language", token, hint)
        if field is None:
            close = did_you_mean(token.text, FIELDS) or "`flakegate fields` lists them all"
            self._note(f"unknown field `{clip(token.text)}`", token, close)
        return token.text, field

    def _literal(self, field: Field | None) -> Literal:
        token = self._token
        if token.kind not in ("number", "text"):
            found = "the condition ends" if token.kind == "end" else f"found `{clip(token.text)}`"
            hint = f"write for example `{field.example}`" if field else None
            if token.kind in ("name", "keyword"):
                hint = f'write `"{clip(token.text)}"` if it is a text'
            self._stop(f"expected a value, but {found}", hint=hint)
        self._next()
        written = literal(token)
        flaw = misfit(field, written) if field and token.unit != "?" else None
        if flaw:
            self.flaws.append(flaw)
        return written

    def _compare(self, operand: Operand, field: Field | None, start: int) -> Leaf:
        op = self._next()
        kind = field.kind if field else None
        if kind is Kind.BOOL:
            hint = f"write `{operand.field}` or `not {operand.field}`"
            self._stop(f"`{operand.field}` is either true or false by itself", op, hint)
        if kind is Kind.LIST:
            hint = f'write `{operand.field} has "…"`'
            self._note(f"`{operand.field}` is a list: `{op.text}` does not fit it", op, hint)
        if kind is Kind.TEXT and op.text not in ("==", "!="):
            hint = "texts are compared by `==`, `!=`, `=~` and `in`"
            self._note(f"`{operand.field}` is a text: `{op.text}` has no meaning", op, hint)
        written = self._literal(field)
        if self._token.kind in COMPARISONS:
            hint = f"write `{operand.field} … and {operand.field} …`"
            self._stop("comparisons do not chain", hint=hint)
        return Compare(operand=operand, op=op.text, literal=written, span=self._span(start))

    def _glob(self, field: Field | None, op: Token) -> Literal:
        self._only(field, op, Kind.TEXT)
        if self._token.kind != "text":
            self._stop("`=~` takes a glob in double quotes", hint='write for example `=~ "test_*"`')
        written = literal(self._next())
        if len(str(written.value)) > MAX_GLOB:
            token = self._tokens[self._index - 1]
            self._note(f"a glob has at most {MAX_GLOB:,} characters", token)
        return written

    def _among(self, operand: Operand, field: Field | None, start: int) -> Among:
        negated = self._take("not")
        op = self._token
        if not self._take("in"):
            hint = f"write `not {operand.field} has …`" if self._is("has") else None
            self._stop("expected `in` after `not`", hint=hint)
        self._only(field, op, None)
        self._expect("[", "after `in`: write `in [a, b]`")
        literals = [self._literal(field)]
        while self._take(","):
            literals.append(self._literal(field))
        self._expect("]", "or `,` in the list")
        literals_ = tuple(literals)
        return Among(operand=operand, literals=literals_, negated=negated, span=self._span(start))

    def _has(self, operand: Operand, field: Field | None, op: Token, start: int) -> Has:
        self._only(field, op, Kind.LIST)
        written = self._literal(field if field and field.kind is Kind.LIST else None)
        return Has(operand=operand, literal=written, span=self._span(start))

    def _only(self, field: Field | None, op: Token, kind: Kind | None) -> None:
        """Notes that `=~` is for texts, `has` for lists, and `in` (kind None) for all the rest."""
        if field is None or field.kind is kind:
            return
        if kind is None and field.kind not in (Kind.LIST, Kind.BOOL):
            return
        hints = {
            Kind.LIST: f'write `{field.name} has "…"`',
            Kind.BOOL: f"write `{field.name}` or `not {field.name}`",
            Kind.TEXT: f'write `{field.name} == "…"` or `{field.name} =~ "*…*"`',
        }
        hint = hints.get(field.kind, f"write `{field.name} > {field.example}`")
        self._note(f"`{field.name}` is {a_kind(field.kind)}: `{op.text}` does not fit it", op, hint)

    def _expect(self, mark: str, where: str) -> None:
        if not self._take(mark):
            self._stop(f"expected `{mark}` {where}")

    def _note(self, message: str, token: Token, hint: str | None = None) -> None:
        if len(self.flaws) >= MAX_FLAWS:
            raise _Stop
        self.flaws.append(Flaw(message=message, start=token.start, end=token.end, hint=hint))

    def _stop(self, message: str, token: Token | None = None, hint: str | None = None) -> NoReturn:
        self._note(message, token or self._token, hint)
        raise _Stop

    def _stop_after_field(self, field: Field) -> NoReturn:
        op = "has" if field.kind is Kind.LIST else "==" if field.kind is Kind.TEXT else ">"
        hint = f"write for example `{field.name} {op} {field.example}`"
        token = self._token
        if token.kind == "name":
            self._stop(f"expected a comparison, but found `{clip(token.text)}`", hint=hint)
        before = self._tokens[self._index - 1]
        message = f"`{field.name}` is {a_kind(field.kind)}: compare it with something"
        self._stop(message, before, hint)

    def _stop_after_fact(self) -> NoReturn:
        token = self._token
        if token.kind == ")":
            self._stop("this parenthesis closes nothing")
        found = "a text" if token.kind == "text" else f"`{clip(token.text)}`"
        hint = None
        if token.text == ",":
            hint = "numbers have no thousands separators; conditions are joined by `and` or `or`"
        elif token.kind in ("name", "number", "text") or token.text in KEYWORDS:
            hint = "join two conditions by `and` or `or`"
        self._stop(f"expected `and`, `or` or the end, but found {found}", hint=hint)
