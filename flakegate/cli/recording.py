"""A run into the store: what `record`, `collect` and `run` say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.backends.store.recording import Fate
from flakegate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flakegate.backends.store.recording import RecordedRun


def in_words(run: RecordedRun) -> str:
    """What became of one run."""
    if run.fate is Fate.KNOWN:
        return "this run was recorded before; nothing changed"
    if run.fate is Fate.REFUSED:
        return f"refused: {run.reason}"
    parts = ["recorded"]
    if run.infra:
        parts.append("as an outage: so many tests failed at once that none is taken for flaky")
    if run.detected:
        many = len(run.detected)
        parts.append(f"{many} test{'' if many == 1 else 's'} found to be flaky")
    return "; ".join(parts)


def refused(runs: Iterable[RecordedRun]) -> None:
    """Raises UsageError where a run was refused: its key is taken by other results."""
    reasons = [f"{run.key}: {run.reason}" for run in runs if run.fate is Fate.REFUSED]
    if reasons:
        raise UsageError("not recorded\n" + "\n".join(reasons))
