"""What run.json holds, read from its schema, as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docs_verbs import cell, text

from perfhunt.model.document.schema.schema import schema

_WORDS = {
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "null": "null",
    "object": "table",
    "array": "list",
}


def page() -> str:
    """docs/reference/run-json.md."""
    return "\n".join(_lines(schema())) + "\n"


def _lines(whole: dict[str, Any]) -> Iterator[str]:
    yield "# run.json"
    yield ""
    yield "Made from the schema by `scripts/docs`; `perfhunt schema` prints it as JSON Schema"
    yield f"(`{whole['$id']}`). A key that is not in every document is marked *(not always)*."
    yield from ("", *_table(whole))
    for name in sorted(whole["$defs"], key=str.lower):
        yield from ("", f"## {name}", "", *_type(whole["$defs"][name]))


def _type(described: dict[str, Any]) -> Iterator[str]:
    if "properties" in described:
        yield from (text(described.get("description", "")), "")
        yield from _table(described)
    else:
        yield f"{kind(described)}."


def _table(described: dict[str, Any]) -> Iterator[str]:
    required = described.get("required", ())
    yield from ("| key | is | meaning |", "|---|---|---|")
    for key, value in described["properties"].items():
        often = "" if key in required else " *(not always)*"
        meaning = cell(text(value.get("description", "")))
        yield f"| `{key}` | {cell(kind(value))} | {meaning}{often} |"


def kind(value: dict[str, Any]) -> str:
    """What a value is, in words; another type as a link to its section."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in value:
            return " or ".join(kind(each) for each in value[several])
    if "enum" in value:
        return "one of " + ", ".join(
            f"`{each}`" if each != "" else '``""``' for each in value["enum"]
        )
    if value.get("type") == "array":
        inner = (
            [value["items"]]
            if isinstance(value.get("items"), dict)
            else value.get("prefixItems", [])
        )
        words = " and ".join(dict.fromkeys(kind(each) for each in inner))
        return f"list of {words}" if words else "list"
    if isinstance(value.get("additionalProperties"), dict):
        return f"table of {kind(value['additionalProperties'])}"
    given = value.get("type")
    return " or ".join(
        _WORDS[each] for each in ([given] if isinstance(given, str) else given or ["object"])
    )
