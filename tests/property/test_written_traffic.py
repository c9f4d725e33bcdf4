"""Whatever a document or a script says, the file that `init` writes can be read, and what it sends
is one request.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from perfhunt.errors import Unreadable
from perfhunt.load.render import prepare
from perfhunt.model.recorded.k6.script import k6_traffic
from perfhunt.model.recorded.openapi.operations import openapi_traffic
from perfhunt.model.recorded.traffic import RecordedTraffic
from perfhunt.model.testfile.template import variables_used
from tests.unit.model.initialised import question, woken

odd = st.text(max_size=12) | st.sampled_from(
    ["{a}", "${A}", "${", "a: b", "\r\nX: y", "'", '"""', "\\", "#", "://", "..", "é", "\ud800"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | odd,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd, inner, max_size=3),
    max_leaves=6,
)
# What a script says in so many words: of other numbers JavaScript makes something else.
written = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | odd,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd, inner, max_size=3),
    max_leaves=6,
)
schemas = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "number", "array", "object", "null", 7]),
        "minimum": anything,
        "exclusiveMaximum": anything,
        "multipleOf": anything,
        "minLength": anything,
        "maxLength": anything,
        "pattern": odd,
        "enum": anything,
        "example": anything,
        "properties": st.dictionaries(odd, st.just({"$ref": "#/components/schemas/S"}), max_size=2),
        "required": anything,
        "items": anything,
        "allOf": st.lists(st.just({"$ref": "#/components/schemas/S"}), max_size=2),
    },
)
parameters = st.fixed_dictionaries(
    {
        "name": odd,
        "in": st.sampled_from(["path", "query", "header", "cookie"]),
        "required": st.just(True),
    },
    optional={
        "schema": schemas,
        "style": st.sampled_from(["form", "matrix", "label", "deepObject"]),
        "explode": st.booleans(),
        "example": anything,
    },
)
operations = st.fixed_dictionaries(
    {"parameters": st.lists(parameters, max_size=3)},
    optional={
        "security": st.just([{"k": []}]),
        "responses": st.dictionaries(st.sampled_from(["200", "2XX", "304", "default"]), anything),
        "requestBody": st.builds(
            lambda kind, schema: {"content": {kind: {"schema": schema}}},
            st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/a"])
            | odd,
            schemas,
        ),
    },
)
documents = st.fixed_dictionaries(
    {
        "openapi": st.just("3.0.0"),
        "paths": st.dictionaries(
            st.builds(lambda a, b: f"/{a}/{{{b}}}", odd, odd),
            st.dictionaries(st.sampled_from(["get", "post"]), operations, min_size=1),
            min_size=1,
            max_size=3,
        ),
        "components": st.fixed_dictionaries(
            {
                "schemas": st.fixed_dictionaries({"S": schemas}),
                "securitySchemes": st.fixed_dictionaries(
                    {"k": st.builds(lambda n: {"type": "apiKey", "in": "header", "name": n}, odd)}
                ),
            }
        ),
    },
    optional={"servers": st.lists(st.builds(lambda url: {"url": url}, odd), max_size=2)},
)


def checked(traffic: RecordedTraffic, awake: bool) -> None:
    """Every request of the file is one request: a head of one line each, and its body."""
    env = dict.fromkeys(variables_used(traffic.toml), "x")
    asked = (woken if awake else question)(traffic, **env)
    for endpoint in asked.traffic:
        if endpoint.feed is None:
            head = prepare(endpoint, "host", "run", env).get(0).partition(b"\r\n\r\n")[0]
            assert head.count(b"HTTP/1.1") == 1
            assert b"\nX: y" not in head


@given(documents)
def test_whatever_a_document_says_the_file_can_be_read(document: dict[str, Any]) -> None:
    try:
        traffic = openapi_traffic(json.dumps(document), "perfhunt")
    except Unreadable:
        assume(False)
    else:
        checked(traffic, awake=True)


@given(odd, odd, odd, written, odd)
def test_whatever_a_script_says_the_file_can_be_read(
    path: str, header: str, value: str, body: object, name: str
) -> None:
    pytest.importorskip("tree_sitter_javascript", reason="perfhunt[langs] is not installed")
    text = (
        "import http from 'k6/http';\n"
        "export const options = { thresholds: { "
        + json.dumps(name)
        + ": ["
        + json.dumps(value)
        + "] } };\n"
        f"export default () => http.post('http://h/' + {json.dumps(path)},"
        f" JSON.stringify({json.dumps(body)}), {{"
        f" headers: {{ {json.dumps(header)}: {json.dumps(value)} }},"
        f" tags: {{ name: {json.dumps(name)} }} }});\n"
    )
    checked(k6_traffic(text, "perfhunt", "script.js"), awake=False)
