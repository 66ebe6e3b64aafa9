"""An explanation for people, in one screen, and for programs. Nothing is escaped yet."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

from flakegate.explain import origin
from flakegate.policy.fields import FIELDS
from flakegate.policy.holds import REGRESSION
from flakegate.policy.limits import OUT_OF_GATE
from flakegate.policy.reasons import shown
from flakegate.policy.syntax import And, Leaf, Node, Not, Or, leaves
from flakegate.times import iso
from flakegate.wording import count, day, since

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from flakegate.explain import Backing, Explanation, Fate
    from flakegate.model import FlakyTest, History
    from flakegate.policy.conditions import Finding
    from flakegate.policy.decide import AskedExemption, AskedRule, Considered

VERSION = 1
BROKEN = "broken"
OVER = "the date that is over"
_OUTCOMES = {True: "true", False: "false", None: "unknown"}
_LABEL = 11  # columns of the labels at the left
_MOST = 5  # exemptions that do not act; what they say is of no more interest
_BECOMES_FLAKY = (
    "a test becomes flaky when the same commit fails and passes in the same job, or when it fails"
    " on 3 pull requests or branches within 7 days"
)


class Row(NamedTuple):
    """One line below a rule: a clause and its value, or what joins the deeper lines after it."""

    depth: int
    outcome: str
    clause: str
    value: str
    origin: str


def lines(told: Explanation, width: int | None) -> list[str]:
    """The explanation, line by line. width: columns to wrap the answers at, None for none."""
    named = " · ".join(part for part in (told.test_id, told.source_file) if part)
    text = [told.fqn, f"  {named}", ""]
    answers = _answers(told)
    for label, words in answers:
        text += _wrapped(label, words, width)
    if told.considered is not None:
        text += ["", *_rules(told.considered, told.backing)]
    return text


def _answers(told: Explanation) -> Iterator[tuple[str, str]]:
    """What is asked first, each with its answer. An empty label goes on with the one before."""
    considered = told.considered
    if considered is None:
        yield "state", "not known to be flaky"
        if told.history is not None:
            yield "history", _history(told.history, told)
            yield "", _BECOMES_FLAKY
    else:
        yield "state", _state(considered.test, told.now)
    does = "blocks" if told.decision == "blocked" else "is excused"
    yield "a failure", f"{does} ({told.reason}): {told.detail}"
    yield "plan now", _fate(told.fate, considered)
    if found := told.nearest:
        first, *others = (need.text for need in found.needs)
        if others:
            yield "nearest", f"rule {found.rule} lacks {len(found.needs)} of its clauses"
            yield from (("", f"  {text}") for text in (first, *others))
        else:
            yield "nearest", f"rule {found.rule} lacks only {first}"
    if considered is not None:
        yield from _exempt(considered.exemptions)
        yield from (("held", hold.detail) for hold in considered.holds if hold.code != BROKEN)
        if any(asked.applies and asked.rule.to in OUT_OF_GATE for asked in considered.rules):
            yield "regression", _guard(considered, told.backing)


def _state(test: FlakyTest, now: float) -> str:
    """`quarantined since 20 Nov by rule noisy: failed 8 of 38 runs (21.1 %)`."""
    known, began = test.cause, since(test, now)
    words = f"{test.state} since {began}" if began else str(test.state)
    by = f"rule {known.rule}" if known and known.rule else known and known.actor
    words += f" by {by}" if by else ""
    words += f", until {known.last_day}" if known and known.until is not None else ""
    return f"{words}: {known.reason}" if known and known.reason else words


def _history(history: History, told: Explanation) -> str:
    where = "the default branch" if told.backing.rate_from == "default_branch" else "any branch"
    ran = f"{count(history.runs, 'run')} on {where} in 7 days"
    if not history.failures:
        return f"{ran}; it never failed in a recorded run"
    failed = f"{ran}; it failed in {count(history.failures, 'recorded run')} of any branch"
    if history.failed_at is None:
        return failed
    branch = f" on {history.failed_on}" if history.failed_on else ""
    return f"{failed}, the last time on {day(history.failed_at, told.now)}{branch}"


def _fate(fate: Fate, considered: Considered | None) -> str:
    if considered is None:
        return fate.detail
    state = considered.test.state
    if fate.code == "move":
        by = f" by rule {fate.rule}" if fate.rule else ""
        return f"moves it to {fate.to}{by}: {fate.detail}"
    if fate.code == "held":
        return f"leaves it {state}: a limit holds rule {fate.rule} back ({fate.detail})"
    by = f", though rule {fate.rule} matches" if fate.rule else ""
    why = f"exempt: {fate.detail}" if fate.code == "exempt" else fate.detail
    return f"leaves it {state}{by}: {why}"


def _exempt(asked: Sequence[AskedExemption]) -> Iterator[tuple[str, str]]:
    acting = [each for each in asked if each.exempts]
    if not acting:
        of = f", by none of {count(len(asked), 'exemption')}" if asked else ""
        yield "exempt", f"no{of}"
        return
    for each in acting[:_MOST]:
        until = f", until {each.exemption.until}" if each.exemption.until else ""
        sure = "" if each.outcome else "perhaps, which counts: "
        at = f"line {each.exemption.line}"
        yield "exempt", f"{sure}{each.exemption.reason}{until} ({at}: {each.exemption.when})"


def _guard(considered: Considered, backing: Backing) -> str:
    for hold in considered.holds:
        if hold.code == BROKEN:
            return hold.detail
    commits = considered.test.failing_commits
    if commits is None:
        return f"not known: {backing.kind} does not tell on which commits it failed"
    if not commits:
        return "no, it passed on the newest commit of the default branch that ran it"
    return (
        f"no, it failed on the newest {count(len(commits), 'commit')} of the default branch;"
        f" {REGRESSION} in a row would keep it in the gate"
    )


def _rules(considered: Considered, backing: Backing) -> list[str]:
    """Every rule in its order, the clauses of those for this state with their values."""
    asked = considered.rules
    if not asked:
        return ["no rules: nothing is ever moved"]
    text = ["rules, in their order; the first that is true decides"]
    for each in asked:
        text.append(f"  {_head(each, considered)}")
        if each.applies:
            text += _table(_rows(each, considered, backing))
    return text


def _head(asked: AskedRule, considered: Considered) -> str:
    rule = asked.rule
    states = ", ".join(sorted(rule.from_states))
    if not asked.applies:
        said = f"not for tests that are {considered.test.state}"
    elif asked.first:
        said = "true, so it decides"
    elif asked.outcome:
        said = f"true, but {considered.match.id if considered.match else OVER} comes first"
    else:
        said = _OUTCOMES[asked.outcome]
        if asked.rule.when.evidence.min_runs > (considered.test.runs or 0):
            said += f", fewer than {count(asked.rule.when.evidence.min_runs, 'run')}"
    return f"{rule.id} ({states} → {rule.to}): {said}"


def _rows(asked: AskedRule, considered: Considered, backing: Backing) -> list[Row]:
    findings = dict(zip(leaves(asked.rule.when.node), asked.findings, strict=True))

    def row(leaf: Leaf, depth: int, *, negated: bool) -> Row:
        finding = findings[leaf]
        outcome = finding.outcome
        return Row(
            depth=depth,
            outcome=_OUTCOMES[not outcome if negated and outcome is not None else outcome],
            clause="not " * negated + finding.clause.text,
            value=shown(FIELDS[finding.clause.field].kind, finding.value),
            origin=origin(finding, considered.test, backing, considered.now),
        )

    def rows(node: Node, depth: int, *, negated: bool, within: str) -> Iterator[Row]:
        if isinstance(node, Not):
            yield from rows(node.node, depth, negated=not negated, within=within)
        elif isinstance(node, (And, Or)):
            # What is negated turns over: not (a and b) is one of not a, not b.
            joined = "all of" if isinstance(node, And) is not negated else "one of"
            if joined != within:
                yield Row(depth=depth, outcome="", clause=joined, value="", origin="")
            for part in node.parts:
                deeper = depth + (joined != within)
                yield from rows(part, deeper, negated=negated, within=joined)
        else:
            yield row(node, depth, negated=negated)

    return list(rows(asked.rule.when.node, 0, negated=False, within="all of"))


def _table(rows: Iterable[Row]) -> list[str]:
    """Outcome, clause, value and origin, each in a column of its own."""
    cells = [(f"{row.outcome:<7}", "  " * row.depth + row.clause, *row[3:]) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "    "
        + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


def _wrapped(label: str, words: str, width: int | None) -> list[str]:
    first, later = f"  {label:<{_LABEL}}", " " * (_LABEL + 2)
    if width is None or len(first + words) <= width:
        return [first + words]
    return textwrap.wrap(
        words.strip(),
        max(width, 2 * _LABEL),
        initial_indent=first + " " * (len(words) - len(words.lstrip())),
        subsequent_indent=later + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def to_json(told: Explanation, repository: str) -> dict[str, Any]:
    """The document of `explain --format json`, version 1. Figures are in the units of `when`."""
    considered, found = told.considered, told.nearest
    test = considered.test if considered else None
    return {
        "version": VERSION,
        "repository": repository,
        "backend": told.backing.kind,
        "policy": told.policy or None,
        "at": _iso(told.now),
        "test": {"id": told.test_id, "fqn": told.fqn, "source_file": told.source_file},
        "flaky": test is not None,
        "state": _state_document(test),
        "history": _history_document(told.history),
        "failure": {"decision": told.decision, "reason": told.reason, "detail": told.detail},
        "plan": {
            "outcome": told.fate.code,
            "rule": told.fate.rule,
            "to": told.fate.to,
            "detail": told.fate.detail,
        },
        "nearest": found
        and {
            "rule": found.rule,
            "needs": [
                {
                    "clause": need.finding.clause.text if need.finding else None,
                    "wanted": need.wanted,
                    "gap": need.gap,
                    "detail": need.text,
                }
                for need in found.needs
            ],
        },
        "exemptions": [_exemption(each, told) for each in considered.exemptions]
        if considered
        else [],
        "holds": [
            {"reason": hold.code, "detail": hold.detail, "until": _iso(hold.until)}
            for hold in (considered.holds if considered else ())
        ],
        "failing_commits": list(test.failing_commits)
        if test is not None and test.failing_commits is not None
        else None,
        "rules": [_rule(each, told) for each in considered.rules] if considered else [],
    }


def _state_document(test: FlakyTest | None) -> dict[str, Any] | None:
    if test is None:
        return None
    known = test.cause
    return {
        "state": test.state.value,
        "since": _iso(test.state_since),
        "rule": known.rule if known else None,
        "actor": known.actor if known else None,
        "reason": known.reason if known else None,
        "until": known.last_day if known else None,
    }


def _history_document(history: History | None) -> dict[str, Any] | None:
    if history is None:
        return None
    return {
        "runs_in_7_days": history.runs,
        "failures_ever": history.failures,
        "failed_at": _iso(history.failed_at),
        "failed_on": history.failed_on,
    }


def _exemption(asked: AskedExemption, told: Explanation) -> dict[str, Any]:
    exemption = asked.exemption
    return {
        "line": exemption.line,
        "when": str(exemption.when),
        "reason": exemption.reason,
        "until": exemption.until.isoformat() if exemption.until else None,
        "expired": asked.expired,
        "outcome": asked.outcome,
        "exempts": asked.exempts,
        "clauses": [_clause(finding, told) for finding in asked.findings],
    }


def _rule(asked: AskedRule, told: Explanation) -> dict[str, Any]:
    rule = asked.rule
    return {
        "id": rule.id,
        "from": sorted(state.value for state in rule.from_states),
        "to": rule.to.value,
        "when": str(rule.when),
        "applies": asked.applies,
        "outcome": asked.outcome,
        "decides": asked.first,
        "clauses": [_clause(finding, told) for finding in asked.findings],
    }


def _clause(finding: Finding, told: Explanation) -> dict[str, Any]:
    test = told.considered.test if told.considered else None
    return {
        "clause": finding.clause.text,
        "field": finding.clause.field,
        "value": finding.value,
        "interval": finding.interval,
        "outcome": finding.outcome,
        "origin": origin(finding, test, told.backing, told.now) if test else "",
    }


def _iso(at: float | None) -> str | None:
    return None if at is None else iso(at)
