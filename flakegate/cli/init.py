"""`flakegate init`: a policy file to start from, and the steps for the CI."""

from __future__ import annotations

import os
from pathlib import Path

import click

from flakegate.cli.call import POLICY_FILES
from flakegate.cli.say import note
from flakegate.cli.telling import template
from flakegate.errors import ExitCode, UsageError
from flakegate.starter import (
    GRADLE_FILES,
    LOOKED_FOR,
    READ,
    UNKNOWN,
    Facts,
    forge,
    policy,
    runners,
    snippet,
)

MOST_READ = 1 << 20  # bytes of a file
MOST_FOLDERS = 20_000
JAVA = (".java", ".kt", ".groovy", ".scala")
NOT_ENTERED = frozenset({"node_modules", "target", "build", "out"})


@click.command("init", short_help="Write a policy file to start from.")
@click.option("--print", "only_print", is_flag=True, help="Show both, and write nothing.")
def command(*, only_print: bool) -> int:
    """Write a commented flakegate.yml into this folder, and print the steps for the CI.

    What is in the folder says which test runner and which forge they are made for. Overwrites
    nothing; --print shows both all the same.
    """
    folder = Path.cwd()
    facts = _facts(folder)
    found = runners(facts)
    runner = found[0] if found else UNKNOWN
    where = forge(facts)
    text = policy(template("flakegate.yml") or "", runner)
    steps = snippet(where, runner, template)
    if only_print:
        click.echo(text)
    else:
        path = _write(folder, text)
        note(f"wrote {path}: read it, then `flakegate check` and `flakegate plan`")
    if found:
        note(f"it is made for {runner.name}, and the steps below for {_FORGE_NAMES[where]}")
    else:
        note("no test runner was recognised: put your own command in the place of ./run-tests")
    for other in found[1:]:
        note(f"{other.name} is here too: give it a job and reports of its own")
    note("let git ignore .flakegate/, the history of the tests")
    click.echo(steps, nl=False)
    return ExitCode.PASSED


_FORGE_NAMES = {"github": "GitHub Actions", "gitlab": "GitLab CI", None: "any CI"}


def _write(folder: Path, text: str) -> str:
    """The name of the new policy file. Raises UsageError where one is there already."""
    for name in POLICY_FILES:
        if os.path.lexists(folder / name):
            raise UsageError(
                f"{name} is there already",
                tip=f"`flakegate check {name}` reads it; `flakegate init --print` shows a new one",
            )
    name = POLICY_FILES[0]
    try:
        with (folder / name).open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(
            f"cannot write {name}: {error.strerror}",
            tip="check the folder's permissions, or let --print show it instead",
        ) from None
    return name


def _facts(folder: Path) -> Facts:
    from flakegate.git import facts

    names = [name for name in LOOKED_FOR if (folder / name).exists()]
    return Facts(
        remote=facts(folder).remote,
        found={name: _text(folder / name) if name in READ else "" for name in names},
        java=_java(folder) if {*names} & {"pom.xml", *GRADLE_FILES} else (),
    )


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MOST_READ).decode("utf-8", errors="replace")
    except OSError:
        return ""


def _java(folder: Path) -> tuple[str, ...]:
    """Folders with Java tests, or those of its relatives, in src/test."""
    found = set()
    for seen, (place, folders, files) in enumerate(os.walk(folder)):
        if seen == MOST_FOLDERS:
            break
        folders[:] = [
            name for name in folders if not name.startswith(".") and name not in NOT_ENTERED
        ]
        inside = f"/{os.path.relpath(place, folder)}/".replace(os.sep, "/")
        module, is_test, _ = inside.rpartition("/src/test/")
        if is_test and any(name.endswith(JAVA) for name in files):
            found.add(module.strip("/"))
    return tuple(sorted(found))
