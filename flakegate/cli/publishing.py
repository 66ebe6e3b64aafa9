"""Publish: what the forge is told. No verdict depends on what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flakegate.cli.say import note, warn
from flakegate.errors import BackendError, FlakegateError

if TYPE_CHECKING:
    from flakegate.cli.call import Call
    from flakegate.forges.access import Forge
    from flakegate.summary import Summary

FORBIDDEN = 403
_RIGHTS = {
    "github": "give the job `permissions: pull-requests: write`",
    "gitlab": "GITLAB_TOKEN needs the scope `api` and the role of a reporter, at least",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """The options that say what the forge is told. None: as the policy says.

    comment: when a comment is written. comment_key: there is one for each.
    """

    comment: str | None = None
    comment_key: str | None = None


def publish(call: Call, summary: Summary, wanted: Publishing) -> bool:
    """Comments where that is due; False where it failed, which is said as a warning."""
    mode = wanted.comment or call.policy.summary.comment
    if summary.context.pull_request is None or mode == "never":
        return True
    from flakegate.forges.access import forge_of

    forge = forge_of(call.env, summary.context)
    if forge is None:
        _tokenless(summary, mode)
        return True
    try:
        _comment(call, summary, forge, mode, wanted.comment_key or call.policy.summary.key)
    except FlakegateError as error:
        return _told(summary, forge, error)
    return True


def _comment(call: Call, summary: Summary, forge: Forge, mode: str, key: str | None) -> None:
    from flakegate.cli.forge import to_forge
    from flakegate.cli.telling import template
    from flakegate.publish.comment import put
    from flakegate.publish.registry import thread
    from flakegate.publish.sticky import stamp
    from flakegate.render import markdown

    transport = to_forge(call, forge)
    try:
        put(
            thread(forge, transport),
            stamp(summary.context, key, blocks=_fails(summary)),
            markdown(summary, template),
            create=_is_due(summary, mode),
        )
    finally:
        transport.close()


def _fails(summary: Summary) -> bool:
    """Whether somebody has to do something."""
    if summary.verdict is None:
        return summary.exit_code != 0
    return summary.verdict.verdict != "pass"


def _is_due(summary: Summary, mode: str) -> bool:
    """Whether a comment is written where there is none yet."""
    return mode == "always" or _fails(summary) or (mode == "changes" and bool(summary.changes))


def _tokenless(summary: Summary, mode: str) -> None:
    """Says once that nobody will read it there, if somebody should."""
    provider = summary.context.provider
    if provider in _RIGHTS and _is_due(summary, mode):
        variable = f"{provider.upper()}_TOKEN"
        more = " (CI_JOB_TOKEN cannot write notes)" if provider == "gitlab" else ""
        note(f"no comment was written: {variable} is not set for this step{more}")


def _told(summary: Summary, forge: Forge, error: FlakegateError) -> bool:
    """What a failure means: a fork's token only reads, and that is as it should be."""
    refused = isinstance(error, BackendError) and error.status == FORBIDDEN
    if refused and summary.context.fork:
        note("no comment was written: the token of a fork's change only reads; see the job summary")
        return True
    tip = _RIGHTS[forge.kind] if refused else error.tip
    warn(f"the comment was not written: {error.message}" + (f" ({tip})" if tip else ""))
    return False
