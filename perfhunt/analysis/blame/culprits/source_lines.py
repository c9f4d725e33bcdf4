"""What the source of a file says of its lines: which names a line's statement holds, and which of
them are run again and again by a loop around them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance, python_tree

LineNames: TypeAlias = Mapping[int, frozenset[str]]  # line -> identifiers

_BLOCKS = (ast.stmt, ast.ExceptHandler, ast.match_case)  # statements, and what holds some
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
# Built-in functions that call their first argument for each of the others.
_APPLYING = frozenset({"map", "filter"})
# Names of lines, counted once for each line: of 20,000 lines of code there are 100,000.
_MOST_MARKS = 5_000_000


class Loop(IntEnum):
    """What stands around a line, the surest to run often last."""

    NONE = 0
    WHILE = 1  # until something is so: a server's loop over its requests is one too
    EACH = 2  # for each of several things


@dataclass(frozen=True, slots=True)
class SourceLines:
    """Identifiers by line: all of its statement's, those in a loop of each kind, and those that a
    loop goes through. `generators` are the functions that yield.

    `around`, `around_each` and `around_whiles` are the first three of all lines of the function
    that the line is of: a profiler may read a line after the call that it saw.
    """

    names: LineNames
    each: LineNames
    whiles: LineNames
    sources: LineNames
    generators: frozenset[str]
    around: LineNames
    around_each: LineNames
    around_whiles: LineNames


def source_lines(text: str) -> SourceLines | None:
    """What Python source says of its lines; None for what this interpreter cannot parse.

    A loop that ends its first round with `return` or `break` (an attempt that is made again only
    when it fails) is none, nor is `while True`, which serves as long as the process lives.
    """
    try:
        tree = python_tree(text, "the source")
        reader = _LoopReader(_aliases(tree))
        for statement in tree.body:
            reader.read(statement, Loop.NONE)
    except (Unreadable, RecursionError):
        return None
    return reader.result()


def _aliases(tree: ast.Module) -> dict[str, str]:
    """Name in the file -> the name it was imported from, where the two differ."""
    imports = (n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom))
    return {a.asname: a.name.rpartition(".")[2] for n in imports for a in n.names if a.asname}


@dataclass(slots=True)
class _LoopReader:
    aliases: Mapping[str, str]
    names: dict[int, set[str]] = field(default_factory=dict)
    loops: dict[Loop, dict[int, set[str]]] = field(
        default_factory=lambda: {Loop.WHILE: {}, Loop.EACH: {}}
    )
    sources: dict[int, set[str]] = field(default_factory=dict)
    generators: set[str] = field(default_factory=set)
    function: int = 0  # the line at which the one that is read begins
    function_of: dict[int, int] = field(default_factory=dict)
    allowed: Allowance = field(
        default_factory=lambda: Allowance(_MOST_MARKS, "names in its lines", "the source")
    )

    def result(self) -> SourceLines:
        return SourceLines(
            names=_frozen(self.names),
            each=_frozen(self.loops[Loop.EACH]),
            whiles=_frozen(self.loops[Loop.WHILE]),
            sources=_frozen(self.sources),
            generators=frozenset(self.generators),
            around=self._around(self.names),
            around_each=self._around(self.loops[Loop.EACH]),
            around_whiles=self._around(self.loops[Loop.WHILE]),
        )

    def _around(self, marks: Mapping[int, set[str]]) -> LineNames:
        """By line, what is marked anywhere in its function."""
        of_function: dict[int, set[str]] = {}
        for line, names in marks.items():
            of_function.setdefault(self.function_of[line], set()).update(names)
        whole = _frozen(of_function)
        return {line: whole.get(at, frozenset()) for line, at in self.function_of.items()}

    def read(self, node: ast.AST, around: Loop) -> None:
        """One statement (or a part of one that holds statements), and those within it."""
        inside, function = around, self.function
        if isinstance(node, _FUNCTIONS):
            inside, self.function = Loop.NONE, node.lineno
            if any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(node)):
                self.generators.add(node.name)
        elif isinstance(node, ast.For | ast.AsyncFor):
            inside = around if _ends_at_once(node.body) else Loop.EACH
            self._mark(self.sources, node.iter.lineno, node.iter.end_lineno, [node.iter])
        elif isinstance(node, ast.While) and not _endless(node) and not _ends_at_once(node.body):
            inside = max(around, Loop.WHILE)
        held = [*ast.iter_child_nodes(node)]
        blocks = [n for n in held if isinstance(n, _BLOCKS)]
        self._read_expressions(
            [n for n in held if not isinstance(n, _BLOCKS)],
            node,
            inside if isinstance(node, ast.While) else around,
        )
        for block in blocks:
            self.read(block, inside)
        self.function = function

    def _read_expressions(self, parts: Sequence[ast.AST], of: ast.AST, around: Loop) -> None:
        """What a statement holds beside other statements: all of a simple one, the head of a
        compound one.
        """
        placed = [p for p in parts if isinstance(p, ast.expr)]
        first = getattr(of, "lineno", min((p.lineno for p in placed), default=0))
        last = max((p.end_lineno or p.lineno for p in placed), default=first)
        self._mark(self.names, first, last, parts)
        if around is not Loop.NONE:
            self._mark(self.loops[around], first, last, parts)
        for inner in (n for part in parts for n in ast.walk(part)):
            if isinstance(inner, _COMPREHENSIONS):
                self._read_comprehension(inner)
            elif isinstance(inner, ast.Call):
                self._mark(self.loops[Loop.EACH], first, last, _applied(inner))

    def _read_comprehension(self, node: ast.expr) -> None:
        generators: list[ast.comprehension] = node.generators  # type: ignore[attr-defined]
        repeated = [
            part for part in ast.iter_child_nodes(node) if not isinstance(part, ast.comprehension)
        ]
        repeated += [condition for each in generators for condition in each.ifs]
        repeated += [each.iter for each in generators[1:]]
        for part in repeated:
            if isinstance(part, ast.expr):
                self._mark(self.loops[Loop.EACH], part.lineno, part.end_lineno, [part])
        source = generators[0].iter
        self._mark(self.sources, source.lineno, source.end_lineno, [source])

    def _mark(
        self,
        marks: dict[int, set[str]],
        first: int,
        last: int | None,
        parts: Iterable[ast.AST],
    ) -> None:
        found = {name for part in parts for name in self._identifiers(part)}
        self.allowed.take((len(found) + 1) * ((last or first) + 1 - first))
        for line in range(first, (last or first) + 1):
            self.function_of.setdefault(line, self.function)
            if found:
                marks.setdefault(line, set()).update(found)

    def _identifiers(self, node: ast.AST) -> Iterable[str]:
        for inner in ast.walk(node):
            name = (
                inner.id
                if isinstance(inner, ast.Name)
                else inner.attr
                if isinstance(inner, ast.Attribute)
                else ""
            )
            if name:
                yield name
                yield self.aliases.get(name, name)


def _frozen(marks: Mapping[int, set[str]]) -> dict[int, frozenset[str]]:
    return {line: frozenset(names) for line, names in marks.items()}


def _endless(loop: ast.While) -> bool:
    return isinstance(loop.test, ast.Constant) and bool(loop.test.value)


def _ends_at_once(body: Sequence[ast.stmt]) -> bool:
    """Whether a loop's body leaves the loop, come what may (but for exceptions)."""
    for statement in body:
        if isinstance(statement, ast.Return | ast.Break):
            return True
        if isinstance(statement, ast.With | ast.AsyncWith) and _ends_at_once(statement.body):
            return True
        if isinstance(statement, ast.Try) and _ends_at_once([*statement.body, *statement.orelse]):
            return True
    return False


def _applied(call: ast.Call) -> list[ast.AST]:
    """The functions that a call is given to be called for each of several things: `map(f, rows)`,
    `sorted(rows, key=f)`.
    """
    applied: list[ast.AST] = [k.value for k in call.keywords if k.arg == "key"]
    if isinstance(call.func, ast.Name) and call.func.id in _APPLYING:
        applied += call.args[:1]
    return applied
