"""What a request that is refused is answered with."""

from __future__ import annotations

import msgspec

from flakegate.wire.flaky_tests import Strict

MEDIA_TYPE = "application/vnd.api+json"


class Problem(Strict, frozen=True, kw_only=True):
    """status: the answer's, as text. title: its name. detail: what is wrong, in words."""

    status: str
    title: str
    detail: str


class Errors(Strict, frozen=True, kw_only=True):
    """The body of every answer from 400 on."""

    errors: tuple[Problem, ...]


def encode(status: int, title: str, detail: str) -> bytes:
    """The body of such an answer."""
    problem = Problem(status=str(status), title=title, detail=detail)
    return msgspec.json.encode(Errors(errors=(problem,)))
