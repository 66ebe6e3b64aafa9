"""What a job may do, by where it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flakegate.ci.context import CIContext

_BRANCH_EVENTS = frozenset({"push", "schedule", "workflow_dispatch", "web"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Whether states may be changed; because: why, or why not, in words without a period."""

    allowed: bool
    because: str


def may_apply(setting: str, context: CIContext, override: bool | None) -> Permission:
    """Whether `run` may change states here.

    setting: the policy's `apply`: "always", "never" or "default_branch".
    override: True for --apply, False for --no-apply, None for neither.
    """
    here, default = context.branch, context.default_branch
    decisions: tuple[tuple[bool, bool, str], ...] = (  # the first that applies decides
        (override is False, False, "--no-apply"),
        (context.fork, False, "the change comes from a fork, or may come from one"),
        (override is True, True, "--apply"),
        (setting == "never", False, "the policy says apply: never"),
        (context.of_change, False, "this is the run of a pull or merge request"),
        (context.event == "workflow_run", False, "a workflow_run may follow any change"),
        (setting == "always", True, "the policy says apply: always"),
        (context.event is None, False, "no CI says what started this run; --apply allows it"),
        (
            context.event not in _BRANCH_EVENTS,
            False,
            f"{context.event} is not a push, a schedule or a manual run",
        ),
        (here is None or default is None, False, "not known to be the default branch"),
        (here != default, False, f"{here} is not the default branch"),
        (True, True, f"{here} is the default branch"),
    )
    return next(
        Permission(allowed=allowed, because=because)
        for applies, allowed, because in decisions
        if applies
    )
