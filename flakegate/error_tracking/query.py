"""The query of a rule: a template over a flaky test, whose values stay values in the search.

`service:{{ test.services[0] }}`: only fields of the test that are texts or lists can be named, and
whatever one holds is put in quotes, so that no quote, wildcard or operator in it acts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

from flakegate.backends.datadog.query import quoted
from flakegate.policy.balance import unbalanced
from flakegate.policy.fields import FIELDS, Kind
from flakegate.policy.literals import did_you_mean

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import SandboxedEnvironment

    from flakegate.model import FlakyTest

    Flaw = tuple[str, str | None]  # what is wrong, and what to do about it

NAMES = tuple(name for name, field in FIELDS.items() if field.kind in (Kind.TEXT, Kind.LIST))
FILTERS = ("default", "first", "join", "last", "lower", "trim", "upper")
LONGEST = 4_000  # characters of a query
_EXAMPLE = "service:{{ test.services[0] }}"
_PLAIN = re.compile(r"\{\{ *test\.([a-z_]+)(\[[0-9]\])? *\}\}")
_NODES = frozenset(
    {
        "Template", "Output", "TemplateData", "Name", "Getattr", "Getitem", "Const", "Filter",
        "Concat", "Neg", "Keyword",
    }
)  # fmt: skip
_MARK = "\x00"
_PART = re.compile(rf'\\.|"|{_MARK}(\d+){_MARK}', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoQuery:
    """Why a test has no query, in words."""

    why: str


def flaw(template: str) -> Flaw | None:
    """What is wrong with a template, and what to do about it; None if nothing is.

    The usual ones are understood without loading the template engine.
    """
    rest = _PLAIN.sub("x", template)
    if "{{" not in rest and "{%" not in rest and "{#" not in rest:
        for name, item in _PLAIN.findall(template):
            if found := _field_flaw(name) or _item_flaw(name, item):
                return found
        fault = unbalanced(rest)
        return (fault, "close what it opens") if fault else None
    import jinja2

    try:
        tree = _environment().parse(template)
    except jinja2.TemplateSyntaxError as error:
        return f"is no template: {error.message}", f"write for example `{_EXAMPLE}`"
    from jinja2 import nodes

    return next((found for node in tree.find_all(nodes.Node) if (found := _node_flaw(node))), None)


def query_for(template: str, test: FlakyTest) -> str | NoQuery:
    """The query of a test, from a template without flaws."""
    import jinja2

    known = {name: value for name in NAMES if (value := FIELDS[name].get(test, 0.0))}
    values: list[str] = []

    def mark(value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise jinja2.UndefinedError
        values.append(value)
        return f"{_MARK}{len(values) - 1}{_MARK}"

    environment = _environment()
    environment.finalize = mark
    try:
        text = environment.from_string(template).render(test=SimpleNamespace(**known))
    except (jinja2.TemplateError, TypeError, ValueError):
        needed = list(dict.fromkeys(re.findall(r"test\.(\w+)", template)))
        missing = [name for name in needed if name not in known] or needed
        return NoQuery(why=f"its query needs a value that is not known: {', '.join(missing)}")
    query = _with_values(text, values).strip()
    if fault := unbalanced(query):
        return NoQuery(why=f"its query {fault}")
    if _MARK in query:
        return NoQuery(why="its query has a backslash before a value, or a value has a NUL in it")
    if not query or len(query) > LONGEST:
        return NoQuery(why=f"its query has {len(query):,} characters")
    return query


def _with_values(text: str, values: list[str]) -> str:
    """The text with its values: between quotes of the template as they are, else in quotes."""
    inside = False

    def part(match: re.Match[str]) -> str:
        nonlocal inside
        if match[1] is not None:
            whole = quoted(values[int(match[1])])
            return whole[1:-1] if inside else whole
        inside ^= match[0] == '"'
        return match[0]

    return _PART.sub(part, text)


def _environment() -> SandboxedEnvironment:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)


def _node_flaw(node: nodes.Node) -> Flaw | None:
    from jinja2 import nodes

    kind = type(node).__name__
    if kind not in _NODES:
        return f"has a `{kind.lower()}`, which a query cannot have", f"write `{_EXAMPLE}`"
    if isinstance(node, nodes.Name) and node.name != "test":
        return f"names `{node.name}`, and knows only `test`", did_you_mean(node.name, ("test",))
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        known = f"filters are {', '.join(FILTERS)}"
        return f"has an unknown filter `{node.name}`", did_you_mean(node.name, FILTERS) or known
    return _access_flaw(node)


def _access_flaw(node: nodes.Node) -> Flaw | None:
    """What is wrong with the way in which a node reads the test."""
    from jinja2 import nodes

    if isinstance(node, nodes.Getattr) and not isinstance(node.node, nodes.Name):
        return f"asks for `.{node.attr}` of a value", "a value has an item at most: `[0]`"
    if isinstance(node, nodes.Getattr) and node.node == nodes.Name("test", "load"):
        return _field_flaw(node.attr)
    parts = [node.node] if isinstance(node, nodes.Getitem) else []
    parts += node.nodes if isinstance(node, nodes.Output) else []
    if any(isinstance(part, nodes.Name) for part in parts):
        return "writes `test` itself", "name its field: `{{ test.suite }}`"
    return None


def _field_flaw(name: str) -> Flaw | None:
    if name in NAMES:
        return None
    return f"names an unknown field `test.{name}`", did_you_mean(name, NAMES) or (
        f"fields are {', '.join(NAMES)}"
    )


def _item_flaw(name: str, item: str) -> Flaw | None:
    is_list = FIELDS[name].kind is Kind.LIST
    if is_list and not item:
        return f"writes the whole list `test.{name}`", f"name an item: `test.{name}[0]`"
    if item and not is_list:
        return f"takes a letter of the text `test.{name}`", f"write `test.{name}`"
    return None
