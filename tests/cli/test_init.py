"""`flakegate init` on skeletons of repositories: adding a case is adding a folder.

tests/cases/init/<case>/: `repository/` the files, `remote` where git pushes to (without it the
folder is no repository); beside them what is expected: `gate.yml`, which is the policy but for the
part that is the same for all, `snippet.txt` and `notes.txt`.
To write these anew: python -c 'import tests.cli.test_init as t; t.write_expected()'.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from flakegate.backends.registry import fields_of
from flakegate.cli.telling import template
from flakegate.policy.load import load
from flakegate.policy.review import warnings
from flakegate.starter import UNKNOWN, Facts, forge, policy, runners, snippet
from tests.cli.reports import write

if TYPE_CHECKING:
    from tests.conftest import Caller

CASES = Path(__file__).parents[1] / "cases" / "init"
NAMES = sorted(path.name for path in CASES.iterdir())
COMMON = template("flakegate.yml") or ""
NOW = 1_790_000_000.0


def copied(case: str, folder: Path) -> Path:
    """The case's repository, as a folder that commands can run in."""
    repository = folder / case
    shutil.copytree(CASES / case / "repository", repository)
    remote = CASES / case / "remote"
    if remote.exists():
        address = remote.read_text().strip()
        subprocess.run(["git", "init", "-q"], cwd=repository, check=True)  # noqa: S607 - git's name
        adding = ["git", "remote", "add", "origin", address]
        subprocess.run(adding, cwd=repository, check=True)
    return repository


