"""A service that describes itself and refuses what does not fit takes every request that is read
from its own description.
"""

from __future__ import annotations

import asyncio
import json
from datetime import date
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import pytest

from perfhunt.load.render import prepare
from perfhunt.model.recorded.openapi.operations import openapi_traffic
from tests.unit.model.initialised import woken

fastapi = pytest.importorskip("fastapi", reason="perfhunt[zoo] is not installed")
pydantic = pytest.importorskip("pydantic", reason="perfhunt[zoo] is not installed")


# Annotations are texts here, so what they name stands at the top of the file.
KEY = pytest.importorskip("fastapi.security").APIKeyHeader(name="X-Key")


class Size(StrEnum):
    """Of a pizza."""

    SMALL = "small"
    LARGE = "large"


Code = Annotated[str, pydantic.Field(pattern="^[A-Z]{3}$")]
Part = pydantic.create_model(
    "Part", amount=(Annotated[float, pydantic.Field(gt=2, lt=3)], ...), code=(Code, ...)
)
Pizza = pydantic.create_model(
    "Pizza",
    name=(Annotated[str, pydantic.Field(min_length=12, max_length=14)], ...),
    baked=(date, ...),
    size=(Size, Size.LARGE),
    parts=(Annotated[list[Part], pydantic.Field(min_length=2)], ...),  # type: ignore[valid-type]
    notes=(dict[str, int], ...),
    next=(int | None, ...),
)


def service() -> Any:
    app = fastapi.FastAPI()

    def pizzas(
        shop: Annotated[int, fastapi.Path(ge=10, multiple_of=7)],
        size: Size,
        tags: Annotated[list[str], fastapi.Query(min_length=1)],
        since: date,
        x_trace: Annotated[UUID, fastapi.Header()],
        after: Annotated[int, fastapi.Query(gt=100)],
        secret: Annotated[str, fastapi.Depends(KEY)],
    ) -> dict[str, Any]:
        return {"given": [shop, size, tags, since, x_trace, after, secret]}

    def bake(pizza: Pizza) -> dict[str, Any]:  # type: ignore[valid-type]
        return {"given": pizza}

    def none(code: Code, rest: str) -> None:
        return None

    app.get("/shops/{shop}/pizzas")(pizzas)
    app.put("/pizzas", status_code=201)(bake)
    app.delete("/codes/{code}/{rest:path}", status_code=204)(none)
    return app


def answered(app: Any, request: bytes) -> tuple[int, bytes]:
    """The status and the body that an ASGI application answers with."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, target, _ = first.decode().split(" ")
    path, _, query = target.partition("?")
    pairs = (line.split(b": ", 1) for line in lines)
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "scheme": "http",
        "headers": [(name.lower(), value) for name, value in pairs],
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }
    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        said.append(message)

    asyncio.run(app(scope, receive, send))
    return said[0]["status"], b"".join(each.get("body", b"") for each in said[1:])


def test_a_service_takes_what_is_read_from_its_own_description() -> None:
    app = service()
    traffic = openapi_traffic(json.dumps(app.openapi()), "perfhunt")
    env = {"APIKEYHEADER": "k"}
    asked = woken(traffic, **env).traffic
    assert len(asked) == 3
    for endpoint in asked:
        status, body = answered(app, prepare(endpoint, "host", "run", env).get(0))
        assert status in endpoint.expect.status, body
