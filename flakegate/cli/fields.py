"""`flakegate fields`: what a condition of the policy can ask."""

from __future__ import annotations

import json
from typing import Any

import click

from flakegate.backends.registry import KINDS, fields_of
from flakegate.errors import ExitCode
from flakegate.policy.fields import FIELDS, Kind

SIGNS = {Kind.TEXT: "==", Kind.LIST: "has"}


@click.command("fields")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    help="json: one document on standard output, nothing else.",
)
def command(output_format: str) -> int:
    """List the fields that `when` can use, and which backend knows them."""
    rows = _rows()
    if output_format == "json":
        print(json.dumps({"version": 1, "fields": rows}, indent=2, ensure_ascii=False))
    else:
        _table(rows)
    return ExitCode.PASSED


def _rows() -> list[dict[str, Any]]:
    """unit: of the values in JSON documents; a literal in a condition names its own."""
    supplied = {kind: fields_of(kind) for kind in KINDS}
    return [
        {
            "name": field.name,
            "kind": field.kind.value,
            "unit": field.unit or None,
            "description": field.description,
            "example": example(field.name),
            "backends": [kind for kind in KINDS if field.name in supplied[kind]],
        }
        for field in FIELDS.values()
    ]


def example(name: str) -> str:
    """A condition with this field, as one would write it."""
    field = FIELDS[name]
    if field.kind is Kind.BOOL:
        return f"not {name}"
    return f"{name} {SIGNS.get(field.kind, '>')} {field.example}"


def _table(rows: list[dict[str, Any]]) -> None:
    """One line for each field, its columns as wide as they need to be."""
    head = ("field", "kind", "unit", *KINDS, "what it is")
    lines = [
        (
            row["name"],
            row["kind"],
            row["unit"] or "",
            *("yes" if kind in row["backends"] else "-" for kind in KINDS),
            row["description"],
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    for line in (head, *lines):
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
    print(
        "\nA percentage or a duration is written with its unit: 20%, 500ms, 30s, 5m, 2h, 14d, 1w."
    )
