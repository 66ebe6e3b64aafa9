"""What it takes to put back what a call changed, and what is better left as it is. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.attribution import moved
from flakegate.errors import UsageError
from flakegate.escape import terminal
from flakegate.model import Transition, last_day
from flakegate.policy.holds import day
from flakegate.policy.limits import OUT_OF_GATE
from flakegate.policy.plan import CHANGED, Skip
from flakegate.wording import count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flakegate.entries import Change, Entry, PastCall
    from flakegate.model import FlakyTest, StateCause

LAST = "last"
MOST = 10
_SAME = 1.0  # seconds: the backend's log and the journal round one clock differently


def choose(text: str, calls: Sequence[PastCall]) -> PastCall:
    """The call that `text` names: LAST, the beginning of its name, or a part of its run's key.

    calls: oldest first. Raises UsageError where there is none, or several, which it lists.
    """
    if text == LAST and calls:
        return calls[-1]
    wanted = text.strip()
    found = [each for each in calls if wanted and each.name.startswith(wanted)]
    found = found or [each for each in calls if wanted and wanted in each.run]
    if len(found) == 1:
        return found[0]
    if found:
        rows = [
            # From a file: one with a line break in it must not look like two.
            terminal(f"  {each.name}  {day(each.at)}  {each.run}")
            for each in reversed(found[-MOST:])
        ]
        more = [f"  … and {len(found) - MOST:,} older ones"] if len(found) > MOST else []
        message = "\n".join([f"{len(found):,} calls match {text!r}", *rows, *more])
        raise UsageError(message, tip="name one by the beginning of its line")
    if not calls:
        raise UsageError(
            "the journal knows of no changes here: there is nothing to undo",
            tip="restore .flakegate/journal.jsonl of the job that made them, or use `set`",
        )
    raise UsageError(
        f"no call that changed something matches {text!r}",
        tip="`flakegate undo` lists the latest; a part of a run's key will do, and so does `last`",
    )


def put_back(  # noqa: PLR0913 - the facts that it rests on, each named by the caller
    past: PastCall,
    calls: Sequence[PastCall],
    tests: Mapping[str, FlakyTest],
    *,
    now: float,
    actor: str,
    reason: str,
) -> tuple[tuple[Transition, ...], tuple[Skip, ...]]:
    """The changes that undo those of `past`, by test id, and the tests that are left alone.

    What a person chose for a time comes back with its end; an excuse whose time is over does not.
    calls: all that the journal holds, oldest first, `past` among them. tests: of the call as they
    are now, by id, with the causes of their states as far as anybody knows them. now: seconds since
    the epoch. actor: the person who asks for it.
    """
    place = calls.index(past)
    before = {each.change.test: each.change for call in calls[:place] for each in call.entries}
    since = {each.change.test: each for call in calls[place + 1 :] for each in call.entries}
    back: list[Transition] = []
    skipped: list[Skip] = []
    for entry in sorted(past.entries, key=lambda entry: entry.change.test):
        change = entry.change
        until = _until(change, before.get(change.test), now)
        why = _changed_since(entry, since.get(change.test), tests.get(change.test))
        why = why or _over(change, until, now)
        if why:
            skipped.append(
                Skip(
                    test_id=change.test,
                    fqn=change.fqn,
                    reason=CHANGED,
                    detail=why,
                    rule=change.rule,
                )
            )
            continue
        back.append(
            Transition(
                test_id=change.test,
                fqn=change.fqn,
                from_state=change.to_state,
                to_state=change.from_state,
                rule=None,
                reason=reason,
                actor=actor,
                until=until,
            )
        )
    return tuple(back), tuple(skipped)


def _until(change: Change, before: Change | None, now: float) -> float | None:
    """When the state that the change left is over; None if it has no end, as far as is known."""
    if before is None or before.until is None or before.to_state is not change.from_state:
        return None
    until = before.until.timestamp()
    return until if now < until or change.from_state in OUT_OF_GATE else None


def _over(change: Change, until: float | None, now: float) -> str | None:
    """Why the state that the change left does not come back; None: it would still hold."""
    if until is None or now < until:
        return None
    return f"it was {change.from_state} until {last_day(until)}, which is over"


def _changed_since(entry: Entry, later: Entry | None, test: FlakyTest | None) -> str | None:
    """Why the change is not undone; None: it is as the call left it."""
    change = entry.change
    if test is None:
        return "it is not listed any more"
    if test.state is not change.to_state:
        return moved(change.to_state, test.state, test.cause)
    if later is not None:
        return _since(later.change.rule, later.change.actor, later.at)
    cause = test.cause
    if cause is None or _is_of(cause, entry):
        return None
    return _since(cause.rule, cause.actor, cause.at)


def _is_of(cause: StateCause, entry: Entry) -> bool:
    """Whether it is this entry's change that the test has its state from."""
    change = entry.change
    same = (cause.rule, cause.actor) == (change.rule, change.actor)
    return same and abs(cause.at - entry.at) <= _SAME


def _since(rule: str | None, actor: str | None, at: float) -> str:
    by = f"rule {rule}" if rule else actor or "somebody"
    return f"{by} changed it since, on {day(at)}"


def in_a_line(past: PastCall) -> str:
    """`3 changes by noisy, 1 change by dana`."""
    return ", ".join(f"{count(many, 'change')} by {by or 'somebody'}" for by, many in past.by)
