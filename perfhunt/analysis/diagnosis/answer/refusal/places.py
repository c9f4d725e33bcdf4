"""Every call, every `raise` and every place where the status is written, each with what was asked
to get there rather than elsewhere.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from perfhunt.analysis.diagnosis.answer.refusal.definitions import (
    FUNCTIONS,
    CodeDefinition,
    CodeDefinitions,
    Defining,
    last_name,
)
from perfhunt.analysis.diagnosis.answer.refusal.spelling import (
    Parameters,
    Spelling,
    is_status_name,
    spellings,
)

# Nobody writes a status so often: what is left then is not settled all the same.
_MOST_WRITTEN = 500
_LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_COMPOUND = (
    *(ast.If, ast.While, ast.For, ast.AsyncFor, ast.With, ast.AsyncWith),
    *(ast.Try, ast.TryStar, ast.Match, ast.Assert),
)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A test and the side of it that was taken; the one asked before it."""

    test: ast.expr
    side: bool
    before: BranchAsked | None


@dataclass(frozen=True, slots=True, eq=False)
class Excepted:
    """A handler: the exceptions, and what was tried."""

    types: tuple[ast.expr, ...]
    tried: tuple[ast.stmt, ...]
    before: BranchAsked | None


BranchAsked = Asked | Excepted


@dataclass(frozen=True, slots=True, eq=False)
class CodePlace:
    """A line of a definition (None: at the top of its file), and what was asked last before it."""

    owner: CodeDefinition | None
    file: str
    line: int
    asked: BranchAsked | None


