"""The description: valid OpenAPI, and what every request of flakegate and every answer meets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from jsonschema import Draft202012Validator

from flakegate.server.service import OPERATIONS
from flakegate.wire import flaky_tests, policies
from tests import wire_contract
from tests.server.described import DOCUMENT, schema_of

if TYPE_CHECKING:
    from flakegate.server.service import Operation


def test_it_describes_each_operation_with_its_permission_and_its_refusals() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    for operation in OPERATIONS:
        described = DOCUMENT["paths"][operation.path][operation.method.lower()]
        assert operation.permission in described["description"]
        assert {"200", "400", "401", "403", "413", "429"} <= described["responses"].keys()


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    text = json.dumps(DOCUMENT)
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in schemas


GOOD: dict[str, tuple[object, ...]] = {
    "search": (
        {"page": {"limit": 2}},
        {"filter": {"query": "env:a", "include_history": True}, "page": {"limit": 999}},
        {"page": {"limit": 100, "cursor": "x"}, "sort": "-last_flaked"},
    ),
    "update": ({"tests": [{"id": "a", "new_state": "fixed"}]},),
    "policies": ({"repository_id": "github.com/acme/shop"},),
}
BAD: dict[str, tuple[object, ...]] = {
    "search": (
        {},
        {"page": {}},
        {"page": {"limit": 1}},
        {"page": {"limit": 1000}},
        {"page": {"limit": "100"}},
        {"page": {"limit": 100, "cursor": None}},
        {"page": {"limit": 100}, "sort": "name"},
        {"page": {"limit": 100}, "order": "fqn"},
        {"page": {"limit": 100}, "filter": {"include_history": 1}},
        [],
    ),
    "update": (
        {"tests": []},
        {"tests": [{"id": "", "new_state": "fixed"}]},
        {"tests": [{"id": "a" * 513, "new_state": "fixed"}]},
        {"tests": [{"id": 7, "new_state": "fixed"}]},
        {"tests": [{"id": "a", "new_state": "gone"}]},
        {"tests": [{"id": "a"}]},
        {"tests": [{"id": "a", "new_state": "fixed"}] * 1_001},
        {},
    ),
    "policies": ({}, {"repository_id": ""}, {"repository_id": None}),
}
KINDS = {
    "search": "search_flaky_tests_request",
    "update": "update_flaky_test_state_request",
    "policies": "test_optimization_get_flaky_tests_management_policies_request",
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_the_description_and_the_decoder_say_the_same(operation: Operation) -> None:
    schema = Draft202012Validator(schema_of(operation.method, operation.path))
    kind = KINDS[operation.name]
    cases: list[tuple[object, bool]] = [
        ({"data": {"type": kind, "attributes": each}}, each in GOOD[operation.name])
        for each in (*GOOD[operation.name], *BAD[operation.name])
    ]
    first = GOOD[operation.name][0]
    cases += [
        ({"data": {"type": "other", "attributes": first}}, False),
        ({"data": {"attributes": first}}, False),
        ({"data": {"type": kind, "attributes": first, "id": "1"}}, False),
        ({"data": {"type": kind, "attributes": first}, "meta": {}}, False),
        ({"data": None}, False),
    ]
    for body, good in cases:
        assert schema.is_valid(body) is good, body
        try:
            msgspec.json.decode(json.dumps(body), type=operation.request)
        except msgspec.ValidationError:
            assert not good, body
        else:
            assert good, body


def test_the_paths_are_those_of_the_reference() -> None:
    assert {(each.method, each.path) for each in OPERATIONS} == {
        (each.method, each.path)
        for each in wire_contract.OPERATIONS
        if each.path in {flaky_tests.PATH, policies.PATH}
    }
