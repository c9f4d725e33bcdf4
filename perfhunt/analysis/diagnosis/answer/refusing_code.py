"""The function that refuses, as the application's own code has it: a decision of microseconds is
met by no look, but the status that it leads to is written somewhere.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple, TypeAlias

from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import python_tree

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break)
# What a status is given as: the name of an argument, a key, or a variable.
_STATUS = re.compile(r"status|code", re.IGNORECASE)
# Calls from where a status is written to where it is decided: a helper that makes the answer, the
# exception it is raised as, its handler.
_FARTHEST = 4
CalledNames: TypeAlias = frozenset[str]


class Refusal(NamedTuple):
    """The function that decides to refuse, with the line to look at, and where the status is
    written: `home (/shop/app.py:27)`.
    """

    function: FunctionKey
    line: int
    written: str


@dataclass(frozen=True, slots=True)
class _Place:
    """A line of a function, and what was called to get there rather than elsewhere: None where
    nothing stands before it.
    """

    key: FunctionKey
    line: int
    guard: CalledNames | None
    aliases: CalledNames = frozenset()  # what its function is reached by, beside its own name


@dataclass(slots=True)
class _CalledCode:
    """All files together: functions by their last name, places where a name is used, and those
    where the status is written.
    """

    functions: dict[str, set[tuple[FunctionKey, int]]] = field(default_factory=dict)
    uses: dict[str, list[_Place]] = field(default_factory=dict)
    written: list[_Place] = field(default_factory=list)


def refusal_in(
    sources: Mapping[str, str], status: int, seen: Collection[FunctionKey]
) -> Refusal | None:
    """Who answers with that status, by the texts of the application's files; None where nobody or
    more than one does, those aside that are of functions not `seen` to run.
    """
    if status not in {s.value for s in HTTPStatus}:
        return None
    code = _CalledCode()
    for file, text in sources.items():
        try:
            tree = python_tree(text, "the source")
            _RefusalReader(code, file, _Spelling.of(tree, status)).block(tree.body, None)
        except (Unreadable, RecursionError):
            continue
    ran = {(_last(function), file) for function, file in seen}
    every = [_decided(place, code) for place in code.written]
    met = [
        r for r, p in zip(every, code.written, strict=True) if (_last(p.key[0]), p.key[1]) in ran
    ]
    for refusals in (every, met):
        if len({refusal.function for refusal in refusals}) == 1:
            return refusals[0]
    return None


def _last(function: str) -> str:
    return function.rpartition(".")[2]


def _decided(written: _Place, code: _CalledCode) -> Refusal:
    """From where a status is written to the function that decided it."""
    place, where = written, f"{written.key[0]} ({written.key[1]}:{written.line})"
    for _ in range(_FARTHEST):
        if place.guard is not None:
            break
        names = {_last(place.key[0]), *place.aliases}
        uses = {use for name in names for use in code.uses.get(name, ()) if use.key != place.key}
        if len(uses) != 1:
            break
        place = next(iter(uses))
    asked = {f for name in place.guard or () for f in code.functions.get(name, ())}
    if len(asked) == 1:
        key, line = next(iter(asked))
        return Refusal(key, line, where)
    return Refusal(place.key, place.line, where)


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How a file may spell a status: the number, its words, and constants of its own."""

    status: int
    constants: CalledNames

    @staticmethod
    def of(tree: ast.Module, status: int) -> _Spelling:
        bare = _Spelling(status, frozenset())
        constants = {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign) and (bare.spells(node.value) or _is(node.value, status))
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        return _Spelling(status, frozenset(constants))

    def spells(self, node: ast.AST) -> bool:
        """Whether it can be nothing but the status."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            return re.match(rf"(HTTP/\d(\.\d)? )?{self.status}\b", text) is not None
        name = _name(node)
        if name in self.constants:
            return True
        letters = name.replace("_", "").lower()
        words = HTTPStatus(self.status).name.replace("_", "").lower()
        return words in letters or f"http{self.status}" in letters

    def written(self, node: ast.AST) -> Iterator[ast.AST]:
        """Where in a statement or an expression it is given as a status: not where it is compared
        with another.
        """
        if isinstance(node, ast.Compare | ast.match_case):
            return
        if self.spells(node):
            yield node
            return
        for value in (v for given in self._given(node) for v in _either(given)):
            if _is(value, self.status):
                yield value
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.stmt | ast.ExceptHandler):
                yield from self.written(child)

    @staticmethod
    def _given(node: ast.AST) -> Iterable[ast.AST]:
        """What a node gives as a status, where a bare number may stand."""
        match node:
            case ast.Call():
                named = (k.value for k in node.keywords if k.arg and _STATUS.search(k.arg))
                return (*node.args, *named)
            case ast.Return(value=ast.Tuple() as several):
                return several.elts
            case ast.Return(value=ast.expr() as value):
                return (value,)
            case ast.Dict():
                pairs = zip(node.keys, node.values, strict=True)
                return [v for k, v in pairs if isinstance(k, ast.Constant) and _says(k.value)]
            case ast.Assign():
                return (node.value,) if any(_says(_name(t)) for t in node.targets) else ()
        return ()


def _is(node: ast.AST, status: int) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value == status


def _either(node: ast.AST) -> Iterator[ast.AST]:
    """What an expression may give: both sides of a condition."""
    if isinstance(node, ast.IfExp):
        yield from (value for side in (node.body, node.orelse) for value in _either(side))
    else:
        yield node


def _says(name: object) -> bool:
    return isinstance(name, str) and _STATUS.search(name) is not None


def _name(node: ast.AST | None) -> str:
    """The last name of `a.b.name` or `name`; "" for what has none."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


