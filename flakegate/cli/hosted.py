"""What the GitHub action and the GitLab component start: `python -m flakegate.cli.hosted`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flakegate.cli.main import run
from flakegate.cli.say import complain
from flakegate.errors import FlakegateError
from flakegate.hosted import call, inputs, leg

if TYPE_CHECKING:
    from collections.abc import Mapping


def main() -> int:
    """Makes the call that the inputs describe; returns its exit code."""
    try:
        given = inputs(os.environ)
        shard = given.shard or os.environ.get("FLAKEGATE_SHARD") or leg(given.matrix)
        if shard:
            os.environ["FLAKEGATE_SHARD"] = shard
        arguments = call(given)
    except FlakegateError as error:
        complain(error.message, tip=error.tip)
        return _told(error.exit_code)
    return _told(run(arguments))


def _told(code: int) -> int:
    _output(os.environ, "exit-code", str(code))
    return code


def _output(env: Mapping[str, str], name: str, value: str) -> None:
    """Sets an output of the step, on GitHub. value: one line."""
    if path := env.get("GITHUB_OUTPUT"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{name}={value}\n")


if __name__ == "__main__":
    sys.exit(main())
