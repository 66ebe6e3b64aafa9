"""The text of a policy file → a tree of YAML nodes that know where they stand.

Built from the event stream, never by `yaml.load`: scalars stay text (`on`, `1.10` mean what is
written), nothing recurses, and what a policy has no use for (aliases, anchors, merge keys, tags,
several documents) is refused where it appears.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

import yaml

from flakegate.policy.problems import Place, PolicyProblem
from flakegate.policy.yaml_errors import explain

MAX_DEPTH = 20
_COMMENT = re.compile(r"[ \t]+#")
MAX_PROBLEMS = 100
_Loader: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A value. text: what it says. style: "" for plain, else the character that begins it.

    start and end: offsets in the text of the file, quotes and block signs included.
    """

    text: str
    start: int
    end: int
    style: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A sequence."""

    items: tuple[Node, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A mapping; its keys are unique."""

    entries: tuple[tuple[Scalar, Node], ...]
    start: int
    end: int

    def get(self, key: str) -> Node | None:
        """The value of a key; None if the key is absent."""
        return next((node for scalar, node in self.entries if scalar.text == key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A node that was already complained about; whoever meets it says nothing more."""

    start: int
    end: int


Node = Scalar | Items | Mapping | Refused


class Source:
    """The text of a file, its lines, and what is wrong in it."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.problems: list[PolicyProblem] = []
        self._starts = [0] + [at + 1 for at, char in enumerate(text) if char == "\n"]

    @property
    def full(self) -> bool:
        """Enough errors were found: nobody reads more, so stop looking."""
        return len(self.problems) >= MAX_PROBLEMS

    def place(self, offset: int) -> Place:
        """The line and column of an offset."""
        line = bisect_right(self._starts, offset)
        return Place(line=line, column=offset - self._starts[line - 1] + 1)

    def offset(self, line: int, column: int) -> int:
        """The offset of a place: the way back from `place`."""
        return self._starts[line - 1] + column - 1

    def error(self, message: str, start: int, end: int, hint: str | None = None) -> None:
        """Notes an error about the text from `start` up to `end`."""
        if not self.full:
            self._note("error", message, start, end, hint)

    def warn(self, message: str, start: int, end: int, hint: str | None = None) -> None:
        """Notes a warning about the text from `start` up to `end`."""
        self._note("warning", message, start, end, hint)

    def _note(self, severity: str, message: str, start: int, end: int, hint: str | None) -> None:
        place = self.place(start)
        line_start = self._starts[place.line - 1]
        line_end = self.text.find("\n", line_start)
        line = self.text[line_start : line_end if line_end >= 0 else None]
        self.problems.append(
            PolicyProblem(
                severity=severity,
                file=self.name,
                place=place,
                message=message,
                length=max(1, end - start),
                source=line.rstrip("\r"),
                hint=hint,
            )
        )


def compose(source: Source) -> Node | None:
    """The root node of the one document; None if there is none. Complains to the source."""
    tree = _Tree(source)
    try:
        for event in yaml.parse(source.text, Loader=_Loader):
            if tree.take(event):
                break
    except yaml.MarkedYAMLError as error:
        message, start, end, hint = explain(error, source.text)
        source.error(message, start, end, tree.suspect or hint)
        return None
    return tree.root


def comment_after(source: Source, scalar: Scalar) -> int | None:
    """The offset of the `#` that begins a comment right after a plain scalar, if one does."""
    found = None if scalar.style else _COMMENT.match(source.text, scalar.end)
    return found.end() - 1 if found else None


@dataclass(slots=True, kw_only=True)
class _Open:
    """A sequence or mapping that is being read. keys: of a mapping, its keys so far."""

    start: int
    is_mapping: bool
    refused: bool
    items: list[Node] = field(default_factory=list)
    entries: list[tuple[Scalar, Node]] = field(default_factory=list)
    keys: dict[str, Scalar] = field(default_factory=dict)
    key: Node | None = None


class _Tree:
    """Takes the events of a YAML stream one by one and grows the tree.

    suspect: a hint at the latest scalar that may be the cause of an error further down.
    """

    def __init__(self, source: Source) -> None:
        self.root: Node | None = None
        self.suspect: str | None = None
        self._source = source
        self._open: list[_Open] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> bool:
        """Adds one event; True if nothing after it is worth reading."""
        start = event.start_mark.index if event.start_mark else 0
        end = event.end_mark.index if event.end_mark else start
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._source.error("a policy file is one document", start, end, "remove the `---`")
            return self._documents > 1
        if isinstance(event, yaml.NodeEvent):
            self._node(event, start, end)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(end)
        if len(self._open) > MAX_DEPTH:
            message = f"nested more than {MAX_DEPTH} levels deep"
            self._source.error(message, start, end, "no setting is nested that deep")
            self.root = None
            return True
        return self._source.full

    def _node(self, event: yaml.NodeEvent, start: int, end: int) -> None:
        if isinstance(event, yaml.AliasEvent):
            hint = f"write it out, or put quotes around it if it is a value: '*{event.anchor}'"
            self._source.error("aliases are not allowed in a policy", start, end, hint)
            self._put(Refused(start=start, end=end))
            return
        if event.anchor is not None:
            hint = "put quotes around it if it is a value"
            self._source.error("anchors are not allowed in a policy", start, end, hint)
        tagged = getattr(event, "tag", None) is not None
        if tagged:
            is_word = str(getattr(event, "tag", "")).startswith("!")
            hint = "write `not` for `!`, or put quotes around the value"
            hint = hint if is_word else "remove it: the policy knows what each value is"
            self._source.error("a value that begins with `!` is a YAML tag", start, end, hint)
        if isinstance(event, yaml.ScalarEvent):
            style: str = event.style or ""
            scalar = Scalar(text=event.value, start=start, end=end, style=style)
            self._suspect(scalar)
            self._put(Refused(start=start, end=end) if tagged else scalar)
        else:
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            self._open.append(_Open(start=start, is_mapping=is_mapping, refused=tagged))

    def _suspect(self, scalar: Scalar) -> None:
        """Remembers a scalar that may have swallowed, or lost, what follows it."""
        first, last = self._source.place(scalar.start).line, self._source.place(scalar.end).line
        if scalar.style in ("'", '"') and first != last:
            self.suspect = f"the quote that opens on line {first} closes only on line {last}"
        elif scalar.text.count('"') % 2 and comment_after(self._source, scalar) is not None:
            self.suspect = (
                f"on line {last} ` #` began a comment in the middle of a text: quote all of it"
            )

    def _close(self, end: int) -> None:
        done = self._open.pop()
        if done.refused:
            self._put(Refused(start=done.start, end=end))
        elif done.is_mapping:
            self._put(Mapping(entries=tuple(done.entries), start=done.start, end=end))
        else:
            self._put(Items(items=tuple(done.items), start=done.start, end=end))

    def _put(self, node: Node) -> None:
        """Hangs a finished node where it belongs."""
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if not parent.is_mapping:
            parent.items.append(node)
        elif parent.key is None:
            parent.key = self._key(parent, node)
        else:
            if isinstance(parent.key, Scalar):
                parent.entries.append((parent.key, node))
            parent.key = None

    def _key(self, parent: _Open, node: Node) -> Node:
        """The key if it is one that a policy can have, else Refused."""
        refused = Refused(start=node.start, end=node.end)
        if isinstance(node, (Items, Mapping)):
            self._source.error("a key is one word", node.start, node.start + 1)
        if not isinstance(node, Scalar):
            return refused
        if node.text == "<<" and not node.style:
            self._source.error(
                "merge keys are not allowed in a policy", node.start, node.end, "write it out"
            )
            return refused
        first = parent.keys.setdefault(node.text, node)
        if first is node:
            return node
        line = self._source.place(first.start).line
        message = f"duplicate key `{node.text[:60]}`: it already stands on line {line}"
        self._source.error(message, node.start, node.end, "keep one of them")
        return refused
