"""A value for a schema: what the document gives, else one of its type and within its bounds, the
same each time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple, TypeGuard

from perfhunt.model.recorded.openapi.document import ApiDocument, items, table, text_of
from perfhunt.model.text.escaping import json_text

# Of one value: what a person finishes by hand has no more parts, nor levels.
_PARTS = 300
_DEEPEST = 10
_LONGEST = 1000  # characters of a text that its schema wants long
_MOST_ITEMS = 20
_LARGEST = 10**18  # of a bound: those of 64 bits, beyond which there is none
_SHOWN = 40  # characters of an invented value in a remark
_FORMATS = {
    "date": "2024-01-31",
    "date-time": "2024-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "email": "user@example.com",
    "idn-email": "user@example.com",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uri-reference": "/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "byte": "ZXhhbXBsZQ==",
}
_SIGNS = 10  # of a pattern that is tried, of one kind
_SHORT = 3  # characters of a text that is tried on a pattern with repeated groups
_REPEATED = re.compile(r"\)[*+?{]")
# What many patterns allow, the plainest first.
_TRIED = (
    *(
        "string",
        "1",
        "10",
        "100",
        "a",
        "A",
        "STRING",
        "aa",
        "AA",
        "AAA",
        "1.0",
        "1.0.0",
        "a1",
        "A1",
    ),
    *("#ffffff", "ffffff", "00000001", "00:00", "2024-01-31", "2024-01", "a-a", "a_1", "/a", "+10"),
    *("1234567890", "a@a.aa", "a.a", "a:a", "1s"),
)


class _Absent:
    """No value: a schema that only goes round in circles, or one too many."""


_ABSENT = _Absent()
Schema = Mapping[str, Any]


class SchemaValue(NamedTuple):
    """A value, and which parts of it the document did not give: `name = "string"`."""

    value: Any
    invented: tuple[str, ...]


@dataclass(slots=True)
class _Making:
    document: ApiDocument
    invented: list[str] = field(default_factory=list)
    left: int = _PARTS

    def none_left(self) -> bool:
        self.left -= 1
        self.document.allowed.take()
        return self.left < 0


def schema_value(document: ApiDocument, schema: Any, where: str) -> SchemaValue:
    """A value for a schema; `where` names it in what is invented. Raises Unresolved."""
    making = _Making(document)
    value = _value(making, table(schema), where, frozenset(), 0)
    if isinstance(value, _Absent):
        value = _invent(making, where, "string")
    return SchemaValue(value, tuple(making.invented))


def given(document: ApiDocument, holder: Mapping[str, Any]) -> Any:
    """The example beside a schema (of a parameter, of a media type); None where there is none.
    Raises Unresolved.
    """
    if holder.get("example") is not None:
        return holder["example"]
    named = table(holder.get("examples")).values()
    every = (document.resolved(each).get("value") for each in named)
    return next((value for value in every if value is not None), holder.get("x-example"))


def _value(making: _Making, schema: Schema, where: str, within: frozenset[str], depth: int) -> Any:
    if depth > _DEEPEST or making.none_left():
        return _ABSENT
    flat = _flat(making, schema, within, 0)
    if flat is None:
        return _ABSENT
    schema, within = flat
    documented = _documented(schema)
    if not isinstance(documented, _Absent):
        return documented
    for options in (items(schema.get("oneOf")), items(schema.get("anyOf"))):
        base = {key: inner for key, inner in schema.items() if key not in ("oneOf", "anyOf")}
        for option in map(table, options):
            if option.get("type") != "null":
                value = _value(making, _joined(base, option), where, within, depth + 1)
                if not isinstance(value, _Absent):
                    return _told_apart(making, schema, option, value, where)
    match _type(schema):
        case "object":
            return _object(making, schema, where, within, depth)
        case "array":
            return _array(making, schema, where, within, depth)
        case "integer":
            return _invent(making, where, _number(schema, whole=True))
        case "number":
            return _invent(making, where, _number(schema, whole=False))
        case "boolean":
            return _invent(making, where, True)
        case "null":
            return None
    return _invent(making, where, _text(schema))


def _invent(making: _Making, where: str, value: Any) -> Any:
    shown = json_text(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    making.invented.append(f"{where} = {shown}")
    return value


def _flat(
    making: _Making, schema: Schema, within: frozenset[str], depth: int
) -> tuple[dict[str, Any], frozenset[str]] | None:
    """The schema with its references followed and its `allOf` joined, and the references it stands
    within; None for a circle.
    """
    flat = dict(schema)
    while "$ref" in flat:
        reference = text_of(flat.pop("$ref"))
        if reference in within or making.none_left():
            return None
        within |= {reference}
        flat = _joined(making.document.target(reference), flat)
    parts = items(flat.pop("allOf", None))
    for part in map(table, parts):
        if depth > _DEEPEST or making.none_left():
            return None
        inner = _flat(making, part, within, depth + 1)
        if inner is not None:
            flat = _joined(inner[0], flat)
            within |= inner[1]
    return flat, within


def _joined(below: Schema, above: Schema) -> dict[str, Any]:
    """Two schemas that both hold; where both say something, what is above is taken."""
    joined = {**below, **above}
    for key in ("properties", "discriminator"):
        if key in below and key in above:
            joined[key] = {**table(below[key]), **table(above[key])}
    if "required" in below and "required" in above:
        names = [*items(below["required"]), *items(above["required"])]
        joined["required"] = list(dict.fromkeys(name for name in names if isinstance(name, str)))
    if "allOf" in below and "allOf" in above:
        joined["allOf"] = [*items(below["allOf"]), *items(above["allOf"])]
    return joined


def _documented(schema: Schema) -> Any:
    if "const" in schema:
        return schema["const"]
    examples = (schema.get("example"), *items(schema.get("examples"))[:1], schema.get("default"))
    values = (*examples, *items(schema.get("enum"))[:2])
    return next((value for value in values if value is not None), _ABSENT)


def _told_apart(making: _Making, schema: Schema, option: Schema, value: Any, where: str) -> Any:
    """The value with the property by which the schema tells its options apart, where the option
    does not give that itself.
    """
    discriminator = table(schema.get("discriminator"))
    name, reference = text_of(discriminator.get("propertyName")), text_of(option.get("$ref"))
    if not name or not reference or not isinstance(value, dict):
        return value
    made_up = f"{where}.{name} = ".lstrip(".")
    if name in value and not any(each.startswith(made_up) for each in making.invented):
        return value
    making.invented = [each for each in making.invented if not each.startswith(made_up)]
    mapping = table(discriminator.get("mapping")).items()
    named = (key for key, place in mapping if place in (reference, reference.rpartition("/")[2]))
    return {**value, name: next(named, reference.rpartition("/")[2])}


def _type(schema: Schema) -> str:
    named = schema.get("type")
    for each in named if isinstance(named, list) else [named]:
        if isinstance(each, str) and each != "null":
            return each
    if named is not None and named != []:
        return "null"
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"


def _object(
    making: _Making, schema: Schema, where: str, within: frozenset[str], depth: int
) -> dict[str, Any] | _Absent:
    """What is required, and what has an example; everything where nothing is required."""
    properties = table(schema.get("properties"))
    required = [name for name in items(schema.get("required")) if isinstance(name, str)]
    names = list(
        dict.fromkeys(
            [*required, *(n for n in properties if not required or _shown(properties[n]))]
        )
    )
    made: dict[str, Any] = {}
    for name in names:
        inner = table(properties.get(name))
        if inner.get("readOnly") is True:
            continue
        value = _value(making, inner, f"{where}.{name}".lstrip("."), within, depth + 1)
        if not isinstance(value, _Absent):
            made[name] = value
        elif name in required:
            return _ABSENT if depth else made
    return made


def _shown(schema: Any) -> bool:
    return "example" in table(schema) or bool(items(table(schema).get("examples")))


def _array(
    making: _Making, schema: Schema, where: str, within: frozenset[str], depth: int
) -> list[Any]:
    least, most = schema.get("minItems"), schema.get("maxItems")
    count = min(max(least if _is_count(least) else 1, 1), _MOST_ITEMS)
    count = min(count, most) if _is_count(most) else count
    fixed = items(schema.get("prefixItems"))
    made: list[Any] = []
    for n in range(count):
        inner = fixed[n] if n < len(fixed) else schema.get("items")
        value = _value(making, table(inner), f"{where}[{n}]", within, depth + 1)
        if isinstance(value, _Absent):
            break
        made.append(value)
    return made


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _text(schema: Schema) -> str:
    if known := _FORMATS.get(text_of(schema.get("format"))):
        return known
    least, most = schema.get("minLength"), schema.get("maxLength")
    if pattern := text_of(schema.get("pattern"))[:_LONGEST]:
        low, high = (n if _is_count(n) else limit for n, limit in ((least, 0), (most, _LONGEST)))
        fits = (each for each in _TRIED if low <= len(each) <= high and _matches(pattern, each))
        if (fitting := next(fits, None)) is not None:
            return fitting
    text = "string".ljust(min(least, _LONGEST) if _is_count(least) else 0, "x")
    return text[:most] if _is_count(most) else text


def _matches(pattern: str, text: str) -> bool:
    """Whether a text fits, where that is soon told: a pattern may take time that doubles with each
    of its signs and each character.
    """
    signs = sum(map(pattern.count, "*+?{"))
    repeated = _REPEATED.search(pattern) is not None
    if signs > _SIGNS or pattern.count("|") > _SIGNS or (repeated and len(text) > _SHORT):
        return False
    try:
        return "){" not in pattern and re.search(pattern, text) is not None
    except (re.error, OverflowError, RecursionError):  # what another language allows
        return False


def _number(schema: Schema, whole: bool) -> int | float:
    """The least number above 0 that its schema allows, else the next to its other bound."""
    low, above = _bound(schema, "minimum", "exclusiveMinimum", max)
    high, below = _bound(schema, "maximum", "exclusiveMaximum", min)
    step = _exact(schema.get("multipleOf")) or (Fraction(1) if whole else None)
    step = step if step is None or step > 0 else None
    number = Fraction(1)
    if low is not None and (number < low or (above and number == low)):
        number = low + ((step or _half(low, high)) if above else 0)
    if step is not None:
        number = math.ceil(number / step) * step
    if high is not None and (number > high or (below and number == high)):
        number = high - ((step or _half(low, high)) if below else 0)
        number = math.floor(number / step) * step if step is not None else number
    return int(number) if number.denominator == 1 else float(number)


def _half(low: Fraction | None, high: Fraction | None) -> Fraction:
    return (high - low) / 2 if low is not None and high is not None else Fraction(1)


def _bound(schema: Schema, plain: str, exclusive: str, of: Any) -> tuple[Fraction | None, bool]:
    """A bound, and whether it is itself excluded; as a flag (3.0) or as a number (3.1)."""
    bound, strict = _exact(schema.get(plain)), schema.get(exclusive)
    if strict is True:
        return bound, True
    other = _exact(strict)
    if other is None or (bound is not None and of(bound, other) != other):
        return bound, False
    return other, True


def _exact(value: Any) -> Fraction | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Fraction(str(value)) if -_LARGEST < value < _LARGEST else None


def flat_texts(values: Iterable[Any]) -> list[str]:
    """Values as they stand in a path or a query: texts as they are, the rest as JSON writes it."""
    return [value if isinstance(value, str) else json_text(value) for value in values]
