"""Documents of OpenAPI and Swagger as traffic: what is sent is what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfhunt.errors import QuestionError, Unreadable
from perfhunt.model.recorded.openapi.operations import openapi_traffic
from perfhunt.model.recorded.traffic import ENDPOINTS, RecordedTraffic
from tests.unit.model.initialised import question, sent, woken

LIBRARY = """\
openapi: 3.0.3
info: {title: Library, version: '1'}
servers:
  - url: https://{region}.library.example/v2
    variables: {region: {default: eu}}
security: [{bearer: []}]
paths:
  /books:
    get:
      parameters:
        - {name: shelf, in: query, required: true, schema: {type: string, enum: [new, old]}}
        - {name: page, in: query, schema: {type: integer}}
        - {name: X-Tenant, in: header, required: true, example: acme, schema: {type: string}}
      responses: {200: {description: ok}, 304: {description: same}, 404: {description: none}}
    post:
      requestBody:
        content:
          application/xml: {schema: {$ref: '#/components/schemas/Book'}}
          application/json: {schema: {$ref: '#/components/schemas/Book'}}
      responses: {201: {description: made}}
  /books/{isbn}:
    parameters: [{$ref: '#/components/parameters/Isbn'}]
    get:
      security: []
      responses: {2XX: {description: ok}}
    delete:
      responses: {204: {description: gone}}
  /books/{isbn}/copies/{copy}:
    get:
      parameters:
        - {$ref: '#/components/parameters/Isbn'}
        - {name: copy, in: path, required: true, schema: {type: integer, minimum: 7}}
      responses: {default: {description: any}}
  /old:
    get: {deprecated: true, responses: {200: {description: ok}}}
  /events:
    get:
      responses: {200: {description: ok, content: {text/event-stream: {}}}}
components:
  parameters:
    Isbn: {name: isbn, in: path, required: true, example: 978 3, schema: {type: string}}
  securitySchemes:
    bearer: {type: http, scheme: bearer}
  schemas:
    Book:
      type: object
      required: [title, author]
      properties:
        id: {type: integer, readOnly: true}
        title: {type: string, example: Ulysses}
        author: {$ref: '#/components/schemas/Author'}
        sequel: {$ref: '#/components/schemas/Book'}
    Author: {type: object, properties: {name: {type: string, minLength: 8}, born: {type: integer}}}
