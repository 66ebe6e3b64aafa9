"""How a case ended, by the result elements in it and by what it calls itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flakegate.junit import MAX_MESSAGE, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ALONE = {
    "error": Outcome.ERROR,
    "failure": Outcome.FAILURE,
    "skipped": Outcome.SKIPPED,
}
FINAL = frozenset(_ALONE)
_RERUNS = frozenset({"rerunFailure", "rerunError"})
INTERIM = _RERUNS | {"flakyFailure", "flakyError"}
RESULTS = {tag.lower(): tag for tag in FINAL | INTERIM}  # some writers capitalise them

_NOT_RUN = frozenset({"disabled", "notrun"})
_FAILED = frozenset({"fail", "failed", "failure", "error", "errored", "broken"})


@dataclass(slots=True)
class Child:
    """A result element of a case. text: the head of its text, in pieces."""

    tag: str
    attributes: dict[str, str]
    text: list[str]


def was_not_run(attributes: Mapping[str, str]) -> bool:
    """Whether a case without a result element says that it was left out."""
    return attributes.get("status", "").lower() in _NOT_RUN


def claimed_failure(attributes: Mapping[str, str]) -> str | None:
    """How a case calls itself failed in its attributes, in words; None if it does not."""
    for key in ("status", "result"):
        word = attributes.get(key, "").strip()
        if word.lower() in _FAILED:
            name = attributes.get("name")
            case = "a case without a name" if name is None else f"the case {name[:80]!r}"
            return f'{case} has {key}="{word}", but holds no failure'
    return None


def judge(children: Sequence[Child]) -> tuple[Outcome, str | None, tuple[Outcome, ...]]:
    """Outcome, message and earlier attempts of a case that has result elements.

    A lone one that is final says it all. Else junitparser reads the element; it is given the direct
    children only, because its `result` walks all descendants, and the precedence is ours, because
    its `result[0]` is the first in the file.
    """
    if len(children) == 1 and (alone := _ALONE.get(children[0].tag)):
        return alone, _message(children[0].attributes.get("message", ""), _text(children[0])), ()
    from xml.etree.ElementTree import Element, SubElement

    from junitparser import Error, Failure, Skipped, xunit2

    element = Element("testcase")
    for child in children:
        SubElement(element, child.tag, child.attributes).text = _text(child)
    wrap: Callable[[Element], xunit2.TestCase] = xunit2.TestCase.fromelem
    case = wrap(element)
    earlier = tuple(
        Outcome.ERROR if isinstance(attempt, (xunit2.FlakyError, xunit2.RerunError))
        else Outcome.FAILURE
        for attempt in case.interim_result
    )  # fmt: skip
    reruns = [child for child in children if child.tag in _RERUNS]
    for kind, outcome in (
        (Error, Outcome.ERROR),
        (Failure, Outcome.FAILURE),
        (Skipped, Outcome.SKIPPED),
    ):
        if kind is Skipped and reruns:
            # Beside a failure these are the attempts after it. Without one nothing says that an
            # attempt passed: that would be <flakyFailure> or <flakyError>.
            last = Outcome.ERROR if reruns[-1].tag == "rerunError" else Outcome.FAILURE
            return last, _message(reruns[-1].attributes.get("message", ""), ""), earlier[:-1]
        for result in case.result:
            if isinstance(result, kind):
                return outcome, _message(result.message or "", result.text or ""), earlier
    return Outcome.PASSED, None, earlier


def _text(child: Child) -> str:
    return "".join(child.text)


def _message(message: str, text: str) -> str | None:
    """The message attribute and the head of the text, without saying the same twice."""
    message, text = message[:MAX_MESSAGE].strip(), text.strip()
    if message and not text.startswith(message):
        text = f"{message}\n{text}".rstrip()
    return text[:MAX_MESSAGE] or None
