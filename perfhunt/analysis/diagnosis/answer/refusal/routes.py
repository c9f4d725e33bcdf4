"""Which routes a function answers, by decorators and by tables of routes."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeAlias

from perfhunt.analysis.diagnosis.answer.refusal.definitions import (
    FUNCTIONS,
    CodeDefinition,
    CodeDefinitions,
    last_name,
)
from perfhunt.analysis.diagnosis.answer.refusal.places import (
    Asked,
    BranchAsked,
    CodePlace,
    RefusalPlaces,
    all_asked,
)

RoutePatterns: TypeAlias = frozenset[str]
# Django writes its patterns without the slash in front, and as regular expressions.
_OF_DJANGO = frozenset({"path", "re_path", "url"})
_HANDLED_BY = frozenset({"view_func", "endpoint", "handler", "view", "methods_handler"})
_VARIABLE = re.compile(r"[<{:]")  # `<int:sku>`, `{sku}`, `:sku`
_FILLED = re.compile(r"[{<\[$*:]")  # a piece of a path that is not the same for every request
# What may be several pieces of a path, and regular expressions.
_OPEN = re.compile(r"path|[*\\(\[]")


@dataclass(slots=True)
class Routes:
    """Says what can only be for others than the routes that were asked. `paths` are theirs; none:
    they are not known.
    """

    code: CodeDefinitions
    places: RefusalPlaces
    paths: Collection[str]
    _tables: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _elsewhere: dict[int, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for calls in self.places.calls.values():
            for call, _ in calls:
                self._row(call)

    def _row(self, call: ast.Call) -> None:
        """`Route("/", home)`, `add_url_rule("/", view_func=home)`, `path("x/", views.x)`."""
        pattern = _pattern(call)
        if pattern is None:
            return
        handlers = [*call.args[1:], *(k.value for k in call.keywords if k.arg in _HANDLED_BY)]
        for handler in handlers:
            made = isinstance(handler, ast.Call) and isinstance(handler.func, ast.Attribute)
            node = handler.func.value if made else handler  # type: ignore[attr-defined]
            if name := last_name(node):
                self._tables[name].add(pattern)

    def of(self, definition: CodeDefinition) -> RoutePatterns:
        """The patterns of a function or of the class it is a method of."""
        found = set(self._tables.get(definition.node.name, ()))
        for decorator in definition.node.decorator_list:
            if isinstance(decorator, ast.Call) and (pattern := _pattern(decorator)) is not None:
                found.add(pattern)
        if not found and definition.owner is not None:
            return self.of(definition.owner)
        return frozenset(found)

    def is_elsewhere(self, definition: CodeDefinition | None) -> bool:
        """Whether it answers other routes only, or is used by such alone."""
        if definition is None or not self.paths:
            return False
        at = id(definition.node)
        if at not in self._elsewhere:
            self._elsewhere[at] = False  # for functions that use each other
            self._elsewhere[at] = self._of_others(definition)
        return self._elsewhere[at]

    def was_not_asked(self, place: CodePlace) -> bool:
        """Whether a test of the path itself leads there, for another route."""
        routes = [route for each in all_asked(place.asked) for route in _compared_with(each)]
        known = bool(self.paths)
        return known and any(not any(_fits(r, path) for path in self.paths) for r in routes)

    def may_be_elsewhere(self, place: CodePlace) -> bool:
        """Whether it is on a route of its own, and nobody knows which one was asked."""
        routes = [route for each in all_asked(place.asked) for route in _compared_with(each)]
        own = self.of(place.owner) if place.owner is not None else ()
        return not self.paths and bool(routes or own)

    def _of_others(self, definition: CodeDefinition) -> bool:
        if patterns := self.of(definition):
            return not any(_fits(pattern, path) for pattern in patterns for path in self.paths)
        if definition.owner is not None or _is_registered(definition):
            return False
        if definition.outer is not None:
            return self.is_elsewhere(definition.outer)
        users = self.places.users.get(definition.node.name, set()) - {definition}
        return bool(users) and all(map(self.is_elsewhere, users))


def _compared_with(asked: BranchAsked) -> list[str]:
    """The path that a test holds only for: of `self.path == "/healthz"`."""
    if not isinstance(asked, Asked) or not asked.side:
        return []
    match asked.test:
        case ast.Compare(ops=[ast.Eq()], comparators=[ast.Constant(value=str() as path)]):
            return [path] if path.startswith("/") else []
    return []


def _is_registered(definition: CodeDefinition) -> bool:
    """Whether a decorator hands it to a framework."""
    marks = {last_name(d.func if isinstance(d, ast.Call) else d) for d in _decorators(definition)}
    return bool(marks - {"wraps"})


def _decorators(definition: CodeDefinition) -> list[ast.expr]:
    return definition.node.decorator_list if isinstance(definition.node, FUNCTIONS) else []


def _pattern(call: ast.Call) -> str | None:
    """The route that a call is about: its first argument, or `path=`, where that is one."""
    named = [k.value for k in call.keywords if k.arg in ("path", "rule")]
    first = next(iter([*call.args[:1], *named]), None)
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return None
    if last_name(call.func) in _OF_DJANGO:
        return first.value.lstrip("^")
    return first.value if first.value.startswith("/") else None


def _fits(pattern: str, path: str) -> bool:
    """Whether a path may be of a route, which may have a prefix that is set elsewhere: both are
    compared piece by piece, from their ends.
    """
    if _OPEN.search(pattern):
        return True
    pieces = [p for p in pattern.split("/") if p]
    asked = [p for p in path.partition("?")[0].split("/") if p]
    if len(pieces) > len(asked):
        return False
    pairs = zip(reversed(pieces), reversed(asked), strict=False)
    whole = len(pieces) == len(asked)
    return all(_VARIABLE.search(p) or p == a or (whole and _FILLED.search(a)) for p, a in pairs)
