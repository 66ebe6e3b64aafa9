"""What this job's change touches: asked once, and only where an excuse depends on it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from flakegate.change import Change, barred, place_of
from flakegate.errors import FlakegateError
from flakegate.excuse import EXCUSED, excuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flakegate.ci.context import CIContext
    from flakegate.cli.call import Call
    from flakegate.junit import Report
    from flakegate.model import FlakyTest
    from flakegate.results import Result

_TOKENS = {
    "github": "give this step GITHUB_TOKEN (with `pull-requests: read`), or ",
    "gitlab": "give this job GITLAB_TOKEN (with `read_api`), or ",
}
_HISTORY = {
    "github": "check out with `fetch-depth: 0`",
    "gitlab": "set `GIT_DEPTH: 0`",
}
_NO_NUMBER = "set FLAKEGATE_PULL_REQUEST to the number of its pull request"


def keep_from_excuse(
    call: Call,
    context: CIContext,
    *,
    reports: Sequence[Report],
    known: Mapping[Result, FlakyTest],
    exempt: Mapping[str, str],
    warn: Callable[[str], None],
) -> dict[Result, tuple[str, str]]:
    """Of the failing tests that would be excused, those that this change keeps from it, and why."""
    excused = {
        result: test
        for result, test in known.items()
        if not result.ambiguous
        and excuse(test, exempt.get(test.id), call.policy.gate, call.now)[0] == EXCUSED
    }
    change = change_of(call, context, list(excused.values()), warn)
    if change is None:
        return {}
    by_path = {report.path: report for report in reports}
    found = {
        result: barred(
            test, place_of(test, result.case, by_path[result.report]), change, call.policy.gate
        )
        for result, test in excused.items()
    }
    return {result: bar for result, bar in found.items() if bar is not None}


def change_of(
    call: Call, context: CIContext, tests: Sequence[FlakyTest], warn: Callable[[str], None]
) -> Change | None:
    """This job's change, as far as excuses of these tests depend on it; None if they do not."""
    gate = call.policy.gate
    named = gate.blocks_attempted_fixes and any(test.attempt_to_fix_id for test in tests)
    if not context.has_change or not tests or not (gate.blocks_changed or named):
        return None
    found = _of_forge(call, context, files=gate.blocks_changed, messages=named, warn=warn)
    if None not in (found.files, found.messages):
        return found
    from flakegate.git import change

    # What GitLab says of its commit says nothing of another one that was checked out instead.
    told = context.commit is not None and context.commit == call.env.get("CI_COMMIT_SHA")
    seen = change(
        call.folder,
        target=context.target_branch or context.default_branch,
        base=call.env.get("CI_MERGE_REQUEST_DIFF_BASE_SHA") if told else None,
    )
    return Change(
        files=seen.files if found.files is None else found.files,
        messages=seen.messages if found.messages is None else found.messages,
        why=f"{seen.why}; {_remedy(context)}" if seen.why else "",
    )


def _of_forge(
    call: Call,
    context: CIContext,
    *,
    files: bool,
    messages: bool,
    warn: Callable[[str], None],
) -> Change:
    """What the forge tells; None in place of what it does not. What nobody asks for is empty."""
    from flakegate.cli.forge import to_forge
    from flakegate.forges import change
    from flakegate.forges.access import forge_of

    unread = Change(files=None if files else frozenset(), messages=None if messages else ())
    found = forge_of(call.env, context)
    if found is None or found.number is None:
        return unread
    try:
        transport = to_forge(call, found)
        with_token = partial(transport.send, "GET")
        return replace(
            unread,
            files=change.files(found, with_token) if files else frozenset(),
            messages=change.messages(found, with_token) if messages else (),
        )
    except FlakegateError as error:
        tip = f" ({error.tip})" if error.tip else ""
        warn(f"git is asked what this change touches, because {error.message}{tip}")
        return unread


def _remedy(context: CIContext) -> str:
    """What makes the change readable here."""
    if context.pull_request is None and context.fork:
        return _NO_NUMBER
    token = _TOKENS.get(context.provider, "") if context.pull_request else ""
    return token + _HISTORY.get(context.provider, "check out all history of the change's branch")
