"""The inputs of the GitHub action and the GitLab component, made into calls of flakegate.

Both hand their inputs over as environment variables, FLAKEGATE_INPUT_MODE and so on, so that no
shell ever reads what they say.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from flakegate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "FLAKEGATE_INPUT_"
_PLAIN = re.compile(r"[^A-Za-z0-9_.]+")
_LONGEST = 60  # characters of a part of a name; the forge's own limits are far above
_APPLY = {"": (), "true": ("--apply",), "false": ("--no-apply",)}
_OPTIONS = {  # which inputs a mode takes, and the options that they become
    "test_outcome": "--test-outcome",
    "test_exit_code": "--test-exit-code",
    "policy": "--policy",
    "backend": "--backend",
    "store": "--store",
    "base_dir": "--base-dir",
    "summary": "--summary",
}
_JUDGING = frozenset({"test_outcome", "test_exit_code", "base_dir", "reports", "summary"})
_TAKEN = {
    "run": _JUDGING | {"policy", "backend", "store", "apply"},
    "gate": _JUDGING | {"policy", "backend", "store"},
    "plan": frozenset({"policy", "backend", "store", "summary"}),
    "record": frozenset({"reports", "base_dir", "policy", "store"}),
    "collect": frozenset({"reports", "policy", "store", "apply", "summary"}),
}
_NEED_REPORTS = frozenset({"gate", "record"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What the action or the component was given; "" where nothing was.

    reports: one report a line; for `collect`, one folder of shards a line. matrix: GitHub's values
    of this leg, as JSON. args: further arguments, in the words of a shell.
    """

    mode: str = "run"
    reports: str = ""
    test_outcome: str = ""
    test_exit_code: str = ""
    policy: str = ""
    backend: str = ""
    store: str = ""
    apply: str = ""
    base_dir: str = ""
    shard: str = ""
    matrix: str = ""
    summary: str = ""
    args: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """The reports, or folders, one by one."""
        return tuple(line.strip() for line in self.reports.splitlines() if line.strip())


def inputs(env: Mapping[str, str]) -> Inputs:
    """The inputs, checked. Raises UsageError for what no mode or this mode cannot do."""
    given = {each.name: env.get(PREFIX + each.name.upper(), "").strip() for each in fields(Inputs)}
    found = Inputs(**{**given, "mode": given["mode"] or "run"})
    if found.mode not in _TAKEN:
        raise UsageError(
            f"the input mode is {found.mode!a}", tip=f"it is one of {', '.join(_TAKEN)}"
        )
    if found.apply not in _APPLY:
        raise UsageError(
            f"the input apply is {found.apply!a}",
            tip="it is true or false; left out, the policy's `apply` decides",
        )
    useless = [
        name.replace("_", "-")
        for name in (*_OPTIONS, "reports", "apply")
        if given[name] and name not in _TAKEN[found.mode]
    ]
    if useless:
        raise UsageError(
            f"mode {found.mode} has no use for the input {' and '.join(useless)}",
            tip="leave it out, or choose another mode",
        )
    if found.mode in _NEED_REPORTS and not found.paths:
        raise UsageError(
            f"mode {found.mode} needs the input reports",
            tip="name the JUnit files that the tests wrote: files, folders or globs, one a line",
        )
    return found


def call(given: Inputs, *more: str) -> tuple[str, ...]:
    """The arguments of flakegate. more: further options. Raises UsageError for `args`."""
    try:
        further = shlex.split(given.args)
    except ValueError as error:
        raise UsageError(
            f"the input args cannot be read: {error}", tip="close every quote, as in a shell"
        ) from None
    options = [
        part
        for name, option in _OPTIONS.items()
        if (value := getattr(given, name)) and name in _TAKEN[given.mode]
        for part in (option, value)
    ]
    return (given.mode, *options, *_APPLY[given.apply], *more, *further, "--", *given.paths)


def leg(matrix: str) -> str:
    """What tells this leg of a matrix apart, from its values as JSON; "" where there is no matrix.

    The same values give the same text in every run.
    """
    try:
        values = json.loads(matrix or "null")
    except (ValueError, RecursionError):
        values = matrix
    return _text(values) if values else ""


def _text(values: object) -> str:
    if isinstance(values, dict) and all(isinstance(each, (str, int)) for each in values.values()):
        return "-".join(str(each) for each in values.values())
    return json.dumps(values, sort_keys=True)


def artifact_name(run_id: str, attempt: str, job: str, shard: str) -> str:
    """What the artifact of one job's shard is called; distinct jobs never share a name."""
    return "-".join(["flakegate", *(_plain(part) for part in (run_id, attempt, job, shard))])


def _plain(text: str) -> str:
    """A part of a name, of characters that every forge and file system takes.

    Where something had to be left out, a digest of all of it is put in its place.
    """
    plain = _PLAIN.sub("_", text)[:_LONGEST]
    if plain == text:
        return plain
    return f"{plain}.{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"
