"""The body of an operation, in the first of its content types that can be written as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote_plus

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import json_value
from perfhunt.model.recorded.openapi.document import (
    ApiDocument,
    Unresolved,
    items,
    table,
    text_of,
)
from perfhunt.model.recorded.openapi.schema import flat_texts, given, schema_value
from perfhunt.model.text.escaping import json_text

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_LONGEST = 20_000  # characters: what a person still finds his way in
_Parameters = Mapping[tuple[str, str], Mapping[str, Any]]


class ApiBody(NamedTuple):
    """A body with its content type ("": there is none), what of it the document does not give, and
    what is still to be done.
    """

    content_type: str = ""
    text: str = ""
    invented: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def body_of(
    document: ApiDocument, operation: Mapping[str, Any], parameters: _Parameters
) -> ApiBody:
    """The body that an operation takes. Raises Unresolved."""
    if document.version == 2:
        return _of_swagger(document, operation, parameters)
    content = table(document.resolved(operation.get("requestBody")).get("content"))
    if not content:
        return ApiBody()
    kind = min(content, key=_rank)
    media = document.resolved(content[kind])
    return _written(document, kind, given(document, media), media.get("schema"))


def _of_swagger(
    document: ApiDocument, operation: Mapping[str, Any], parameters: _Parameters
) -> ApiBody:
    named = operation.get("consumes", document.root.get("consumes"))
    kinds = [kind for kind in items(named) if isinstance(kind, str)]
    fields = {name: each for (place, name), each in parameters.items() if place == "formData"}
    if fields:
        required = [name for name, each in fields.items() if each.get("required") is True]
        schema = {"type": "object", "properties": _schemas(fields), "required": required}
        is_file = any(each.get("type") == "file" for each in fields.values())
        return _written(document, "multipart/form-data" if is_file else _FORM, None, schema)
    bodies = (each for (place, _), each in parameters.items() if place == "body")
    for each in bodies:
        kind = min(kinds, key=_rank, default=_JSON)
        return _written(document, kind, each.get("x-example"), each.get("schema"))
    return ApiBody()


def _schemas(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The schemas of fields, which in Swagger 2 are what the fields themselves say."""
    own = ("required", "in", "name")
    return {n: {key: v for key, v in f.items() if key not in own} for n, f in fields.items()}


def _rank(kind: str) -> int:
    """What can be written comes first."""
    plain = kind.partition(";")[0].strip().lower()
    if plain == _JSON or plain in ("*/*", "application/*"):
        return 0
    if plain.endswith("+json"):
        return 1
    return 2 if plain == _FORM else 3 if plain.startswith("text/") else 4


def _written(document: ApiDocument, kind: str, example: Any, schema: Any) -> ApiBody:
    rank = _rank(kind)
    kind = _JSON if "*" in kind else kind
    if rank > 2:  # text, XML, bytes, parts: only what the document holds as text
        flat = document.resolved(schema).get("example") if example is None else example
        if isinstance(flat, str) and not kind.startswith("multipart/"):
            return ApiBody(kind, flat[:_LONGEST])
        return ApiBody(kind, "", (), (f"Its body ({kind}) is yours to write.",))
    value, invented = example, tuple[str, ...]()
    if value is None:
        value, invented = schema_value(document, schema, "")
    try:
        text = _form(value) if rank == 2 else _json(value)
    except ValueError:
        raise Unresolved("their examples hold a number that JSON does not have") from None
    if len(text) > _LONGEST:
        return ApiBody(kind, "", (), (f"Its body of {len(text):,} characters is left out.",))
    return ApiBody(kind, text, tuple(part.removeprefix(" = ") for part in invented))


def _json(value: Any) -> str:
    """JSON; an example that is JSON in quotes is taken for what it holds."""
    if text_of(value).lstrip()[:1] in ("{", "["):
        try:
            json_value(value, "the example")
        except Unreadable:
            pass
        else:
            return text_of(value)
    return json_text(value, separators=(",", ":"), allow_nan=False)


def _form(value: Any) -> str:
    return "&".join(
        f"{quote_plus(k, errors='replace')}={quote_plus(v, errors='replace')}"
        for k, v in _fields(table(value), "")
    )


def _fields(value: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    """Fields of a form; of objects within each other as `a[b]`."""
    for key, inner in value.items():
        name = f"{before}[{key}]" if before else str(key)
        if isinstance(inner, dict):
            yield from _fields(inner, name)
        else:
            for text in flat_texts(inner if isinstance(inner, list) else [inner]):
                yield name, text
