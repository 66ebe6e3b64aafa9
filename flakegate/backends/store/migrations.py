"""What the schema was at first, and the steps from each version to the next.

Every store is made by these, so that a new one and one that came a long way are the same; a test
holds them against `schema.METADATA`. What stands here is never changed: a file of that version is
out there. A change of the schema adds a step, and raises `schema.VERSION`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from flakegate.backends.store.schema import APPLICATION, VERSION, meta

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Version 1, statement by statement, with nothing but a semicolon at the end of one.
FIRST = """
CREATE TABLE meta (
    name VARCHAR NOT NULL PRIMARY KEY,
    value VARCHAR NOT NULL
);
CREATE TABLE repositories (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR NOT NULL UNIQUE
);
CREATE TABLE tests (
    id INTEGER NOT NULL PRIMARY KEY,
    repository INTEGER NOT NULL REFERENCES repositories (id),
    number INTEGER NOT NULL,
    "key" VARCHAR NOT NULL UNIQUE,
    module VARCHAR NOT NULL,
    suite VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    source_file VARCHAR NOT NULL,
    UNIQUE (repository, number)
);
CREATE TABLE manifests (
    id INTEGER NOT NULL PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    bits BLOB NOT NULL
);
CREATE TABLE runs (
    id INTEGER NOT NULL PRIMARY KEY,
    repository INTEGER NOT NULL REFERENCES repositories (id),
    "key" VARCHAR NOT NULL UNIQUE,
    digest BLOB NOT NULL,
    pipeline VARCHAR NOT NULL,
    leg VARCHAR NOT NULL,
    commit_sha VARCHAR,
    branch VARCHAR,
    pull_request VARCHAR,
    is_default BOOLEAN NOT NULL,
    queued BOOLEAN NOT NULL,
    fork BOOLEAN NOT NULL,
    at FLOAT NOT NULL,
    n_failed INTEGER NOT NULL,
    n_total INTEGER NOT NULL,
    infra BOOLEAN NOT NULL,
    manifest INTEGER NOT NULL REFERENCES manifests (id)
);
CREATE INDEX runs_by_time ON runs (repository, at);
CREATE INDEX runs_by_commit ON runs (commit_sha);
CREATE TABLE nonpass (
    run INTEGER NOT NULL REFERENCES runs (id),
    test INTEGER NOT NULL REFERENCES tests (id),
    attempts VARCHAR NOT NULL,
    PRIMARY KEY (run, test)
) WITHOUT ROWID;
CREATE INDEX nonpass_by_test ON nonpass (test, run);
CREATE TABLE latest (
    test INTEGER NOT NULL PRIMARY KEY REFERENCES tests (id),
    at FLOAT NOT NULL,
    branch VARCHAR,
    duration FLOAT,
    message TEXT
);
CREATE TABLE state_log (
    id INTEGER NOT NULL PRIMARY KEY,
    test INTEGER NOT NULL REFERENCES tests (id),
    from_state VARCHAR,
    to_state VARCHAR NOT NULL,
    at FLOAT NOT NULL,
    rule VARCHAR,
    actor VARCHAR,
    reason TEXT,
    pipeline VARCHAR,
    last_run INTEGER NOT NULL
);
CREATE INDEX ix_state_log_test ON state_log (test);
CREATE TABLE flaky (
    test INTEGER NOT NULL PRIMARY KEY REFERENCES tests (id),
    state VARCHAR NOT NULL,
    entry INTEGER NOT NULL REFERENCES state_log (id),
    first_flaked_at FLOAT,
    first_flaked_branch VARCHAR
);
CREATE INDEX ix_flaky_state ON flaky (state);
"""

# By the version that they lead to.
STEPS = {
    2: "ALTER TABLE state_log ADD COLUMN until FLOAT",
}


def create(connection: Connection, version: int = VERSION) -> None:
    """Makes the tables of that version in an empty database, and says in `meta` which it is."""
    _run(connection, FIRST)
    said = {"application": APPLICATION, "schema": "1"}
    rows = [{"name": name, "value": value} for name, value in said.items()]
    connection.execute(meta.insert(), rows)
    migrate(connection, version)


def migrate(connection: Connection, version: int = VERSION) -> None:
    """Takes the store of this transaction to that version; nothing where it is there already."""
    named = meta.c.name == "schema"
    found = int(connection.execute(select(meta.c.value).where(named)).scalar_one())
    for step in range(found + 1, version + 1):
        _run(connection, STEPS[step])
        connection.execute(meta.update().where(named).values(value=str(step)))


def _run(connection: Connection, statements: str) -> None:
    for statement in statements.split(";\n"):
        if statement.strip():
            connection.exec_driver_sql(statement)
