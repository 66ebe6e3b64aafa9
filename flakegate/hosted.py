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
FOLDER = "flakegate"  # where a job of the component leaves what it leaves
SHARD = "shard.json.gz"
_PLAIN = re.compile(r"[^A-Za-z0-9_.]+")
_LONGEST = 60  # characters of a part of a name; the forges' own limits are far above
_OPTIONS = (
    "test_outcome", "test_exit_code", "policy", "backend", "store", "base_dir", "comment",
    "comment_key", "summary",
)  # fmt: skip
_APPLY = {"": (), "true": ("--apply",), "false": ("--no-apply",)}
_WHERE = {"policy", "store", "args"}
_JUDGING = {
    *_WHERE, "backend", "reports", "test_outcome", "test_exit_code", "base_dir", "comment",
    "comment_key", "summary",
}  # fmt: skip
_TAKEN = {  # which inputs each mode has a use for
    "run": {*_JUDGING, "apply"},
    "gate": _JUDGING,
    "plan": {*_WHERE, "backend", "summary"},
    "record": {*_WHERE, "reports", "base_dir"},
    "collect": {*_WHERE, "apply", "summary"},
}
_AFTERWARDS = {"collect": {"summary"}}  # what is for the `run` that follows in the same mode
_NEED_REPORTS = frozenset({"gate", "record"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What the action or the component was given; "" where nothing was.

    reports: one report a line. shard: see `leg`. folder: for what the call leaves behind. args:
    further arguments, in the words of a shell.
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
    comment: str = ""
    comment_key: str = ""
    summary: str = ""
    folder: str = ""
    args: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """The reports one by one."""
        return tuple(line.strip() for line in self.reports.splitlines() if line.strip())

    @property
    def tells(self) -> bool:
        """Whether this mode has a summary."""
        return "summary" in _TAKEN[self.mode]


def inputs(env: Mapping[str, str]) -> Inputs:
    """The inputs, checked. Raises UsageError for what no mode, or this one, can do."""
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


def call(given: Inputs, *more: str, of: str | None = None) -> tuple[str, ...]:
    """The arguments of one call of flakegate. more: further options.

    of: another command than the mode's, with those of the inputs that it takes. Raises UsageError
    for `args` that no shell would read.
    """
    command = of or given.mode
    taken = _TAKEN[command] - _AFTERWARDS.get(command, set())
    options = [
        part
        for name in _OPTIONS
        if name in taken and (value := getattr(given, name))
        for part in ("--" + name.replace("_", "-"), value)
    ]
    apply = _APPLY[given.apply] if command == "run" else ()
    further = _words(given.args) if command == given.mode else ()
    paths = ("--", *given.paths) if "reports" in taken and given.paths else ()
    return (command, *options, *apply, *more, *further, *paths)


def _words(args: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(args))
    except ValueError as error:
        raise UsageError(
            f"the input args cannot be read: {error}", tip="close every quote, as in a shell"
        ) from None


def leg(shard: str) -> str:
    """What tells this part of a job apart from the others; "" where there is nothing to tell.

    shard: a name, or the values of a matrix as JSON, which give the same name in every run.
    """
    try:
        values = json.loads(shard or "null")
    except (ValueError, RecursionError):
        return shard
    if values is None or values == {}:
        return ""
    texts = [
        each if isinstance(each, str) else json.dumps(each, sort_keys=True)
        for _, each in (sorted(values.items()) if isinstance(values, dict) else [("", values)])
    ]
    plain = not any("," in text for text in texts)
    return ",".join(texts) if plain else json.dumps(values, sort_keys=True)


def artifact_name(run_id: str, attempt: str, leg: str) -> str:
    """What the artifact of one job's shard is called; distinct jobs never share a name.

    leg: the job and its shard, as in CIContext.
    """
    job, _, shard = leg.rpartition(":")
    parts = (run_id, attempt, job, shard) if shard else (run_id, attempt, job)
    return "-".join(["flakegate", *map(_plain, parts)])


def _plain(text: str) -> str:
    """A part of a name, of characters that every forge and file system takes.

    Where something had to be left out, a digest of all of it is put in its place.
    """
    plain = _PLAIN.sub("_", text)[:_LONGEST]
    if plain == text:
        return plain
    return f"{plain}.{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"
