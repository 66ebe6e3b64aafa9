"""The served description, as a check on requests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from jsonschema import Draft202012Validator

from flakegate.server.description import describe
from flakegate.server.service import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults import Request

DOCUMENT = json.loads(msgspec.json.encode(describe(OPERATIONS)))  # as it is served


def schema_of(method: str, path: str) -> dict[str, Any]:
    described = DOCUMENT["paths"][path][method.lower()]
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    return {**schema, "components": DOCUMENT["components"]}


def violations(request: Request) -> Iterator[str]:
    """What the description does not allow of a request to a path that it has."""
    if request.path in DOCUMENT["paths"]:
        schema = schema_of(request.method, request.path)
        for error in Draft202012Validator(schema).iter_errors(json.loads(request.body)):
            yield f"{error.json_path}: {error.message}"
