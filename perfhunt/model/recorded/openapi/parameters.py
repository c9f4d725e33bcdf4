"""Parameters of an operation: the path, the query and the headers that they give, in the styles of
OpenAPI 3 and the collection formats of Swagger 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_from_bytes

from perfhunt.model.recorded.openapi.document import ApiDocument, items, table, text_of
from perfhunt.model.recorded.openapi.schema import (
    SchemaValue,
    flat_texts,
    given,
    schema_value,
)
from perfhunt.model.text.escaping import json_text

_PLACE = re.compile(r"\{([^{}]*)\}")
# Headers that OpenAPI says elsewhere.
_NOT_HEADERS = frozenset({"accept", "content-type", "authorization"})
_BETWEEN = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}
_FORMATS = {"ssv": "%20", "pipes": "%7C", "tsv": "%09"}  # of Swagger 2


@dataclass(slots=True)
class Filled:
    """What the parameters of an operation give: path and query as they are sent, headers, and the
    values that the document does not give.
    """

    path: str
    query: list[str] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{'&'.join(self.query)}" if self.query else self.path


def parameters_of(
    document: ApiDocument, *holders: Mapping[str, Any]
) -> dict[tuple[str, str], dict[str, Any]]:
    """The parameters by place and name; those of an operation stand for those of its path. Raises
    Unresolved.
    """
    every = (document.resolved(each) for h in holders for each in items(h.get("parameters")))
    return {(text_of(each.get("in")), text_of(each.get("name"))): each for each in every}


def filled(
    document: ApiDocument, path: str, parameters: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Filled:
    """A path template with its parameters' values, and the required ones of query and headers.
    Raises Unresolved.
    """
    made = Filled(path)
    cookies: list[str] = []

    def in_path(match: re.Match[str]) -> str:
        name = match[1]
        parameter = parameters.get(("path", name), {"schema": {"type": "integer"}})
        value, invented = _value(document, parameter, f"{{{name}}}")
        text = _in_path(name, value, parameter)
        if not text.strip("./"):  # no segment, or one that leads elsewhere
            text, invented = "1", (f"{{{name}}} = 1",)
        made.invented += invented
        return text

    made.path = _PLACE.sub(in_path, path).replace("#", "%23")
    for (place, name), parameter in parameters.items():
        if place not in ("query", "header", "cookie") or parameter.get("required") is not True:
            continue
        if place == "header" and name.lower() in _NOT_HEADERS:
            continue
        value, invented = _value(document, parameter, name)
        made.invented += invented
        if place == "query":
            made.query += _in_query(name, value, parameter)
        elif place == "header":
            made.headers.append((name, ",".join(_parts(value))))
        else:
            cookies.append(f"{name}={','.join(_parts(value))}")
    if cookies:
        made.headers.append(("Cookie", "; ".join(cookies)))
    return made


def _value(document: ApiDocument, parameter: Mapping[str, Any], where: str) -> SchemaValue:
    example = given(document, parameter)
    if example is not None:
        return SchemaValue(example, ())
    for media in table(parameter.get("content")).values():  # one, its value as a text of that type
        holder = document.resolved(media)
        example = given(document, holder)
        made = SchemaValue(example, ())
        if example is None:
            made = schema_value(document, holder.get("schema"), where)
        text = made.value
        if not isinstance(text, str):
            text = json_text(text, separators=(",", ":"))
        return SchemaValue(text, made.invented)
    # In Swagger 2 a parameter is its own schema.
    own = {key: inner for key, inner in parameter.items() if key not in ("required", "in", "name")}
    return schema_value(document, parameter.get("schema", own), where)


def _parts(value: Any) -> list[str]:
    """A list as its items; an object as its names and values in turn."""
    if isinstance(value, dict):
        return [
            part for pair in zip(value, flat_texts(value.values()), strict=True) for part in pair
        ]
    return flat_texts(value if isinstance(value, list) else [value])


def _in_path(name: str, value: Any, parameter: Mapping[str, Any]) -> str:
    style, explode = parameter.get("style"), parameter.get("explode") is True
    parts = [_quoted(part) for part in _parts(value)]
    if explode and isinstance(value, dict):
        parts = [f"{key}={each}" for key, each in zip(parts[::2], parts[1::2], strict=True)]
    if style == "label":
        return f".{('.' if explode else ',').join(parts)}"
    if style == "matrix":
        named = explode and isinstance(value, dict)
        before = "" if named else f"{_quoted(name)}="
        joined = [f";{before}{part}" for part in parts]
        return "".join(joined) if explode else f";{before}{','.join(parts)}"
    return ",".join(parts)


def _in_query(name: str, value: Any, parameter: Mapping[str, Any]) -> list[str]:
    style, key = parameter.get("style", "form"), _quoted(name)
    parts = [_quoted(part) for part in _parts(value)]
    if isinstance(value, dict) and style == "deepObject":
        return _paired([f"{key}%5B{part}%5D" for part in parts[::2]], parts[1::2])
    if _explodes(parameter, style):
        if isinstance(value, dict):
            return _paired(parts[::2], parts[1::2])
        return [f"{key}={part}" for part in parts]
    listed = text_of(parameter.get("collectionFormat"))
    between = _FORMATS.get(listed) or _BETWEEN.get(text_of(style)) or ","
    return [f"{key}={between.join(parts)}"]


def _explodes(parameter: Mapping[str, Any], style: Any) -> bool:
    if "type" in parameter:  # Swagger 2, where a list is joined by commas
        return parameter.get("collectionFormat") == "multi" or parameter.get("type") != "array"
    explode = parameter.get("explode")
    return explode if isinstance(explode, bool) else style == "form"


def _quoted(text: str) -> str:
    """Percent-encoded; halves of a pair, which are no characters, become question marks."""
    return quote_from_bytes(text.encode("utf-8", "replace"), safe="")


def _paired(names: Sequence[str], values: Sequence[str]) -> list[str]:
    return [f"{name}={value}" for name, value in zip(names, values, strict=True)]
