"""The policy as values: what `load` makes of the YAML and every later stage reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flakegate.model import State

DAY = 86_400.0  # seconds
FRAMEWORKS = ("pytest", "jest", "mocha", "vitest", "java", "go")  # whose reports can be read
COMMENT = ("failures", "changes", "always", "never")  # when a comment is written
OWNER = "owner"  # of `error_tracking.assign`: the first of the test's owners that `owners` names
PLACEHOLDERS = ("suite", "classname", "name", "file")  # of `reports[].suite` and `.name`

if TYPE_CHECKING:
    from datetime import date

    from flakegate.policy.conditions import Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Which user an owner of code is. name: as in CODEOWNERS. user: an id (UUID) in Datadog."""

    name: str
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingSettings:
    """What becomes of the issue of a test that a rule has moved.

    track: whose issues are searched. query: a template over the test, for the search.
    state: which it gets, in Error Tracking's words; None: it keeps its own. assign: OWNER, or the
    id of a user; None: it keeps its assignee.
    """

    track: str = "trace"
    query: str = "service:{{ test.services[0] }}"
    state: str | None = None
    assign: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: tests in a state of `from_states` for which `when` is true move to `to`.

    line, column: where it begins in the policy file.
    """

    id: str
    from_states: frozenset[State]
    to: State
    when: Condition
    line: int
    column: int = 1
    error_tracking: TrackingSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRule:
    """A rule by which a backend changes states itself, in the words of the policy.

    id: the backend's name for it. note: what `when` cannot say of it, "" for nothing.
    optional: it can be turned off.
    """

    id: str
    from_states: frozenset[State]
    to: State
    when: Condition
    note: str = ""
    optional: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """Tests that no rule moves and no state excuses. until: its last day, inclusive, UTC.

    line, column: where it begins in the policy file.
    """

    when: Condition
    reason: str
    until: date | None
    line: int
    column: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one day may take out of the gate.

    max_changes: moves into quarantined or disabled within 24 hours.
    max_quarantined: how many tests may be quarantined at all: a count, or a percentage
        (0 to 100) of suite_size when `max_quarantined_is_share`.
    """

    max_changes: int = 25
    max_quarantined: float | None = None
    max_quarantined_is_share: bool = False
    suite_size: int | None = None
    worst_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSettings:
    """kind: "datadog", "store", or None where the environment decides. query: more search."""

    kind: str | None = None
    query: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """What the gate excuses. Ages in seconds.

    blocks_changed: not a test whose file the change touches. blocks_attempted_fixes: nor one that
    it claims to fix. falls_back: where the backend cannot be asked, a snapshot counts.
    """

    observe: bool = False
    excuse: frozenset[State] = frozenset({State.QUARANTINED, State.DISABLED})
    command_exit_codes: frozenset[int] = frozenset({1})
    min_state_age: float = 0.0
    max_age: float | None = None
    blocks_changed: bool = True
    blocks_attempted_fixes: bool = True
    falls_back: bool = False
    snapshot_max_age: float = DAY
    min_tests: int = 0
    expect: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """How reports whose path matches the glob `paths` are read. First match wins.

    base_dir: where their runner was started, relative to the repository root ("" = root; None =
        the default of the call). attempts: the files are attempts of one another, in name order.
    framework: one of FRAMEWORKS; None where the report itself must tell.
    suite, name: Datadog's, with PLACEHOLDERS in braces for what a case has; None: not by hand.
    """

    paths: str
    base_dir: str | None = None
    attempts: bool = False
    framework: str | None = None
    suite: str | None = None
    name: str | None = None

    @property
    def by_hand(self) -> bool:
        """Whether suite and name are mapped by hand."""
        return self.suite is not None or self.name is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class SummarySettings:
    """How a pull or merge request is told. comment: one of COMMENT.

    key: there is one comment for each; None for the name of the job.
    """

    comment: str = "failures"
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A whole policy file. digest: SHA-256 (hex) of its bytes; "" for the defaults.

    cooldown: how long after its last change, whoever made it, a test keeps its state.
    respect_manual: how long after a person's change.
    keep: how long the embedded store keeps runs. All in seconds.
    """

    name: str = ""
    digest: str = ""
    backend: BackendSettings = field(default_factory=BackendSettings)
    apply: str = "default_branch"
    cooldown: float = 0.0
    respect_manual: float = 14 * DAY
    limits: Limits = field(default_factory=Limits)
    exempt: tuple[Exemption, ...] = ()
    rules: tuple[Rule, ...] = ()
    owners: tuple[Owner, ...] = ()
    gate: GateSettings = field(default_factory=GateSettings)
    reports: tuple[ReportSettings, ...] = ()
    summary: SummarySettings = field(default_factory=SummarySettings)
    rate_from: str = "default_branch"
    keep: float = 90 * DAY
