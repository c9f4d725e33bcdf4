"""Values of a script as a request has them: its target, its headers, its body, with `${NAME}` for
what comes from the environment and `{name}` for what a person has to give by a feed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote_plus

from perfhunt.model.recorded.headers import is_own_header, variable_of
from perfhunt.model.recorded.k6.syntax import Node
from perfhunt.model.recorded.k6.values import Hole, Json, Text, text_with_holes
from perfhunt.model.recorded.request import RecordedRequest, recorded, without_braces
from perfhunt.model.testfile.template import columns_used
from perfhunt.model.text.escaping import json_text

_FORM = "application/x-www-form-urlencoded"
_NOWHERE = "http://nowhere.invalid"  # for the time that a target is read
_HOST = re.compile(r"https?://[^/?#]*")
# What a base url is called. Another name may stand for a path.
_BASE = re.compile(r"url|uri|host|base|origin|server|target|endpoint|addr|domain|site|root", re.I)
# A name that is imported or given, or a member of settings: not one of an answer.
_NAMES = re.compile(r"(?:(?:config|conf|cfg|env|settings|options|constants|data)(?:\.\w+)*\.)?\w+")
_DEEPEST = 40
_PLAIN = re.compile(r"[ -z|~]*")  # what a header holds, but braces


@dataclass(slots=True)
class Places:
    """The places of one request that a person has to fill, by the name of their column, and what
    has to be known of it.
    """

    columns: dict[str, Hole] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    unfinished: bool = False

    def column(self, hole: Hole) -> str:
        """The column of a hole: one name for all that read alike."""
        for n in range(1, len(self.columns) + 2):
            name = hole.name if n == 1 else f"{hole.name}_{n}"
            if self.columns.setdefault(name, hole).text == hole.text:
                return name
        raise AssertionError("one more name than there are columns is free")

    def told(self) -> tuple[str, ...]:
        """What has to be known, the columns with their lines."""
        holes = self.columns.items()
        return (
            *self.remarks,
            *(f"line {hole.line}: {{{name}}} is {hole.text}" for name, hole in holes),
        )


def base_of(text: Text) -> Hole | None:
    """What stands for the place of a service at the beginning of a url; None where the url says it,
    or where that might be a path.
    """
    first = text[0] if text else ""
    if isinstance(first, str):
        inside = _HOST.fullmatch(first)
        return text[1] if inside and len(text) > 1 and isinstance(text[1], Hole) else None
    # One that is computed and has no path behind it may have one in it.
    is_named = _BASE.search(first.name) and _NAMES.fullmatch(first.text) and len(text) > 1
    follows = text[1] if len(text) > 1 else "/"
    begins = isinstance(follows, str) and follows[:1] in ("/", "?")
    return first if begins and (first.from_environment or is_named) else None


def request_of(
    method: str, text: Text, headers: list[tuple[str, str]], places: Places, where: str
) -> RecordedRequest:
    """The request of a url. A base that is not known is left away; other holes are columns. Raises
    Unreadable for what is no url.
    """
    base = base_of(text)
    parts = list(text)
    if base is not None:
        rest = parts[parts.index(base) + 1 :]
        if isinstance(parts[0], str) and rest and isinstance(rest[0], str):
            rest[0] = re.sub(r"^[^/?#]*", "", rest[0])  # the rest of its host
        parts = [_NOWHERE, *rest]
    starts_open = base is None and isinstance(parts[0] if parts else "", Hole)
    if starts_open:
        parts.insert(0, f"{_NOWHERE}/")
    marks = {f"phHole{n}x": part for n, part in enumerate(parts) if isinstance(part, Hole)}
    names = iter(marks)
    url = "".join(part if isinstance(part, str) else next(names) for part in parts)
    if "@" in url.partition("://")[2].partition("/")[0]:
        headers = [*headers, ("Authorization", "${AUTHORIZATION}")]
    request = recorded(method, url.partition("#")[0], headers, where=where)
    target = without_braces(request.target)
    for n, (mark, hole) in enumerate(marks.items()):
        column = places.column(hole)
        if starts_open and n == 0:
            target = target.replace(f"/{mark}", f"{{{column}:raw}}", 1)
        target = target.replace(mark, f"{{{column}}}")
    origin = "" if request.origin == _NOWHERE else request.origin
    return RecordedRequest(request.method, origin, target, request.headers)


def headers_of(given: Any, places: Places) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The headers of a script's params: those that say all, and those with `${NAME}` in them."""
    plain, filled = list[tuple[str, str]](), list[tuple[str, str]]()
    if isinstance(given, Hole):
        places.remarks.append(f"line {given.line}: the headers {given.text} are not read")
        places.unfinished = True
    for name, value in given.items() if isinstance(given, dict) else ():
        if not is_own_header(name) or any(name.lower() == n.lower() for n, _ in (*plain, *filled)):
            continue
        text = value if isinstance(value, tuple) else (value,)
        holes = [part for part in text if isinstance(part, Hole)]
        if not holes:
            plain.append((name, "".join(map(str, text))))
            continue
        computed = [hole for hole in holes if not hole.from_environment]
        literal = "".join(part for part in text if isinstance(part, str))
        if computed or not _PLAIN.fullmatch(literal):
            variable = variable_of(name)
            filled.append((name, f"${{{variable}}}"))
            places.remarks += [f"line {hole.line}: {variable} has {hole.text}" for hole in computed]
        else:
            filled.append((name, "".join(_in_environment(part) for part in text)))
    return plain, filled


