"""What `collect` says of the shards that it folded in: in all, and of each repository."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flakegate.backends.store.recording import Fate
from flakegate.escape import terminal
from flakegate.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flakegate.backends.store.recording import RecordedRun
    from flakegate.record import RunRecord


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of shards. forks: new runs whose change may come from another repository.

    withdrawn: tests that seemed to be flaky before, and do no longer beside runs that came late.
    """

    new: int = 0
    known: int = 0
    too_old: int = 0
    outages: int = 0
    forks: int = 0
    detected: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)

    def add(self, record: RunRecord, run: RecordedRun) -> None:
        """Counts one shard and what the store made of it."""
        new = run.fate is Fate.NEW
        self.new += new
        self.known += run.fate is Fate.KNOWN
        self.too_old += run.fate is Fate.OLD
        self.outages += new and run.infra
        self.forks += new and record.fork
        self.withdrawn |= set(run.withdrawn) - self.detected
        self.detected = self.detected - set(run.withdrawn) | set(run.detected)
        if run.fate is Fate.REFUSED:
            self.refused.append(run.key)

    def numbers(self) -> dict[str, int]:
        """As in the document of `--format json`."""
        return {
            "new": self.new,
            "known": self.known,
            "too_old": self.too_old,
            "outages": self.outages,
            "forks": self.forks,
            "detected": len(self.detected),
            "withdrawn": len(self.withdrawn),
        }

    def words(self) -> list[str]:
        """To be joined: what is none is left out, but for the first."""
        parts = [f"{count(self.new, 'new run')}, {self.known:,} known already"]
        parts += [count(self.outages, "outage")] if self.outages else []
        parts += [f"{self.forks:,} of forks: data only"] if self.forks else []
        flaky = len(self.detected)
        parts += [f"{count(flaky, 'test')} found to be flaky"] if flaky else []
        not_flaky = len(self.withdrawn)
        parts += [f"{count(not_flaky, 'test')} not flaky after all"] if not_flaky else []
        parts += [f"{self.too_old:,} too old"] if self.too_old else []
        parts += [f"{len(self.refused):,} refused"] if self.refused else []
        return parts


@dataclass(slots=True, kw_only=True)
class Folded:
    """All that was folded in. left_out: whole shards of other repositories; broken: the others."""

    broken: int = 0
    left_out: int = 0
    total: Tally = field(default_factory=Tally)
    repositories: dict[str, Tally] = field(default_factory=dict)

    def add(self, records: Sequence[RunRecord], runs: Sequence[RecordedRun]) -> None:
        """Counts what the store made of these."""
        for record, run in zip(records, runs, strict=True):
            self.total.add(record, run)
            self.repositories.setdefault(record.repository, Tally()).add(record, run)

    def document(self, place: str) -> dict[str, object]:
        """As `--format json` prints it. place: of the store."""
        return {
            "version": 1,
            "store": place,
            **self.total.numbers(),
            "refused": self.total.refused,
            "broken": self.broken,
            "left_out": self.left_out,
            "repositories": {
                name: {**tally.numbers(), "refused": tally.refused}
                for name, tally in sorted(self.repositories.items())
            },
        }

    def text(self, place: str) -> str:
        """The total, and where there are several repositories a line for each. No line break."""
        parts = self.total.words()
        parts += left_out_words(self.left_out)
        parts += [f"{self.broken:,} broken"] if self.broken else []
        lines = [f"{terminal(place)}: {'; '.join(parts)}"]
        if len(self.repositories) > 1:
            lines += [
                f"  {terminal(name)}: {'; '.join(tally.words())}"
                for name, tally in sorted(self.repositories.items())
            ]
        return "\n".join(lines)


def left_out_words(left_out: int) -> list[str]:
    """Nothing where nothing was left out."""
    return [f"{left_out:,} of other repositories left out"] if left_out else []
