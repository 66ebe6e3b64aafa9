"""The journal: an append-only record of what was intended and of what came of it.

One JSON object a line in `.flakegate/journal.jsonl`. An intent is on disk before its request
leaves; one without a result is a batch that was interrupted: its outcome is not known.
"""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal

import msgspec

from flakegate.attribution import Made
from flakegate.errors import BackendError
from flakegate.model import State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from flakegate.model import Transition, UpdateResult

VERSION = 1
TAKES_OUT = frozenset({State.QUARANTINED, State.DISABLED})


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One intended change. rule: None for a person's own, whose name is `actor`."""

    test: str
    fqn: str
    from_state: State = msgspec.field(name="from")
    to_state: State = msgspec.field(name="to")
    rule: str | None
    reason: str
    actor: str | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of one change."""

    test: str
    outcome: Literal["done", "failed", "unknown"]
    error: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line: an intent with its changes, or the result of the intent of the same batch."""

    version: int
    time: datetime
    event: Literal["intent", "result"]
    run: str
    backend: str
    repository: str
    batch: str
    changes: tuple[Change, ...] = ()
    results: tuple[Outcome, ...] = ()


_EVENT = msgspec.json.Decoder(Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """The journal of one call of flakegate.

    run: the key of the CI run. backend, repository: what the changes are made in. clock: seconds
    since the epoch. token: names a batch, different at every call. All methods raise BackendError
    with the path where the file cannot be used.
    """

    path: Path
    run: str
    backend: str
    repository: str
    clock: Callable[[], float]
    token: Callable[[], str] = lambda: secrets.token_hex(8)

    def intent(self, changes: Sequence[Transition]) -> str:
        """Records what is about to be sent: on disk when this returns the batch's name."""
        batch = self.token()
        intended = tuple(
            Change(
                test=change.test_id,
                fqn=change.fqn,
                from_state=change.from_state,
                to_state=change.to_state,
                rule=change.rule,
                reason=change.reason,
                actor=change.actor,
            )
            for change in changes
        )
        self._append("intent", batch, changes=intended)
        return batch

    def result(self, batch: str, results: Sequence[UpdateResult]) -> None:
        """Records what came of the batch, test by test."""
        outcomes = tuple(
            Outcome(test=result.test_id, outcome=_word(result.ok), error=result.error)
            for result in results
        )
        self._append("result", batch, results=outcomes)

    def recent(self, since: float) -> int:
        """How often rules moved a test into quarantined or disabled since then (epoch seconds).

        Counted for this backend and repository, by the time of the intent. What people did is
        theirs, as in `Backend.recent_changes`. A move whose outcome
        is not known counts as made: a limit must not be passed because a job was killed.
        """
        moves: dict[str, set[str]] = {}
        for event in self.events():
            if (event.backend, event.repository) != (self.backend, self.repository):
                continue
            if event.event == "result":
                failed = {each.test for each in event.results if each.outcome == "failed"}
                moves.get(event.batch, set()).difference_update(failed)
            elif event.time.timestamp() >= since:
                moves[event.batch] = {
                    change.test
                    for change in event.changes
                    if change.rule is not None and change.to_state in TAKES_OUT
                }
        return sum(len(tests) for tests in moves.values())

    def made(self, tests: Collection[str]) -> list[Made]:
        """The changes of these tests (ids) that were made, or may have been, oldest first.

        Of this backend and repository, by the time of the intent.
        """
        wanted = frozenset(tests)
        found: dict[tuple[str, str], Made] = {}
        for event in self.events():
            if (event.backend, event.repository) != (self.backend, self.repository):
                continue
            for each in event.results:
                if each.outcome == "failed":
                    found.pop((event.batch, each.test), None)
            for change in event.changes:
                if change.test in wanted:
                    found[event.batch, change.test] = Made(
                        test_id=change.test,
                        to_state=change.to_state,
                        at=event.time.timestamp(),
                        rule=change.rule,
                        actor=change.actor,
                        reason=change.reason,
                    )
        return list(found.values())

    def events(self) -> Iterator[Event]:
        """Every whole line, oldest first; none where there is no file."""
        try:
            with self.path.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    if (event := _decode(line, f"{self.path}:{number}")) is not None:
                        yield event
        except FileNotFoundError:
            return
        except OSError as error:
            raise BackendError(
                f"the journal {self.path} cannot be read: {error.strerror}",
                tip="it says what was changed within the last day, and so what may change now",
            ) from None

    def _append(
        self,
        kind: Literal["intent", "result"],
        batch: str,
        *,
        changes: tuple[Change, ...] = (),
        results: tuple[Outcome, ...] = (),
    ) -> None:
        event = Event(
            version=VERSION,
            time=datetime.fromtimestamp(self.clock(), timezone.utc),
            event=kind,
            run=self.run,
            backend=self.backend,
            repository=self.repository,
            batch=batch,
            changes=changes,
            results=results,
        )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _append_line(self.path, msgspec.json.encode(event))
        except OSError as error:
            raise BackendError(
                f"the journal {self.path} cannot be written: {error.strerror}",
                tip="nothing is changed without a record: free some space, or make it writable",
            ) from None


def _word(ok: bool | None) -> Literal["done", "failed", "unknown"]:
    if ok is None:
        return "unknown"
    return "done" if ok else "failed"


def _decode(line: bytes, where: str) -> Event | None:
    """The event of a line; None for a line that a crash or a full disk tore off.

    The beginning of an object is never an object itself, so a torn line cannot be misread: and a
    torn intent was not sent, a torn result leaves its intent open.
    """
    try:
        event = _EVENT.decode(line)
        problem = f"version {event.version}"
    except msgspec.ValidationError as error:
        event, problem = None, str(error)
    except msgspec.DecodeError:
        return None
    if event is not None and event.version == VERSION:
        return event
    raise BackendError(
        f"{where}: this is not a line of a version {VERSION} journal: {problem}",
        tip="if a newer flakegate wrote it, update this one; else move the file away, which"
        " forgets what was changed within the last day",
    )


def _append_line(path: Path, line: bytes) -> None:
    """Adds one line, whole, at the end, and waits until it is on disk.

    Written under a lock, so that several processes do not mix their lines; after a torn line it
    begins on a new one.
    """
    new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        _lock(descriptor)
        end = os.lseek(descriptor, 0, os.SEEK_END)
        if end:
            os.lseek(descriptor, end - 1, os.SEEK_SET)
            if os.read(descriptor, 1) != b"\n":
                line = b"\n" + line
        line += b"\n"
        while line:
            line = line[os.write(descriptor, line) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if new and sys.platform != "win32":
        _sync_folder(path.parent)


def _lock(descriptor: int) -> None:
    """Waits for the other writers; closing the file lets the next one in."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _sync_folder(folder: Path) -> None:
    """A new file survives a crash only once its folder is on disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
