"""The embedded store as a backend: one SQLite file, fed by `record` and `collect`.

Importing this module loads SQLAlchemy: do it where a store is opened.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from flakegate.attribution import moved
from flakegate.backends.store import figures, regressions, retention, states
from flakegate.backends.store.database import PATIENCE, Database, open_database
from flakegate.backends.store.numbering import in_chunks, repository_row
from flakegate.backends.store.recording import (
    Recorded,
    RecordedRun,
    record_run,
)
from flakegate.backends.store.schema import flaky, latest, state_log, tests
from flakegate.backends.store.steady import steady
from flakegate.errors import BackendError
from flakegate.identity import test_id
from flakegate.model import FlakyTest, Identity, State, StateCause, UpdateResult

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from sqlalchemy import Connection, Select
    from typing_extensions import Unpack

    from flakegate.backends.base import Progress
    from flakegate.backends.store.numbering import Places
    from flakegate.backends.store.schema import AnyRow
    from flakegate.matching.candidate import Candidate
    from flakegate.model import History, Transition
    from flakegate.policy.needs import Wanted
    from flakegate.policy.rules import OwnRule
    from flakegate.record import RunRecord

FIELDS = frozenset(
    {
        "state", "module", "suite", "name", "fqn", "source_file", "error_message",
        "first_flaked_branch", "last_flaked_branch", "failure_rate", "failed_pipelines", "runs",
        "failures", "age", "last_flaked_age", "state_age", "duration", "broken",
    }
)  # fmt: skip
BATCH = 1_000  # changes in one `update`
CHUNK = 50  # runs in one transaction of a batch: some 0.1 s in which other writers wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One repository's view of a store; implements backends.base.Backend.

    repository: its id. pipeline: the CI run of this call ("provider:repository:run"), None outside
    of any. now: seconds since the epoch. rate_from: "default_branch" or "all".
    keep: how long runs are kept, in seconds.
    """

    database: Database
    repository: str
    pipeline: str | None
    now: float
    rate_from: str
    keep: float = retention.KEEP
    kind: str = "store"
    fields: frozenset[str] = FIELDS
    batch_size: int = BATCH
    by_identity: bool = True

    @classmethod
    def open(  # noqa: PLR0913 - each is a fact of the call, and a keyword
        cls,
        url: str,
        *,
        repository: str,
        pipeline: str | None,
        now: float,
        rate_from: str,
        write: bool,
        keep: float = retention.KEEP,
        patience: float = PATIENCE,
        warn: Callable[[str], None] = lambda _: None,
    ) -> Store:
        """Opens `sqlite:///…`; see open_database, also for what it raises."""
        return cls(
            database=open_database(url, write=write, patience=patience, warn=warn),
            repository=repository,
            pipeline=pipeline,
            now=now,
            rate_from=rate_from,
            keep=keep,
        )

    @property
    def place(self) -> str:
        """The path of the file, as given."""
        return self.database.place

    def close(self) -> None:
        """Nothing is open between two calls; this is here for what closes every backend."""

    def search(self, wanted: Wanted, progress: Progress | None = None) -> list[FlakyTest]:
        """The wanted flaky tests of the repository, whatever their failure rate."""
        # What a person set for a time may be over, whatever state the rules are about.
        dated = select(state_log.c.id).where(state_log.c.until.is_not(None))
        in_state = flaky.c.state.in_([state.value for state in wanted.states])
        with self.database.reading() as connection:
            rows = connection.execute(
                self._rows(connection)
                .where(in_state | tests.c.key.in_(wanted.ids) | flaky.c.entry.in_(dated))
                .order_by(tests.c.key)
            ).all()
            repository = repository_row(connection, self.repository)
            numbers = {row.id: row.number for row in rows}
            flaky_tests = dict(zip(numbers, self._flaky(connection, rows, None), strict=True))
            failing = regressions.failing_commits(connection, repository, numbers)
            without = steady(
                connection,
                repository,
                {row: (numbers[row], test) for row, test in flaky_tests.items()},
                now=self.now,
                rate_from=self.rate_from,
            )
            found = [
                replace(test, failing_commits=failing.get(row, ()), steady=without.get(row))
                for row, test in flaky_tests.items()
            ]
        if progress is not None:
            progress(len(found), len(found))
        return found

    def listed(self) -> dict[int, FlakyTest]:
        """Every flaky test by its row, without what only decisions need."""
        found: dict[int, FlakyTest] = {}
        with self.database.reading() as connection:
            rows = connection.execute(self._rows(connection)).all()
            for row, test in zip(rows, self._flaky(connection, rows, None), strict=True):
                found[row.id] = test
        return found

    def find(self, identities: Sequence[Identity]) -> dict[Identity, FlakyTest]:
        """These tests as this CI run may see them (see states.seen_by). Absent: not flaky."""
        wanted = {test_id(self.repository, identity): identity for identity in identities}
        found: dict[Identity, FlakyTest] = {}
        with self.database.reading() as connection:
            for keys in in_chunks(sorted(wanted)):
                rows = connection.execute(self._rows(connection).where(tests.c.key.in_(keys))).all()
                for test in self._flaky(connection, rows, seen_by=self.pipeline):
                    found[wanted[test.id]] = test
        return found

    def in_suites(self, candidates: Collection[Candidate]) -> list[FlakyTest]:
        """None: the store's tests are known by their identities; see `find`."""
        del candidates
        return []

    def update(self, changes: Sequence[Transition]) -> list[UpdateResult]:
        """Carries out one batch in one transaction; refuses what is no longer in `from_state`.

        Without a rule it is a person's change, which may name any recorded test, flaky or not.
        """
        with self.database.writing() as connection:
            return [self._change(connection, each) for each in changes]

    def record(self, records: Sequence[RunRecord], progress: Progress | None = None) -> Recorded:
        """Records runs of any repository, each once, in the order of their times.

        A run is refused whose key is known with other results, or that is from the future; the
        others are recorded. Those older than `keep` leave the store, at most once a day. Raises
        BackendError where the file cannot be written; what it says was recorded before, stays.
        """
        order = sorted(range(len(records)), key=lambda i: (records[i].at, records[i].key))
        known: dict[str, Places] = defaultdict(dict)
        looked: float | None = None
        fates: dict[int, RecordedRun] = {}
        for start in range(0, len(order), CHUNK):
            try:
                with self.database.writing() as connection:
                    before, looked = (
                        looked,
                        retention.drop_daily(connection, now=self.now, keep=self.keep),
                    )
                    if looked != before:
                        known.clear()  # rows of tests may have been dropped
                    done = {
                        i: record_run(
                            connection,
                            records[i],
                            known=known[records[i].repository],
                            oldest=self.now - self.keep,
                            newest=self.now + retention.DAY,
                        )
                        for i in order[start : start + CHUNK]
                    }
            except BackendError as error:
                if start == 0:
                    raise
                stored = f"{start} of {len(order)} runs are in the store"
                raise BackendError(f"{error.message} ({stored})", tip=error.tip) from error
            fates |= done
            if progress is not None:
                progress(len(fates), len(order))
        return Recorded(runs=tuple(fates[i] for i in range(len(records))))

    def last_changes(self, tests: Sequence[FlakyTest]) -> dict[str, StateCause]:
        """Nothing more: the log told `search`."""
        del tests
        return {}

    def own_rules(self) -> tuple[OwnRule, ...]:
        """None: nobody but flakegate changes states here."""
        return ()

    def suite_size(self) -> int:
        """How many tests ran on the default branch within 7 days; if none, how many are known."""
        with self.database.reading() as connection:
            repository = repository_row(connection, self.repository)
            return figures.suite_size(connection, repository, now=self.now)

    def recent_changes(self, since: float) -> int:
        """How often rules quarantined or disabled a test after `since` (epoch seconds)."""
        with self.database.reading() as connection:
            repository = repository_row(connection, self.repository)
            return states.recent_changes(connection, repository, since=since)

    def recorded(self) -> dict[str, Identity]:
        """Every test of the repository that was ever recorded, by its id: what `set` may name."""
        with self.database.reading() as connection:
            repository = repository_row(connection, self.repository)
            rows = connection.execute(
                select(tests).where(tests.c.repository == repository).order_by(tests.c.key)
            )
            return {row.key: _identity(row) for row in rows}

    def history(self, test_id: str) -> History | None:
        """What is recorded of a test, flaky or not; None where it was never recorded."""
        with self.database.reading() as connection:
            repository = repository_row(connection, self.repository)
            row = connection.execute(
                select(tests).where(tests.c.key == test_id, tests.c.repository == repository)
            ).first()
            if row is None:
                return None
            return figures.history(connection, row, now=self.now, rate_from=self.rate_from)

    def _rows(self, connection: Connection) -> Select[Unpack[tuple[Any, ...]]]:
        return (
            select(
                tests,
                flaky.c.first_flaked_at,
                flaky.c.first_flaked_branch,
                latest.c.at,
                latest.c.branch,
                latest.c.duration,
                latest.c.message,
            )
            .join(flaky, flaky.c.test == tests.c.id)
            .outerjoin(latest, latest.c.test == tests.c.id)
            .where(tests.c.repository == repository_row(connection, self.repository))
        )

    def _flaky(
        self, connection: Connection, rows: Sequence[AnyRow], seen_by: str | None
    ) -> Iterator[FlakyTest]:
        """seen_by: the CI run for which the states are asked, None for what the store holds."""
        if not rows:
            return
        standing: dict[int, states.Standing] = {}
        for some in in_chunks([row.id for row in rows]):
            standing |= states.standings(connection, some)
        if seen_by is not None:
            standing = states.seen_by(connection, standing, seen_by)
        repository = repository_row(connection, self.repository)
        week = figures.Week(connection, repository, now=self.now, rate_from=self.rate_from)
        for row in rows:
            if row.id not in standing:
                continue
            test, of_week = standing[row.id], week.of(row.id, row.number)
            yield FlakyTest(
                id=row.key,
                module=row.module,
                suite=row.suite,
                name=row.name,
                state=test.state,
                source_file=row.source_file or None,
                error_message=row.message,
                first_flaked_branch=row.first_flaked_branch,
                first_flaked_at=row.first_flaked_at,
                # Any failure since, not only a proven flake: that can delay a test's release, and
                # never hastens it.
                last_flaked_branch=row.branch,
                last_flaked_at=row.at,
                state_since=test.since,
                cause=test.cause,
                failure_rate=of_week.failure_rate,
                failed_pipelines=of_week.failed_pipelines,
                runs=of_week.runs,
                failures=of_week.failures,
                duration=row.duration,
            )

    def _change(self, connection: Connection, change: Transition) -> UpdateResult:
        """Refuses in words, or carries out."""
        row = connection.execute(
            select(tests.c.id, tests.c.repository).where(tests.c.key == change.test_id)
        ).first()
        if row is None or row.repository != repository_row(connection, self.repository):
            error = f"no test of {self.repository} with this id was recorded in {self.place}"
            return UpdateResult(test_id=change.test_id, ok=False, error=error)
        standing = states.standings(connection, [row.id]).get(row.id)
        if standing is None and change.rule is not None:
            return UpdateResult(test_id=change.test_id, ok=False, error="it is not known as flaky")
        state = State.ACTIVE if standing is None else standing.state
        if state is change.to_state and state is not change.from_state:
            return UpdateResult(test_id=change.test_id, ok=True, already=True)
        if state is not change.from_state:
            cause = standing.cause if standing else None
            error = f"{moved(change.from_state, state, cause)}: plan again"
            return UpdateResult(test_id=change.test_id, ok=False, error=error)
        states.change(
            connection,
            states.Change(
                test=row.id,
                from_state=standing.state if standing else None,
                to_state=change.to_state,
                at=self.now,
                rule=change.rule,
                actor=change.actor,
                reason=change.reason,
                pipeline=self.pipeline,
                until=change.until,
            ),
        )
        return UpdateResult(test_id=change.test_id, ok=True)


def _identity(row: AnyRow) -> Identity:
    return Identity(module=row.module, suite=row.suite, name=row.name, source_file=row.source_file)
