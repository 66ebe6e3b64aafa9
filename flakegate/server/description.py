"""The OpenAPI description, made from the types that client and server use."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from flakegate.version import VERSION
from flakegate.wire.errors import MEDIA_TYPE, Errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flakegate.server.service import Operation

_REFUSALS = (400, 401, 403, 408, 413, 415, 429, 500, 503)
_SECURITY = {
    "api_key": {"type": "apiKey", "in": "header", "name": "DD-API-KEY"},
    "application_key": {"type": "apiKey", "in": "header", "name": "DD-APPLICATION-KEY"},
}


def describe(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document, as JSON will hold it."""
    types = [each for one in operations for each in (one.request, one.answer)]
    references, schemas = msgspec.json.schema_components(
        [*types, Errors], ref_template="#/components/schemas/{name}"
    )
    of = dict(zip([*types, Errors], references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "flakegate",
            "version": VERSION,
            "description": "Flaky tests of a store, in the protocol of Flaky Test Management.",
        },
        "paths": {**paths, "/healthz": {"get": _health()}},
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
        "security": [{key: [] for key in _SECURITY}],
    }


def _operation(operation: Operation, of: Mapping[type, dict[str, Any]]) -> dict[str, Any]:
    refused = {str(status): _answer(HTTPStatus(status).phrase, of[Errors]) for status in _REFUSALS}
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"Needs `{operation.permission}`.",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": of[operation.request]}},
        },
        "responses": {"200": _answer("OK", of[operation.answer]), **refused},
    }


def _answer(words: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {MEDIA_TYPE: {"schema": schema}}}


def _health() -> dict[str, Any]:
    status = {
        "type": "object",
        "properties": {"status": {"const": "ok"}},
        "required": ["status"],
        "additionalProperties": False,
    }
    return {
        "operationId": "health",
        "summary": "Whether the store can be read.",
        "security": [],
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": status}}},
            "503": _answer("Service Unavailable", {"$ref": "#/components/schemas/Errors"}),
        },
    }
