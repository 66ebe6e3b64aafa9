"""A plan: which tests change state and why, which do not and why. As a value and as JSON.

The JSON is both what `plan --format json` prints and what `plan --out` saves for `apply`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NamedTuple, NoReturn

from flakegate.errors import UsageError
from flakegate.model import State, Transition
from flakegate.policy.evidence import EVIDENCE
from flakegate.times import iso

VERSION = 1
MAX_AGE = 86_400.0
MAX_SKEW = 300.0
CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """A test that no rule moves, though one may match.

    reason: a code: "exempt"; "manual", "cooldown" or "broken" where a hold keeps it; "ambiguous"
    where the backend listed it twice in different ways; CHANGED where an undo leaves alone what
    others changed since, or what would be over by now. detail: the same in words.
    rule: the rule that would have moved it; None if none would.
    """

    test_id: str
    fqn: str
    reason: str
    detail: str
    rule: str | None = None


class Unknown(NamedTuple):
    """For how many tests a rule was unknown, and why.

    field: the field that the backend does not know, or the key of the rule's evidence (EVIDENCE)
    that the figures do not meet.
    """

    rule: str
    field: str
    tests: int

    @property
    def lacks(self) -> str:
        """What is wrong with the field: it is not `known`, or not `met`."""
        return "met" if self.field in EVIDENCE else "known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a policy decides for the flaky tests of a repository. Sorted by test id.

    policy, policy_digest: the file's name and SHA-256 (hex). at: seconds since the epoch.
    transitions: what `apply` carries out. held: what a limit stopped; limits: each of these
    limits in words. tests: how many were considered.
    """

    repository: str
    backend: str
    policy: str
    policy_digest: str
    at: float
    tests: int
    transitions: tuple[Transition, ...] = ()
    held: tuple[Transition, ...] = ()
    limits: tuple[str, ...] = ()
    skipped: tuple[Skip, ...] = ()
    unknown: tuple[Unknown, ...] = ()


def stale(
    plan: Plan, *, repository: str, policy_digest: str, now: float, max_age: float = MAX_AGE
) -> str | None:
    """Why a saved plan must not be applied, in words; None if it may be.

    now: seconds since the epoch. max_age: seconds. A plan from a clock that runs a few minutes
    ahead is taken; one from further in the future is not.
    """
    if plan.repository != repository:
        return f"it was made for the repository {plan.repository}, and this is {repository}"
    if plan.policy_digest != policy_digest:
        return f"{plan.policy or 'the policy'} has changed since it was made"
    age = now - plan.at
    if age > max_age:
        return f"it was made {age / 3600:.0f} hours ago, and {max_age / 3600:.0f} is the most"
    if age < -MAX_SKEW:
        return f"it was made in the future ({iso(plan.at)}): check the clock"
    return None


