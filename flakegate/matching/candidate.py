"""A case in a backend's words, and whether that is this flaky test: exactly, or not said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from flakegate.model import FlakyTest


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """Where a report's tests ran.

    base_dir: where their runner was started, relative to the repository root ("" = root).
    roots: absolute folders, each of which may be the repository root on the machine of the tests.
    """

    base_dir: str = ""
    roots: tuple[str, ...] = ()


def verbatim(name: str) -> str:
    """The name as it is."""
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A test, as the tracers name it, that a case can be.

    module, suite: None where the report does not tell them, so that any will do. name: as
    `spelled` writes it. base_dir, path: its file is one that matches `path`, a regular expression,
    below base_dir. spelled: how the reporter writes a test's name; where that loses something,
    names that differ are spelled the same. between: what stands between titles in the report where
    the tracer writes a space: in a test whose own name holds it, titles cannot be told apart.
    doubt: why a test with these names need not be the case, in words; None if it is.
    """

    module: str | None
    suite: str | None
    name: str
    base_dir: str
    path: str
    spelled: Callable[[str], str] = verbatim
    between: str | None = None
    doubt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All that a case can be. refusal: why nothing can be said of it, in words, with a remedy."""

    candidates: tuple[Candidate, ...] = ()
    refusal: str | None = None


def compare(candidate: Candidate, test: FlakyTest) -> bool | str:
    """True: it is this test. False: it is not. Words: why it cannot be told, with a remedy."""
    named = (
        candidate.module in (None, test.module)
        and candidate.suite in (None, test.suite)
        and candidate.name == candidate.spelled(test.name)
    )
    if not named:
        return False
    file, base = test.source_file, candidate.base_dir
    if not file:
        return f"the file of {test.fqn} is not known, so that it may be another of the same name"
    below = file if not base else file[len(base) + 1 :] if file.startswith(base + "/") else None
    if below is not None and re.fullmatch(candidate.path, below):
        if candidate.between is not None and candidate.between in test.name:
            return f"a title in {test.name!r} holds {candidate.between!r}, as do joined titles"
        return candidate.doubt or True
    if not base and (deeper := re.fullmatch(f"(.+)/(?:{candidate.path})", file)):
        folder = deeper[1]
        return (
            f"{file} has a flaky test of its name; if that is the one, say where its runner was"
            f" started: --base-dir {folder}, or reports[].base_dir in the policy"
        )
    return False
