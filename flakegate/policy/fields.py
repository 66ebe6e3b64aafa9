"""The fields of `when`: what each one is, its unit, and how it is read from a flaky test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import inf
from operator import attrgetter

from flakegate.model import FlakyTest

Value = str | float | bool | tuple[str, ...] | None
Getter = Callable[[FlakyTest, float], Value]


class Kind(str, Enum):
    """What a field holds, hence what it can be compared with."""

    TEXT = "text"
    LIST = "list"
    PERCENT = "percent"
    NUMBER = "number"
    DURATION = "duration"
    BOOL = "bool"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of `when`.

    unit: of the value that `get` returns: "%", "s", or "" where there is none.
    get: (test, now) -> its value, None where the backend does not know it or sent nonsense
        (a negative count, a rate above 100, not a number). Durations are in seconds.
    example: a literal it can be compared with, as the messages show it.
    whole: only whole numbers occur. folds: compared without case.
    """

    name: str
    kind: Kind
    description: str
    get: Getter
    unit: str = ""
    example: str = '"…"'
    whole: bool = False
    folds: bool = False


def _plain(attribute: str) -> Getter:
    read = attrgetter(attribute)
    return lambda test, _now: read(test)


def _state(test: FlakyTest, _now: float) -> Value:
    return test.state.value


def _figure(attribute: str, most: float = inf) -> Getter:
    """A number from 0 to `most`; whatever else a backend sends (NaN, infinity, -1) is unknown."""
    read = attrgetter(attribute)

    def get(test: FlakyTest, _now: float) -> Value:
        value: float | None = read(test)
        return value if value is not None and 0 <= value <= most and value < inf else None

    return get


def _since(attribute: str) -> Getter:
    """Seconds from a moment until now; a moment in the future (clocks differ) is no time ago."""
    read = _figure(attribute)

    def get(test: FlakyTest, now: float) -> Value:
        moment = read(test, now)
        return max(0.0, now - moment) if isinstance(moment, (int, float)) else None

    return get


_failure_rate = _figure("failure_rate", 100)


def _broken(test: FlakyTest, now: float) -> Value:
    rate = _failure_rate(test, now)
    return None if rate is None else rate == 100  # noqa: PLR2004 - a percentage: every run failed


def _text(name: str, description: str, *, folds: bool = False) -> Field:
    if name == "state":
        return Field(
            name=name, kind=Kind.TEXT, description=description, get=_state, example='"active"'
        )
    get = _plain(name)
    return Field(name=name, kind=Kind.TEXT, description=description, get=get, folds=folds)


def _list(name: str, description: str) -> Field:
    return Field(name=name, kind=Kind.LIST, description=description, get=_plain(name))


def _number(name: str, description: str, example: str = "3", *, whole: bool = True) -> Field:
    get = _figure(name)
    return Field(
        name=name, kind=Kind.NUMBER, description=description, get=get, example=example, whole=whole
    )


def _duration(name: str, description: str, get: Getter, example: str) -> Field:
    return Field(
        name=name, kind=Kind.DURATION, description=description, get=get, unit="s", example=example
    )


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        _text("state", "active, quarantined, disabled or fixed"),
        _text("module", "the module or base folder of the test"),
        _text("suite", "the suite of the test: its class, file or package"),
        _text("name", "the test's name, with its parameters"),
        _text("fqn", "module, suite and name joined by dots, empty parts left out"),
        _text("category", "why it is flaky, where known: timeout, network, …", folds=True),
        _text("source_file", "the file that holds the test"),
        _text("error_message", "the message of the latest failure"),
        _text("first_flaked_branch", "the branch that first saw it flake"),
        _text("last_flaked_branch", "the branch that last saw it flake"),
        _list("codeowners", "who owns the test"),
        _list("envs", "the environments that it flaked in"),
        _list("services", "the services that it belongs to"),
        Field(
            name="failure_rate",
            kind=Kind.PERCENT,
            description="failed runs among all runs that were not skipped, over 7 days",
            get=_failure_rate,
            unit="%",
            example="20%",
        ),
        _number("failed_pipelines", "pipelines that it made fail, over 7 days"),
        _number("runs", "runs that were not skipped, over 7 days", "10"),
        _number("failures", "failed runs, over 7 days"),
        _duration(
            "lost_time",
            "how long the pipelines it failed had run, over 7 days",
            _figure("lost_time"),
            "2h",
        ),
        _duration("age", "since it first flaked", _since("first_flaked_at"), "30d"),
        _duration("last_flaked_age", "since it last flaked", _since("last_flaked_at"), "14d"),
        _duration("state_age", "since it has its state", _since("state_since"), "7d"),
        _duration("duration", "how long the test itself takes", _figure("duration"), "500ms"),
        _number("impact_score", "the backend's score of the harm, 0 to 1", "0.5", whole=False),
        _text("impact_level", "the backend's word for the harm: low, medium, high"),
        Field(
            name="broken",
            kind=Kind.BOOL,
            description="every run failed over 7 days: broken rather than flaky",
            get=_broken,
            example="",
        ),
    )
}
