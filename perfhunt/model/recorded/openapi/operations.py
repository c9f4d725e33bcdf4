"""The operations of a description, each as the request that it says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance
from perfhunt.model.recorded.described import DescribedRequest, described_traffic
from perfhunt.model.recorded.openapi.body import body_of
from perfhunt.model.recorded.openapi.document import (
    WHAT,
    ApiDocument,
    Server,
    Unresolved,
    api_document,
    servers_of,
    table,
)
from perfhunt.model.recorded.openapi.parameters import filled, parameters_of
from perfhunt.model.recorded.openapi.security import credentials
from perfhunt.model.recorded.request import METHODS, LeftOut, recorded, without_braces
from perfhunt.model.recorded.traffic import RecordedTraffic

_METHODS = ("get", "head", "options", "post", "put", "patch", "delete", "trace")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1
_MOST = 20_000  # operations of one document: the largest that are known have a few thousand
_STATUS = re.compile(r"[23][0-9]{2}")
_STREAM = "text/event-stream"
_CHANGES = "may change the service's state"


def openapi_traffic(text: str, stem: str) -> RecordedTraffic:
    """The traffic that a document of OpenAPI 3 or Swagger 2 describes, as JSON or YAML. Operations
    that change what the service keeps are comments. Raises Unreadable.
    """
    document = api_document(text)
    main = _main(servers_of(document, document.root))
    notes = []
    if main.origin and not main.is_local:
        notes.append(
            f"The document's server is {main.origin}. It was not taken over: where load may go is"
            " yours to write (target.url)."
        )
    return described_traffic(_operations(document, main), stem, notes)


def _main(servers: tuple[Server, ...]) -> Server:
    """The server that paths are read for: one on this host, else the first."""
    return next((server for server in servers if server.is_local), servers[0])


def _operations(document: ApiDocument, main: Server) -> Iterator[DescribedRequest | LeftOut]:
    paths = table(document.root.get("paths"))
    if not paths:
        raise Unreadable(f"{WHAT} has no paths")
    allowed = Allowance(_MOST, "operations", WHAT)
    for path, there in paths.items():
        if not path.startswith("/"):  # an extension
            continue
        try:
            holder = document.resolved(there)
        except Unresolved as error:
            yield LeftOut(error.message, path)
            continue
        for method in (each for each in _METHODS if each in holder):
            allowed.take()
            name = f"{method.upper()} {path}"
            try:
                yield _operation(document, main, path, method.upper(), holder)
            except Unresolved as error:
                yield LeftOut(error.message, name)


def _operation(
    document: ApiDocument, main: Server, path: str, method: str, holder: Mapping[str, Any]
) -> DescribedRequest | LeftOut:
    name, operation = f"{method} {path}", document.resolved(holder[method.lower()])
    servers = servers_of(document, operation, holder, document.root)
    server = main if main in servers else _main(servers)
    if method not in METHODS:
        return LeftOut("they are of a method that is not sent", name)
    if operation.get("deprecated") is True:
        return LeftOut("they are deprecated", name)
    if server.origin != main.origin:
        return LeftOut("they are at another server than the rest", name)
    parameters = parameters_of(document, holder, operation)
    made = filled(document, path, parameters)
    body, secret = body_of(document, operation, parameters), credentials(document, operation)
    kind = [("Content-Type", body.content_type)] if body.content_type else []
    # The host keeps a path that begins with two slashes from being read as one.
    url = f"http://localhost{server.base}{made.target}"
    request = recorded(method, url, [*made.headers, *kind], body.text, name)
    named = {key.lower() for key, _ in secret.headers}
    headers = [pair for pair in request.headers if pair[0].lower() not in named]
    statuses, streams = _answers(document, operation)
    asleep = "" if method in _SAFE else _CHANGES
    return DescribedRequest(
        name=name,
        request=replace(
            request,
            target=without_braces(request.target),
            origin=main.origin if main.is_local else "",
            headers=(*secret.headers, *headers),
        ),
        statuses=statuses,
        invented=(*made.invented, *body.invented),
        remarks=(*body.remarks, *secret.remarks),
        asleep=asleep or secret.missing or ("the answer is a stream" if streams else ""),
    )


def _answers(document: ApiDocument, operation: Mapping[str, Any]) -> tuple[tuple[int, ...], bool]:
    """The statuses of success that are documented (none: not each of them is), and whether those
    answers are streams, which have no end.
    """
    answers = table(operation.get("responses"))
    good = {str(code).upper(): each for code, each in answers.items() if str(code)[:1] in "23"}
    kinds = {
        kind for each in good.values() for kind in table(document.resolved(each).get("content"))
    }
    exact = all(_STATUS.fullmatch(code) for code in good)
    statuses = tuple(sorted(int(code) for code in good)) if exact else ()
    return statuses, bool(kinds) and all(kind.startswith(_STREAM) for kind in kinds)
