"""The files that forges read: valid, linted, and without a script that an input could change."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from flakegate.hosted import PREFIX, Inputs
from tests.forges.act import ROOT, program

if TYPE_CHECKING:
    from pathlib import Path

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
COMPONENT = ROOT / "templates/flakegate.yml"
SPEC, JOBS = yaml.safe_load_all(COMPONENT.read_text())
WORKFLOWS = sorted((ROOT / "examples/github").glob("*.yml"))
ONLY_GITHUB, ONLY_GITLAB = {"token"}, {"test-exit-code"}
OF_THE_JOB = {
    "job", "stage", "image", "needs", "junit", "collect", "package", "python",
}  # fmt: skip
"""What an include says of its job, and nothing of flakegate."""


def checked(schema: str, *files: Path, more: tuple[str, ...] = ()) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *more]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_they_are_valid_by_their_schemas(tmp_path: Path) -> None:
    checked("vendor.github-actions", ROOT / "action.yml")
    checked("vendor.github-workflows", *WORKFLOWS)
    gitlab = ("--data-transform", "gitlab-ci")
    checked("vendor.gitlab-ci", ROOT / "examples/gitlab/.gitlab-ci.yml", more=gitlab)
    plain = tmp_path / "component.yml"  # as it is once the inputs are filled in
    filled = COMPONENT.read_text().partition("\n---\n")[2]
    plain.write_text(
        filled.replace("$[[ inputs.needs ]]", "[]").replace("$[[ inputs.job ]]", "gate")
    )
    checked("vendor.gitlab-ci", plain, more=gitlab)


@pytest.mark.parametrize("linter", ["actionlint", "zizmor"])
def test_the_linters_find_nothing(linter: str) -> None:
    more = (
        [] if linter == "actionlint" else ["--offline", "--no-progress", str(ROOT / "action.yml")]
    )
    done = subprocess.run(
        [program(linter), *more, *map(str, WORKFLOWS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_script_of_the_action_holds_an_expression() -> None:
    for step in STEPS:
        assert "${{" not in step.get("run", "")
        assert step.get("shell", "bash") == "bash"


def test_no_script_of_the_component_holds_an_input() -> None:
    for job in JOBS.values():
        for key in ("script", "before_script"):
            assert "$[[" not in "\n".join(job.get(key, []))


def test_every_input_reaches_flakegate_and_is_one_that_it_knows() -> None:
    known = {name.replace("_", "-") for name in Inputs.__dataclass_fields__} - {"folder"}
    given = {name: value for step in STEPS for name, value in step.get("env", {}).items()}
    handed = {
        name.removeprefix(PREFIX).lower().replace("_", "-"): str(value)
        for name, value in given.items()
        if name.startswith(PREFIX) and not name.endswith("_FOLDER")
    }
    assert set(ACTION["inputs"]) == known - ONLY_GITLAB | ONLY_GITHUB
    assert set(handed) == known - ONLY_GITLAB
    assert all(value == f"${{{{ inputs.{name} }}}}" for name, value in handed.items())
    variables = {name: value for job in JOBS.values() for name, value in job["variables"].items()}
    inputs = set(SPEC["spec"]["inputs"])
    assert inputs - OF_THE_JOB == known - {"test-outcome"}
    for name in inputs - OF_THE_JOB:
        variable = PREFIX + name.upper().replace("-", "_")
        assert variable in variables, name


def test_actions_of_others_are_pinned() -> None:
    for step in STEPS:
        if "uses" in step:
            assert re.search(r"@[0-9a-f]{40}$", step["uses"]), step["uses"]
            assert step["continue-on-error"] is True


def test_every_dependency_is_installed_by_the_action() -> None:
    """prepare.sh reads them out of pyproject.toml by its lines."""
    script = (ROOT / "action/prepare.sh").read_text()
    found = re.search(r"^requirements\(\) \{\n(.*?)^\}", script, re.MULTILINE | re.DOTALL)
    assert found
    done = subprocess.run(
        ["bash", "-c", found[1]],  # noqa: S607 - the shell's name
        env={"GITHUB_ACTION_PATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    project = (ROOT / "pyproject.toml").read_text()
    listed = re.search(r"^dependencies = (\[.*?^\])", project, re.MULTILINE | re.DOTALL)
    assert listed
    assert done.stdout.splitlines() == ast.literal_eval(listed[1])


def test_the_hook_calls_a_command_that_is_there() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"] == "flakegate check"
    assert [bool(re.search(hook["files"], name)) for name in (
        "flakegate.yml", ".github/flakegate.yml", "docs/flakegate.yml",
    )] == [True, True, False]  # fmt: skip


def test_the_inputs_are_documented() -> None:
    page = (ROOT / "docs/ci.md").read_text()
    assert re.findall(r"^\| `([a-z-]+)` \| .+ \|$", page, re.MULTILINE) == list(ACTION["inputs"])
    for name in {*SPEC["spec"]["inputs"], *ACTION["outputs"]} - {*ACTION["inputs"]}:
        assert f"`{name}" in page + (ROOT / "docs/publishing.md").read_text(), name


@pytest.mark.parametrize("page", ["README.md", "docs/ci.md"])
def test_what_is_shown_uses_inputs_that_there_are(page: str) -> None:
    shown = re.findall(r"^```yml\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    documents = [yaml.safe_load(text) for text in shown]
    steps = [step for each in documents if isinstance(each, list) for step in each]
    includes = [each["include"][0] for each in documents if "include" in each]
    assert steps
    assert includes
    assert {name for step in steps for name in step["with"]} <= set(ACTION["inputs"])
    assert {name for each in includes for name in each["inputs"]} <= set(SPEC["spec"]["inputs"])
