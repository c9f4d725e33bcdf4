"""What an operation asks of who calls it, as headers whose values come from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from perfhunt.model.recorded.headers import is_own_header, variable_named
from perfhunt.model.recorded.openapi.document import ApiDocument, items, table, text_of


class Credentials(NamedTuple):
    """Headers with `${NAME}` in them, what a person has to know of them, and why the operation
    cannot be sent with headers alone ("": it can).
    """

    headers: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    missing: str = ""


def credentials(document: ApiDocument, operation: Mapping[str, Any]) -> Credentials:
    """What an operation asks for by the first of its requirements; nothing where one of them is
    that nothing is asked. Raises Unresolved.
    """
    requirements = items(operation.get("security", document.root.get("security")))
    if not requirements or {} in requirements:
        return Credentials()
    root = document.root
    schemes = table(root.get("securityDefinitions")) or table(
        table(root.get("components")).get("securitySchemes")
    )
    asked = [
        _credentials(name, document.resolved(schemes.get(name))) for name in table(requirements[0])
    ]
    cookies = "; ".join(value for each in asked for key, value in each.headers if key == "Cookie")
    headers = [(key, value) for each in asked for key, value in each.headers if key != "Cookie"]
    return Credentials(
        headers=(*headers, *([("Cookie", cookies)] if cookies else [])),
        remarks=tuple(remark for each in asked for remark in each.remarks),
        missing=next((each.missing for each in asked if each.missing), ""),
    )


def _credentials(name: str, scheme: Mapping[str, Any]) -> Credentials:
    variable = variable_named(name)
    kind, where = scheme.get("type"), scheme.get("in")
    way = text_of(scheme.get("scheme")).lower()
    if kind in ("oauth2", "openIdConnect") or (kind == "http" and way == "bearer"):
        return Credentials((("Authorization", f"Bearer ${{{variable}}}"),))
    if kind == "basic" or (kind == "http" and way == "basic"):
        remark = f"{variable} is user:password in base64."
        return Credentials((("Authorization", f"Basic ${{{variable}}}"),), (remark,))
    key = text_of(scheme.get("name"))
    if kind == "apiKey" and where in ("header", "cookie") and is_own_header(key):
        if where == "header":
            return Credentials(((key, f"${{{variable}}}"),))
        return Credentials((("Cookie", f"{key}=${{{variable}}}"),))
    if kind == "apiKey" and where == "query":
        return Credentials((), (), "the key goes into the query, which only a feed may fill")
    if kind == "http":
        return Credentials((("Authorization", f"${{{variable}}}"),))
    return Credentials((), (), "the credentials are no header")
