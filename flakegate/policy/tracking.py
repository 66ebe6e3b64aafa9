"""`error_tracking` of a rule, and `owners`: what becomes of a test's issue in Error Tracking.

What issues are is loaded only where a policy speaks of them: a green gate reads a policy, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flakegate.policy.document import Mapping, Scalar
from flakegate.policy.literals import did_you_mean
from flakegate.policy.rules import OWNER, Owner, TrackingSettings
from flakegate.policy.scan import clip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flakegate.policy.section import Section

KEYS = ("track", "query", "state", "assign")
_EXAMPLE = "87cb11a0-278c-440a-99fe-701223c80296"


def owners(policy: Section) -> tuple[Owner, ...]:
    """`owners`: which user an owner of code is."""
    node = policy.get("owners")
    if node is None:
        return ()
    from flakegate.error_tracking.issue import uuid

    if not isinstance(node, Mapping):
        policy.section("owners", ('"@org/team"',))  # says what it must be
        return ()
    found: list[Owner] = []
    for name, value in node.entries:
        scalar = policy.single(value, f"owners.{clip(name.text)}")
        user = uuid(scalar.text) if scalar else None
        if scalar and user is None:
            hint = f"an id looks like {_EXAMPLE}; the address of a user's page has it"
            policy.wrong(scalar, f"owners.{clip(name.text)}", "the id of a user", hint)
        elif user and not name.text.strip():
            policy.source.error("an owner without a name", name.start, name.end)
        elif user:
            found.append(Owner(name=name.text.strip(), user=user))
    return tuple(found)


def error_tracking(rule: Section, known: Sequence[Owner]) -> TrackingSettings | None:
    """`error_tracking` of a rule; None where it has none. known: the policy's `owners`."""
    if rule.get("error_tracking") is None:
        return None
    from flakegate.error_tracking.issue import TRACKS, IssueState
    from flakegate.error_tracking.query import flaw

    section = rule.section("error_tracking", KEYS)
    defaults = TrackingSettings()
    scalar = section.scalar("query")
    query = scalar.text.strip() if scalar else defaults.query
    if scalar and (found := flaw(query)):
        message, hint = found
        section.source.error(f"`{section.path('query')}` {message}", scalar.start, scalar.end, hint)
    state = section.choice("state", "", tuple(each.value for each in IssueState))
    return TrackingSettings(
        track=section.choice("track", defaults.track, TRACKS),
        query=query,
        state=state or None,
        assign=_assign(section, known),
    )


def _assign(section: Section, known: Sequence[Owner]) -> str | None:
    """`owner`, or the id of a user; of one who is named in `owners`, that id."""
    scalar = section.scalar("assign")
    if scalar is None:
        return None
    written = scalar.text.strip()
    if written == OWNER:
        if not known:
            _complain(section, scalar, "needs `owners`", 'owners: {"@org/team": USER-ID}')
        return OWNER
    from flakegate.error_tracking.issue import uuid

    named = next((each.user for each in known if each.name == written), None)
    found = named or uuid(written)
    if found is None:
        names = [OWNER, *(each.name for each in known)]
        hint = did_you_mean(written, names) or f"an id looks like {_EXAMPLE}"
        section.wrong(scalar, "assign", "`owner`, a name of `owners`, or the id of a user", hint)
    return found


def _complain(section: Section, scalar: Scalar, what: str, example: str) -> None:
    message = f"`{section.path('assign')}: {OWNER}` {what}: which user is whom?"
    hint = f"add at the top of the policy: {example}"
    section.source.error(message, scalar.start, scalar.end, hint)
