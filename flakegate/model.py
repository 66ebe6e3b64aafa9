"""The few values that several stages share. A stage's own output type stands in its own file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum

# Actors of a StateCause that are nobody: the store's own detection, Datadog's own policies, and the
# end of what a person chose for a time.
DETECTION = "detection"
DATADOG = "datadog"
EXPIRY = "expiry"

MOST_COMMITS = 3  # of the default branch that failed a test: after so many it is broken


class State(str, Enum):
    """The states of a flaky test, in Datadog's words (Flaky Test Management)."""

    ACTIVE = "active"
    QUARANTINED = "quarantined"
    DISABLED = "disabled"
    FIXED = "fixed"

    def __str__(self) -> str:
        return self.value


def last_day(until: float | None) -> str | None:
    """The last day before that moment (seconds since the epoch), in UTC: `2026-12-24`."""
    if until is None:
        return None
    return datetime.fromtimestamp(until - 1, tz=timezone.utc).date().isoformat()


def fully_qualified(*parts: str) -> str:
    """The parts that are not empty, joined by dots."""
    return ".".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What tells one test from another in a repository, as the store knows it.

    module: the base folder its runner was started in, relative to the repository root ("" = root).
    suite: the case's classname, else its suite's name.
    name: the case's name.
    source_file: the case's file attribute, as written; "" where the reporter gives none.
    """

    module: str
    suite: str
    name: str
    source_file: str

    @property
    def fqn(self) -> str:
        """Fully qualified name, as that of FlakyTest."""
        return fully_qualified(self.module, self.suite, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateCause:
    """Why a flaky test has its state: who or what moved it there, when, and their reason.

    at: seconds since the epoch. rule: the policy rule's id, None if no rule did it.
    actor: who did it where no rule did: a person's name, DETECTION, DATADOG or EXPIRY; None if
    unknown. first: it made the test flaky, so that no state of it was changed yet.
    until: when what a person chose is over, in seconds since the epoch; None if that has no end.
    before: the state that the test had before what was chosen for a time; None if not known.
    """

    at: float
    rule: str | None = None
    actor: str | None = None
    reason: str | None = None
    first: bool = False
    until: float | None = None
    before: State | None = None

    @property
    def by_person(self) -> bool:
        """Whether it is a person's own change."""
        return self.rule is None and self.actor not in (None, DETECTION, DATADOG, EXPIRY)

    def is_over(self, now: float) -> bool:
        """Whether it was for a time that has passed."""
        return self.until is not None and now >= self.until

    @property
    def last_day(self) -> str | None:
        """The last day that it holds for, as it was given: `2026-12-24`. UTC."""
        return last_day(self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """A test's last 7 days without what raised its figures and is no flakiness of it.

    in_a_row: failures set aside because they are a regression, one after the other on the default
    branch. together: those set aside because unusually many tests failed in the same runs.
    The other fields are what is left, as in FlakyTest.
    """

    failure_rate: float | None
    runs: int
    failures: int
    failed_pipelines: int
    in_a_row: int
    together: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlakyTest:
    """One flaky test as a backend knows it.

    None means that the backend does not know (a comparison with it is *unknown*); an empty tuple
    is known to be empty. Figures cover the last 7 days. Times are seconds since the epoch,
    durations seconds, failure_rate a percentage from 0 to 100, impact_score from 0 to 1.

    cause: of its state, hence its last change. failing_commits: the newest commits of the default
    branch that ran it, newest first, up to the first on which it passed; no more than MOST_COMMITS.
    steady: its figures without regressions and outages, where these raised them.
    attempt_to_fix_id: what a commit that claims to fix it names in its message.
    """

    id: str
    module: str
    suite: str
    name: str
    state: State
    category: str | None = None
    source_file: str | None = None
    error_message: str | None = None
    first_flaked_branch: str | None = None
    last_flaked_branch: str | None = None
    first_flaked_at: float | None = None
    last_flaked_at: float | None = None
    state_since: float | None = None
    cause: StateCause | None = None
    codeowners: tuple[str, ...] | None = None
    envs: tuple[str, ...] | None = None
    services: tuple[str, ...] | None = None
    failure_rate: float | None = None
    failed_pipelines: int | None = None
    runs: int | None = None
    failures: int | None = None
    lost_time: float | None = None
    duration: float | None = None
    impact_score: float | None = None
    impact_level: str | None = None
    failing_commits: tuple[str, ...] | None = None
    steady: Steady | None = None
    attempt_to_fix_id: str | None = None

    @property
    def fqn(self) -> str:
        """Fully qualified name: module, suite and name joined by dots, empty parts left out."""
        return fully_qualified(self.module, self.suite, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One state change: decided by a rule (or a person), then carried out by a backend.

    rule: the policy rule's id; None for a person's own change (`set`), whose name is `actor`, and
    where such a change is over (EXPIRY). reason: the rule's evidence in words and numbers, or the
    person's reason. until: when it is over, in seconds since the epoch; None if it has no end.
    """

    test_id: str
    fqn: str
    from_state: State
    to_state: State
    rule: str | None
    reason: str
    actor: str | None = None
    until: float | None = None

    @property
    def last_day(self) -> str | None:
        """The last day that it holds for; None if it has no end."""
        return last_day(self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateResult:
    """What a backend said of one change. ok: True done, False refused, None not known.

    already: it is done because others had done it before; nothing was sent.
    """

    test_id: str
    ok: bool | None
    error: str | None = None
    already: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is recorded of any test, flaky or not. Outages are left out.

    runs: within 7 days, of those that the failure rate counts. failures: recorded runs of any
    branch in which it failed, however long ago; failed_at (epoch seconds), failed_on (a branch):
    the latest of them, None without any or where it is not known.
    """

    runs: int
    failures: int
    failed_at: float | None = None
    failed_on: str | None = None