@dataclass(slots=True)
class RefusalPlaces:
    """Calls and raised exceptions by their last name; where the status is written; and by last name
    who uses a name in any way, decorators and defaults as uses of the function itself.
    """

    calls: dict[str, list[tuple[ast.Call, CodePlace]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    raised: list[tuple[ast.expr, CodePlace]] = field(default_factory=list)
    written: list[CodePlace] = field(default_factory=list)
    users: dict[str, set[CodeDefinition | None]] = field(default_factory=lambda: defaultdict(set))


def places_in(code: CodeDefinitions, status: int) -> RefusalPlaces:
    """All of them, where a function of a test was not left out."""
    found = RefusalPlaces()
    spelled, parameters = spellings(code, status), Parameters.of(code)
    for file in code.files.values():
        walk = _PlacesWalk(code, found, file.file, spelled[file.file], parameters)
        walk.block(file.tree.body, None, None)
    found.written = [_told_by(place, found.written) for place in found.written]
    return found


def _told_by(place: CodePlace, written: list[CodePlace]) -> CodePlace:
    """The place without tests on both sides of which the status is written: they tell how."""
    asked = place.asked
    theirs = [w for w in written if w.owner is place.owner]
    while isinstance(asked, Asked) and _on_both_sides(asked, theirs):
        asked = asked.before
    return place if asked is place.asked else CodePlace(place.owner, place.file, place.line, asked)


def _on_both_sides(asked: Asked, places: list[CodePlace]) -> bool:
    sides = {
        each.side
        for place in places
        for each in all_asked(place.asked)
        if isinstance(each, Asked) and each.test is asked.test
    }
    return len(sides) > 1


def all_asked(asked: BranchAsked | None) -> Iterator[BranchAsked]:
    """All that was asked to get to a place, the last first."""
    while asked is not None:
        yield asked
        asked = asked.before


@dataclass(slots=True)
class _PlacesWalk:
    """One file, statement by statement."""

    code: CodeDefinitions
    found: RefusalPlaces
    file: str
    spelling: Spelling
    parameters: Parameters

    def block(
        self, body: list[ast.stmt], owner: CodeDefinition | None, asked: BranchAsked | None
    ) -> None:
        """Statements in a row: what follows an `if` that leaves is reached by its test too."""
        for statement in body:
            self._statement(statement, owner, asked)
            if isinstance(statement, ast.If) and isinstance(statement.body[-1], _LEAVING):
                asked = Asked(statement.test, False, asked)

    def _statement(
        self, node: ast.stmt, owner: CodeDefinition | None, asked: BranchAsked | None
    ) -> None:
        if isinstance(node, Defining):
            self._definition(node, owner)
            return
        self._expressions(node, owner, asked)
        match node:
            case ast.If() | ast.While():
                self.block(node.body, owner, Asked(node.test, True, asked))
                self.block(node.orelse, owner, Asked(node.test, False, asked))
            case ast.Try() | ast.TryStar():
                for handler in node.handlers:
                    inside = Excepted(_types(handler), tuple(node.body), asked)
                    self.block(handler.body, owner, inside)
                for body in (node.body, node.orelse, node.finalbody):
                    self.block(body, owner, asked)
            case ast.Match():
                for case in node.cases:
                    test = ast.Compare(node.subject, [ast.Eq()], [])
                    self.block(case.body, owner, Asked(test, True, asked))
            case _:
                for block in ("body", "orelse"):
                    self.block(getattr(node, block, []), owner, asked)

    def _definition(self, node: Defining, owner: CodeDefinition | None) -> None:
        definition = self.code.of_node[id(node)]
        heads: list[ast.AST] = [*node.decorator_list]
        if isinstance(node, FUNCTIONS):
            heads += [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            if any(self.spelling.is_status(value) for value in _status_defaults(node.args)):
                self.found.written.append(CodePlace(definition, self.file, node.lineno, None))
            heads += [p.annotation for p in definition.parameters if p.annotation is not None]
        else:
            heads += node.bases
        for head in heads:
            self._uses(head, definition)
        if not node.name.startswith("test_"):
            self.block(node.body, definition, None)

    def _expressions(
        self, node: ast.stmt, owner: CodeDefinition | None, asked: BranchAsked | None
    ) -> None:
        place = CodePlace(owner, self.file, node.lineno, asked)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                continue
            self._uses(child, owner)
            for inner in ast.walk(child):
                if isinstance(inner, ast.Call):
                    self.found.calls[last_name(inner.func)].append((inner, place))
        if isinstance(node, ast.Raise) and node.exc is not None:
            self.found.raised.append((node.exc, place))
        if owner is None or isinstance(node, _COMPOUND):
            return
        if len(self.found.written) >= _MOST_WRITTEN:
            return
        for written in self.spelling.written(node, self.parameters):
            line = getattr(written, "lineno", node.lineno)
            test = _condition_around(node, written)
            inner_asked = asked if test is None else Asked(test, True, asked)
            self.found.written.append(CodePlace(owner, self.file, line, inner_asked))

    def _uses(self, node: ast.AST, owner: CodeDefinition | None) -> None:
        for inner in ast.walk(node):
            if name := last_name(inner):
                self.found.users[name].add(owner)


def _status_defaults(args: ast.arguments) -> Iterator[ast.expr]:
    """What parameters that take a status are given where the caller gives none."""
    places = [*args.posonlyargs, *args.args]
    pairs = zip(reversed(places), reversed(args.defaults), strict=False)
    for parameter, value in (*pairs, *zip(args.kwonlyargs, args.kw_defaults, strict=True)):
        if value is not None and is_status_name(parameter.arg):
            yield value


def _types(handler: ast.ExceptHandler) -> tuple[ast.expr, ...]:
    if isinstance(handler.type, ast.Tuple):
        return tuple(handler.type.elts)
    return () if handler.type is None else (handler.type,)


def _condition_around(node: ast.stmt, written: ast.AST) -> ast.expr | None:
    """The test of the conditional expression that it is a side of, the innermost; None outside."""
    around = [
        each
        for each in ast.walk(node)
        if isinstance(each, ast.IfExp)
        and any(n is written for part in (each.body, each.orelse) for n in ast.walk(part))
    ]
    return around[-1].test if around else None
