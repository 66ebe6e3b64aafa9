"""A run into the store: what `record`, `collect` and `run` say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.backends.store.recording import Fate
from flakegate.errors import UsageError
from flakegate.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flakegate.backends.store.recording import RecordedRun


def in_words(run: RecordedRun, tests: int) -> str:
    """What was recorded of a run with so many tests, to stand behind the word "recorded"."""
    if run.fate is Fate.KNOWN:
        return "nothing: this run is in the store already"
    if run.fate is Fate.OLD:
        return "nothing: this run is older than the store keeps runs (store.keep)"
    if run.fate is Fate.REFUSED:
        return f"nothing: {run.reason}"
    parts = [count(tests, "test")]
    if run.infra:
        parts.append("set aside as an outage, since so many failed at once")
    if run.detected:
        parts.append(f"{count(len(run.detected), 'test')} found to be flaky")
    return "; ".join(parts)


def refused(runs: Iterable[RecordedRun]) -> None:
    """Raises UsageError where a run was refused: its key is taken by other results."""
    reasons = [run.reason or run.key for run in runs if run.fate is Fate.REFUSED]
    if reasons:
        raise UsageError("not recorded\n" + "\n".join(reasons))
