"""The documents cannot drift: commands, options, fields, keys and exit codes are compared."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
import yaml

from flakegate.backends.datadog.access import API_KEY, APP_KEY, SITE, TOKEN
from flakegate.ci.detect import OVERRIDES
from flakegate.cli.call import POLICY_FILES
from flakegate.cli.main import COMMANDS, flakegate
from flakegate.drift import CODES
from flakegate.errors import MEANING
from flakegate.policy.fields import FIELDS
from flakegate.policy.load import load
from flakegate.policy.settings import EXCUSING
from flakegate.publish.outputs import outputs
from flakegate.wording import _ABOUT_EVIDENCE, _ABOUT_FAILURES
from tests.summaries import SUMMARIES
from tests.wire_contract import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
POLICY = (ROOT / "docs/policy.md").read_text()
KEYS, WHEN = POLICY.split("## `when`")
GATE = (ROOT / "docs/gate.md").read_text()
DATADOG = (ROOT / "docs/datadog.md").read_text()
PUBLISHING = (ROOT / "docs/publishing.md").read_text()
COMMANDS_PAGE = ROOT / "docs/commands.md"


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def rows(text: str, pattern: str) -> list[str]:
    return re.findall(rf"^\| {pattern} \|", text, re.MULTILINE)


def test_exit_codes() -> None:
    table = re.findall(r"^\| (\d+) \| (.+) \|$", README, re.MULTILINE)
    assert table == [(str(int(code)), meaning) for code, meaning in MEANING.items()]


def test_every_command_is_in_the_readme() -> None:
    named = re.findall(r"^\| `flakegate (\w+)", README, re.MULTILINE)
    assert named == list(COMMANDS)


def test_every_overriding_variable_is_in_the_readme() -> None:
    for name in [*OVERRIDES, "FLAKEGATE_REPOSITORY", "FLAKEGATE_PULL_REQUEST", "FLAKEGATE_TIME"]:
        assert name in README or f"`{name.removeprefix('FLAKEGATE')}`" in README, name


def test_fields() -> None:
    table = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", WHEN, re.MULTILINE)
    expected = [(field.name, str(field.kind), field.description) for field in FIELDS.values()]
    assert table == expected


@pytest.mark.parametrize("page", ["README.md", "docs/policy.md", "docs/error-tracking.md"])
def test_policies_shown_are_valid(page: str) -> None:
    policies = blocks((ROOT / page).read_text(), "yaml")
    assert policies
    for text in policies:
        problems = [str(problem) for problem in load(text.encode(), page).problems]
        assert [problem for problem in problems if ": error:" in problem] == []


def test_conditions_shown_are_valid() -> None:
    (examples,) = [text for text in blocks(WHEN, "text") if "known(" in text]
    for line in examples.splitlines():
        text = f"version: 1\nrules:\n  - {{id: a, to: quarantined, when: '{line}'}}\n"
        assert load(text.encode(), "shown").policy is not None, line


def known_keys() -> set[str]:
    """Every key of a policy, from what an unknown one beside them is told."""
    sections = ("backend", "limits", "gate", "store", "summary")
    text = "x: 1\n" + "".join(f"{name}: {{x: 1}}\n" for name in sections)
    lists = ("exempt", "rules", "reports")
    mappings = ("evidence", "error_tracking")
    inside = ", ".join(f"{name}: {{x: 1}}" for name in mappings)
    text += "".join(f"{name}: [{{x: 1, {inside}}}]\n" for name in lists)
    known = set()
    for problem in load(text.encode(), "p").problems:
        if "unknown key `x`" in problem.message:
            assert problem.hint is not None
            place = re.search(r"in `([^`]+)`", problem.message)
            prefix = re.sub(r"\[\d+\]", "", f"{place[1]}.") if place else ""
            keys = problem.hint.removeprefix("known here: ").split(", ")
            known |= {f"{prefix}{key}" for key in keys} - {*sections, *lists}
    known -= {f"rules.{name}" for name in mappings}
    return known


def test_every_key_of_the_policy_is_documented_and_no_other() -> None:
    keys = rows(KEYS, r"`([a-z_.\[\]]+)` \| [^|]+ \| [^|\n]+")
    assert {key.replace("[]", "") for key in keys} == known_keys()


def test_reason_and_evidence_codes() -> None:
    for code in _ABOUT_EVIDENCE.keys() - {"stale"}:
        assert f"| `{code}` |" in GATE
    for code in [*_ABOUT_FAILURES, "not-flaky", "active", "ambiguous"]:
        assert f"| `{code}` | {'excused' if code in EXCUSING else 'blocked'} |" in GATE


def test_what_drift_finds_and_what_datadog_is_asked() -> None:
    requests, findings = DATADOG.split("## Two that change")
    assert rows(findings, r"`(\w+)` \| [^|\n]+") == list(CODES)
    for each in OPERATIONS:
        assert each.method in requests
        assert each.path in requests
    for name in (*API_KEY[:1], *APP_KEY[:2], *TOKEN[:1], *SITE[:1]):
        assert f"`{name}`" in requests


def test_outputs_of_a_step() -> None:
    table = re.findall(r"^\| `([a-z-]+)` \| [^|\n]+ \|$", PUBLISHING, re.MULTILINE)
    assert table == list(outputs(SUMMARIES["blocked"], "", None))


def test_the_hook_before_a_commit() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["id"] in PUBLISHING
    assert hook["entry"].split()[1:] == ["check"]
    assert all(re.search(hook["files"], name) for name in POLICY_FILES)
    assert not re.search(hook["files"], "examples/flakegate.yml")


def test_every_link_leads_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def commands_page() -> str:
    """docs/commands.md: what `--help` says of every command."""
    parts = ["# Commands\n\nWhat `flakegate COMMAND --help` says.\n"]
    top = flakegate.make_context("flakegate", [*COMMANDS][:1], resilient_parsing=True)
    return "\n".join([*parts, *sections(flakegate, top)])


def sections(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context, terminal_width=100)
        title = inner.command_path.removeprefix("flakegate ")
        yield f"## {title}\n\n```text\n{command.get_help(inner)}\n```\n"
        if isinstance(command, click.Group):
            yield from sections(command, inner)


def test_the_page_of_commands_is_what_help_says() -> None:
    """To write it anew: python -c 'import tests.test_docs as t; t.write_commands_page()'."""
    assert COMMANDS_PAGE.read_text() == commands_page()


def write_commands_page() -> None:
    COMMANDS_PAGE.write_text(commands_page())
