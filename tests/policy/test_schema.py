"""The schema beside the loader: the same keys, defaults and examples, and no policy refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flakegate.policy.load import KEYS, MAX_ITEMS, load
from tests.test_docs import known_keys

if TYPE_CHECKING:
    from flakegate.policy.rules import Policy

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "flakegate" / "policy" / "schema.json"
CASES = ROOT / "tests" / "cases" / "policies"
# The YAML reader of check-jsonschema, unlike ours, refuses a tab between two words.
GOOD = sorted(set((CASES / "good").glob("*.yml")) - {CASES / "good" / "tabs_between.yml"})
TEMPLATES = [ROOT / "flakegate/templates/flakegate.yml", ROOT / "examples/quickstart/flakegate.yml"]
# What the loader says of keys, shapes and plain values; a schema can see no further.
SHAPES = re.compile(
    r"error: (unknown key|.* lacks `|`.*` must be |.* has no value|`.*` is empty"
    r"|the policy is empty|a policy must|a rule to|disabled → active|a share of the suite)"
)
ONLY_THE_LOADER = {
    "merge_keys",  # other readers merge them first
    "version_float",  # 1.0 is 1 in JSON
}
DOCUMENT: dict[str, Any] = json.loads(SCHEMA.read_text())


def check(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """The node, with what it refers to."""
    if "$ref" not in node:
        return node
    found = DOCUMENT["definitions"][node["$ref"].removeprefix("#/definitions/")]
    return {**resolved(found), **node}


def keys(node: dict[str, Any], path: str = "") -> dict[str, dict[str, Any]]:
    """Every key of the schema that holds a value, by its path: `rules[].id`."""
    found: dict[str, dict[str, Any]] = {}
    for name, each in node["properties"].items():
        below = resolved(each)
        inside, place = below, f"{path}{name}"
        if below.get("type") == "array" and "properties" in resolved(below["items"]):
            inside, place = resolved(below["items"]), f"{place}[]"
        if "properties" in inside:
            found |= keys(inside, f"{place}.")
        else:
            found[place] = below
    return found


LEAVES = keys(DOCUMENT)


def loaded(path: str, value: Any) -> Policy | None:
    """A policy that holds this value at this path, and otherwise as little as it can."""
    policy: dict[str, Any] = {"version": 1}
    least: dict[str, dict[str, Any]] = {
        "rules[]": {"id": "a", "to": "fixed", "when": "broken"},
        "exempt[]": {"when": "broken", "reason": "b"},
        "reports[]": {"paths": "c"},
    }
    place, _, key = path.rpartition(".")
    top, *deeper = place.split(".") if place else [""]
    leaf = {key: value}
    for name in reversed(deeper):
        leaf = {name: leaf}
    if top in least:
        policy[top.removesuffix("[]")] = [least[top] | leaf]
    else:
        policy |= {top: leaf} if top else leaf
    return load(json.dumps(policy).encode(), "p").policy


def test_it_is_a_schema() -> None:
    done = check("--check-metaschema", SCHEMA)
    assert done.returncode == 0, done.stdout
    assert DOCUMENT["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_it_takes_every_good_policy() -> None:
    done = check("--schemafile", SCHEMA, *GOOD, *TEMPLATES)
    assert done.returncode == 0, done.stdout


def test_it_sees_what_is_wrong_with_keys_shapes_and_values() -> None:
    wrong = {
        path.stem
        for path in (CASES / "bad").glob("*.txt")
        if SHAPES.search(path.read_text(encoding="utf-8"))
    }
    assert len(wrong) > 20
    bad = sorted((CASES / "bad").glob("*.yml"))
    answer = json.loads(check("--schemafile", SCHEMA, "-o", "json", *bad).stdout)
    seen = {Path(each["filename"]).stem for each in answer["errors"] + answer["parse_errors"]}
    assert wrong - seen == ONLY_THE_LOADER


def test_it_knows_the_keys_of_the_loader_and_no_other() -> None:
    assert set(DOCUMENT["properties"]) == set(KEYS)
    assert {path.replace("[]", "") for path in LEAVES} == known_keys()


def test_nothing_else_is_let_in_anywhere() -> None:
    def objects(node: Any) -> list[dict[str, Any]]:
        if isinstance(node, list):
            return [found for each in node for found in objects(each)]
        if not isinstance(node, dict):
            return []
        inside = [found for each in node.values() for found in objects(each)]
        return [node, *inside] if node.get("type") == "object" else inside

    found = objects(DOCUMENT)
    assert len(found) > 5
    assert all(node["additionalProperties"] is False for node in found)


def test_every_key_is_described() -> None:
    assert [path for path, node in LEAVES.items() if not node.get("description")] == []


@pytest.mark.parametrize("path", [path for path, node in LEAVES.items() if "default" in node])
def test_its_defaults_are_those_of_the_loader(path: str) -> None:
    policy = loaded(path, LEAVES[path]["default"])
    without = load(b"version: 1", "p").policy
    if path.startswith("reports[]."):
        without = loaded("reports[].paths", "c")
    if path.startswith("rules[].error_tracking."):
        without = loaded("rules[].error_tracking", {})
    assert policy is not None
    assert without is not None
    assert replace(policy, digest="") == replace(without, digest="")


@pytest.mark.parametrize(
    ("path", "example"),
    [(path, example) for path, node in LEAVES.items() for example in node.get("examples", [])],
)
def test_its_examples_are_valid(path: str, example: Any) -> None:
    assert loaded(path, example) is not None


@pytest.mark.parametrize("example", DOCUMENT["definitions"]["condition"]["examples"])
def test_its_conditions_are_valid(example: str) -> None:
    assert loaded("rules[].when", example) is not None


def test_lists_end_where_the_loader_ends_them() -> None:
    for name in ("rules", "exempt"):
        assert DOCUMENT["properties"][name]["maxItems"] == MAX_ITEMS
