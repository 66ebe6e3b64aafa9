"""The sections of a policy beside its conditions: limits, evidence, gate, reports and so on."""

from __future__ import annotations

import re

from flakegate.identity import base_folder
from flakegate.model import State
from flakegate.policy.balance import unbalanced
from flakegate.policy.document import Items, Node, Scalar, Source
from flakegate.policy.evidence import Evidence
from flakegate.policy.literals import did_you_mean
from flakegate.policy.rules import (
    COMMENT,
    DAY,
    FRAMEWORKS,
    PLACEHOLDERS,
    BackendSettings,
    GateSettings,
    Limits,
    Policy,
    ReportSettings,
    SummarySettings,
)
from flakegate.policy.section import Section

EXCUSING = ("quarantined", "disabled")
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)%")
_WHOLE_SHARE = 100.0
_LEAST_CONFIDENCE = 50.0
_MAX_EXIT_CODE = 255
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_LONGEST_KEY = 100
LEAST_KEPT = 30 * DAY  # seconds


def backend(policy: Section) -> BackendSettings:
    """`backend`: which one, and more search for it."""
    section = policy.section("backend", ("kind", "query"))
    kind = section.choice("kind", "", ("datadog", "store")) or None
    scalar = section.scalar("query")
    if scalar is None:
        return BackendSettings(kind=kind)
    query = scalar.text.strip()
    if fault := unbalanced(query):
        message = f"`backend.query` {fault}"
        section.source.error(message, scalar.start, scalar.end, "close what it opens")
    return BackendSettings(kind=kind, query=query)


def limits(policy: Section, kind: str | None) -> Limits:
    """`limits`. kind: the backend's where the policy names it."""
    keys = ("max_changes", "max_quarantined", "suite_size", "on_exceed")
    section = policy.section("limits", keys)
    defaults = Limits()
    suite_size = section.whole("suite_size", 0, least=1) or None
    scalar = section.scalar("max_quarantined")
    bound, is_share = _bound(section, scalar) if scalar else (None, False)
    if scalar and is_share and suite_size is None and kind == "datadog":
        hint = "add `suite_size: N` to `limits`, or write a count instead of a percentage"
        message = "a share of the suite needs its size, which Datadog does not know"
        section.source.error(message, scalar.start, scalar.end, hint)
    return Limits(
        max_changes=section.whole("max_changes", defaults.max_changes),
        max_quarantined=bound,
        max_quarantined_is_share=is_share,
        suite_size=suite_size,
        worst_first=section.choice("on_exceed", "stop", ("stop", "worst-first")) == "worst-first",
    )


def _bound(section: Section, scalar: Scalar) -> tuple[float | None, bool]:
    """`max_quarantined`: a count, or a percentage (True)."""
    share = _SHARE.fullmatch(scalar.text)
    if share is None and not scalar.text.isdecimal():
        what = "a count or a percentage of the suite"
        section.wrong(scalar, "max_quarantined", what, "write for example `50` or `5%`")
        return None, False
    if share is None:
        return section.whole("max_quarantined", 0), False
    if float(share[1]) > _WHOLE_SHARE:
        section.wrong(scalar, "max_quarantined", "at most `100%`", None)
    return float(share[1]), True


def evidence(rule: Section) -> Evidence:
    """`evidence` of a rule: how much its figures must be worth."""
    section = rule.section("evidence", ("min_runs", "confidence"))
    return Evidence(min_runs=section.whole("min_runs", 0, least=1), confidence=_confidence(section))


def _confidence(section: Section) -> float | None:
    scalar = section.scalar("confidence")
    if scalar is None:
        return None
    share = _SHARE.fullmatch(scalar.text)
    if share and _LEAST_CONFIDENCE <= float(share[1]) < _WHOLE_SHARE:
        return float(share[1])
    what = "a percentage from `50%` to below `100%`"
    section.wrong(scalar, "confidence", what, "write for example `95%`")
    return None


def gate(policy: Section) -> GateSettings:
    """`gate`: what it excuses."""
    keys = (
        "mode", "excuse", "command_exit_codes", "min_state_age", "max_age", "changed_tests",
        "attempted_fixes", "when_unavailable", "snapshot_max_age", "min_tests", "expect",
    )  # fmt: skip
    section = policy.section("gate", keys)
    weighed = ("block", "excuse")
    defaults = GateSettings()
    excuse, codes = defaults.excuse, defaults.command_exit_codes
    if section.get("excuse"):
        words = _scalars(section, "excuse", "excuse: [quarantined, disabled]")
        found = (section.one_of(word, "excuse", EXCUSING) for word in words)
        excuse = frozenset(State(word) for word in found if word)
    if section.get("command_exit_codes"):
        words = _scalars(section, "command_exit_codes", "command_exit_codes: [1]")
        key = "command_exit_codes"
        numbers = [section.whole_of(word, key, 1, _MAX_EXIT_CODE) for word in words]
        codes = frozenset(number for number in numbers if number is not None)
    expect = _scalars(section, "expect", 'expect: ["**/junit*.xml"]')
    return GateSettings(
        observe=section.choice("mode", "enforce", ("enforce", "observe")) == "observe",
        excuse=excuse,
        command_exit_codes=codes,
        min_state_age=section.duration("min_state_age", defaults.min_state_age),
        max_age=section.duration("max_age", None),
        blocks_changed=section.choice("changed_tests", "block", weighed) == "block",
        blocks_attempted_fixes=section.choice("attempted_fixes", "block", weighed) == "block",
        falls_back=section.choice("when_unavailable", "block", ("block", "snapshot")) == "snapshot",
        snapshot_max_age=section.duration("snapshot_max_age", defaults.snapshot_max_age),
        min_tests=section.whole("min_tests", defaults.min_tests),
        expect=tuple(scalar.text for scalar in expect),
    )


