"""The bytes of a policy file → a Policy, or every error in it at once, each with its place."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from flakegate.model import State
from flakegate.policy import settings, tracking
from flakegate.policy.conditions import Condition, conjunction, parse
from flakegate.policy.document import Items, Node, Refused, Scalar, Source, comment_after, compose
from flakegate.policy.review import overlaps, pointless, unreachable, unreleased
from flakegate.policy.rules import Exemption, Owner, Policy, Rule
from flakegate.policy.scalars import offsets
from flakegate.policy.scan import clip
from flakegate.policy.section import Section

if TYPE_CHECKING:
    from flakegate.policy.problems import PolicyProblem

VERSION = "1"
MAX_BYTES = 1 << 20
MAX_ITEMS = 1_000
KEYS = (
    "version", "backend", "apply", "cooldown", "respect_manual", "limits", "exempt", "rules",
    "owners", "gate", "reports", "store", "summary",
)  # fmt: skip
RULE_KEYS = ("id", "from", "to", "when", "evidence", "error_tracking")
APPLY = ("default_branch", "always", "never")
FROM = {
    State.QUARANTINED: frozenset({State.ACTIVE}),
    State.DISABLED: frozenset({State.ACTIVE, State.QUARANTINED}),
    State.ACTIVE: frozenset({State.QUARANTINED}),
    State.FIXED: frozenset({State.ACTIVE, State.QUARANTINED}),
}

_SMALLEST = "version: 1 and rules: [{id: noisy, to: quarantined, when: failure_rate > 20%}]"
_MAX_ID = 100
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """policy: None if any of the problems is an error. problems: in the order of the file."""

    policy: Policy | None
    problems: tuple[PolicyProblem, ...]


def load(data: bytes, name: str) -> Loaded:
    """Reads a policy file. name: the file as messages show it. Never raises for what it reads."""
    source = _decode(data, name)
    root = None if source.problems else compose(source)
    if not source.problems and (root is None or (isinstance(root, Scalar) and not root.text)):
        source.error("the policy is empty", 0, 1, f"the smallest useful one: {_SMALLEST}")
    policy = None
    if root is not None and not source.full:
        digest = hashlib.sha256(data).hexdigest()
        policy = _policy(source, root, name, digest)
    problems = sorted(source.problems, key=lambda each: (each.place.line, each.place.column))
    failed = any(problem.is_error for problem in problems)
    if source.full:
        message = f"more errors than these {len(problems)}; the rest is not shown"
        problems.append(replace(problems[-1], message=message, source="", hint=None))
    return Loaded(policy=None if failed else policy, problems=tuple(problems))


def _decode(data: bytes, name: str) -> Source:
    """The text of the file, a byte order mark at its begin left out."""
    if len(data) > MAX_BYTES:
        source = Source(name, "")
        hint = "is this a policy?"  # no more of it was read, so its size is not known
        source.error(f"the file has more than {MAX_BYTES:,} bytes", 0, 1, hint)
        return source
    try:
        source = Source(name, data.decode("utf-8").removeprefix("\ufeff"))
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        source = Source(name, before.removeprefix("\ufeff"))
        is_utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        what = "this is UTF-16" if is_utf16 else f"byte 0x{data[error.start]:02x} is not UTF-8"
        source.error(what, len(source.text), len(source.text) + 1, "save the file as UTF-8")
        return source
    strange = _UNPRINTABLE.search(source.text)
    if strange:
        message = f"the invisible character U+{ord(strange[0]):04X} has no place in a policy"
        source.error(message, strange.start(), strange.end(), "remove it")
    return source


def _policy(source: Source, root: Node, name: str, digest: str) -> Policy:
    top = Section(source, root, "", KEYS)
    top.require("version")
    version = top.scalar("version")
    if version and version.text != VERSION:
        hint = f"write `version: {VERSION}`"
        top.wrong(version, "version", f"`{VERSION}`, the one this flakegate reads", hint)
    backend = settings.backend(top)
    rate_from, keep = settings.store(top)
    owners = tracking.owners(top)
    defaults = Policy()
    policy = Policy(
        name=name,
        digest=digest,
        backend=backend,
        apply=top.choice("apply", defaults.apply, APPLY),
        cooldown=top.duration("cooldown", defaults.cooldown),
        respect_manual=top.duration("respect_manual", defaults.respect_manual),
        limits=settings.limits(top, backend.kind),
        exempt=_exempt(top),
        rules=_rules(top, owners),
        owners=owners,
        gate=settings.gate(top),
        reports=settings.reports(top),
        summary=settings.summary(top),
        rate_from=rate_from,
        keep=keep,
    )
    if not source.problems:
        _warn(source, policy)
    return policy


def _warn(source: Source, policy: Policy) -> None:
    """The warnings that need nothing but the policy itself."""
    found = (*unreleased(policy), *overlaps(policy), *unreachable(policy), *pointless(policy))
    for warning in found:
        start = source.offset(warning.place.line, warning.place.column)
        source.warn(warning.message, start, start + 1, warning.hint)


def _exempt(top: Section) -> tuple[Exemption, ...]:
    nodes = _few(top, "exempt", "exempt: [{when: …, reason: …}]")
    found = (_exemption(top.source, node, number) for number, node in enumerate(nodes, 1))
    return tuple(exemption for exemption in found if exemption is not None)


def _few(top: Section, key: str, example: str) -> tuple[Node, ...]:
    """The items of a list that must not be so long that checking it takes for ever."""
    nodes = top.items(key, example)
    if len(nodes) > MAX_ITEMS:
        start = nodes[MAX_ITEMS].start
        top.source.error(f"`{key}` has at most {MAX_ITEMS:,} items", start, start + 1)
    return nodes[:MAX_ITEMS]


def _exemption(source: Source, node: Node, number: int) -> Exemption | None:
    section = Section(source, node, f"exempt[{number}]", ("when", "reason", "until"))
    when = _when(section)
    section.require("reason")
    reason = section.word("reason")
    until = _date(section)
    if when is None or reason is None:
        return None
    place = source.place(node.start)
    return Exemption(when=when, reason=reason, until=until, line=place.line, column=place.column)


def _date(section: Section) -> date | None:
    scalar = section.scalar("until")
    if scalar is None:
        return None
    try:
        if _DATE.fullmatch(scalar.text):
            return date.fromisoformat(scalar.text)
    except ValueError:
        pass
    section.wrong(scalar, "until", "a date", "write for example `2027-03-31`")
    return None


def _rules(top: Section, owners: tuple[Owner, ...]) -> tuple[Rule, ...]:
    nodes = _few(top, "rules", "rules: [{id: …, to: …, when: …}]")
    first: dict[str, int] = {}
    found = (_rule(top.source, node, number, first, owners) for number, node in enumerate(nodes, 1))
    return tuple(rule for rule in found if rule is not None)


def _rule(
    source: Source, node: Node, number: int, first: dict[str, int], owners: tuple[Owner, ...]
) -> Rule | None:
    """One rule. first: the offset of each id seen so far; the rule's own is added."""
    section = Section(source, node, f"rules[{number}]", RULE_KEYS)
    section.require("id")
    id_ = _id(section, first)
    section.require("to")
    to = section.choice("to", "", tuple(State))
    from_states = _from(section, State(to)) if to else frozenset[State]()
    when = _when(section)
    evidence = settings.evidence(section)
    error_tracking = tracking.error_tracking(section, owners)
    if id_ is None or not from_states or when is None:
        return None
    place = source.place(node.start)
    return Rule(
        id=id_,
        from_states=from_states,
        to=State(to),
        when=when.resting_on(evidence),
        line=place.line,
        column=place.column,
        error_tracking=error_tracking,
    )