def shown(repository: Path) -> tuple[str, str, str]:
    """What `init` writes, prints and says."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        [sys.executable, "-m", "flakegate", "init"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
        env={**env, "GIT_CEILING_DIRECTORIES": str(repository.parent)},
    )
    text = (repository / "flakegate.yml").read_text()
    assert text.startswith(COMMON)
    return text.removeprefix(COMMON), done.stdout, done.stderr


def expected(case: str) -> tuple[Path, Path, Path]:
    return CASES / case / "gate.yml", CASES / case / "snippet.txt", CASES / case / "notes.txt"


def write_expected() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for case in NAMES:
            texts = shown(copied(case, Path(folder)))
            for path, text in zip(expected(case), texts, strict=True):
                path.write_text(text)


@pytest.mark.parametrize("case", NAMES)
def test_what_is_made_of_a_repository(tmp_path: Path, case: str) -> None:
    texts = shown(copied(case, tmp_path))
    assert texts == tuple(path.read_text() for path in expected(case))


@pytest.mark.parametrize("case", NAMES)
def test_every_policy_is_valid_without_a_warning(case: str) -> None:
    text = COMMON + expected(case)[0].read_text()
    loaded = load(text.encode(), "flakegate.yml")
    assert loaded.problems == ()
    assert loaded.policy is not None
    assert list(warnings(loaded.policy, now=NOW, fields=fields_of("store"))) == []
    # Datadog counts no runs, and the policy says so itself.
    of_datadog = warnings(loaded.policy, now=NOW, fields=fields_of("datadog"))
    assert [each.message for each in of_datadog if "bare rate" not in each.message] == []


def test_every_snippet_is_valid_for_its_forge(tmp_path: Path) -> None:
    workflows = []
    for case in NAMES:
        text = expected(case)[1].read_text()
        if "In .github/workflows/" in text:
            workflow = {
                "name": "ci",
                "on": ["push", "pull_request"],
                "jobs": {"unit": {"runs-on": "ubuntu-latest", "steps": yaml.safe_load(text)}},
            }
            (tmp_path / f"github-{case}.yml").write_text(yaml.safe_dump(workflow))
            workflows.append(case)
        elif "In .gitlab-ci.yml" in text:
            (tmp_path / f"gitlab-{case}.yml").write_text(text)
            workflows.append(case)
    assert len(workflows) >= 12
    gitlab = ("--data-transform", "gitlab-ci")
    for name, more in (("github-workflows", ()), ("gitlab-ci", gitlab)):
        files = sorted(tmp_path.glob(f"{name[:6]}-*.yml"))
        command = ["check_jsonschema", "--builtin-schema", f"vendor.{name}", *more]
        done = subprocess.run(
            [sys.executable, "-m", *command, *map(str, files)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("place", ["github", "gitlab", None])
def test_every_runner_can_be_had_with_every_forge(place: str | None) -> None:
    package = '{"devDependencies": {"jest": "1", "vitest": "1", "mocha": "1"}}'
    names = ("pytest.ini", "go.mod", "pom.xml", "build.gradle")
    found = runners(Facts(found={**dict.fromkeys(names, ""), "package.json": package}))
    assert [each.name for each in found] == [
        "pytest", "go", "maven", "gradle", "vitest", "jest", "mocha"
    ]  # fmt: skip
    for runner in (*found, UNKNOWN):
        text = snippet(place, runner, template)
        assert runner.command in text
        assert f" {runner.reports}\n" in text
        assert "<<" not in text
        assert "<%" not in text
        if place:
            assert yaml.safe_load(text)
        assert load(policy(COMMON, runner).encode(), "p").problems == ()


@pytest.mark.parametrize(
    ("remote", "found", "place"),
    [
        ("git@github.com:acme/shop.git", {".gitlab-ci.yml"}, "github"),
        ("https://gitlab.acme.com/github/shop", {".github"}, "gitlab"),
        ("https://bitbucket.org/acme/github", (), None),
        ("https://bitbucket.org/acme/shop", {".github"}, "github"),
        (None, {".gitlab-ci.yml", ".github"}, "gitlab"),
        (None, (), None),
    ],
)
def test_forge(remote: str | None, found: set[str], place: str | None) -> None:
    assert forge(Facts(remote=remote, found=dict.fromkeys(found, ""))) == place


@pytest.mark.parametrize(
    ("name", "text", "command", "expect"),
    [
        ("pytest.ini", "addopts = --junit-xml out/a.xml", "pytest", "out/a.xml"),
        ("setup.cfg", "[tool:pytest]\naddopts = --junitxml=/tmp/a.xml", "pytest --junitxml=", None),
        ("tox.ini", "[pytest]\naddopts = --junitxml=../a.xml", "pytest --junitxml=", None),
        ("package.json", '{"scripts": {"test": "vitest --run"}}', "npx vitest run", None),
        ("package.json", '{"scripts": ["jest"]}', None, None),
        ("package.json", '["jest"]', None, None),
        (
            "package.json",
            '{"dependencies": {"jest": "1"}, "jest-junit": {"outputDirectory": "a/../../b"}}',
            "npx jest",
            None,
        ),
        ("requirements.txt", "pytest-cov-of-something", "pytest --junitxml=", None),
        ("pyproject.toml", "dependencies = ['xpytest']", None, None),
    ],
)
def test_how_a_runner_is_called(
    name: str, text: str, command: str | None, expect: str | None
) -> None:
    found = runners(Facts(found={name: text}))
    assert [each.command[: len(command or "")] for each in found] == ([command] if command else [])
    assert [each.expect for each in found] == ([(expect or "reports/unit.xml",)] if command else [])


def test_print_writes_nothing_and_init_overwrites_nothing(flakegate: Caller, folder: Path) -> None:
    write(folder, "pytest.ini", "[pytest]\n")
    printed = flakegate("init", "--print")
    assert printed.code == 0
    assert not (folder / "flakegate.yml").exists()
    assert "rules:" in printed.out
    written = flakegate("init")
    assert printed.out == (folder / "flakegate.yml").read_text() + "\n" + written.out
    for name in ("flakegate.yml", ".github/flakegate.yml"):
        (folder / "flakegate.yml").unlink(missing_ok=True)
        write(folder, name, "mine")
        again = flakegate("init")
        assert again.code == 2
        assert again.out == ""
        assert f"{name} is there already" in again.err
        assert (folder / name).read_text() == "mine"
        assert flakegate("init", "--print").out.startswith("# The policy of flakegate")


@pytest.mark.parametrize(("test", "code"), [("assert True", 0), ("assert False", 1)])
@pytest.mark.parametrize("place", ["gitlab", None])
def test_the_lines_of_the_snippet_hand_over_how_the_tests_ended(
    flakegate: Caller, folder: Path, place: str | None, test: str, code: int
) -> None:
    """The real lines in a real shell; only `pip` is not the real one."""
    write(folder, "pytest.ini", "[pytest]\naddopts = -p no:cacheprovider\n")
    write(folder, "test_it.py", f"def test_it(): {test}\n")
    assert flakegate("init").code == 0
    (runner,) = runners(Facts(found={"pytest.ini": ""}))
    text = snippet(place, runner, template)
    script = "\n".join(yaml.safe_load(text)["tests"]["script"]) if place else text
    for name, line in (
        ("pip", 'test "$*" = "install flakegate"'),
        ("pytest", f'exec {sys.executable} -m pytest "$@"'),
        ("flakegate", f'echo "$@" >> calls; exec {sys.executable} -m flakegate "$@"'),
    ):
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)
    done = subprocess.run(
        ["sh", "-e", "-c", script],  # noqa: S607 - the shell's name
        cwd=folder,
        env={**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if place:  # the component's job is told by a dotenv report
        assert done.returncode == 0, done.stdout + done.stderr
        assert (folder / "tests.env").read_text() == f"TEST_EXIT_CODE={code}\n"
        return
    assert done.returncode == code, done.stdout + done.stderr
    assert (folder / "calls").read_text() == f"run --test-exit-code {code} reports\n"
