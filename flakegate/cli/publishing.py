"""Publish: what the forge is told. No verdict depends on what comes of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from flakegate.cli.say import note, warn
from flakegate.errors import BackendError, FlakegateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flakegate.cli.call import Call
    from flakegate.forges.access import Forge
    from flakegate.summary import Summary
    from flakegate.transport.client import Transport

FORBIDDEN = 403
_MOVED = "the repository was probably renamed or moved; no token is sent on to another address"
_GIVE_TOKEN = {
    "github": "give it `env: {GITHUB_TOKEN: ${{ github.token }}}`",
    "gitlab": "it takes a project access token: CI_JOB_TOKEN writes neither notes nor statuses",
}
_RIGHTS = {
    "github": {
        "comment": "give the job `permissions: pull-requests: write`",
        "status": "give the job `permissions: checks: write`, or `statuses: write`",
    },
    "gitlab": {
        "comment": "GITLAB_TOKEN needs the scope `api` and the role of a reporter, at least",
        "status": "GITLAB_TOKEN needs the scope `api` and the role of a developer, at least",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """The options that say what the forge is told. None: as the policy says.

    comment: when a comment is written. comment_key: there is one for each. status: the commit gets
    one.
    """

    comment: str | None = None
    comment_key: str | None = None
    status: bool = False


def publish(call: Call, summary: Summary, wanted: Publishing) -> bool:
    """Comments and sets the status; False where that failed, which is said as a warning."""
    if summary.context.provider not in _RIGHTS:
        if wanted.status:
            note("no status was set: only GitHub and GitLab have one")
        return True
    from flakegate.forges.access import forge_of
    from flakegate.forges.pulls import asks

    mode = wanted.comment or call.policy.summary.comment
    context = summary.context
    comments = mode != "never" and (context.pull_request is not None or asks(context))
    if not comments and not wanted.status:
        return True
    forge = forge_of(call.env, context)
    if forge is None:
        _tokenless(summary, comments=comments and _is_due(summary, mode), wanted=wanted)
        return True
    from flakegate.cli.forge import to_forge

    try:
        transport = to_forge(call, forge)
    except FlakegateError as error:
        return _told(summary, forge, "comment", error)
    key = wanted.comment_key or call.policy.summary.key
    done = True
    try:
        if comments:
            act = partial(_comment, transport, forge, summary, mode, key)
            done = _tried(summary, forge, "comment", act)
        if wanted.status:
            act = partial(_status, transport, forge, summary, key)
            done &= _tried(summary, forge, "status", act)
    finally:
        transport.close()
    return done


def annotate(call: Call, summary: Summary) -> None:
    """Shows each failure beside its line, where a runner of GitHub reads standard error."""
    if call.env.get("GITHUB_ACTIONS") != "true":
        return
    from flakegate.publish.annotations import commands

    for command in commands(summary):
        print(command, file=sys.stderr)


def set_outputs(call: Call, summary: Summary, plan: str, summary_file: str | None) -> bool:
    """Sets the step's outputs, or the job's, where there are any; False where that failed."""
    path, dotenv = (call.env.get(name) for name in ("GITHUB_OUTPUT", "FLAKEGATE_DOTENV"))
    if not path and not dotenv:
        return True
    import secrets

    from flakegate.publish.outputs import outputs, write, write_dotenv

    given = outputs(summary, plan, summary_file)
    troubles = [
        path and write(given, path, lambda: f"flakegate-{secrets.token_hex(16)}"),
        dotenv and write_dotenv(given, dotenv),
    ]
    for trouble in filter(None, troubles):
        warn(trouble)
    return not any(troubles)


def _comment(
    transport: Transport, forge: Forge, summary: Summary, mode: str, key: str | None
) -> None:
    from flakegate.cli.telling import template
    from flakegate.forges.pulls import pull_of
    from flakegate.publish.comment import put
    from flakegate.publish.forges import FORGES
    from flakegate.publish.sticky import stamp
    from flakegate.render import markdown

    if forge.number is None:
        number = pull_of(forge, summary.context, partial(transport.send, "GET"))
        if number is None:
            return
        forge = replace(forge, number=number)
        summary = replace(summary, context=replace(summary.context, pull_request=number))
    put(
        FORGES[forge.kind].thread(transport, forge),
        stamp(summary.context, key, blocks=_fails(summary)),
        markdown(summary, template),
        create=_is_due(summary, mode),
    )


def _status(transport: Transport, forge: Forge, summary: Summary, key: str | None) -> None:
    from flakegate.cli.telling import template
    from flakegate.publish.forges import FORGES
    from flakegate.publish.status import status_of
    from flakegate.render import markdown

    status = status_of(summary, key, markdown(summary, template))
    if status is None:
        note("no status was set: there is no verdict, or no commit that it is about")
        return
    FORGES[forge.kind].set_status(transport, forge, status)


def _fails(summary: Summary) -> bool:
    """Whether somebody has to do something."""
    if summary.verdict is None:
        return summary.exit_code != 0
    return summary.verdict.verdict != "pass"


def _is_due(summary: Summary, mode: str) -> bool:
    """Whether a comment is written where there is none yet."""
    return mode == "always" or _fails(summary) or (mode == "changes" and bool(summary.changes))


def _tokenless(summary: Summary, *, comments: bool, wanted: Publishing) -> None:
    """Says that nobody will read it there, if somebody should. That is no failure."""
    provider = summary.context.provider
    missing = [
        *(["comment"] if comments and summary.context.pull_request else []),
        *(["status"] if wanted.status else []),
    ]
    if missing:
        variable, tip = f"{provider.upper()}_TOKEN", _GIVE_TOKEN[provider]
        note(f"no {' and no '.join(missing)}: {variable} is not set for this step ({tip})")


def _tried(summary: Summary, forge: Forge, what: str, act: Callable[[], None]) -> bool:
    try:
        act()
    except FlakegateError as error:
        return _told(summary, forge, what, error)
    return True


def _told(summary: Summary, forge: Forge, what: str, error: FlakegateError) -> bool:
    """What a failure means: a fork's token only reads, and that is as it should be."""
    refused = isinstance(error, BackendError) and error.status == FORBIDDEN
    if refused and summary.context.fork:
        place = "the job summary" if forge.kind == "github" else "the log of this job"
        note(f"no {what}: the token of a fork's change only reads; {place} has all of it")
        return True
    tip = _remedy(forge, what, error)
    warn(f"the {what} could not be written: {error.message}" + (f" ({tip})" if tip else ""))
    return False


def _remedy(forge: Forge, what: str, error: FlakegateError) -> str | None:
    """What to do next, where the forge's answer tells more than that of any service."""
    status = error.status if isinstance(error, BackendError) else None
    if status is None:
        return error.tip
    if status in {301, 302, 303, 307, 308}:
        return _MOVED
    known = {
        401: f"{forge.kind.upper()}_TOKEN is wrong, or has expired",
        FORBIDDEN: _RIGHTS[forge.kind][what],
        404: f"the token does not see the repository, or what the {what} belongs to is gone",
    }
    return known.get(status, error.tip)
