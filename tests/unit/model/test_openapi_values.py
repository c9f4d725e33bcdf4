"""Values for schemas: jsonschema says whether they are what the schema asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfhunt.model.recorded.openapi.document import ApiDocument
from perfhunt.model.recorded.openapi.schema import SchemaValue, schema_value


def made(schema: dict[str, Any], **schemas: Any) -> SchemaValue:
    document = ApiDocument({"components": {"schemas": schemas}}, 3)
    return schema_value(document, schema, "it")


def bounded(draw: Callable[[Any], Any], kind: str) -> dict[str, Any]:
    low = draw(st.integers(-50, 50))
    schema: dict[str, Any] = {"type": kind}
    schema[draw(st.sampled_from(["minimum", "exclusiveMinimum"]))] = low
    schema[draw(st.sampled_from(["maximum", "exclusiveMaximum"]))] = low + draw(st.integers(4, 90))
    if draw(st.booleans()):
        schema["multipleOf"] = draw(
            st.sampled_from([1, 2] if kind == "integer" else [0.5, 2, 0.25])
        )
    return schema


numbers = st.composite(lambda draw: bounded(draw, draw(st.sampled_from(["integer", "number"]))))()
texts = st.builds(
    lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
    st.integers(0, 40),
    st.integers(0, 9),
)
leaves = (
    numbers | texts | st.sampled_from([{"type": "boolean"}, {"enum": ["b", "a"]}, {"const": 3}])
)


def objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    properties = st.dictionaries(st.sampled_from("abcd"), inner, min_size=1)
    return properties.flatmap(
        lambda each: st.builds(
            lambda required: {"type": "object", "properties": each, "required": required},
            st.lists(st.sampled_from(sorted(each)), unique=True),
        )
    )


schemas = st.recursive(
    leaves,
    lambda inner: (
        objects(inner)
        | st.builds(
            lambda i, n: {"type": "array", "items": i, "minItems": n}, inner, st.integers(0, 3)
        )
        | st.builds(lambda *each: {"oneOf": [each[0]]}, inner)
        | st.builds(lambda *each: {"anyOf": [{"type": "null"}, *each]}, inner, inner)
        | st.builds(lambda each: {"allOf": [each, {"description": "d"}]}, inner)
    ),
    max_leaves=8,
)


@given(schemas)
def test_a_value_is_what_its_schema_asks_for(schema: dict[str, Any]) -> None:
    jsonschema.validate(made(schema).value, schema, jsonschema.Draft202012Validator)


@given(schemas)
def test_the_same_schema_has_the_same_value(schema: dict[str, Any]) -> None:
    assert made(schema) == made(schema)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "example": "e", "default": "d", "enum": ["n"]}, "e"),
        ({"type": "string", "default": "d", "enum": ["n"]}, "d"),
        ({"type": "string", "enum": [None, "n"]}, "n"),
        ({"type": ["null", "integer"], "examples": [4, 5]}, 4),
        ({"const": "c"}, "c"),
    ],
)
def test_what_the_document_gives_comes_first_and_is_not_invented(
    schema: dict[str, Any], value: object
) -> None:
    assert made(schema) == SchemaValue(value, ())


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer", "minimum": 3, "exclusiveMinimum": True}, 4),  # as in OpenAPI 3.0
        ({"type": "integer", "exclusiveMinimum": 3}, 4),  # and as in 3.1
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "integer", "minimum": 5, "multipleOf": 4}, 8),
        ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, 1.5),
        ({"type": "string", "format": "date"}, "2024-01-31"),
        ({"type": "string", "maxLength": 3}, "str"),
        ({"type": "string", "pattern": "^(0|[1-9][0-9]*)$"}, "1"),
        ({"pattern": "^[A-Z]{3}$"}, "AAA"),
        ({"type": "array", "maxItems": 0, "items": {"type": "string"}}, []),
    ],
)
def test_an_invented_value_is_within_its_bounds_and_said_to_be_invented(
    schema: dict[str, Any], value: object
) -> None:
    value_made, invented = made(schema)
    assert value_made == value
    assert bool(invented) == (value != [])


def test_a_schema_within_itself_ends() -> None:
    node = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"example": "n"}, "next": {"$ref": "#/components/schemas/Node"}},
    }
    children = {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}
    tree = {"type": "object", "properties": {"children": children, "n": {"example": 1}}}
    assert made({"$ref": "#/components/schemas/Node"}, Node=node).value == {"name": "n"}
    assert made({"$ref": "#/components/schemas/Tree"}, Tree=tree).value == {"children": [], "n": 1}
    loop = {"$ref": "#/components/schemas/Loop"}
    assert made(loop, Loop=loop).invented == ('it = "string"',)


def test_schemas_that_fan_out_are_cut() -> None:
    """Each of 40 schemas has ten of the next: 10^40 values in all."""
    schemas = {
        f"S{n}": {
            "properties": {f"p{i}": {"$ref": f"#/components/schemas/S{n + 1}"} for i in range(10)}
        }
        for n in range(40)
    }
    value = made({"$ref": "#/components/schemas/S0"}, S40={"type": "integer"}, **schemas).value
    assert isinstance(value, dict)


def test_all_of_joins_and_one_of_is_told_by_its_discriminator() -> None:
    pet = {"properties": {"kind": {"type": "string"}, "name": {"example": "Rex"}}}
    dog = {
        "allOf": [{"$ref": "#/components/schemas/Pet"}, {"properties": {"bark": {"example": 1}}}]
    }
    one = {
        "oneOf": [{"$ref": "#/components/schemas/Dog"}],
        "discriminator": {"propertyName": "kind", "mapping": {"d": "#/components/schemas/Dog"}},
    }
    value, invented = made(one, Pet=pet, Dog=dog)
    assert value == {"kind": "d", "name": "Rex", "bark": 1}
    assert invented == ()


def test_what_the_service_writes_itself_is_not_sent() -> None:
    schema = {
        "required": ["id", "a"],
        "properties": {"id": {"readOnly": True}, "a": {"example": 1}},
    }
    assert made(schema).value == {"a": 1}
