"""The problems of a policy for other readers: a program, GitHub's annotations, code scanning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flakegate.escape import command_data, command_property, terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flakegate.policy.problems import PolicyProblem

SARIF = "2.1.0"
_RULES = {"error": "invalid-policy", "warning": "doubtful-policy"}
_MEANING = {
    "error": "The policy cannot be used.",
    "warning": "The policy can be used, and most likely does not mean what it says.",
}


def text(problems: Sequence[PolicyProblem]) -> list[str]:
    """Lines for people: place, message, the source line with a caret, the hint."""
    return [terminal(line) for problem in problems for line in str(problem).splitlines()]


def document(problems: Sequence[PolicyProblem]) -> dict[str, Any]:
    """The document of `check --format json`, version 1."""
    return {
        "version": 1,
        "valid": not any(problem.is_error for problem in problems),
        "problems": [
            {
                "severity": problem.severity,
                "file": problem.file,
                "line": problem.place.line,
                "column": problem.place.column,
                "message": problem.message,
                "hint": problem.hint,
            }
            for problem in problems
        ],
    }


def github(problems: Sequence[PolicyProblem], file: str) -> list[str]:
    """One workflow command for each problem, which GitHub shows beside the line.

    file: the policy's path from the root of the repository.
    """
    return [_command(problem, file) for problem in problems]


def _command(problem: PolicyProblem, file: str) -> str:
    place, ends = problem.place, problem.place.column + problem.length
    properties = {
        "file": file,
        "line": place.line,
        "endLine": place.line,
        "col": place.column,
        "endColumn": ends,
        "title": f"flakegate: {_RULES[problem.severity]}",
    }
    told = ",".join(f"{key}={command_property(str(value))}" for key, value in properties.items())
    return f"::{problem.severity} {told}::{command_data(_whole(problem))}"


def sarif(problems: Sequence[PolicyProblem], file: str, version: str) -> dict[str, Any]:
    """A SARIF 2.1.0 log with one run.

    file: the policy's path from the root of the repository. version: flakegate's.
    """
    return {
        "$schema": f"https://json.schemastore.org/sarif-{SARIF}.json",
        "version": SARIF,
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "flakegate",
                        "semanticVersion": version,
                        "rules": [
                            {
                                "id": _RULES[level],
                                "shortDescription": {"text": words},
                                "defaultConfiguration": {"level": level},
                            }
                            for level, words in _MEANING.items()
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(problem, file) for problem in problems],
            }
        ],
    }


def _result(problem: PolicyProblem, file: str) -> dict[str, Any]:
    place = problem.place
    return {
        "ruleId": _RULES[problem.severity],
        "ruleIndex": list(_RULES).index(problem.severity),
        "level": problem.severity,
        "message": {"text": _whole(problem)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(file), "uriBaseId": "%SRCROOT%"},
                    "region": {
                        "startLine": place.line,
                        "startColumn": place.column,
                        "endLine": place.line,
                        "endColumn": place.column + problem.length,
                    },
                }
            }
        ],
    }


def _whole(problem: PolicyProblem) -> str:
    """Message and hint, each on a line of its own."""
    return f"{problem.message}\n{problem.hint}" if problem.hint else problem.message
