"""Which forges are told of a verdict: one line for each. Loaded only where there is one to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flakegate.publish import github, gitlab

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flakegate.forges.access import Forge
    from flakegate.publish.comment import Thread
    from flakegate.publish.status import Status
    from flakegate.transport.client import Transport


class Told(NamedTuple):
    """A forge. thread: the comments of this job's pull or merge request. set_status: its check."""

    thread: Callable[[Transport, Forge], Thread]
    set_status: Callable[[Transport, Forge, Status], None]


FORGES: Mapping[str, Told] = {
    "github": Told(github.PullRequest, github.set_status),
    "gitlab": Told(gitlab.MergeRequest, gitlab.set_status),
}
