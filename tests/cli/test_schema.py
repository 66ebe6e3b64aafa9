"""`schema` and `fields`: what an editor and a person need to write a policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from flakegate.cli.fields import example
from flakegate.policy.conditions import Condition, parse
from flakegate.policy.fields import FIELDS
from tests.test_docs import WHEN

if TYPE_CHECKING:
    from tests.conftest import Caller

SCHEMA = Path(__file__).parents[2] / "flakegate" / "policy" / "schema.json"


def test_schema_is_the_file(flakegate: Caller) -> None:
    done = flakegate("schema")
    assert done.code == 0
    assert done.out == SCHEMA.read_text()


def test_every_field_is_listed_in_one_line(flakegate: Caller) -> None:
    done = flakegate("fields")
    assert done.code == 0
    head, *lines = done.out.split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines] == list(FIELDS)
    assert max(map(len, [head, *lines])) < 120
    for line, field in zip(lines, FIELDS.values(), strict=True):
        assert line.endswith(field.description)


def test_fields_as_json(flakegate: Caller) -> None:
    document = json.loads(flakegate("fields", "--format", "json").out)
    assert document["version"] == 1
    rows = {row["name"]: row for row in document["fields"]}
    assert list(rows) == list(FIELDS)
    assert rows["failure_rate"]["unit"] == "%"
    assert rows["lost_time"]["unit"] == "s"
    assert rows["runs"]["backends"] == ["store"]
    assert rows["codeowners"]["backends"] == ["datadog"]
    assert rows["failure_rate"]["backends"] == ["datadog", "store"]


def test_every_example_is_a_condition() -> None:
    for name in FIELDS:
        assert isinstance(parse(example(name)), Condition), example(name)


def test_the_page_says_what_a_backend_lacks(flakegate: Caller) -> None:
    document = json.loads(flakegate("fields", "--format", "json").out)
    store, datadog = WHEN.split("The store knows no ")[1].split("Datadog gives no ")
    lacking = {"store": store, "datadog": datadog.split(".")[0]}
    for kind, words in lacking.items():
        told = {name for name in FIELDS if f"`{name}`" in words}
        assert told == {row["name"] for row in document["fields"] if kind not in row["backends"]}
