"""The journal: an append-only record of what was intended and of what came of it.

One JSON object a line in `.flakegate/journal.jsonl`. An intent is on disk before its request
leaves; one without a result is a batch that was interrupted: its outcome is not known.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal

import msgspec

from flakegate.attribution import Made
from flakegate.entries import (
    VERSION,
    Change,
    Entry,
    Event,
    IssueChange,
    Outcome,
    PastCall,
    Word,
    entries,
    open_entries,
    past_calls,
)
from flakegate.errors import BackendError
from flakegate.model import State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from flakegate.error_tracking.steps import Step
    from flakegate.model import Transition, UpdateResult

TAKES_OUT = frozenset({State.QUARANTINED, State.DISABLED})
LONGEST_WAIT = 600.0  # seconds for another flakegate to finish; every request of it has an end
LONGEST_LINE = 64 * 1024 * 1024  # bytes
_POLL = 0.05
_YEAR_10000 = 253_402_300_800.0  # seconds since the epoch: there calendars end

_EVENT = msgspec.json.Decoder(Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why an issue is changed: a rule (then test is that whose state it changed), or a person."""

    rule: str | None
    reason: str
    actor: str | None = None
    test: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """The journal of one call of flakegate.

    run: the key of the CI run. backend, repository: what the changes are made in. clock: seconds
    since the epoch. token: names a batch, differently every time; what stands before a `-` in it
    names the call. All methods raise BackendError with the path where the file cannot be used.
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
                until=_moment(change.until),
            )
            for change in changes
        )
        self._append("intent", batch, changes=intended)
        return batch

    def issue_intent(self, step: Step, cause: Cause) -> str:
        """Likewise of one change of an issue, which is a batch of its own."""
        batch = self.token()
        change = IssueChange(
            issue=step.issue_id,
            what=step.what,
            before=step.before,
            after=step.after,
            rule=cause.rule,
            reason=cause.reason,
            actor=cause.actor,
            test=cause.test,
        )
        self._append("intent", batch, issues=(change,))
        return batch

    def result(self, batch: str, results: Sequence[UpdateResult]) -> None:
        """Records what came of the batch, test by test (of an issue's change: by its id)."""
        outcomes = tuple(
            Outcome(test=result.test_id, outcome=_word(result), error=result.error)
            for result in results
        )
        self._append("result", batch, results=outcomes)

    def settle(self, batch: str, outcomes: Sequence[Outcome]) -> None:
        """Records what came of changes of an earlier call, whose batch this was."""
        self._append("result", batch, results=tuple(outcomes))

    def recent(self, since: float) -> int:
        """How often rules moved a test into quarantined or disabled since then (epoch seconds).

        By the time of the intent. What people did is theirs, as in `Backend.recent_changes`. A move
        whose outcome is not known counts as made: a limit must not be passed because a job was
        killed. One from the future counts, too: nobody knows how long ago it was.
        """
        moves = entries(
            self._here(),
            lambda event, change: (
                event.time.timestamp() >= since
                and change.rule is not None
                and change.to_state in TAKES_OUT
            ),
        )
        return sum(entry.made is not False for entry in moves)

    def ahead(self, of: float) -> int:
        """How many changes are recorded as of later than that (epoch seconds)."""
        return sum(len(event.changes) for event in self._here() if event.time.timestamp() > of)

    def made(self, tests: Collection[str]) -> list[Made]:
        """The changes of these tests (ids) that were made, or may have been, oldest first.

        By the time of the intent.
        """
        wanted = frozenset(tests)
        return [
            Made(
                test_id=entry.change.test,
                from_state=entry.change.from_state,
                to_state=entry.change.to_state,
                at=entry.at,
                rule=entry.change.rule,
                actor=entry.change.actor,
                reason=entry.change.reason,
                until=entry.change.until.timestamp() if entry.change.until else None,
            )
            for entry in entries(self._here(), lambda _, change: change.test in wanted)
            if entry.made is not False
        ]

    def dated(self) -> frozenset[str]:
        """The tests (ids) of which a person ever chose the state for a time."""
        return frozenset(
            change.test
            for event in self._here()
            for change in event.changes
            if change.until is not None
        )

    def open(self) -> list[Entry]:
        """The changes of which nobody knows yet what came of them.

        Where this process is `alone`, they are of calls that were killed or did not get an answer.
        """
        return open_entries(self._here())

    def past(self) -> list[PastCall]:
        """The calls that changed something, or may have, oldest first."""
        return past_calls(entries(self._here(), lambda _event, _change: True))

    def _here(self) -> Iterator[Event]:
        """The events of this backend and repository."""
        for event in self.events():
            if (event.backend, event.repository) == (self.backend, self.repository):
                yield event

    @contextmanager
    def alone(
        self,
        waiting: Callable[[], None] = lambda: None,
        *,
        patience: float = LONGEST_WAIT,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[None]:
        """Of the processes that use this journal, one at a time is in here.

        However a process ends, its place is free then: an intent without a result that is found in
        here is of a call that is no more. waiting: is called once if another is in here. patience:
        how long to wait for it, in seconds.
        """
        path = self.path.with_name(f"{self.path.name}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _unwritable(path, error) from None
        try:
            waited = 0.0
            while not _try_lock(descriptor, path):
                if not waited:
                    waiting()
                if waited >= patience:
                    raise BackendError(
                        f"another flakegate has been changing states for {patience:.0f} seconds"
                        f" (it holds {path})",
                        tip="see whether it hangs, end it, and try again",
                    )
                sleep(_POLL)
                waited += _POLL
            yield
        finally:
            os.close(descriptor)

    def events(self) -> Iterator[Event]:
        """Every whole line, oldest first; none where there is no file."""
        try:
            with open(self.path, "rb", opener=_at_once) as lines:
                _must_be_a_file(lines.fileno())
                # Longer lines are nobody's: read in parts, they are passed over as torn.
                whole = iter(lambda: lines.readline(LONGEST_LINE), b"")
                for number, line in enumerate(whole, start=1):
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
        issues: tuple[IssueChange, ...] = (),
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
            issues=issues,
            results=results,
        )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _append_line(self.path, msgspec.json.encode(event))
        except OSError as error:
            raise _unwritable(self.path, error) from None


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, timezone.utc)


def _word(result: UpdateResult) -> Word:
    if result.ok is None:
        return "unknown"
    if result.already:
        return "already"
    return "done" if result.ok else "failed"


def _unwritable(path: Path, error: OSError) -> BackendError:
    return BackendError(
        f"the journal {path} cannot be written: {error.strerror}",
        tip="nothing is changed without a record: free some space, or make it writable",
    )


def _decode(line: bytes, where: str) -> Event | None:
    """The event of a line; None for a line that a crash or a full disk tore off.

    The beginning of an object is never an object itself, so a torn line cannot be misread: and a
    torn intent was not sent, a torn result leaves its intent open.
    """
    try:
        event = _EVENT.decode(line)
        problem = f"version {event.version}" if event.version != VERSION else _impossible(event)
    except (msgspec.ValidationError, RecursionError) as error:
        event, problem = None, str(error)
    except msgspec.DecodeError:
        return None
    if event is not None and not problem:
        return event
    raise BackendError(
        f"{where}: this is not a line of a version {VERSION} journal: {problem}",
        tip="if a newer flakegate wrote it, update this one; else move the file away, which"
        " forgets what was changed within the last day",
    )


def _impossible(event: Event) -> str:
    """What is wrong with the times of an event; "" if nothing is."""
    times = (event.time, *(change.until for change in event.changes if change.until))
    possible = all(0 < each.timestamp() < _YEAR_10000 for each in times)
    return "" if possible else "a time that nothing was done at"


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


def _at_once(path: str, flags: int) -> int:
    """Opens without waiting for somebody to write, as a named pipe would."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _must_be_a_file(descriptor: int) -> None:
    """Raises OSError: a device or a pipe may never end, and a repository can bring links to one."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(None, "it is not a file")


def _try_lock(descriptor: int, path: Path) -> bool:
    """Whether nobody else has this file locked. Where there is no such lock: always."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _unwritable(path, error) from None
    return True


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
