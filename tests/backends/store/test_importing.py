"""From one store into another: the same afterwards in all that it answers, or nothing at all."""

from __future__ import annotations

import base64
import gzip
import io
import os
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flakegate.backends.store.archive import Archive, Table, pack
from flakegate.backends.store.database import open_database
from flakegate.backends.store.exporting import export
from flakegate.backends.store.importing import import_export
from flakegate.backends.store.schema import VERSION
from flakegate.errors import BackendError, EvidenceError, UsageError
from flakegate.model import State, Transition
from flakegate.record import RunRecord
from tests.backends.store.build import (
    DAY,
    NOW,
    REPOSITORY,
    flaky,
    from_fork,
    key_of,
    move,
    named,
    on_branch,
    open_store,
    run,
)

if TYPE_CHECKING:
    from flakegate.backends.store.store import Store

# Of each table its columns and rows, as they stand in an export.
Tables = dict[str, tuple[tuple[str, ...], list[list[Any]]]]


def silent(done: int, of: int | None) -> None:
    """Nobody watches."""


def exported(folder: Path) -> bytes:
    store = open_store(folder, write=False)
    with store.database.reading() as connection:
        return b"".join(export(connection, silent))


def imported(data: bytes, folder: Path) -> None:
    url = f"sqlite:///{folder / 'history.db'}"
    import_export(
        io.BytesIO(data).read,
        "an export",
        lambda: open_database(url, write=True, patience=0.05),
        silent,
    )


def parsed(data: bytes) -> Tables:
    tables: Tables = {}
    for each in Archive(io.BytesIO(data).read):
        if isinstance(each, Table):
            rows: list[list[Any]] = []
            tables[each.name] = (each.columns, rows)
        else:
            rows.append(msgspec.json.decode(each))
    return tables


def written(tables: Tables, schema: int = VERSION) -> bytes:
    heads = (
        (Table(name=name, columns=columns), (tuple(row) for row in rows))
        for name, (columns, rows) in tables.items()
    )
    return b"".join(pack(schema, heads))


def filled(folder: Path) -> bytes:
    """Two repositories, `a` and `b` flaky, `a` quarantined; its export."""
    store = open_store(folder)
    other = replace(
        from_fork(run(3, NOW - 50, a="p", z="e"), "9"), repository="github.com/acme/till", key="k"
    )
    outage = run(4, NOW - 40, **{f"t{number}": "f" for number in range(6)})
    store.record([run(1, NOW - 99, a="fp", b="p"), run(2, NOW - 60, a="p", b="fp"), other, outage])
    assert store.update([move("a", State.ACTIVE, State.QUARANTINED)])[0].ok
    return exported(folder)


# There and back

names = st.sampled_from(["a", "b", "c", "ü::::error\x1b", "\0", "x" * 300])
letters = st.sampled_from(["p", "p", "p", "f", "fp", "e", "s", "ffp"])


@st.composite
def runs(draw: st.DrawFn) -> RunRecord:
    number = draw(st.integers(1, 12))
    record = run(
        number, NOW - draw(st.floats(0, 40 * DAY)), **draw(st.dictionaries(names, letters))
    )
    record = replace(record, commit=draw(st.sampled_from([None, "c1", "c2"])))
    record = replace(record, repository=draw(st.sampled_from([REPOSITORY, "ö/other"])))
    kind = draw(st.sampled_from(["main", "main", "branch", "fork"]))
    if kind == "branch":
        record = on_branch(record, draw(st.sampled_from(["b1", "b2", "b3"])), draw(st.none()))
    return from_fork(record, "7") if kind == "fork" else record


Step = RunRecord | tuple[str, State, bool]
steps = st.one_of(runs(), st.tuples(names, st.sampled_from(State), st.booleans()))


def moved(store: Store, wanted: tuple[str, State, bool]) -> list[str | None]:
    """Moves the test from whatever state it has."""
    name, state, by_rule = wanted
    found = store.find([named(name)]).get(named(name))
    before = found.state if found else State.ACTIVE
    change = Transition(
        test_id=key_of(name), fqn=name, from_state=before, to_state=state,
        rule="r" if by_rule else None, reason="ß", actor=None if by_rule else "ada",
    )  # fmt: skip
    return [each.error for each in store.update([change])]


