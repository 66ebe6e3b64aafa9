"""The syntax tree of a condition, and the way back from tree to text.

Positions (`span`: start and end offset in the text it was read from) take no part in equality:
two conditions are equal if they mean the same thing in the same shape, wherever they stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flakegate.policy.fields import Kind

Span = tuple[int, int]

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
ESCAPES = {"\\": "\\", '"': '"', "n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """A value as written. value: seconds for durations, 0 to 100 for percentages.

    text: how it was written (`2h`), which is how it is shown again.
    """

    kind: Kind
    value: str | float
    text: str = field(compare=False)
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """A field, or `default(field, literal)`."""

    field: str
    default: Literal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """`operand cmp literal`."""

    operand: Operand
    op: str
    literal: Literal
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Like:
    """`operand =~ "glob"`."""

    operand: Operand
    glob: Literal
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Among:
    """`operand in [..]`, or `operand not in [..]` where negated."""

    operand: Operand
    literals: tuple[Literal, ...]
    negated: bool
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Has:
    """`list has "text"`."""

    operand: Operand
    literal: Literal
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """`known(field)`: never unknown itself."""

    operand: Operand
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A bool field on its own: `broken`."""

    operand: Operand
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """`not node`."""

    node: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    """At least two parts that must all be true."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """At least two parts of which one must be true."""

    parts: tuple[Node, ...]


Leaf = Compare | Like | Among | Has | Known | Flag
Node = Leaf | Not | And | Or


def leaves(node: Node) -> tuple[Leaf, ...]:
    """The clauses of a condition, from left to right."""
    match node:
        case Not():
            return leaves(node.node)
        case And() | Or():
            return tuple(leaf for part in node.parts for leaf in leaves(part))
        case _:
            return (node,)


def quote(text: str) -> str:
    """A text as a literal: in double quotes, with what the grammar needs escaped."""
    for letter, char in ESCAPES.items():
        text = text.replace(char, "\\" + letter)
    return f'"{text}"'


def show(node: Node) -> str:  # noqa: PLR0911 - one line for each kind of node
    """A condition as text that reads back as an equal tree."""
    match node:
        case Or():
            return " or ".join(_inside(part, (Or,)) for part in node.parts)
        case And():
            return " and ".join(_inside(part, (Or, And)) for part in node.parts)
        case Not():
            return "not " + _inside(node.node, (Or, And))
        case Compare():
            return f"{_operand(node.operand)} {node.op} {node.literal.text}"
        case Like():
            return f"{_operand(node.operand)} =~ {node.glob.text}"
        case Among():
            literals = ", ".join(literal.text for literal in node.literals)
            return f"{_operand(node.operand)} {'not ' * node.negated}in [{literals}]"
        case Has():
            return f"{node.operand.field} has {node.literal.text}"
        case Known():
            return f"known({node.operand.field})"
        case Flag():
            return node.operand.field


def _inside(node: Node, wrapped: tuple[type, ...]) -> str:
    return f"({show(node)})" if isinstance(node, wrapped) else show(node)


def _operand(operand: Operand) -> str:
    if operand.default is None:
        return operand.field
    return f"default({operand.field}, {operand.default.text})"
