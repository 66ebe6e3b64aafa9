"""What `init` writes and prints: the policy and the CI's steps for what a folder holds.

How each runner ends was looked up in its own documentation or source. pytest: 1 is failing tests;
2 interrupted (a broken import, too), 3 a crash, 4 wrong usage, 5 no test at all. jest, vitest,
Gradle, `go test` under gotestsum: 1, as for most other trouble. mocha: the number of failed tests.
Maven: 1 for whatever broke; with `maven.test.failure.ignore` no longer for failing tests.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flakegate.ci.repository import repository_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Load = Callable[[str], str | None]

PYTEST_FILES = (
    "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", "requirements.txt",
    "requirements-dev.txt", "dev-requirements.txt", "test-requirements.txt",
)  # fmt: skip
GRADLE_FILES = ("settings.gradle", "settings.gradle.kts", "build.gradle", "build.gradle.kts")
LOCKS = ("uv.lock", "poetry.lock", "Pipfile.lock", "pnpm-lock.yaml", "yarn.lock")
READ = (*PYTEST_FILES, "package.json")
"""The files whose text is a fact; of the others it only matters whether they are there."""
LOOKED_FOR = (
    *READ, *GRADLE_FILES, *LOCKS, "conftest.py", "tests/conftest.py", "pom.xml", "mvnw", "gradlew",
    "go.mod", ".gitlab-ci.yml", ".github",
)  # fmt: skip

_ONLY_PYTESTS = ("pytest.ini", ".pytest.ini", "conftest.py", "tests/conftest.py")
_REPORT = "reports/unit.xml"
_JUNIT_OPTION = re.compile(r"--junit-?xml[= ]([A-Za-z0-9_./-]+\.xml)\b")
_FORGES = {"gitlab": ".gitlab-ci.yml", "github": ".github"}
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./-]*")
_PYTHON_RUNNERS = {
    "uv.lock": "uv run ", "poetry.lock": "poetry run ", "Pipfile.lock": "pipenv run "
}  # fmt: skip
_ONE = "[1]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a folder.

    remote: the address that git pushes to, None if there is none. found: the text of each of
    LOOKED_FOR that is there; "" for those not in READ. java: folders (relative, "" = this one) with
    Java tests in src/test.
    """

    remote: str | None = None
    found: Mapping[str, str]
    java: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """A test runner, and how it is called so that it leaves JUnit reports behind.

    codes: its exit codes that mean failing tests, as the policy writes them; why: in words.
    reports: what flakegate is given. expect: report patterns, each of which must match.
    install: a command before, for what writes the reports. env: for the command.
    goes_on: whether the command fails because of failing tests.
    """

    name: str
    command: str
    codes: str
    why: str
    reports: str = "reports"
    expect: tuple[str, ...] = (_REPORT,)
    install: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    goes_on: bool = True
    flakegate: str = "flakegate"

    @property
    def is_python(self) -> bool:
        """Whether Python is there wherever the tests run."""
        return self.name == "pytest"


UNKNOWN = Runner(
    name="",
    command="./run-tests",
    codes=_ONE,
    why="of the test command: those that mean failing tests",
    expect=(),
)


def forge(facts: Facts) -> str | None:
    """Where the repository is: "github" or "gitlab", None if it is neither.

    What the remote's host is called says it; else what is in the folder.
    """
    host = (repository_id(facts.remote or "") or "").partition("/")[0]
    named = [name for name in _FORGES if name in host]
    here = [name for name, mark in _FORGES.items() if mark in facts.found]
    return next(iter((*named, *here)), None)


def runners(facts: Facts) -> tuple[Runner, ...]:
    """The test runners that are recognised, the likeliest first."""
    found = (find(facts) for find in (_pytest, _go, _maven, _gradle))
    return (*(each for each in found if each), *_javascript(facts))


def policy(template: str, runner: Runner) -> str:
    """The policy file. template: the part that is the same for all."""
    lines = [
        template.rstrip("\n"),
        "",
        "gate:",
        f"  # Exit codes {runner.why}.",
        "  # Any other one is a crash, which no flaky test excuses.",
        f"  command_exit_codes: {runner.codes}",
    ]
    if runner.expect:
        lines += ["  # A report that is missing is no pass.", "  expect:"]
        lines += [f"    - {json.dumps(pattern)}" for pattern in runner.expect]
    else:
        lines += [
            "  # A report that is missing is no pass: name each one that must be there.",
            '  # expect: ["reports/unit.xml"]',
        ]
    return "\n".join([*lines, ""])