def _scalars(section: Section, key: str, example: str) -> list[Scalar]:
    """The single values of a list below a key."""
    path = section.path(key)
    nodes = [section.single(node, path) for node in section.items(key, example)]
    return [node for node in nodes if node is not None]


def reports(policy: Section) -> tuple[ReportSettings, ...]:
    """`reports`: how report files are read."""
    nodes = policy.items("reports", 'reports: [{paths: "**/junit*.xml"}]')
    found = (_report(policy.source, node, number) for number, node in enumerate(nodes, 1))
    return tuple(report for report in found if report is not None)


def _report(source: Source, node: Node, number: int) -> ReportSettings | None:
    keys = ("paths", "base_dir", "attempts", "framework", "suite", "name")
    section = Section(source, node, f"reports[{number}]", keys)
    section.require("paths")
    paths = section.word("paths")
    base_dir = section.scalar("base_dir")
    folder = None if base_dir is None else base_folder(base_dir.text)
    if base_dir is not None and folder is None:
        hint = "write it relative to the root of the repository, with `/`, without `..`"
        section.wrong(base_dir, "base_dir", "a folder of the repository", hint)
    attempts = section.truth("attempts")
    framework = section.choice("framework", "", FRAMEWORKS) or None
    suite, name = _template(section, "suite"), _template(section, "name")
    if paths is None:
        return None
    return ReportSettings(
        paths=paths,
        base_dir=folder,
        attempts=attempts,
        framework=framework,
        suite=suite,
        name=name,
    )


def _template(section: Section, key: str) -> str | None:
    """What a test is called in Datadog, with placeholders for what a case has."""
    text, scalar = section.word(key), section.get(key)
    if text is None or not isinstance(scalar, Scalar):
        return None
    words = ", ".join(f"{{{word}}}" for word in PLACEHOLDERS)
    for strange in _PLACEHOLDER.findall(text):
        if strange not in PLACEHOLDERS:
            hint = did_you_mean(strange, PLACEHOLDERS, 0.75) or f"`{{{strange}}}` is none of them"
            section.wrong(scalar, key, f"made of text and {words}", hint)
            return None
    bare = _PLACEHOLDER.sub("", text)
    if "{" in bare or "}" in bare:
        section.wrong(scalar, key, f"made of text and {words}", "close every brace")
        return None
    if key == "name" and bare == text:
        section.wrong(scalar, key, f"made of text and {words}", "else all tests have one name")
        return None
    return text


def store(policy: Section) -> tuple[str, float]:
    """`store`: which runs the failure rate counts (rate_from), and how long runs are kept."""
    section = policy.section("store", ("keep", "rate_from"))
    defaults = Policy()
    keep = section.duration("keep", defaults.keep)
    if keep < LEAST_KEPT and (scalar := section.scalar("keep")):
        hint = "figures, rules and detection look back that far"
        section.wrong(scalar, "keep", f"at least `{LEAST_KEPT / DAY:.0f}d`", hint)
    rate_from = section.choice("rate_from", defaults.rate_from, ("default_branch", "all"))
    return rate_from, keep


def summary(policy: Section) -> SummarySettings:
    """`summary`: the comment on a pull or merge request."""
    section = policy.section("summary", ("comment", "key"))
    key, scalar = section.word("key"), section.scalar("key")
    if key is not None and scalar is not None and len(key) > _LONGEST_KEY:
        section.wrong(scalar, "key", f"at most {_LONGEST_KEY} characters", None)
    return SummarySettings(comment=section.choice("comment", COMMENT[0], COMMENT), key=key)


def state_words(section: Section, key: str) -> list[Scalar]:
    """The values below a key that holds one state or a list of them."""
    node = section.get(key)
    if isinstance(node, Items) and not node.items:
        section.source.error(f"`{section.path(key)}` is empty", node.start, node.end)
    nodes = node.items if isinstance(node, Items) else (node,) if node else ()
    scalars = [section.single(each, section.path(key)) for each in nodes]
    return [scalar for scalar in scalars if scalar is not None]