def _in_environment(part: Any) -> str:
    return f"${{{part.name}}}" if isinstance(part, Hole) else str(part)


class ScriptBody(NamedTuple):
    """A body, the content type that k6 sets for it by itself ("": none), and whether it is a
    template.
    """

    text: str = ""
    content_type: str = ""
    template: bool = False


def body_of_call(value: Any, node: Node, places: Places) -> ScriptBody:
    """The body that k6 sends for a value."""
    writer = _Writer(places)
    if value is None:
        return ScriptBody()
    if isinstance(value, dict):
        text, kind = writer.form(value, node), _FORM
    elif isinstance(value, Json):
        text, kind = writer.json(value.value, node, 0), ""
    elif isinstance(value, Hole) and not value.from_environment:
        text, kind = writer.hole(value, ":raw"), ""
    else:
        text, kind = writer.text(value, node, str), ""
    literal_place = any(columns_used(part) or "${" in part for part in writer.literals)
    if writer.holes and literal_place:
        places.unfinished = True
        places.remarks.append("Its body has braces of its own beside what is filled: write it.")
        return ScriptBody("", kind)
    return ScriptBody(text, kind if text else "", bool(writer.holes))


@dataclass(slots=True)
class _Writer:
    """Writes a body, and keeps what of it stood in the script."""

    places: Places
    literals: list[str] = field(default_factory=list)
    holes: int = 0

    def hole(self, hole: Hole, how: str = "") -> str:
        self.holes += 1
        return _in_environment(hole) if hole.from_environment else f"{{{self._column(hole)}{how}}}"

    def _column(self, hole: Hole) -> str:
        return self.places.column(hole)

    def text(self, value: Any, node: Node, coded: Callable[[str], str]) -> str:
        return "".join(
            self.hole(part) if isinstance(part, Hole) else self._literal(coded(part))
            for part in text_with_holes(value, node)
        )

    def _literal(self, text: str) -> str:
        self.literals.append(text)
        return text

    def form(self, value: dict[str, Any], node: Node) -> str:
        return "&".join(
            f"{self._literal(quote_plus(key))}={self.text(each, node, quote_plus)}"
            for key, inner in value.items()
            for each in (inner if isinstance(inner, list) else [inner])
        )

    def json(self, value: Any, node: Node, depth: int) -> str:
        if isinstance(value, dict) and depth < _DEEPEST:
            inner = (
                f"{self._literal(json_text(key))}:{self.json(each, node, depth + 1)}"
                for key, each in value.items()
            )
            return f"{{{','.join(inner)}}}"
        if isinstance(value, list) and depth < _DEEPEST:
            return f"[{','.join(self.json(each, node, depth + 1) for each in value)}]"
        if isinstance(value, Hole | tuple):
            return f'"{self.text(value, node, lambda part: json_text(part)[1:-1])}"'
        if isinstance(value, Json):
            return json_text(self.json(value.value, node, depth + 1))
        return json_text(value if isinstance(value, bool | int | float) else None)