def answers(store: Store, names: list[str]) -> list[Any]:
    """All that a store can be asked; `failing_commits` is in what `search` gives."""
    return [
        flaky(store),
        store.suite_size(),
        store.recent_changes(0.0),
        store.recorded(),
        [store.history(key_of(name)) for name in names],
        store.find([named(name) for name in names]),
    ]


@settings(max_examples=15)
@given(st.lists(steps, max_size=12), st.lists(steps, max_size=4))
def test_a_store_that_was_exported_and_imported_is_the_same(
    before: list[Step], after: list[Step]
) -> None:
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        stores = [open_store(Path(one))]
        told: list[list[Any]] = [[], []]

        def go_on(steps: list[Step]) -> None:
            for step in steps:
                for store, said in zip(stores, told, strict=False):
                    did = moved(store, step) if isinstance(step, tuple) else store.record([step])
                    said.append(did)

        go_on(before)
        data = exported(Path(one))
        imported(data, Path(other))
        assert exported(Path(other)) == data
        stores.append(open_store(Path(other)))
        told = [[], []]
        every = ["a", "b", "c", "ü::::error\x1b", "\0"]
        assert answers(stores[0], every) == answers(stores[1], every)
        go_on(after)
        assert [str(each).replace(other, one) for each in told[1]] == list(map(str, told[0]))
        assert answers(stores[0], every) == answers(stores[1], every)
        assert exported(Path(one)) == exported(Path(other))


def test_reading_or_compacting_a_store_does_not_change_its_export(tmp_path: Path) -> None:
    data = filled(tmp_path)
    open_database(f"sqlite:///{tmp_path / 'history.db'}", write=True).compact()
    assert exported(tmp_path) == data


def test_an_export_of_nothing_makes_an_empty_store(tmp_path: Path) -> None:
    data = exported(tmp_path / "none")
    imported(data, tmp_path / "new")
    assert open_store(tmp_path / "new", write=False).suite_size() == 0
    assert exported(tmp_path / "new") == data


def test_an_empty_store_is_filled(tmp_path: Path) -> None:
    data = filled(tmp_path / "old")
    open_store(tmp_path / "made")
    (tmp_path / "touched").mkdir()
    (tmp_path / "touched" / "history.db").touch()
    for name in ("made", "touched"):
        imported(data, tmp_path / name)
        assert exported(tmp_path / name) == data


def test_an_export_of_the_first_schema_is_taken_to_that_of_today(tmp_path: Path) -> None:
    tables = parsed(filled(tmp_path / "new"))
    columns, rows = tables["state_log"]
    assert columns[-1] == "until"
    tables["state_log"] = (columns[:-1], [row[:-1] for row in rows])
    imported(written(tables, schema=1), tmp_path / "old")
    assert exported(tmp_path / "old") == exported(tmp_path / "new")


# Stores that cannot be filled


def test_a_store_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    data = filled(tmp_path / "full")
    before = (tmp_path / "full" / "history.db").read_bytes()
    with pytest.raises(UsageError, match="holds something already") as raised:
        imported(data, tmp_path / "full")
    assert "collect" in (raised.value.tip or "")
    assert (tmp_path / "full" / "history.db").read_bytes() == before