def dump(plan: Plan) -> str:
    """The plan as JSON text, ending in a newline: the same plan gives the same bytes."""
    document = {
        "version": VERSION,
        "repository": plan.repository,
        "backend": plan.backend,
        "policy": plan.policy,
        "policy_digest": plan.policy_digest,
        "at": iso(plan.at),
        "tests": plan.tests,
        "transitions": [_transition(each) for each in plan.transitions],
        "held": [_transition(each) for each in plan.held],
        "limits": list(plan.limits),
        "skipped": [_skip(each) for each in plan.skipped],
        "unknown": [each._asdict() for each in plan.unknown],
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def parse(text: str, name: str) -> Plan:
    """The plan that `dump` wrote. name: the file, for messages.

    Raises:
        UsageError: the text is not a saved plan, or one of another version.
    """
    reader = _Reader(name)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        reader.refuse("it is not JSON")
    fields = reader.fields(document, "the plan")
    if fields.get("version") != VERSION or isinstance(fields["version"], bool):
        reader.refuse(f"its `version` is not {VERSION}")
    return Plan(
        repository=reader.text(fields, "repository"),
        backend=reader.text(fields, "backend"),
        policy=reader.text(fields, "policy"),
        policy_digest=reader.text(fields, "policy_digest"),
        at=reader.moment(fields, "at"),
        tests=reader.count(fields, "tests"),
        transitions=tuple(map(reader.transition, reader.items(fields, "transitions"))),
        held=tuple(map(reader.transition, reader.items(fields, "held"))),
        limits=tuple(reader.words(each, "limits") for each in reader.items(fields, "limits")),
        skipped=tuple(map(reader.skip, reader.items(fields, "skipped"))),
        unknown=tuple(map(reader.unknown, reader.items(fields, "unknown"))),
    )


def _transition(transition: Transition) -> dict[str, str | None]:
    return {
        "test_id": transition.test_id,
        "fqn": transition.fqn,
        "from": transition.from_state.value,
        "to": transition.to_state.value,
        "rule": transition.rule,
        "reason": transition.reason,
        "actor": transition.actor,
    }


def _skip(skip: Skip) -> dict[str, str | None]:
    return {
        "test_id": skip.test_id,
        "fqn": skip.fqn,
        "reason": skip.reason,
        "detail": skip.detail,
        "rule": skip.rule,
    }


class _Reader:
    """Takes values out of a JSON tree and refuses whatever `dump` would not have written."""

    def __init__(self, name: str) -> None:
        self._name = name

    def refuse(self, why: str) -> NoReturn:
        message = f"{self._name} is not a saved plan: {why}"
        raise UsageError(message, tip="make one with `flakegate plan --out FILE`")

    def fields(self, value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.refuse(f"{what} is not an object")
        return value

    def text(self, fields: dict[str, Any], key: str) -> str:
        return self.words(fields.get(key), key)

    def words(self, value: Any, key: str) -> str:
        if not isinstance(value, str):
            self.refuse(f"`{key}` is missing or is not a text")
        try:
            value.encode()
        except UnicodeEncodeError:
            self.refuse(f"`{key}` holds half a character (a lone surrogate)")
        return value

    def perhaps(self, fields: dict[str, Any], key: str) -> str | None:
        return None if fields.get(key) is None else self.text(fields, key)

    def count(self, fields: dict[str, Any], key: str) -> int:
        value = fields.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.refuse(f"`{key}` is missing or is not a count")
        return value

    def moment(self, fields: dict[str, Any], key: str) -> float:
        text = self.text(fields, key)
        try:
            found = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            self.refuse(f"`{key}` is not a time")
        if found.tzinfo is None:
            self.refuse(f"`{key}` lacks its time zone")
        try:
            return found.astimezone(timezone.utc).timestamp()
        except OverflowError:  # in another zone it is no longer of the years 1 to 9999
            self.refuse(f"`{key}` is not a time")

    def items(self, fields: dict[str, Any], key: str) -> list[Any]:
        value = fields.get(key)
        if not isinstance(value, list):
            self.refuse(f"`{key}` is missing or is not a list")
        return value

    def state(self, fields: dict[str, Any], key: str) -> State:
        try:
            return State(self.text(fields, key))
        except ValueError:
            self.refuse(f"`{key}` is not a state")

    def transition(self, value: Any) -> Transition:
        fields = self.fields(value, "a transition")
        return Transition(
            test_id=self.text(fields, "test_id"),
            fqn=self.text(fields, "fqn"),
            from_state=self.state(fields, "from"),
            to_state=self.state(fields, "to"),
            rule=self.perhaps(fields, "rule"),
            reason=self.text(fields, "reason"),
            actor=self.perhaps(fields, "actor"),
        )

    def skip(self, value: Any) -> Skip:
        fields = self.fields(value, "a skipped test")
        return Skip(
            test_id=self.text(fields, "test_id"),
            fqn=self.text(fields, "fqn"),
            reason=self.text(fields, "reason"),
            detail=self.text(fields, "detail"),
            rule=self.perhaps(fields, "rule"),
        )

    def unknown(self, value: Any) -> Unknown:
        fields = self.fields(value, "a count of unknowns")
        return Unknown(
            rule=self.text(fields, "rule"),
            field=self.text(fields, "field"),
            tests=self.count(fields, "tests"),
        )
