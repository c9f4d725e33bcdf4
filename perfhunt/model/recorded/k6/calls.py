"""The calls of `k6/http` in a script, each as the request that it sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance
from perfhunt.model.recorded.described import DescribedRequest
from perfhunt.model.recorded.k6.syntax import (
    FUNCTIONS,
    WHAT,
    Node,
    arguments_of,
    line_of,
    shown,
    source,
    walked,
)
from perfhunt.model.recorded.k6.values import Hole, Json, ScriptValues, text_with_holes
from perfhunt.model.recorded.k6.written import (
    Places,
    base_of,
    body_of_call,
    headers_of,
    request_of,
)
from perfhunt.model.recorded.request import METHODS, LeftOut

_MODULE = "k6/http"
# Methods by the name of the function, and whether a body comes before the params.
_CALLS = {
    **{name: (name.upper(), False) for name in ("get", "head")},
    **{name: (name.upper(), True) for name in ("post", "put", "patch", "options")},
    "del": ("DELETE", True),
}
_ANY = ("request", "asyncRequest")  # whose first argument is the method
_ONCE = ("setup", "teardown", "handleSummary")
_MAYBE = frozenset(
    {
        *("if_statement", "ternary_expression", "switch_case", "for_statement", "for_in_statement"),
        *("while_statement", "do_statement"),
    }
)
# Params that are read, or say nothing of what is sent.
_PARAMS = frozenset(
    {
        *("headers", "tags", "cookies", "timeout", "redirects", "responseType"),
        "responseCallback",
    }
)
_MOST = 2_000  # calls of one script
_SCOPES = 200
# Modules that send something else, or requests that are not in this file.
_ELSEWHERE = ("k6/ws", "k6/websockets", "k6/experimental/", "k6/net/", "k6/browser", "k6/x/", ".")


@dataclass(slots=True)
class HttpNames:
    """What a script calls `k6/http`: names of the module, and of its functions. `elsewhere` are the
    other modules that may send requests, each with its line.
    """

    modules: set[str] = field(default_factory=set)
    functions: dict[str, str] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)

    def called(self, call: Node) -> str:
        """Which function of `k6/http` a call is of; "" for none."""
        function = call.child_by_field_name("function")
        if function is None:
            return ""
        if function.type == "member_expression":
            holder = function.child_by_field_name("object")
            name = function.child_by_field_name("property")
            return source(name) if source(holder) in self.modules else ""
        return self.functions.get(source(function), "") if function.type == "identifier" else ""


@dataclass(frozen=True, slots=True)
class _SentCall:
    """What one call sends, as values."""

    call: Node
    method: str
    url: Any
    body: Any
    params: Any


def http_names(root: Node) -> HttpNames:
    """What the script calls `k6/http`."""
    names = HttpNames()
    for statement in root.named_children:
        if statement.type == "import_statement":
            _imported(statement, names)
        for declared in statement.named_children if "declaration" in statement.type else ():
            name, value = (declared.child_by_field_name(f) for f in ("name", "value"))
            if value is not None and source(value).replace("'", '"') == f'require("{_MODULE}")':
                names.modules.add(source(name))
    return names


def _imported(statement: Node, names: HttpNames) -> None:
    module = statement.child_by_field_name("source")
    place = source(module)[1:-1] if module is not None else ""
    if place != _MODULE:
        if place.startswith(_ELSEWHERE) or "/httpx/" in place:
            names.elsewhere.append(f"{place[:60]} (line {line_of(statement)})")
        return
    for node in walked(statement):
        if node.type == "import_specifier":
            name = node.child_by_field_name("name")
            names.functions[source(node.child_by_field_name("alias") or name)] = source(name)
        elif node.type in ("import_clause", "namespace_import"):
            names.modules |= {source(e) for e in node.named_children if e.type == "identifier"}


def requests_of(
    root: Node, names: HttpNames, values: ScriptValues, expected: Mapping[int, frozenset[int]]
) -> Iterator[DescribedRequest | LeftOut]:
    """The requests of a script in their order; what cannot be read is left out by its line. Raises
    Unreadable for more than are read.
    """
    allowed = Allowance(_MOST, "requests", WHAT)
    for node in walked(root):
        name = names.called(node) if node.type == "call_expression" else ""
        if name not in _CALLS and name not in _ANY and name != "batch":
            continue
        once = _once(node)
        for sent in _sent(node, name, values):
            allowed.take()
            if once:
                yield LeftOut(f"{once}() sends them once", f"line {line_of(node)}")
            elif isinstance(sent, LeftOut):
                yield sent
            else:
                yield _described(sent, expected.get(node.id, frozenset()))


def _once(node: Node) -> str:
    """The function that k6 calls once, if the node stands in one."""
    for _ in range(_SCOPES):
        node = node.parent
        if node is None:
            return ""
        name = node.child_by_field_name("name") if node.type == "function_declaration" else None
        if name is not None and source(name) in _ONCE:
            return source(name)
    return ""


def _sent(node: Node, name: str, values: ScriptValues) -> Iterator[_SentCall | LeftOut]:
    given = arguments_of(node)
    if name == "batch":
        yield from _batched(node, values.of(given[0]) if given else None)
        return
    if name in _ANY:
        method = values.of(given[0]) if given else None
        known = method[0] if isinstance(method, tuple) and len(method) == 1 else None
        if not isinstance(known, str):
            yield _unread(node, "their method is computed")
            return
        named, takes_body, given = known.upper(), True, given[1:]
    else:
        named, takes_body = _CALLS[name]
    rest = [*map(values.of, given), None, None, None][:3]
    url, body, params = rest if takes_body else (rest[0], None, rest[1])
    yield _SentCall(node, named, url, body, params)


def _batched(node: Node, batch: Any) -> Iterator[_SentCall | LeftOut]:
    """The requests of a batch: urls, `[method, url, body, params]`, or objects with those."""
    every = [*batch.values()] if isinstance(batch, dict) else batch
    if not isinstance(every, list):
        yield _unread(node, "their batch is computed")
        return
    for each in every:
        if isinstance(each, list):
            method, url, body, params = [*each, None, None, None, None][:4]
        elif isinstance(each, dict):
            method, url, body, params = (each.get(k) for k in ("method", "url", "body", "params"))
        else:
            method, url, body, params = None, each, None, None
        named = method[0] if isinstance(method, tuple) and len(method) == 1 else "GET"
        if isinstance(method, Hole) or not isinstance(named, str):
            yield _unread(node, "their method is computed")
        else:
            yield _SentCall(node, named.upper(), url, body, params)


def _unread(node: Node, why: str) -> LeftOut:
    return LeftOut(why, f"line {line_of(node)}: {shown(node)}")


def _described(sent: _SentCall, statuses: frozenset[int]) -> DescribedRequest | LeftOut:
    call, line = sent.call, line_of(sent.call)
    if sent.method not in METHODS or sent.url is None or isinstance(sent.url, dict | list | Json):
        return _unread(call, "no url or no method is there")
    url, places = text_with_holes(sent.url, call), Places()
    params = sent.params if isinstance(sent.params, dict) else {}
    if isinstance(sent.params, Hole):
        places.remarks.append(f"line {line}: its params {sent.params.text} are not read")
        places.unfinished = True
    plain, filled = headers_of(params.get("headers"), places)
    if isinstance(cookies := params.get("cookies"), dict):
        filled.append(("Cookie", "${COOKIE}"))
        places.remarks.append(f"line {line}: COOKIE has {', '.join(cookies)}")
    if unread := sorted(set(params) - _PARAMS):
        places.remarks.append(f"line {line}: not read of its params: {', '.join(unread)}")
    body = body_of_call(sent.body, call, places)
    if body.content_type and not any(k.lower() == "content-type" for k, _ in (*plain, *filled)):
        plain.append(("Content-Type", body.content_type))
    try:
        request = request_of(sent.method, url, plain, places, f"line {line}")
    except Unreadable:
        return _unread(call, "what they ask for is no url")
    if base := base_of(url):
        places.remarks.append(f"line {base.line}: {base.text} is taken for target.url")
    if maybe := _maybe(call):
        places.remarks.append(
            f"line {maybe}: sent only sometimes, or several times: mind its weight"
        )
    taken = {key.lower() for key, _ in filled}
    kept = [pair for pair in request.headers if pair[0].lower() not in taken]
    return DescribedRequest(
        name=_name(params) or f"{request.method} {request.target.partition('?')[0]}",
        request=replace(request, headers=(*kept, *filled), body=body.text),
        statuses=tuple(sorted(statuses)),
        remarks=places.told(),
        asleep="computed in the script" if places.columns or places.unfinished else "",
        columns=tuple(places.columns),
        template=body.template,
        place=f"line {line}",
    )


def _name(params: Mapping[str, Any]) -> str:
    tags = params.get("tags")
    name = tags.get("name") if isinstance(tags, dict) else None
    return (
        name[0] if isinstance(name, tuple) and len(name) == 1 and isinstance(name[0], str) else ""
    )


def _maybe(node: Node) -> int:
    """The line of what decides whether, or how often, a call is reached; 0 where nothing does."""
    for _ in range(_SCOPES):
        node = node.parent
        if node is None or node.type in FUNCTIONS:
            return 0
        if node.type in _MAYBE:
            return line_of(node)
    return 0
