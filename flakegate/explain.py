"""Why a test has its state, and why (not) another: all that decides, with the values it rests on.

Nothing is decided here: what the policy says comes from `policy.decide`, what a failure would come
to from `gate`, and what the plan does from the plan itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flakegate.policy.evidence import MIN_RUNS
from flakegate.policy.fields import FIELDS, Kind
from flakegate.policy.reasons import shown
from flakegate.policy.syntax import And, Compare, Leaf, Node, Not, Or, leaves
from flakegate.wording import count, day

if TYPE_CHECKING:
    from flakegate.model import FlakyTest, History
    from flakegate.policy.conditions import Finding
    from flakegate.policy.decide import AskedRule, Considered
    from flakegate.policy.plan import Plan
    from flakegate.policy.syntax import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What the plan would do with a test now.

    code: "move", "held" (by a limit), "stay", or the code of a Skip. rule: that matched, its id.
    detail: why, in words.
    """

    code: str
    rule: str | None
    to: str | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One clause that keeps a rule from matching.

    wanted: the outcome that its rule needs of it. gap: how far its value is from the bound, in its
    unit; None where that cannot be counted. finding: None for the runs that its evidence lacks.
    """

    finding: Finding | None
    wanted: bool
    gap: float | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The rule that is nearest to matching, and all that it still needs."""

    rule: str
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backing:
    """The backend that figures come from. supplied: the fields that it knows of any test.

    rate_from: "default_branch" or "all".
    """

    kind: str
    supplied: frozenset[str]
    rate_from: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that decides about one test. now: seconds since the epoch.

    considered: None for a test that is not known to be flaky: no rule is asked of it.
    history: None where nothing is recorded of it. policy: the file's name, "" without one.
    decision, reason, detail: what its failure would come to now, see `gate.excuse`.
    """

    test_id: str
    fqn: str
    source_file: str | None
    now: float
    policy: str
    backing: Backing
    considered: Considered | None
    history: History | None
    fate: Fate
    decision: str
    reason: str
    detail: str

    @property
    def nearest(self) -> Nearest | None:
        """The rule that lacks least; None where one matches, or where none is for this state."""
        considered = self.considered
        if considered is None or considered.match is not None or considered.back is not None:
            return None
        return nearest(considered)


def fate(plan: Plan, considered: Considered) -> Fate:
    """What the plan does with the test that was considered. The plan must be of the same tests."""
    test_id = considered.test.id
    for move in plan.transitions:
        if move.test_id == test_id:
            return Fate(code="move", rule=move.rule, to=move.to_state.value, detail=move.reason)
    for move in plan.held:
        if move.test_id == test_id:
            to, why = move.to_state.value, "; ".join(plan.limits)
            return Fate(code="held", rule=move.rule, to=to, detail=why)
    for skip in plan.skipped:
        if skip.test_id == test_id:
            return Fate(code=skip.reason, rule=skip.rule, to=None, detail=skip.detail)
    if not any(asked.applies for asked in considered.rules):
        detail = f"no rule is for tests that are {considered.test.state}"
    else:
        detail = "no rule matches"
    return Fate(code="stay", rule=None, to=None, detail=detail)


def nearest(considered: Considered) -> Nearest | None:
    """Of the rules for this state the one that lacks the fewest clauses, then the least of them."""
    found = []
    for asked in considered.rules:
        if asked.applies:
            needs = _needs(asked, considered)
            size = sum(_relative(need) for need in needs)
            found.append((len(needs), size, asked.rule.line, asked.rule.id, needs))
    if not found:
        return None
    *_, rule, needs = min(found, key=lambda each: each[:3])
    return Nearest(rule=rule, needs=needs)


def _needs(asked: AskedRule, considered: Considered) -> tuple[Need, ...]:
    """The fewest clauses whose outcome would have to be another for the rule to match."""
    if asked.outcome:
        return ()
    findings = dict(zip(leaves(asked.rule.when.node), asked.findings, strict=True))
    lacking = _lacking(asked.rule.when.node, findings, wanted=True)
    needs = tuple(_need(finding, wanted) for finding, wanted in lacking)
    runs, least = considered.test.runs, asked.rule.when.evidence.min_runs
    if runs is None or runs >= least:
        return needs
    text = f"{count(least, 'run')} (`{MIN_RUNS}`): it has {runs:,}"
    return (*needs, Need(finding=None, wanted=True, gap=float(least - runs), text=text))


def _lacking(
    node: Node, findings: dict[Leaf, Finding], *, wanted: bool
) -> tuple[tuple[Finding, bool], ...]:
    """The findings to change, each with the outcome needed, so that the node gets the wanted one.

    Of alternatives, the one with the fewest.
    """
    if isinstance(node, Not):
        return _lacking(node.node, findings, wanted=not wanted)
    if isinstance(node, (And, Or)):
        parts = [_lacking(part, findings, wanted=wanted) for part in node.parts]
        if isinstance(node, And) is wanted:
            return tuple(each for part in parts for each in part)
        return min(parts, key=len)
    finding = findings[node]
    return () if finding.outcome is wanted else ((finding, wanted),)


def _need(finding: Finding, wanted: bool) -> Need:
    """What a clause lacks, in words: `failure_rate > 20%: it is 18.4 %, 1.6 points too low`."""
    leaf = finding.clause.leaf
    text = finding.clause.text if wanted else f"not {finding.clause.text}"
    field = FIELDS[finding.clause.field]
    if finding.value is None:
        return Need(finding=finding, wanted=wanted, gap=None, text=f"{text}: it is not known")
    value = shown(field.kind, finding.value)
    if finding.outcome is None and finding.interval:
        low, high = (shown(Kind.PERCENT, end) for end in finding.interval)
        text = f"{text} for sure: it is {value}, and truly from {low} to {high}"
        return Need(finding=finding, wanted=wanted, gap=None, text=text)
    if isinstance(leaf, Compare) and isinstance(finding.value, (int, float)):
        gap = abs(finding.value - float(leaf.literal.value))
        text = f"{text}: it is {value}{_distance(finding.value, gap, leaf.literal, field.kind)}"
        return Need(finding=finding, wanted=wanted, gap=gap, text=text)
    return Need(finding=finding, wanted=wanted, gap=None, text=f"{text}: it is {value}")


def _distance(value: float, gap: float, bound: Literal, kind: Kind) -> str:
    """`, 1.6 points below 20 %`, `, 4 d 21 h below 7 d`; "" where the value is on the bound."""
    if not gap:
        return ""
    points = f"{shown(Kind.NUMBER, gap)} points" if kind is Kind.PERCENT else shown(kind, gap)
    side = "below" if value < float(bound.value) else "above"
    return f", {points} {side} {shown(kind, bound.value)}"


def _relative(need: Need) -> float:
    """The gap as a share of what it is measured against, so that rules can be compared."""
    if need.gap is None:
        return 1.0
    if need.finding is None or not isinstance(need.finding.clause.leaf, Compare):
        return 1.0
    bound = abs(float(need.finding.clause.leaf.literal.value))
    return min(1.0, need.gap / bound) if bound else 1.0


def origin(finding: Finding, test: FlakyTest, backing: Backing, now: float) -> str:
    """Where the value of a clause comes from, in words; "" where the value says it itself."""
    name = finding.clause.field
    if finding.value is None:
        if name not in backing.supplied:
            return f"{backing.kind} never knows it"
        return f"{backing.kind} does not know it of this test"
    if name in ("failure_rate", "broken"):
        return _rate(finding, test, backing)
    runs = "the default branch" if backing.rate_from == "default_branch" else "any branch"
    of_runs = f"on {runs} in 7 days" if backing.kind == "store" else "in 7 days"
    words = {
        "runs": of_runs,
        "failures": of_runs,
        "failed_pipelines": "on any branch in 7 days" if backing.kind == "store" else "in 7 days",
        "lost_time": "in 7 days",
        "age": _moment(test.first_flaked_at, test.first_flaked_branch, now),
        "last_flaked_age": _moment(test.last_flaked_at, test.last_flaked_branch, now),
        "state_age": _moment(test.state_since, None, now),
        "duration": "of its latest failure" if backing.kind == "store" else "",
    }
    return words.get(name, "")


def _rate(finding: Finding, test: FlakyTest, backing: Backing) -> str:
    """`8 of 38 runs on the default branch in 7 days`."""
    if test.runs is None or test.failures is None:
        return "in 7 days"
    where = " on the default branch" if backing.rate_from == "default_branch" else " of any branch"
    words = f"{test.failures:,} of {count(test.runs, 'run')}{where} in 7 days"
    if finding.interval is None:
        return words
    low, high = (shown(Kind.PERCENT, end) for end in finding.interval)
    return f"{words}: truly from {low} to {high}"


def _moment(at: float | None, branch: str | None, now: float) -> str:
    if at is None:
        return ""
    return f"since {day(at, now)}{f' on {branch}' if branch else ''}"
