"""What is in a store at a glance."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from flakegate.backends.store import retention
from flakegate.backends.store.schema import flaky, repositories, runs, state_log, tests
from flakegate.model import State
from flakegate.wording import count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Column, Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What the store holds of one repository.

    outages, forks: of the runs. oldest, newest: when they ran, in seconds since the epoch; None
    without a run. tests: that are known. flaky: of each state how many tests. changes: lines of
    the log of states.
    """

    repository: str
    runs: int
    outages: int
    forks: int
    oldest: float | None
    newest: float | None
    tests: int
    flaky: Mapping[State, int]
    changes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """holdings: the repository with the newest run first.

    looked: when old runs were last looked for, in seconds since the epoch; None if never.
    """

    holdings: tuple[Holding, ...]
    looked: float | None

    def totals(self) -> dict[str, int]:
        """For a document: repositories, runs, tests, flaky ones."""
        return {
            "repositories": len(self.holdings),
            "runs": sum(each.runs for each in self.holdings),
            "tests": sum(each.tests for each in self.holdings),
            "flaky": sum(sum(each.flaky.values()) for each in self.holdings),
        }

    def words(self) -> str:
        """The same in words."""
        of = self.totals()
        repositories = count(of["repositories"], "repository", "repositories")
        runs, tests = count(of["runs"], "run"), count(of["tests"], "test")
        return f"{repositories} with {runs} of {tests}, {of['flaky']:,} of them flaky"


def survey(connection: Connection) -> Survey:
    """Counts everything."""
    ran = {
        row.repository: row
        for row in connection.execute(
            select(
                runs.c.repository,
                func.count().label("runs"),
                func.count().filter(runs.c.infra).label("outages"),
                func.count().filter(runs.c.fork).label("forks"),
                func.min(runs.c.at).label("oldest"),
                func.max(runs.c.at).label("newest"),
            ).group_by(runs.c.repository)
        )
    }
    known = _by_repository(connection, None)
    changes = _by_repository(connection, state_log.c.test)
    states = _states(connection)
    found = []
    for id_, name in connection.execute(select(repositories.c.id, repositories.c.name)):
        row = ran.get(id_)
        holding = Holding(
            repository=name,
            runs=row.runs if row else 0,
            outages=row.outages if row else 0,
            forks=row.forks if row else 0,
            oldest=row.oldest if row else None,
            newest=row.newest if row else None,
            tests=known.get(id_, 0),
            flaky=states[id_],
            changes=changes.get(id_, 0),
        )
        found.append(holding)
    found.sort(key=lambda each: (each.newest is None, -(each.newest or 0), each.repository))
    return Survey(holdings=tuple(found), looked=retention.last_look(connection))


def _by_repository(connection: Connection, of: Column[int] | None) -> dict[int, int]:
    """How many tests each repository has; or rows that name its tests in this column."""
    counted = select(tests.c.repository, func.count()).group_by(tests.c.repository)
    if of is not None:
        counted = counted.join_from(of.table, tests, of == tests.c.id)
    return dict(tuple(row) for row in connection.execute(counted))


def _states(connection: Connection) -> defaultdict[int, dict[State, int]]:
    counted = (
        select(tests.c.repository, flaky.c.state, func.count())
        .join_from(flaky, tests, flaky.c.test == tests.c.id)
        .group_by(tests.c.repository, flaky.c.state)
    )
    found: defaultdict[int, dict[State, int]] = defaultdict(lambda: dict.fromkeys(State, 0))
    for repository, state, number in connection.execute(counted):
        found[repository][State(state)] = number
    return found
