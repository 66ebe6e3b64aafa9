"""Random conditions, flaky tests and policies for the property tests."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from flakegate.model import DATADOG, DETECTION, FlakyTest, State, StateCause, Steady
from flakegate.policy.conditions import Condition, parse
from flakegate.policy.evidence import NO_EVIDENCE, Evidence
from flakegate.policy.fields import FIELDS, Field, Kind
from flakegate.policy.rules import Exemption, Rule
from flakegate.policy.syntax import (
    UNITS,
    Among,
    And,
    Compare,
    Flag,
    Has,
    Known,
    Like,
    Literal,
    Node,
    Not,
    Operand,
    Or,
    quote,
)

NOW = 1_800_000_000.0
ORDERED = (Kind.PERCENT, Kind.NUMBER, Kind.DURATION)

texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=8)
numbers = st.decimals(min_value=0, max_value=100, places=2).map(lambda number: f"{number:f}")
units = st.sampled_from(sorted(UNITS))


def text_literal(text: str) -> Literal:
    return Literal(kind=Kind.TEXT, value=text, text=quote(text))


def number_literal(number: str) -> Literal:
    return Literal(kind=Kind.NUMBER, value=float(number), text=number)


def percent_literal(number: str) -> Literal:
    return Literal(kind=Kind.PERCENT, value=float(number), text=f"{number}%")


def duration_literal(number: str, unit: str) -> Literal:
    value = float(number) * UNITS[unit]
    return Literal(kind=Kind.DURATION, value=value, text=f"{number}{unit}")


def literals(field: Field) -> st.SearchStrategy[Literal]:
    """Literals that a field can be compared with."""
    if field.name == "state":
        return st.sampled_from(list(State)).map(lambda state: text_literal(state.value))
    return {
        Kind.PERCENT: numbers.map(percent_literal),
        Kind.NUMBER: numbers.map(number_literal),
        Kind.DURATION: st.builds(duration_literal, numbers, units),
    }.get(field.kind, texts.map(text_literal))


@st.composite
def clauses(draw: st.DrawFn) -> Node:
    """One clause of any form, about any field it fits."""
    field = draw(st.sampled_from(list(FIELDS.values())))
    plain = Operand(field=field.name)
    if draw(st.integers(0, 9)) == 0:
        return Known(operand=plain)
    if field.kind is Kind.BOOL:
        return Flag(operand=plain)
    if field.kind is Kind.LIST:
        return Has(operand=plain, literal=draw(literals(field)))
    operand = Operand(field=field.name, default=draw(st.none() | literals(field)))
    if field.kind is Kind.TEXT and draw(st.booleans()):
        return Like(operand=operand, glob=text_literal(draw(texts)))
    if draw(st.booleans()):
        among = tuple(draw(st.lists(literals(field), min_size=1, max_size=3)))
        return Among(operand=operand, literals=among, negated=draw(st.booleans()))
    ops = ["==", "!=", "<", "<=", ">", ">="] if field.kind in ORDERED else ["==", "!="]
    literal = draw(literals(field))
    return Compare(operand=operand, op=draw(st.sampled_from(ops)), literal=literal)


def _joined(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(children, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        children.map(lambda node: Not(node=node)),
        several.map(lambda parts: And(parts=parts)),
        several.map(lambda parts: Or(parts=parts)),
    )


nodes: st.SearchStrategy[Node] = st.recursive(clauses(), _joined, max_leaves=8)

figures = st.none() | st.floats(0, 200) | st.sampled_from([float("nan"), float("inf"), -1.0])
counts = st.none() | st.integers(-1, 50)
moments = st.none() | st.floats(NOW - 90 * 86_400, NOW + 86_400)
words = st.sampled_from(["", "a", "b", "Timeout", "timeout"])
perhaps_words = st.none() | words
lists = st.none() | st.lists(words, max_size=2).map(tuple)

causes = st.none() | st.builds(
    StateCause,
    at=st.floats(NOW - 30 * 86_400, NOW + 86_400),
    rule=st.none() | st.just("noisy"),
    actor=st.sampled_from([None, DETECTION, DATADOG, "dana"]),
    first=st.booleans(),
)

flaky_tests = st.builds(
    FlakyTest,
    id=st.text(alphabet=string.ascii_lowercase, min_size=1, max_size=3),
    module=words,
    suite=words,
    name=words,
    state=st.sampled_from(State),
    category=perhaps_words,
    source_file=perhaps_words,
    error_message=perhaps_words,
    first_flaked_branch=perhaps_words,
    last_flaked_branch=perhaps_words,
    first_flaked_at=moments,
    last_flaked_at=moments,
    state_since=moments,
    cause=causes,
    codeowners=lists,
    envs=lists,
    services=lists,
    failure_rate=figures,
    failed_pipelines=counts,
    runs=counts,
    failures=counts,
    lost_time=figures,
    duration=figures,
    impact_score=figures,
    impact_level=perhaps_words,
    failing_commits=st.none() | st.lists(st.just("abcdef0"), max_size=3).map(tuple),
    steady=st.none()
    | st.builds(
        Steady,
        failure_rate=figures,
        runs=st.integers(0, 40),
        failures=st.integers(0, 40),
        failed_pipelines=st.integers(0, 40),
        in_a_row=st.integers(0, 9),
        together=st.integers(0, 9),
    ),
)


evidences = st.builds(
    Evidence,
    min_runs=st.integers(0, 40),
    confidence=st.none() | st.sampled_from([50.0, 80.0, 95.0, 99.9]),
)


def read(text: str) -> Condition:
    """A condition that must be valid."""
    condition = parse(text)
    assert isinstance(condition, Condition), condition
    return condition


def rule(
    when: str,
    to: State = State.QUARANTINED,
    *states: State,
    id_: str = "noisy",
    line: int = 1,
    evidence: Evidence = NO_EVIDENCE,
) -> Rule:
    return Rule(
        id=id_,
        from_states=frozenset(states or (State.ACTIVE,)),
        to=to,
        when=read(when).resting_on(evidence),
        line=line,
    )


def exemption(when: str, reason: str = "because") -> Exemption:
    return Exemption(when=read(when), reason=reason, until=None, line=1)


# Conditions over fields that the random tests often lack, so that unknown outcomes are common.
whens = st.sampled_from(
    [
        "failure_rate > 20%",
        "failure_rate < 5% or failures == 0",
        "broken",
        "not broken and lost_time > 1m",
        'codeowners has "a" and not envs has "b"',
        'category == "timeout"',
        "known(runs) and runs > 3",
        "last_flaked_age > 14d",
    ]
)


@st.composite
def rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    """Up to four rules between any two states."""
    found = []
    for number in range(draw(st.integers(0, 4))):
        to = draw(st.sampled_from(State))
        states = draw(st.sets(st.sampled_from([state for state in State if state is not to])))
        if states:
            evidence = draw(st.just(NO_EVIDENCE) | evidences)
            found.append(rule(draw(whens), to, *states, id_=f"rule{number}", evidence=evidence))
    return tuple(found)
