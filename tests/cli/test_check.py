"""`check --format …`: the same problems for people, programs, GitHub and code scanning."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from flakegate.escape import command_data, command_property
from flakegate.policy.formats import github, sarif
from flakegate.policy.problems import Place, PolicyProblem
from tests.cli.reports import SMALLEST, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Caller

BROKEN = """version: 1
rules:
  - {id: a, to: quarantined, when: failure_rat > 20%}
limit: {}
"""
COMMAND = re.compile(r"::(error|warning) ((?:[a-zA-Z]+=[^,:\r\n]*,?)+)::([^\r\n]*)")


def unescaped(text: str) -> str:
    """As the runner reads it."""
    for code, char in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, char)
    return text


def annotation(line: str) -> tuple[str, dict[str, str], str]:
    found = COMMAND.fullmatch(line)
    assert found, line
    properties = dict(each.split("=", 1) for each in found[2].split(","))
    told = {key: unescaped(value) for key, value in properties.items()}
    return found[1], told, unescaped(found[3])


def test_github(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", BROKEN)
    done = flakegate("check", "--format", "github")
    assert done.code == 2
    first, second, result = done.out.splitlines()
    level, told, message = annotation(first)
    assert level == "error"
    assert told["file"] == "flakegate.yml"
    assert (told["line"], told["col"], told["endColumn"]) == ("3", "36", "47")
    assert message == "unknown field `failure_rat`\ndid you mean `failure_rate`?"
    assert annotation(second)[1]["line"] == "4"
    assert result == "flakegate.yml: 2 errors, 0 warnings"


def test_github_warns_and_exits_0(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    done = flakegate("check", "--format", "github")
    assert done.code == 0
    assert annotation(done.out.splitlines()[0])[0] == "warning"


@pytest.mark.parametrize("output_format", ["github", "sarif"])
def test_paths_are_from_the_root_of_the_repository(
    flakegate: Caller, folder: Path, output_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "-q", str(folder)], check=True)  # noqa: S607 - git of the machine
    write(folder, "apps/web shop/flakegate.yml", BROKEN)
    monkeypatch.chdir(folder / "apps" / "web shop")
    out = flakegate("check", "--format", output_format).out
    if output_format == "github":
        named = annotation(out.splitlines()[0])[1]["file"]
    else:
        uri = locations(json.loads(out))[0]["artifactLocation"]["uri"]
        assert " " not in uri
        named = unquote(uri)
    assert named == "apps/web shop/flakegate.yml"


HOSTILE = "100%\r\n::error::x ##[error]y, a:b %0A\x1b[31m\u202e"


def test_nothing_in_a_problem_ends_a_command_or_begins_one() -> None:
    problem = PolicyProblem(
        severity="error", file="p", place=Place(line=1, column=2), message=HOSTILE, hint=HOSTILE
    )
    (line,) = github([problem], f"a,b:c{HOSTILE}")
    assert len(line.splitlines()) == 1
    level, told, message = annotation(line)
    assert level == "error"
    assert told["file"].startswith("a,b:c100%\n")
    assert not any("##[" in text or "\x1b" in text for text in (line, message, told["file"]))
    assert "\n::error::" not in message


def test_data_and_properties_come_back_as_they_were() -> None:
    for text in ("50% of a:b, c\n%0A%3A", "%25", "%%2C"):
        assert unescaped(command_property(text)) == text
        assert unescaped(command_data(text)) == text
        assert not set(",:\n") & set(command_property(text))


def locations(log: dict[str, Any]) -> list[dict[str, Any]]:
    return [each["locations"][0]["physicalLocation"] for each in log["runs"][0]["results"]]


def test_sarif(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", BROKEN)
    done = flakegate("check", "--format", "sarif")
    assert done.code == 2
    log = json.loads(done.out)
    assert log.keys() == {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run.keys() == {"tool", "columnKind", "results"}
    assert run["columnKind"] == "unicodeCodePoints"
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "flakegate"
    assert len(run["results"]) == 2
    for result in run["results"]:
        assert result["level"] in {"none", "note", "warning", "error"}
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert rules[result["ruleIndex"]]["defaultConfiguration"]["level"] == result["level"]
        assert result["message"]["text"]
    place = locations(log)[0]
    assert place["artifactLocation"] == {"uri": "flakegate.yml", "uriBaseId": "%SRCROOT%"}
    region = {"startLine": 3, "startColumn": 36, "endLine": 3, "endColumn": 47}
    assert place["region"] == region


def test_sarif_of_a_good_policy_has_no_result() -> None:
    assert sarif([], "p", "1")["runs"][0]["results"] == []


def test_json_holds_what_the_text_says(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", BROKEN)
    rows = json.loads(flakegate("check", "--format", "json").out)
    assert rows["version"] == 1
    assert rows["valid"] is False
    text = flakegate("check").out
    for row in rows["problems"]:
        assert f"{row['file']}:{row['line']}:{row['column']}: {row['severity']}: " in text
        assert row["message"] in text
