"""Which row a repository has, and which row and number each of its tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import bindparam, func, select

from flakegate.backends.store.schema import new_row, repositories, tests
from flakegate.identity import test_id
from flakegate.model import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from flakegate.record import RunRecord

    Places = dict[Identity, tuple[int, int]]  # of each test its row, and its number in the bitmaps

_Value = TypeVar("_Value", str, int)

CHUNK = 500  # values in one IN (…)
_FEW = 4  # a repository with at most so many times the run's tests is read whole: that is quicker

_REPOSITORY = select(repositories.c.id).where(repositories.c.name == bindparam("name"))
_HIGHEST = select(func.coalesce(func.max(tests.c.number), -1)).where(
    tests.c.repository == bindparam("repository")
)
_ALL = select(
    tests.c.id,
    tests.c.number,
    tests.c.module,
    tests.c.suite,
    tests.c.name,
    tests.c.source_file,
).where(tests.c.repository == bindparam("repository"))


def repository_row(connection: Connection, name: str) -> int | None:
    """The row of a repository, None if nothing of it was recorded."""
    return connection.execute(_REPOSITORY, {"name": name}).scalar_one_or_none()


def made_repository_row(connection: Connection, name: str) -> int:
    """The row of a repository, made where there was none."""
    row = repository_row(connection, name)
    return new_row(connection, repositories, {"name": name}) if row is None else row


def places(
    connection: Connection, repository: int, record: RunRecord, known: Places
) -> list[tuple[int, int]]:
    """Row and number of each test of this run, in its order; makes those that were never seen.

    known: what is known of this repository's tests so far; grows.
    """
    # In a batch nearly all are known already, and otherwise a look at the whole repository tells;
    # a third time only for tests that are new, or of a repository too large to be read whole.
    if (found := _among(known, record)) is not None:
        return found
    highest = connection.execute(_HIGHEST, {"repository": repository}).scalar_one()
    if highest < _FEW * len(record.results):
        _look_up_all(connection, repository, known)
        if (found := _among(known, record)) is not None:
            return found
    _learn(connection, repository, record, known, first=highest + 1)
    return [known[each.identity] for each in record.results]


def in_chunks(values: Sequence[_Value]) -> Iterator[Sequence[_Value]]:
    """Few enough for one IN (…)."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


def _among(known: Places, record: RunRecord) -> list[tuple[int, int]] | None:
    """Row and number of each test of this run; None unless all are known."""
    try:
        return [known[each.identity] for each in record.results]
    except KeyError:
        return None


def _learn(
    connection: Connection, repository: int, record: RunRecord, known: Places, *, first: int
) -> None:
    """Finds the tests of this run that are not known yet, and numbers those that are new."""
    missing = {
        test_id(record.repository, each.identity): each.identity
        for each in record.results
        if each.identity not in known
    }
    _look_up(connection, missing, known)
    # Sorted, so that writers that run side by side would take their locks in one order.
    new = sorted(key for key, identity in missing.items() if identity not in known)
    if new:
        _make(connection, repository, {key: missing[key] for key in new}, first=first)
        _look_up(connection, {key: missing[key] for key in new}, known)


def _look_up_all(connection: Connection, repository: int, known: Places) -> None:
    rows = connection.execute(_ALL, {"repository": repository}).all()
    for row, number, module, suite, name, file in rows:
        identity = Identity(module=module, suite=suite, name=name, source_file=file)
        known[identity] = (row, number)


def _look_up(connection: Connection, wanted: dict[str, Identity], known: Places) -> None:
    for keys in in_chunks(sorted(wanted)):
        found = select(tests.c.key, tests.c.id, tests.c.number).where(tests.c.key.in_(keys))
        for key, row, number in connection.execute(found):
            known[wanted[key]] = (row, number)


def _make(connection: Connection, repository: int, new: dict[str, Identity], *, first: int) -> None:
    """Numbers the new tests from `first` on."""
    connection.execute(
        tests.insert(),
        [
            {
                "repository": repository,
                "number": number,
                "key": key,
                "module": identity.module,
                "suite": identity.suite,
                "name": identity.name,
                "source_file": identity.source_file,
            }
            for number, (key, identity) in enumerate(new.items(), first)
        ],
    )
