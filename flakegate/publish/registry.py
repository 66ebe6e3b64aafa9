"""Where summaries are published: one line for each place."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flakegate.publish import job_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Publisher(NamedTuple):
    """A place that takes Markdown.

    applies: whether the environment has this place. publish: gives what went wrong, in words, or
    None; it never raises for what is the place's fault, since a verdict does not depend on it.
    """

    applies: Callable[[Mapping[str, str]], bool]
    publish: Callable[[str, Mapping[str, str]], str | None]


PUBLISHERS = (Publisher(job_summary.has_step_summary, job_summary.step_summary),)


def publish(markdown: Callable[[], str], env: Mapping[str, str]) -> tuple[str, ...]:
    """Publishes wherever the environment offers it; gives what went wrong, one text for each.

    markdown: is called only if there is such a place, since rendering takes time.
    """
    places = [publisher for publisher in PUBLISHERS if publisher.applies(env)]
    if not places:
        return ()
    text = markdown()
    answers = (publisher.publish(text, env) for publisher in places)
    return tuple(answer for answer in answers if answer)