"""


@pytest.fixture
def library() -> RecordedTraffic:
    return openapi_traffic(LIBRARY, "perfhunt")


def described(paths: dict[str, Any], **root: Any) -> RecordedTraffic:
    return openapi_traffic(json.dumps({"openapi": "3.1.0", "paths": paths, **root}), "perfhunt")


def only(paths: dict[str, Any], **root: Any) -> tuple[str, dict[str, str], str]:
    """What the only operation of a document sends."""
    (wire,) = sent(question(described(paths, **root))).values()
    return wire


def test_operations_that_change_nothing_are_sent_as_the_document_says(
    library: RecordedTraffic,
) -> None:
    asked = question(library, BEARER="t")
    assert sent(asked, BEARER="t") == {
        "GET /books": (
            "GET /v2/books?shelf=new",
            {"Authorization": "Bearer t", "X-Tenant": "acme"},
            "",
        ),
        "GET /books/{isbn}": ("GET /v2/books/978%203", {}, ""),
        "GET /books/{isbn}/copies/{copy}": (
            "GET /v2/books/978%203/copies/7",
            {"Authorization": "Bearer t"},
            "",
        ),
    }
    expected = {endpoint.name: endpoint.expect.status for endpoint in asked.traffic}
    assert expected["GET /books"] == (200, 304)
    assert expected["GET /books/{isbn}"] == ()  # 2XX is more than a list of codes can say


def test_operations_that_change_state_are_comments_that_can_be_taken_away(
    library: RecordedTraffic,
) -> None:
    wire = sent(woken(library, BEARER="t"), BEARER="t")
    assert wire["DELETE /books/{isbn}"][0] == "DELETE /v2/books/978%203"
    first, headers, body = wire["POST /books"]
    assert (first, headers["Content-Type"]) == ("POST /v2/books", "application/json")
    assert json.loads(body) == {
        "title": "Ulysses",
        "author": {"name": "stringxx", "born": 1},
    }
    (told,) = [note for note in library.notes if "state" in note]
    assert told == (
        "2 in the file as comments: may change the service's state"
        " (POST /books, DELETE /books/{isbn})."
    )


def test_what_the_document_does_not_give_is_marked(library: RecordedTraffic) -> None:
    assert "# invented: {copy} = 7\n[[traffic]]" in library.toml
    assert '# invented: author.name = "stringxx", author.born = 1\n' in library.toml
    assert library.toml.count("invented") == 2
    assert any("GET /books/{isbn}/copies/{copy}" in note for note in library.notes)


def test_what_is_left_out_is_counted_and_named(library: RecordedTraffic) -> None:
    told = " ".join(library.notes)
    assert "1 left out: they are deprecated (GET /old)." in told
    assert "1 in the file as comments: the answer is a stream (GET /events)." in told
    assert "export BEARER=..." in told
    assert "https://eu.library.example" in told and library.origin == ""


def test_json_and_yaml_of_a_document_are_the_same_traffic(library: RecordedTraffic) -> None:
    assert openapi_traffic(json.dumps(yaml.safe_load(LIBRARY)), "perfhunt") == library


def test_a_server_on_this_host_is_taken_over() -> None:
    servers = [{"url": "https://api.example/v1"}, {"url": "http://localhost:8080/v1/"}]
    traffic = described({"/a": {"get": {}}}, servers=servers)
    assert traffic.origin == "http://localhost:8080"
    assert question(traffic).target.url == "http://localhost:8080"
    assert sent(question(traffic))["GET /a"][0] == "GET /v1/a"


def test_operations_at_other_servers_are_left_out() -> None:
    elsewhere = {"get": {"servers": [{"url": "https://files.example"}]}}
    traffic = described({"/a": {"get": {}}, "/b": elsewhere}, servers=[{"url": "/v1"}])
    assert [endpoint.path for endpoint in question(traffic).traffic] == ["/v1/a"]
    assert "1 left out: they are at another server than the rest (GET /b)." in traffic.notes


@pytest.mark.parametrize(
    ("parameter", "target"),
    [  # of the table of styles in the specification of OpenAPI 3.1, 4.8.12.4
        ({"in": "query", "example": ["a b", "c"]}, "/x?p=a%20b&p=c"),
        ({"in": "query", "explode": False, "example": ["a", "b"]}, "/x?p=a,b"),
        ({"in": "query", "style": "spaceDelimited", "example": ["a", "b"]}, "/x?p=a%20b"),
        ({"in": "query", "style": "pipeDelimited", "example": ["a", "b"]}, "/x?p=a%7Cb"),
        ({"in": "query", "example": {"R": 100, "G": 200}}, "/x?R=100&G=200"),
        ({"in": "query", "explode": False, "example": {"R": 100, "G": 200}}, "/x?p=R,100,G,200"),
        ({"in": "query", "style": "deepObject", "example": {"R": 1}}, "/x?p%5BR%5D=1"),
        (
            {"in": "query", "content": {"application/json": {"example": {"a": 1}}}},
            "/x?p=%7B%22a%22%3A1%7D",
        ),
        ({"in": "path", "example": ["a", "b"]}, "/a,b"),
        ({"in": "path", "style": "label", "example": ["a", "b"]}, "/.a,b"),
        ({"in": "path", "style": "label", "explode": True, "example": ["a", "b"]}, "/.a.b"),
        ({"in": "path", "style": "matrix", "example": ["a", "b"]}, "/;p=a,b"),
        ({"in": "path", "style": "matrix", "explode": True, "example": ["a", "b"]}, "/;p=a;p=b"),
        ({"in": "path", "explode": True, "example": {"R": 1, "G": 2}}, "/R=1,G=2"),
        ({"in": "path", "example": "a/b?c"}, "/a%2Fb%3Fc"),
        ({"in": "path", "example": ".."}, "/1"),
    ],
)
def test_a_parameter_is_written_in_its_style(parameter: dict[str, Any], target: str) -> None:
    path = "/{p}" if parameter["in"] == "path" else "/x"
    operation = {"parameters": [{"name": "p", "required": True, **parameter}]}
    assert only({path: {"get": operation}})[0] == f"GET {target}"


def swagger(operation: dict[str, Any], method: str = "get", **root: Any) -> RecordedTraffic:
    whole = {"swagger": "2.0", "paths": {"/a/{b}": {method: operation}}, **root}
    return openapi_traffic(json.dumps(whole), "perfhunt")


def test_swagger_2_is_read_too() -> None:
    parameters: list[dict[str, Any]] = [
        {"name": "b", "in": "path", "required": True, "type": "string", "default": "x"},
        {"name": "c", "in": "query", "required": True, "type": "array", "default": [1, 2]},
    ]
    basic = {"basic": {"type": "basic"}}
    traffic = swagger(
        {"parameters": parameters, "security": [{"basic": []}]},
        host="127.0.0.1:9000",
        basePath="/v1",
        securityDefinitions=basic,
    )
    asked = question(traffic, BASIC="dTpw")
    assert asked.target.url == "http://127.0.0.1:9000"
    wire = sent(asked, BASIC="dTpw")["GET /a/{b}"]
    assert wire == ("GET /v1/a/x?c=1,2", {"Authorization": "Basic dTpw"}, "")
    parameters[1]["collectionFormat"] = "multi"
    assert sent(question(swagger({"parameters": parameters})))["GET /a/{b}"][0] == (
        "GET /a/x?c=1&c=2"
    )


def test_bodies_of_swagger_2_are_schemas_or_forms() -> None:
    whole = {"name": "n", "in": "body", "schema": {"properties": {"q": {"example": 3}}}}
    wire = sent(woken(swagger({"parameters": [whole]}, "put")))["PUT /a/{b}"]
    assert wire[1:] == ({"Content-Type": "application/json"}, '{"q":3}')
    fields = [
        {"name": "d", "in": "formData", "type": "string", "required": True, "default": "e f"},
        {"name": "g", "in": "formData", "type": "string"},
    ]
    wire = sent(woken(swagger({"parameters": fields}, "post")))["POST /a/{b}"]
    assert wire[1:] == ({"Content-Type": "application/x-www-form-urlencoded"}, "d=e+f")


@pytest.mark.parametrize(
    ("scheme", "header"),
    [
        ({"type": "apiKey", "in": "header", "name": "X-Key"}, ("X-Key", "s")),
        ({"type": "apiKey", "in": "cookie", "name": "sid"}, ("Cookie", "sid=s")),
        ({"type": "oauth2", "flows": {}}, ("Authorization", "Bearer s")),
        ({"type": "http", "scheme": "Basic"}, ("Authorization", "Basic s")),
    ],
)
def test_credentials_come_from_the_environment(
    scheme: dict[str, Any], header: tuple[str, str]
) -> None:
    components = {"securitySchemes": {"my-key": scheme}}
    paths: dict[str, Any] = {"/a": {"get": {"security": [{"my-key": []}]}}}
    traffic = described(paths, components=components)
    with pytest.raises(QuestionError, match="export MY_KEY="):
        question(traffic)
    assert sent(question(traffic, MY_KEY="s"), MY_KEY="s")["GET /a"][1] == dict([header])


def test_a_key_in_the_query_is_for_a_person_to_give_and_none_is_asked_where_none_is_needed() -> (
    None
):
    components = {"securitySchemes": {"k": {"type": "apiKey", "in": "query", "name": "key"}}}
    paths: dict[str, Any] = {
        "/a": {"get": {"security": [{"k": []}]}},
        "/b": {"get": {"security": [{"k": []}, {}]}},
    }
    traffic = described(paths, components=components)
    assert list(sent(question(traffic))) == ["GET /b"]
    assert any("only a feed may fill (GET /a)" in note for note in traffic.notes)


def test_a_document_of_posts_alone_sends_nothing_before_a_person_chose() -> None:
    traffic = described({"/rpc": {"post": {}}})
    with pytest.raises(QuestionError, match=r"traffic\[1\].request: is still blank"):
        question(traffic)


def test_more_than_a_person_looks_over_are_comments_those_with_known_values_last() -> None:
    paths: dict[str, Any] = {f"/{n}/{{id}}": {"get": {}} for n in range(5)}
    paths |= {f"/known/{n}": {"get": {}} for n in range(ENDPOINTS - 2)}
    asked = question(described(paths))
    assert len(asked.traffic) == ENDPOINTS
    assert sum(endpoint.path.startswith("/known") for endpoint in asked.traffic) == ENDPOINTS - 2
    assert len(woken(described(paths)).traffic) == ENDPOINTS + 3


def test_a_body_that_looks_like_a_template_is_sent_as_it_is(tmp_path: Path) -> None:
    media = {"application/json": {"example": {"text": "{name} costs ${PRICE}"}}}
    traffic = described({"/a": {"get": {"requestBody": {"content": media}}}})
    ((name, rows),) = traffic.feeds.items()
    (tmp_path / name).write_text(rows)
    feeds = {f"{tmp_path}/{name}": rows}
    toml = traffic.toml.replace(name, f"{tmp_path}/{name}")
    ((_, _, body),) = sent(question(traffic._replace(toml=toml, feeds=feeds))).values()
    assert json.loads(body) == {"text": "{name} costs ${PRICE}"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "of no version"),
        ("swagger: '1.2'", "of no version"),
        ("openapi: 3.0.0", "no paths"),
        ("openapi: 3.0.0\npaths: {/a: {get: {parameters: [{$ref: 'b.yaml#/c'}]}}}", "other files"),
        ("openapi: 3.0.0\npaths: {/a: {$ref: '#/b'}}", "#/b, which is not there"),
        ("openapi: 3.0.0\nb: {$ref: '#/b'}\npaths: {/a: {$ref: '#/b'}}", "in a circle"),
        ("openapi: 3.0.0\npaths: {/a: {trace: {}}}", "method that is not sent"),
        ("- a\n- b\n", "of no version"),
        ("a: b: c", "line 1"),
    ],
)
def test_what_is_no_document_that_can_be_used_is_refused(text: str, told: str) -> None:
    with pytest.raises(Unreadable, match=told):
        openapi_traffic(text, "perfhunt")
