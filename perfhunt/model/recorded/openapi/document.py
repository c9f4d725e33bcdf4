"""The document itself: which version it is, what its references refer to, and its servers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance, json_value
from perfhunt.model.document.yaml_tree import yaml_value

WHAT = "the OpenAPI document"
_HOST = re.compile(r"[A-Za-z0-9._~:\[\]-]+")
_HOPS = 20  # references that lead to references: chains have two or three
# Parts of schemas that are looked at for all values of a document: a thousand operations look at
# fifty each.
_MOST_PARTS = 1_000_000
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Unresolved(Unreadable):
    """A reference whose place is not in the document; the message is the end of a sentence that
    begins with "they".
    """


class Server(NamedTuple):
    """Where operations are: `http://host:port` ("": the document names none), and what stands
    before all of their paths.
    """

    origin: str
    base: str

    @property
    def is_local(self) -> bool:
        """Whether it is on this host."""
        return urlsplit(self.origin).hostname in _LOCAL


@dataclass(frozen=True, slots=True)
class ApiDocument:
    """A document of OpenAPI 3 or Swagger 2 (`version`)."""

    root: Mapping[str, Any]
    version: int
    allowed: Allowance = field(default_factory=lambda: Allowance(_MOST_PARTS, "values", WHAT))

    def resolved(self, value: Any) -> dict[str, Any]:
        """The object that stands there, or where it refers to; what stands beside a reference is
        laid over it. Empty for what is no object. Raises Unresolved.
        """
        found = table(value)
        for _ in range(_HOPS):
            if "$ref" not in found:
                return found
            rest = {key: inner for key, inner in found.items() if key != "$ref"}
            found = {**self.target(found["$ref"]), **rest}
        raise Unresolved("they refer in a circle")

    def target(self, reference: Any) -> dict[str, Any]:
        """The object that a reference names. Raises Unresolved where the document has none."""
        name = reference if isinstance(reference, str) else ""
        if not name.startswith("#"):
            raise Unresolved("they refer to other files: bundle the document into one first")
        found: Any = self.root
        for part in name[1:].split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isascii() and key.isdigit() and len(key) < 7:
                found = found[int(key)] if int(key) < len(found) else None
            else:
                found = table(found).get(key)
        if not isinstance(found, dict):
            raise Unresolved(f"they refer to {name[:80]}, which is not there")
        return found


def api_document(text: str) -> ApiDocument:
    """The document of a JSON or YAML text. Raises Unreadable for what is none."""
    text = text.removeprefix("\ufeff")
    is_json = text.lstrip().startswith("{")
    root = json_value(text, WHAT) if is_json else yaml_value(text, WHAT)
    if isinstance(root, dict):
        openapi, swagger = str(root.get("openapi", "")), str(root.get("swagger", ""))
        if openapi.startswith("3.") or openapi == "3":
            return ApiDocument(root, 3)
        if swagger.startswith("2.") or swagger == "2":
            return ApiDocument(root, 2)
    raise Unreadable(
        f"{WHAT} is of no version that is read",
        'It begins with "openapi: 3..." or "swagger: 2.0"; an older one can be converted'
        " (swagger2openapi, converter.swagger.io).",
    )


def servers_of(document: ApiDocument, *holders: Mapping[str, Any]) -> tuple[Server, ...]:
    """The servers of the first of the holders (operation, path, document) that names any."""
    if document.version == 2:
        return _of_swagger(document.root)
    for holder in holders:
        if named := [table(server) for server in items(holder.get("servers"))]:
            return tuple(_server(server) for server in named)
    return (Server("", ""),)


def _server(server: Mapping[str, Any]) -> Server:
    url = text_of(server.get("url"))
    for name, variable in table(server.get("variables")).items():
        url = url.replace(f"{{{name}}}", text_of(table(variable).get("default")))
    return _placed(url)


def _of_swagger(root: Mapping[str, Any]) -> tuple[Server, ...]:
    schemes = [scheme for scheme in items(root.get("schemes")) if scheme in ("http", "https")]
    host, base = text_of(root.get("host")), text_of(root.get("basePath"))
    return tuple(
        _placed(f"{scheme}://{host}{base}" if host else base) for scheme in schemes or ["http"]
    )


def _placed(url: str) -> Server:
    """Where a server's url is; one that is none, or has places that nothing fills, is nowhere."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        _ = parts.port, parts.hostname
    except ValueError:
        return Server("", "")
    whole = parts.scheme in ("http", "https") and _HOST.fullmatch(host)
    base = parts.path.rstrip("/")
    return Server(f"{parts.scheme}://{host}" if whole else "", base if base[:1] == "/" else "")


def table(value: Any) -> dict[str, Any]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> Sequence[Any]:
    """The value where it is a list, else an empty one."""
    return value if isinstance(value, list) else ()


def text_of(value: Any) -> str:
    """The value where it is a text, else an empty one."""
    return value if isinstance(value, str) else ""
