"""Whether a flaky test's state excuses its failure now, with the reason code and the words."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from flakegate.model import State

if TYPE_CHECKING:
    from flakegate.model import FlakyTest, StateCause
    from flakegate.policy.rules import GateSettings

EXCUSED, BLOCKED = "excused", "blocked"


def excuse(
    test: FlakyTest | None,
    exemption: str | None,
    settings: GateSettings,
    now: float,
    barred: tuple[str, str] | None = None,
) -> tuple[str, str, str]:
    """Decision, reason code and words for the failure of a test. test: None if it is not flaky.

    exemption: why it is exempt, None if it is not. now: seconds since the epoch. barred: code and
    words where this change keeps it from being excused.
    """
    if test is None:
        return BLOCKED, "not-flaky", "not known to be flaky"
    state = test.state
    if exemption is not None:
        return BLOCKED, "exempt", f"exempt by the policy: {exemption}"
    if state not in settings.excuse:
        return BLOCKED, state.value, _not_excusing(state)
    if unfit := _unfit(test, settings, now):
        return BLOCKED, *unfit
    if barred is not None:
        code, words = barred
        return BLOCKED, code, f"{state}, but {words}"
    return EXCUSED, state.value, _cause(test, now)


def _unfit(test: FlakyTest, settings: GateSettings, now: float) -> tuple[str, str] | None:
    """Reason code and words where a state is over, too old or too young to excuse."""
    state, since = test.state, test.state_since
    if test.cause is not None and test.cause.is_over(now):
        return "expired", _over(state, test.cause)
    age = None if since is None else now - since
    held = f"{state} {_since(since, now)}"
    if settings.max_age is not None and (age is None or age > settings.max_age):
        limit = _duration(settings.max_age)
        return "expired", f"{held}: longer than gate.max_age, {limit}"
    if settings.min_state_age > 0 and (age is None or age < settings.min_state_age):
        limit = _duration(settings.min_state_age)
        return "too-young", f"{held}: less than gate.min_state_age, {limit}"
    return None


def _not_excusing(state: State) -> str:
    if state is State.ACTIVE:
        return "its state is active: the policy has not quarantined it"
    if state is State.FIXED:
        return "its state is fixed: it is expected to pass"
    return f"its state is {state}, which gate.excuse does not name"


def _over(state: State, cause: StateCause) -> str:
    """`quarantined by dana until 2026-12-24, which is over; …`."""
    by = f" by {cause.actor}" if cause.actor else ""
    return (
        f"{state}{by} until {cause.last_day}, which is over; `flakegate set` with a new --until "
        "renews it, else the next `flakegate apply` ends it"
    )


def _cause(test: FlakyTest, now: float) -> str:
    """`quarantined by rule noisy since 3 Nov`, `disabled by dana since 3 Nov, until 24 Dec: …`."""
    since = "" if test.state_since is None else f" {_since(test.state_since, now)}"
    cause = test.cause
    if cause is None:
        return f"{test.state}{since}"
    if cause.rule is not None:
        return f"{test.state} by rule {cause.rule}{since}"
    by = f" by {cause.actor}" if cause.actor else ""
    until = "" if cause.until is None else f", until {_day(cause.until - 1, now)}"
    return f"{test.state}{by}{since}{until}{f': {cause.reason}' if cause.reason else ''}"


def _since(at: float | None, now: float) -> str:
    if at is None:
        return "since nobody knows when"
    return f"since {_day(at, now)}"


def _day(at: float, now: float) -> str:
    then, today = (datetime.fromtimestamp(one, timezone.utc) for one in (at, now))
    year = "" if then.year == today.year else f" {then.year}"
    return f"{then.day} {then:%b}{year}"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"
