"""What the GitHub action and the GitLab component start: `python -m flakegate.cli.hosted`."""

from __future__ import annotations

import json
import os
import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flakegate.backends.registry import choose
from flakegate.cli.call import Where, begin
from flakegate.cli.main import run
from flakegate.cli.say import complain
from flakegate.errors import ExitCode, FlakegateError
from flakegate.hosted import FOLDER, SHARD, Inputs, artifact_name, call, inputs, leg
from flakegate.publish.outputs import LONGEST, write

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

NOTHING_TO_RECORD = {ExitCode.USAGE, ExitCode.INCOMPLETE, ExitCode.BUG, ExitCode.INTERRUPTED}


def main() -> int:
    """Makes the calls that the inputs describe; returns the exit code of the step."""
    env = os.environ
    try:
        code = _carried_out(inputs(env), env)
    except FlakegateError as error:
        complain(error.message, tip=error.tip)
        code = error.exit_code
    _output(env, "exit-code", str(int(code)))
    if path := env.get("FLAKEGATE_DOTENV"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"FLAKEGATE_EXIT_CODE={int(code)}\n")
    return int(code)


def _carried_out(given: Inputs, env: MutableMapping[str, str]) -> int:
    folder = Path(given.folder or FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    if shard := leg(given.shard):
        env["FLAKEGATE_SHARD"] = shard
    if given.tells:
        given = replace(given, summary=given.summary or str(folder / "summary.md"))
        _output(env, "summary-file", given.summary)
    if given.mode == "collect":
        return _collect(given)
    if given.mode == "plan":
        return _plan(given, folder / "plan.json", env)
    carried = _is_carried(given, env)
    if given.mode == "record" and carried:
        return _leave_shard(given, folder, env)
    # This copy of the history ends with the job: the one that collects changes the states.
    kept = ("--no-apply",) if given.mode == "run" and carried and not given.apply else ()
    code = run(call(given, *kept))
    if given.mode == "run" and given.paths and carried and code not in NOTHING_TO_RECORD:
        _leave_shard(given, folder, env)
    return code


def _plan(given: Inputs, plan: Path, env: Mapping[str, str]) -> int:
    """The plan is a file, for `apply`, and an output, in one line."""
    code = run(call(given, "--out", str(plan)))
    if plan.exists():
        text = json.dumps(json.loads(plan.read_bytes()))
        if len(text) <= LONGEST:
            _output(env, "plan", text)
    return code


def _collect(given: Inputs) -> int:
    """Folds in what other jobs left, then does what the policy says."""
    collected = run(call(given, "--artifacts"))
    if collected not in {ExitCode.PASSED, ExitCode.INCOMPLETE}:
        return collected
    has_policy = begin(given.policy or None, Where()).has_policy
    return (run(call(given, of="run")) if has_policy else ExitCode.PASSED) or collected


def _is_carried(given: Inputs, env: Mapping[str, str]) -> bool:
    """Whether the history goes from job to job by shards: no store was named, nor is it Datadog's.

    A policy that cannot be read is told of by the call itself.
    """
    if given.store or env.get("FLAKEGATE_STORE"):
        return False
    try:
        policy = begin(given.policy or None, Where()).policy
        return choose(given.backend or policy.backend.kind, env) == "store"
    except FlakegateError:
        return False


def _leave_shard(given: Inputs, folder: Path, env: Mapping[str, str]) -> int:
    """Writes the shard, and says under which name it is to be kept."""
    shard = folder / SHARD
    shard.unlink(missing_ok=True)  # of an earlier step, which has kept it
    code = run(call(given, "--shard-out", str(shard), of="record"))
    if shard.exists():
        context = begin(given.policy or None, Where()).context()
        name = artifact_name(context.run_id, context.attempt, context.leg)
        _output(env, "shard", str(shard))
        _output(env, "artifact", name)
    return code


def _output(env: Mapping[str, str], name: str, value: str) -> None:
    """Sets an output of the step on GitHub."""
    if path := env.get("GITHUB_OUTPUT"):
        write({name: value}, path, lambda: f"end-{secrets.token_hex(16)}")


if __name__ == "__main__":
    sys.exit(main())