class _RefusalReader:
    """One file, statement by statement: which function each is in, and what stands before it."""

    def __init__(self, code: _CalledCode, file: str, spelling: _Spelling) -> None:
        self._code, self._file, self._spelling = code, file, spelling
        self._around: tuple[str, ...] = ()
        self._aliases: CalledNames = frozenset()
        self._assigned: dict[str, CalledNames] = {}  # variable -> what was called for its value

    def block(self, body: Sequence[ast.stmt], guard: CalledNames | None) -> None:
        """Statements in a row: what follows an `if` that leaves is reached by its test too."""
        for statement in body:
            self._statement(statement, guard)
            if isinstance(statement, ast.If) and isinstance(statement.body[-1], _LEAVING):
                guard = self._called([statement.test])

    def _statement(self, node: ast.stmt, guard: CalledNames | None) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._definition(node)
            case ast.If() | ast.While():
                self._expressions(node, guard)
                inside = self._called([node.test])
                self.block(node.body, inside)
                self.block(node.orelse, inside)
            case ast.Try() | ast.TryStar():
                tried = self._called(node.body)
                self.block(node.body, guard)
                for handler in node.handlers:
                    self.block(handler.body, tried)
                self.block(node.orelse, guard)
                self.block(node.finalbody, guard)
            case _:
                self._expressions(node, guard)
                for blocks in ("body", "orelse"):
                    self.block(getattr(node, blocks, ()), guard)
                for case in getattr(node, "cases", ()):
                    self.block(case.body, self._called([node.subject]))  # type: ignore[attr-defined]

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        outer = self._around, self._aliases, self._assigned
        self._around = (*self._around, node.name)
        if isinstance(node, _FUNCTIONS):
            known = self._code.functions.setdefault(node.name, set())
            known.add((self._key, node.lineno))
            decorators = [d for d in node.decorator_list if isinstance(d, ast.Call)]
            self._aliases = frozenset(_name(a) for d in decorators for a in d.args) - {""}
            self._assigned = {}
        self.block(node.body, None)
        self._around, self._aliases, self._assigned = outer

    @property
    def _key(self) -> FunctionKey:
        return ".".join(self._around) or "<module>", self._file

    def _expressions(self, node: ast.stmt, guard: CalledNames | None) -> None:
        """What a statement holds beside other statements."""
        held = [n for n in ast.iter_child_nodes(node) if not isinstance(n, ast.stmt)]
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            called = self._called([node.value])
            self._assigned.update({_name(target): called for target in targets})
        raised = {_name(node.exc)} if isinstance(node, ast.Raise) else set[str]()
        for name in {*self._called(held), *raised} - {""}:
            place = _Place(self._key, node.lineno, guard, self._aliases)
            self._code.uses.setdefault(name, []).append(place)
        if not self._around:
            return  # a constant of the file, and no answer
        for written in self._spelling.written(node):
            line = getattr(written, "lineno", node.lineno)
            inner = self._within(node, written)
            place = _Place(self._key, line, guard if inner is None else inner, self._aliases)
            self._code.written.append(place)

    def _within(self, node: ast.AST, written: ast.AST) -> CalledNames | None:
        """What was asked by a conditional expression around it; None outside of any."""
        tests = [
            each.test
            for each in ast.walk(node)
            if isinstance(each, ast.IfExp)
            and any(n is written for part in (each.body, each.orelse) for n in ast.walk(part))
        ]
        return self._called(tests) if tests else None

    def _called(self, nodes: Iterable[ast.AST]) -> CalledNames:
        """The names of what is called in there, or was for a variable that is read there."""
        inner = [n for node in nodes for n in ast.walk(node)]
        calls = {_name(n.func) for n in inner if isinstance(n, ast.Call)}
        read = {name for n in inner for name in self._assigned.get(_name(n), ())}
        return frozenset(calls | read) - {""}
