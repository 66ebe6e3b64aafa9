"""The tables. Only what is not a plain pass has a row; which tests ran is a bitmap runs share.

Measured on 1,000,000 results (1,000 runs of 1,000 tests): 0.6 MB, where a row for each result takes
33 MB. It matters because the file travels through a CI cache on every job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row
    from typing_extensions import Unpack

    AnyRow = Row[Unpack[tuple[Any, ...]]]

APPLICATION = "flakegate"
VERSION = 2  # what changes here needs a step in `migrations`

METADATA = MetaData()

# What tells this file from any other, and one of a newer flakegate from one of ours.
meta = Table(
    "meta",
    METADATA,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)

repositories = Table(
    "repositories",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
)

# `number` counts from 0 in each repository without gaps: it is the test's place in the bitmaps.
tests = Table(
    "tests",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("repository", ForeignKey("repositories.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("key", String, nullable=False, unique=True),
    Column("module", String, nullable=False),
    Column("suite", String, nullable=False),
    Column("name", String, nullable=False),
    Column("source_file", String, nullable=False),
    UniqueConstraint("repository", "number"),
)

# One row for each distinct set of tests that ran; most runs run the same.
manifests = Table(
    "manifests",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("bits", LargeBinary, nullable=False),
)

# n_total: tests that ran, without skips. infra: an outage, left out of everything.
runs = Table(
    "runs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("repository", ForeignKey("repositories.id"), nullable=False),
    Column("key", String, nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False),
    Column("pipeline", String, nullable=False),
    Column("leg", String, nullable=False),
    Column("commit_sha", String),
    Column("branch", String),
    Column("pull_request", String),
    Column("is_default", Boolean, nullable=False),
    Column("queued", Boolean, nullable=False),
    Column("fork", Boolean, nullable=False),
    Column("at", Float, nullable=False),
    Column("n_failed", Integer, nullable=False),
    Column("n_total", Integer, nullable=False),
    Column("infra", Boolean, nullable=False),
    Column("manifest", ForeignKey("manifests.id"), nullable=False),
    Index("runs_by_time", "repository", "at"),
    Index("runs_by_commit", "commit_sha"),
)

# A test with an attempt that failed, in one run. attempts: a letter for each, as in a shard.
nonpass = Table(
    "nonpass",
    METADATA,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("test", ForeignKey("tests.id"), primary_key=True),
    Column("attempts", String, nullable=False),
    Index("nonpass_by_test", "test", "run"),
    sqlite_with_rowid=False,
)

# The latest failure of each test outside of outages: only of that are words and duration kept.
latest = Table(
    "latest",
    METADATA,
    Column("test", ForeignKey("tests.id"), primary_key=True),
    Column("at", Float, nullable=False),
    Column("branch", String),
    Column("duration", Float),
    Column("message", Text),
)

# Append-only, but for what detection found and runs that came late took back. last_run: the newest
# row of `runs` when this was written; pipeline: the CI run that wrote it. Both together tell if a
# run could have caused its own excuse. until: when what a person chose is over, in seconds since
# the epoch; none if it was not for a time.
state_log = Table(
    "state_log",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("test", ForeignKey("tests.id"), nullable=False, index=True),
    Column("from_state", String),
    Column("to_state", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("rule", String),
    Column("actor", String),
    Column("reason", Text),
    Column("pipeline", String),
    Column("last_run", Integer, nullable=False),
    Column("until", Float),
)

# Once here, a test stays. entry: the line of the log that gave it its state.
flaky = Table(
    "flaky",
    METADATA,
    Column("test", ForeignKey("tests.id"), primary_key=True),
    Column("state", String, nullable=False, index=True),
    Column("entry", ForeignKey("state_log.id"), nullable=False),
    Column("first_flaked_at", Float),
    Column("first_flaked_branch", String),
)


def new_row(connection: Connection, table: Table, values: Mapping[str, object]) -> int:
    """Inserts one row; its id."""
    key = connection.execute(table.insert(), values).inserted_primary_key
    assert key is not None  # noqa: S101 - an INSERT of one row always gives its key
    return int(key[0])