def _id(section: Section, first: dict[str, int]) -> str | None:
    id_, scalar = section.word("id"), section.get("id")
    if id_ is None or scalar is None:
        return None
    source = section.source
    if len(id_) > _MAX_ID:
        source.error(f"an id has at most {_MAX_ID} characters", scalar.start, scalar.end)
    if first.setdefault(id_, scalar.start) != scalar.start:
        line = source.place(first[id_]).line
        message = f"duplicate id `{clip(id_)}`: the rule on line {line} already has it"
        source.error(message, scalar.start, scalar.end, "give each rule an id of its own")
    return id_


def _from(section: Section, to: State) -> frozenset[State]:
    """The states that a rule moves tests out of; empty if they are wrong."""
    if section.get("from") is None:
        return FROM[to]
    states = set()
    for scalar in settings.state_words(section, "from"):
        word = section.one_of(scalar, "from", tuple(State))
        if word == to.value:
            message = f"a rule to `{to}` cannot be from `{to}`: it would change nothing"
            section.source.error(message, scalar.start, scalar.end)
        elif word == State.DISABLED.value and to is State.ACTIVE:
            message = "disabled → active is refused: the test did not run, so its rate says nothing"
            hint = "go through quarantined: a rule from disabled to quarantined, then to active"
            section.source.error(message, scalar.start, scalar.end, hint)
        elif word:
            states.add(State(word))
    return frozenset(states)


def _when(section: Section) -> Condition | None:
    """The condition of a rule or exemption; a list of them means all."""
    node = section.require("when")
    if node is None:
        return None
    if isinstance(node, Items) and not node.items:
        section.source.error(f"`{section.path('when')}` is empty", node.start, node.end)
    nodes = node.items if isinstance(node, Items) else (node,)
    conditions = [_condition(section, each) for each in nodes]
    read = tuple(condition for condition in conditions if condition is not None)
    return conjunction(read) if read else None


def _condition(section: Section, node: Node) -> Condition | None:
    source = section.source
    if isinstance(node, Refused) or source.full:
        return None
    scalar = section.single(node, section.path("when"))
    if scalar is None:
        return None
    at = offsets(source.text, scalar)
    condition = parse(scalar.text, at=lambda offset: source.place(at[offset]))
    if isinstance(condition, Condition):
        return condition
    last = len(scalar.text.rstrip())
    for flaw in condition:
        start, end = at[min(flaw.start, last)], at[min(flaw.end, last)]
        comment = comment_after(source, scalar) if flaw.open_text else None
        if comment is None:
            source.error(flaw.message, start, end, flaw.hint)
        else:
            message = "` #` began a comment here, in the middle of a text"
            line_end = source.text.find("\n", comment)
            lines = source.text[scalar.start : line_end if line_end > 0 else None].splitlines()
            meant = " ".join(line.strip() for line in lines).replace("'", "''")
            hint = f"put single quotes around the whole condition: '{clip(meant)}'"
            source.error(message, comment, comment + 1, hint)
    return None
