"""One mapping of the policy, read key by key: a value of the right kind, or its default.

Whatever is wrong is noted at its place, and the reading goes on with the default.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from flakegate.policy.document import Items, Mapping, Node, Refused, Scalar, Source
from flakegate.policy.literals import did_you_mean
from flakegate.policy.scan import clip
from flakegate.policy.syntax import UNITS

if TYPE_CHECKING:
    from collections.abc import Sequence

Default = TypeVar("Default", float, None)

MAX_WHOLE = 1_000_000_000
_WHOLE = re.compile(r"[0-9]{1,12}")
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|[smhdw])")
_SHAPES: dict[type[Node], str] = {Scalar: "a single value", Items: "a list", Mapping: "a mapping"}


class Section:
    """A mapping, the keys it may have, and its name for messages ("" for the whole policy)."""

    def __init__(self, source: Source, node: Node | None, name: str, keys: Sequence[str]) -> None:
        self.source = source
        self.name = name
        self.node = node
        self._mapping = node if isinstance(node, Mapping) else None
        if node is not None and self._mapping is None:
            hint = f"its keys are {', '.join(keys)}"
            self._shape(node, f"`{name}`" if name else "a policy", "a mapping", hint)
        for key, _ in self._mapping.entries if self._mapping else ():
            if key.text not in keys and not source.full:
                where = f"in `{name}`" if name else "at the top of the policy"
                close = did_you_mean(key.text, keys, 0.75) or f"known here: {', '.join(keys)}"
                message = f"unknown key `{clip(key.text)}` {where}"
                source.error(message, key.start, key.end, close)

    def path(self, key: str) -> str:
        """The key as messages name it: `limits.max_changes`."""
        return f"{self.name}.{key}" if self.name else key

    def get(self, key: str) -> Node | None:
        """The node of a key; None if it is absent."""
        return self._mapping.get(key) if self._mapping else None

    def require(self, key: str) -> Node | None:
        """The node of a key that must be there: its absence is noted at the mapping's begin."""
        node = self.get(key)
        if node is None and self._mapping is not None:
            start, whole = self._mapping.start, self.name or "the policy"
            self.source.error(f"{whole} lacks `{key}`", start, start + 1, None)
        return node

    def section(self, key: str, keys: Sequence[str]) -> Section:
        """The mapping below a key; an absent one has no keys."""
        return Section(self.source, self.get(key), self.path(key), keys)

    def items(self, key: str, example: str) -> tuple[Node, ...]:
        """The nodes of a list below a key. example: how to write it."""
        node = self.get(key)
        if node is None or isinstance(node, Items):
            return node.items if node else ()
        self._shape(node, f"`{self.path(key)}`", "a list", f"write `{example}`")
        return ()

    def scalar(self, key: str) -> Scalar | None:
        """The single value of a key; None if it is absent, empty or something else."""
        node = self.get(key)
        return None if node is None else self.single(node, self.path(key))

    def single(self, node: Node, path: str) -> Scalar | None:
        """The node as a single value that is not empty, else None."""
        if not isinstance(node, Scalar):
            self._shape(node, f"`{path}`", "a single value", None)
            return None
        if not node.text.strip():
            self.source.error(f"`{path}` has no value", node.start, node.end)
            return None
        return node

    def word(self, key: str) -> str | None:
        """A text on one line; None if absent."""
        scalar = self.scalar(key)
        if scalar is None:
            return None
        text = scalar.text.strip()
        if not text.isprintable():
            self.wrong(scalar, key, "one line of text", None)
            return None
        return text

    def choice(self, key: str, default: str, words: Sequence[str]) -> str:
        """One of some words."""
        scalar = self.scalar(key)
        return (scalar and self.one_of(scalar, key, words)) or default

    def one_of(self, scalar: Scalar, key: str, words: Sequence[str]) -> str | None:
        """The scalar's text if it is one of the words, else None."""
        if scalar.text in words:
            return scalar.text
        hint = did_you_mean(scalar.text, words)
        self.wrong(scalar, key, f"one of {', '.join(words)}", hint)
        return None

    def truth(self, key: str) -> bool:
        """`true` or `false`, false if absent: `on` and `yes` mean other things to other readers."""
        return self.choice(key, "false", ("true", "false")) == "true"

    def whole(self, key: str, default: int, least: int = 0, most: int = MAX_WHOLE) -> int:
        """A whole number from `least` to `most`."""
        scalar = self.scalar(key)
        number = None if scalar is None else self.whole_of(scalar, key, least, most)
        return default if number is None else number

    def whole_of(self, scalar: Scalar, key: str, least: int, most: int) -> int | None:
        """The scalar as a whole number within bounds, else None."""
        if _WHOLE.fullmatch(scalar.text) and least <= int(scalar.text) <= most:
            return int(scalar.text)
        self.wrong(scalar, key, f"a whole number from {least} to {most}", None)
        return None

    def duration(self, key: str, default: Default) -> float | Default:
        """Seconds: `0`, or a number and a unit as in conditions."""
        scalar = self.scalar(key)
        if scalar is None:
            return default
        found = _DURATION.fullmatch(scalar.text)
        if found:
            return float(found[1]) * UNITS[found[2]]
        if scalar.text == "0":
            return 0.0
        hint = "write for example `90s`, `15m`, `2h`, `14d` or `2w`"
        self.wrong(scalar, key, "a duration", hint)
        return default

    def wrong(self, scalar: Scalar, key: str, what: str, hint: str | None) -> None:
        """Notes that the value of a key is not what it should be."""
        message = f"`{self.path(key)}` must be {what}, not `{clip(scalar.text.strip())}`"
        self.source.error(message, scalar.start, scalar.end, hint)

    def _shape(self, node: Node, what: str, wanted: str, hint: str | None) -> None:
        if isinstance(node, Refused):
            return
        empty = isinstance(node, Scalar) and not node.text
        found = "nothing" if empty else _SHAPES[type(node)]
        end = node.end if isinstance(node, Scalar) else node.start + 1
        self.source.error(f"{what} must be {wanted}, not {found}", node.start, end, hint)
