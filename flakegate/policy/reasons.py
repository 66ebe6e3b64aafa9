"""Why a rule moves a test, in words and numbers that a person can check."""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING

from flakegate.policy.fields import FIELDS, Kind
from flakegate.policy.syntax import Compare

if TYPE_CHECKING:
    from flakegate.model import FlakyTest
    from flakegate.policy.conditions import Condition
    from flakegate.policy.fields import Value

_STEPS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_MAX_TEXT = 60


def reason(when: Condition, test: FlakyTest, now: float) -> str:
    """The figures behind a match: `failed 8 of 31 runs (25.8 %), 4 pipelines, 2 h 10 min lost`.

    First how often it failed, how sure that is (`25.8 %; 95 % sure it is above 13.7 %`), and what
    it cost, where the backend knows it; then every other field that the condition names.
    """
    values = {name: field.get(test, now) for name, field in FIELDS.items()}
    parts, told = _rate(values, _sure(when, test, now))
    if values["failed_pipelines"] or "failed_pipelines" in when.fields:
        parts += _counted(values["failed_pipelines"], "pipeline")
    if values["lost_time"] or "lost_time" in when.fields:
        parts += [f"{shown(Kind.DURATION, values['lost_time'])} lost"] * _known(values["lost_time"])
    told |= {"failed_pipelines", "lost_time", "broken"}
    named = dict.fromkeys(clause.field for clause in when.clauses)
    for name in named:
        if name not in told and _known(values[name]):
            parts.append(_named(name, values[name]))
    return ", ".join(parts) or str(when)


def shown(kind: Kind, value: Value) -> str:
    """A value with its unit, as people read it: `25.8 %`, `2 h 10 min`, `"text"`, `a, b`."""
    if kind is Kind.DURATION and isinstance(value, (int, float)):
        return _duration(value)
    if kind is Kind.PERCENT and isinstance(value, (int, float)):
        return f"{_number(value)} %"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "unknown" if value is None else f'"{_one_line(value)}"'


def _rate(values: dict[str, Value], sure: str) -> tuple[list[str], set[str]]:
    """How often it failed, and the fields that this tells."""
    runs, failures, rate = values["runs"], values["failures"], values["failure_rate"]
    if isinstance(runs, (int, float)) and isinstance(failures, (int, float)) and runs > 0:
        share = rate if _known(rate) else 100 * failures / runs
        what = f"failed {_number(failures)} of {_number(runs)} runs"
        return [f"{what} ({shown(Kind.PERCENT, share)}{sure})"], {
            "runs",
            "failures",
            "failure_rate",
        }
    if isinstance(rate, (int, float)):
        return [f"failure_rate {_number(rate)}%"], {"failure_rate"}
    return [], set()


def _sure(when: Condition, test: FlakyTest, now: float) -> str:
    """How sure the failure rate is, on the side of it that the condition's bounds are on."""
    sides = []
    for finding in when.findings(test, now):
        leaf = finding.clause.leaf
        if finding.interval is None or not isinstance(leaf, Compare):
            continue
        low, high = finding.interval
        bound = float(leaf.literal.value)
        # Never rounded towards the bound, so that what is said is true to the digit.
        if bound <= low:
            sides.append(f"above {_number(floor(low * 10) / 10)} %")
        elif bound >= high:
            sides.append(f"below {_number(ceil(high * 10) / 10)} %")
    if not sides:
        return ""
    confidence = _number(when.evidence.confidence or 0)
    return f"; {confidence} % sure it is {' and '.join(dict.fromkeys(sides))}"


def _counted(value: Value, noun: str) -> list[str]:
    if not isinstance(value, (int, float)):
        return []
    return [f"{_number(value)} {noun}{'' if value == 1 else 's'}"]


def _named(name: str, value: Value) -> str:
    words = shown(FIELDS[name].kind, value)
    if name == "last_flaked_age":
        return f"last flaked {words} ago"
    if name == "age":
        return f"first flaked {words} ago"
    return f"{name} {words}"


def _known(value: Value) -> bool:
    return value is not None


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 1 else f"{value:.2g}"


def _duration(seconds: float) -> str:
    """The two largest units that matter: `2 h 10 min`, `3 d`, `250 ms`."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:  # noqa: PLR2004 - below ten seconds, tenths tell
        return f"{_number(seconds)} s"
    left = round(seconds)
    for index, (unit, size) in enumerate(_STEPS):
        if left >= size:
            whole, rest = divmod(left, size)
            next_unit, next_size = _STEPS[min(index + 1, len(_STEPS) - 1)]
            second = rest // next_size if size > 1 else 0
            return f"{whole} {unit}" + (f" {second} {next_unit}" if second else "")
    return "0 s"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_TEXT else line[: _MAX_TEXT - 1] + "…"