def snippet(forge: str | None, runner: Runner, load: Load) -> str:
    """What goes into the CI's own file. load: gives the source of a template by its name."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    # The CI's files are full of braces; these marks are in none of them.
    environment = Environment(
        loader=FunctionLoader(load),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML and shell for a person to read, and nothing foreign
        keep_trailing_newline=True,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
    )
    return environment.get_template(_SNIPPETS[forge]).render(
        runner=runner, path=json.dumps(runner.reports.strip("'"))
    )


_SNIPPETS = {"github": "ci-github.yml", "gitlab": "ci-gitlab.yml", None: "ci-other.txt"}


def _pytest(facts: Facts) -> Runner | None:
    texts = [facts.found[name] for name in PYTEST_FILES if name in facts.found]
    named = any(re.search(r"\bpytest\b", text) for text in texts)
    if not named and not facts.found.keys() & {
        *PYTEST_FILES[:2],
        "conftest.py",
        "tests/conftest.py",
    }:
        return None
    before = next((text for lock, text in _PYTHON_RUNNERS.items() if lock in facts.found), "")
    written = next((at[1] for text in texts if (at := _JUNIT_OPTION.search(text))), None)
    path = written if written and not written.startswith(("/", "../")) else None
    return Runner(
        name="pytest",
        command=f"{before}pytest" if path else f"{before}pytest --junitxml={_REPORT}",
        codes=_ONE,
        why="of pytest: 1 is failing tests; 2 to 5 are broken imports, crashes, no test at all",
        reports=path or "reports",
        expect=(path or _REPORT,),
        flakegate="uvx flakegate" if before.startswith("uv") else "flakegate",
    )


def _go(facts: Facts) -> Runner | None:
    if "go.mod" not in facts.found:
        return None
    return Runner(
        name="go",
        command=f"gotestsum --junitfile {_REPORT} ./...",
        codes=_ONE,
        why="of go test: 1 is failing tests",
        install="go install gotest.tools/gotestsum@latest",
    )


def _maven(facts: Facts) -> Runner | None:
    if "pom.xml" not in facts.found:
        return None
    # Without the option a failing test stops Maven, and the modules after it are never tested.
    mvn = "./mvnw" if "mvnw" in facts.found else "mvn"
    return Runner(
        name="maven",
        command=f"{mvn} --batch-mode -Dmaven.test.failure.ignore=true verify",
        codes="[]",
        why="of Maven: with maven.test.failure.ignore none means failing tests",
        reports="'**/target/*-reports/TEST-*.xml'",
        expect=_each(facts.java, "target/*-reports/TEST-*.xml"),
        goes_on=False,
    )


def _gradle(facts: Facts) -> Runner | None:
    if not facts.found.keys() & {*GRADLE_FILES}:
        return None
    return Runner(
        name="gradle",
        command=f"{'./gradlew' if 'gradlew' in facts.found else 'gradle'} test --continue",
        codes=_ONE,
        why="of Gradle: 1 is failing tests, or a build that failed",
        reports="'**/build/test-results/**/*.xml'",
        expect=_each(facts.java, "build/test-results/**/*.xml"),
    )


def _each(folders: tuple[str, ...], pattern: str) -> tuple[str, ...]:
    """A pattern for each folder, so that a module that was not tested is missed."""
    return tuple(f"{folder}/{pattern}" if folder else pattern for folder in folders)


def _javascript(facts: Facts) -> Iterator[Runner]:
    """vitest, jest and mocha, as package.json names them."""
    try:
        package = json.loads(facts.found.get("package.json", "{}"))
    except ValueError:
        return
    if not isinstance(package, dict):
        return
    has = {*_object(package, "dependencies"), *_object(package, "devDependencies")}
    script = str(_object(package, "scripts").get("test", ""))
    add, run = "npm install --no-save", "npx"
    if "pnpm-lock.yaml" in facts.found:
        add, run = "pnpm add --save-dev", "pnpm exec"
    elif "yarn.lock" in facts.found:
        add, run = "yarn add --dev", "yarn run"

    def install(reporter: str) -> str | None:
        return None if reporter in has else f"{add} {reporter}"

    for name, make in (("vitest", _vitest), ("jest", _jest), ("mocha", _mocha)):
        if name in has or re.search(rf"\b{name}\b", script):
            yield make(package, run, install)


def _vitest(_package: Mapping[str, Any], run: str, _install: Load) -> Runner:
    return Runner(
        name="vitest",
        command=f"{run} vitest run --reporter=default --reporter=junit"
        f" --outputFile.junit={_REPORT}",
        codes=_ONE,
        why="of vitest: 1 is failing tests",
    )


def _jest(package: Mapping[str, Any], run: str, install: Load) -> Runner:
    settings = _object(package, "jest-junit")
    folder = str(settings.get("outputDirectory") or "reports").removeprefix("./").rstrip("/")
    name = str(settings.get("outputName") or "unit.xml")
    if not _PLAIN_PATH.fullmatch(f"{folder}/{name}") or ".." in folder.split("/"):
        folder, name = "reports", "unit.xml"
    return Runner(
        name="jest",
        command=f"{run} jest --ci --reporters=default --reporters=jest-junit",
        codes=_ONE,
        why="of jest: 1 is failing tests",
        reports=folder,
        expect=(f"{folder}/{name}",),
        install=install("jest-junit"),
        env=(
            ("JEST_JUNIT_OUTPUT_DIR", folder),
            ("JEST_JUNIT_OUTPUT_NAME", name),
            # Else tests of the same name in two files cannot be told apart.
            ("JEST_JUNIT_ADD_FILE_ATTRIBUTE", "true"),
            # Else a file that does not even load is in no report.
            ("JEST_JUNIT_REPORT_TEST_SUITE_ERRORS", "true"),
        ),
    )


def _mocha(_package: Mapping[str, Any], run: str, install: Load) -> Runner:
    return Runner(
        name="mocha",
        command=f"{run} mocha --reporter mocha-junit-reporter"
        f" --reporter-options mochaFile={_REPORT}",
        codes="[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]",
        why="of mocha: the number of failed tests; more than ten at once are no flakiness",
        install=install("mocha-junit-reporter"),
    )


def _object(package: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = package.get(key)
    return value if isinstance(value, dict) else {}