def test_a_locked_store_is_left_alone(tmp_path: Path) -> None:
    data = filled(tmp_path / "full")
    open_store(tmp_path / "empty")
    with closing(sqlite3.connect(tmp_path / "empty/history.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BackendError, match="another process holds its lock"):
            imported(data, tmp_path / "empty")
        other.execute("ROLLBACK")
    assert open_store(tmp_path / "empty").recorded() == {}


def test_a_store_that_fills_up_is_empty_again(tmp_path: Path) -> None:
    data = filled(tmp_path / "full")
    open_store(tmp_path / "empty")
    path = tmp_path / "empty/history.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute(
            "CREATE TRIGGER t BEFORE INSERT ON flaky "
            "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
        )
        other.commit()
    before = path.read_bytes()
    with pytest.raises(BackendError, match="the disk is full"):
        imported(data, tmp_path / "empty")
    assert path.read_bytes() == before


# Exports that no flakegate writes

Edit = Callable[[Tables], None]


def cell(table: str, column: str, value: object, row: int = -1) -> Edit:
    def edit(tables: Tables) -> None:
        columns, rows = tables[table]
        rows[row][columns.index(column)] = value

    return edit


def twice(table: str) -> Edit:
    return lambda tables: tables[table][1].append(list(tables[table][1][-1]))


def without(table: str) -> Edit:
    def edit(tables: Tables) -> None:
        tables[table][1].pop()

    return edit


def both(one: Edit, other: Edit) -> Edit:
    def edit(tables: Tables) -> None:
        one(tables)
        other(tables)

    return edit


def longer(tables: Tables) -> None:
    tables["runs"][1][0].append(1)


def shorter(tables: Tables) -> None:
    tables["runs"][1][0].pop()


def same_key(tables: Tables) -> None:
    columns, rows = tables["runs"]
    rows[0][columns.index("key")] = rows[1][columns.index("key")]


def no_table(tables: Tables) -> None:
    del tables["latest"]


def bits(stored: bytes) -> Edit:
    return cell("manifests", "bits", base64.b64encode(stored).decode(), row=0)


HOSTILE: dict[str, tuple[Edit, str]] = {
    "a text for a number": (cell("runs", "n_failed", "1"), "a row of runs holds"),
    "a number for a text": (cell("runs", "key", 7), "a row of runs holds"),
    "nothing where there must be": (cell("runs", "at", None), "a row of runs holds"),
    "a number for yes or no": (cell("runs", "fork", 1), "a row of runs holds"),
    "no base64": (cell("runs", "digest", "%%"), "a row of runs holds"),
    "a short digest": (cell("runs", "digest", "AAAA"), "the digest of a run"),
    "a huge number": (cell("runs", "id", 2**63), "a row of runs holds"),
    "a number below zero": (cell("tests", "number", -1), "a row of tests holds"),
    "half a pair": (cell("tests", "name", "half"), "the id of a test"),
    "one value too many": (longer, "a row of runs holds"),
    "one value too few": (shorter, "a row of runs holds"),
    "row 0": (cell("repositories", "id", 0), "below 1"),
    "a run twice": (twice("runs"), "a row of runs is there twice"),
    "a failure twice": (twice("nonpass"), "a row of nonpass is there twice"),
    "a key twice": (same_key, "a row of runs is there twice"),
    "a run of no repository": (cell("runs", "repository", 99), "repositories that is not there"),
    "a run of no tests": (cell("runs", "manifest", 99), "manifests that is not there"),
    "a failure in no run": (cell("nonpass", "run", 99), "runs that is not there"),
    "a failure of no test": (cell("nonpass", "test", 99), "tests that is not there"),
    "the latest of no test": (cell("latest", "test", 99), "tests that is not there"),
    "a flaky test without a log": (without("state_log"), "state_log that is not there"),
    "a log without its flaky test": (without("flaky"), "the log is of a test"),
    "a state that does not exist": (cell("flaky", "state", "muted"), "a state that does not"),
    "a move to none": (cell("state_log", "to_state", ""), "a state that does not"),
    "a move from none": (cell("state_log", "from_state", "x"), "a state that does not"),
    "another state than logged": (cell("flaky", "state", "disabled"), "than its log says"),
    "an older entry": (
        both(cell("flaky", "entry", 1), cell("flaky", "state", "active")),
        "than its log says",
    ),
    "an entry of another test": (
        both(cell("flaky", "entry", 2), cell("flaky", "state", "active")),
        "than its log says",
    ),
    "a log ahead of the runs": (cell("state_log", "last_run", 77), "a run that is not there"),
    "an outcome that does not exist": (cell("nonpass", "attempts", "fx"), "an outcome"),
    "a failure that passed": (cell("nonpass", "attempts", "p"), "an outcome"),
    "a failure without an attempt": (cell("nonpass", "attempts", ""), "an outcome"),
    "another repository's failure": (cell("nonpass", "test", 1, 2), "of another repository"),
    "a failure left out": (without("nonpass"), "counts other failures"),
    "more tests than ran": (cell("runs", "n_total", 5, 0), "counts other tests"),
    "a year beyond calendars": (cell("runs", "at", 1e15), "a time in runs"),
    "a change beyond calendars": (cell("state_log", "at", -1e15), "a time in state_log"),
    "an end beyond calendars": (cell("state_log", "until", 1e15), "a time in state_log"),
    "a look beyond calendars": (cell("meta", "value", "nan"), "a time in meta"),
    "a look that is no time": (cell("meta", "value", "soon"), "a time in meta"),
    "another word in meta": (cell("meta", "name", "x"), "`meta` holds"),
    "another schema in meta": (cell("meta", "name", "schema"), "a row of meta is there twice"),
    "a long message": (cell("latest", "message", "x" * 1_001), "a message has more"),
    "a negative duration": (cell("latest", "duration", -1.0), "a duration"),
    "a repository without a name": (cell("repositories", "name", ""), "has no name"),
    "another repository": (cell("repositories", "name", "x/y"), "the id of a test"),
    "the id of another test": (cell("tests", "key", "0" * 24), "the id of a test"),
    "a number for the whole disk": (cell("tests", "number", 2**50), "a test's number"),
    "another set of tests": (bits(zlib.compress(b"\1")), "a set of tests is damaged"),
    "no set of tests": (bits(b"bits"), "a set of tests is damaged"),
    "a set that inflates": (bits(zlib.compress(bytes(99_000_000))), "a set of tests is damaged"),
    "a test that ran and is not there": (cell("tests", "number", 1_000, 0), "a test ran"),
    "a table left out": (no_table, "the table latest is missing"),
    "a table too many": (lambda t: t.update(x=(("a",), [])), "no table 'x'"),
    "columns turned round": (
        lambda t: t.update(latest=(t["latest"][0][::-1], [])),
        "the columns of latest are others",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_flakegate_writes_is_refused(tmp_path: Path, name: str) -> None:
    edit, says = HOSTILE[name]
    tables = parsed(filled(tmp_path / "full"))
    edit(tables)
    with pytest.raises(EvidenceError) as raised:
        imported(written(tables), tmp_path / "new" / "deep")
    assert says in raised.value.message
    assert raised.value.message.startswith("an export: not a whole export of flakegate: ")
    assert raised.value.tip
    assert os.listdir(tmp_path) == ["full"]  # noqa: PTH208 - names are all that is asked


@pytest.mark.parametrize(
    ("schema", "says"),
    [(VERSION + 1, f"a newer version of flakegate (its schema is {VERSION + 1}"), (0, "no such")],
)
def test_a_schema_that_is_not_known_is_refused(tmp_path: Path, schema: int, says: str) -> None:
    tables = parsed(filled(tmp_path / "full"))
    with pytest.raises(EvidenceError, match="not a whole") as raised:
        imported(written(tables, schema=schema), tmp_path / "new")
    assert says in raised.value.message
    assert not (tmp_path / "new").exists()


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    data = gzip.decompress(filled(tmp_path / "full"))
    assert b'"github.com/acme/till"' in data
    broken = data.replace(b'"github.com/acme/till"', b'"\\ud800"')
    with pytest.raises(EvidenceError, match="a row of repositories holds"):
        imported(gzip.compress(broken), tmp_path / "new")


ODD: list[Any] = [
    None, -1, 0, 1, 2, 3, 5, 2**53, 2**63, 2**70, 0.5, 1e300, True, "", "p", "active", "AA==",
    [], {},
]  # fmt: skip


@settings(max_examples=25)
@given(st.data())
def test_any_value_anywhere_is_refused_or_taken_but_breaks_nothing(data: st.DataObject) -> None:
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        tables = parsed(filled(Path(one)))
        name = data.draw(st.sampled_from([name for name, (_, rows) in tables.items() if rows]))
        columns, rows = tables[name]
        row = data.draw(st.integers(0, len(rows) - 1))
        rows[row][data.draw(st.integers(0, len(columns) - 1))] = data.draw(st.sampled_from(ODD))
        try:
            imported(written(tables), Path(other))
        except EvidenceError:
            assert os.listdir(other) == []  # noqa: PTH208 - names are all that is asked
            return
        store = open_store(Path(other))
        answers(store, ["a", "b", "z"])
        store.record([run(70, NOW, a="f", b="p", new="fp")])
        again = exported(Path(other))
        with TemporaryDirectory() as third:
            imported(again, Path(third))
            assert exported(Path(third)) == again
