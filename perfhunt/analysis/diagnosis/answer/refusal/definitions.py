"""The application's files, parsed: what each defines, imports and assigns."""

from __future__ import annotations

import ast
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import python_tree

Defining: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# By what pytest collects and what Django's test runner does: nobody is answered from there.
_TESTS = re.compile(r"test_.*\.py|.*_test\.py|tests\.py|conftest\.py")


@dataclass(frozen=True, slots=True, eq=False)
class CodeDefinition:
    """A function or class, with the definition that it stands in; None at the top of a file."""

    file: str
    name: str  # as in a stack: `Class.method`
    node: Defining
    outer: CodeDefinition | None

    @property
    def key(self) -> FunctionKey:
        return self.name, self.file

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)

    @property
    def owner(self) -> CodeDefinition | None:
        """The class that it is a method of."""
        return self.outer if self.outer is not None and self.outer.is_class else None

    @property
    def parameters(self) -> list[ast.arg]:
        """Those of a function that may be given by position, then the rest."""
        if isinstance(self.node, ast.ClassDef):
            return []
        args = self.node.args
        return [*args.posonlyargs, *args.args, *args.kwonlyargs]

    @property
    def statements(self) -> list[ast.stmt]:
        """What it does, without its docstring."""
        body = self.node.body
        first = body[0]
        text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        said = text and isinstance(first.value.value, str)  # type: ignore[attr-defined]
        return body[1:] if said else body

    @property
    def is_blank(self) -> bool:
        """Whether it says nothing of what it does: `...`, `pass`, or a docstring alone."""
        return all(
            isinstance(s, ast.Pass)
            or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
            for s in self.statements
        )


@dataclass(frozen=True, slots=True)
class Given:
    """A value that a name was given; None: by a loop, `with` or the like. `part` is its place in a
    tuple that was taken apart.
    """

    line: int
    value: ast.expr | None
    part: int | None = None
    annotation: ast.expr | None = None


@dataclass(slots=True)
class ParsedFile:
    """One file: `imports` are local name -> (module, name in it or "", dots in front)."""

    file: str
    tree: ast.Module
    top: dict[str, CodeDefinition] = field(default_factory=dict)
    imports: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    given: dict[str, list[Given]] = field(default_factory=dict)


@dataclass(slots=True)
class CodeDefinitions:
    """All files together. `unread` are those that were not to be had, or do not parse."""

    files: dict[str, ParsedFile] = field(default_factory=dict)
    every: list[CodeDefinition] = field(default_factory=list)
    of_node: dict[int, CodeDefinition] = field(default_factory=dict)  # by the id of its node
    members: dict[tuple[int, str], CodeDefinition] = field(default_factory=dict)
    by_name: dict[str, list[CodeDefinition]] = field(default_factory=lambda: defaultdict(list))
    unread: list[str] = field(default_factory=list)

    def classes(self) -> Iterator[CodeDefinition]:
        """Every class."""
        return (d for d in self.every if d.is_class)

    def member(self, outer: CodeDefinition, name: str) -> CodeDefinition | None:
        """What a class or function defines itself by that name."""
        return self.members.get((id(outer.node), name))

    def _add(self, file: ParsedFile, body: list[ast.stmt], outer: CodeDefinition | None) -> None:
        for node in statements_in(body):
            if not isinstance(node, Defining):
                continue
            name = node.name if outer is None else f"{outer.name}.{node.name}"
            definition = CodeDefinition(file.file, name, node, outer)
            if outer is None:
                file.top[node.name] = definition
            else:
                self.members[id(outer.node), node.name] = definition
            self.every.append(definition)
            self.of_node[id(node)] = definition
            self.by_name[node.name].append(definition)
            self._add(file, node.body, definition)


def parsed(sources: Mapping[str, str | None]) -> CodeDefinitions:
    """What the files define (None: the file could not be read). Tests are left out."""
    every = CodeDefinitions()
    for path, text in sorted(sources.items()):
        if _TESTS.fullmatch(posixpath.basename(path)):
            continue
        try:
            if text is None:
                raise Unreadable(f"{path} was not to be had")
            tree = python_tree(text, "the source")
            file = ParsedFile(path, tree, imports=_imports(tree), given=given_in(tree.body))
            every._add(file, tree.body, None)
        except (Unreadable, RecursionError):
            every.unread.append(path)
            continue
        every.files[path] = file
    return every


def statements_in(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Every statement, those in blocks too; not those within functions and classes."""
    for node in body:
        yield node
        if isinstance(node, Defining):
            continue
        for block in ("body", "orelse", "finalbody"):
            yield from statements_in(getattr(node, block, []))
        for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            yield from statements_in(part.body)


def expressions_of(statement: ast.stmt) -> Iterator[ast.AST]:
    """All that a statement holds beside other statements."""
    for child in ast.iter_child_nodes(statement):
        if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from ast.walk(child)


def _imports(tree: ast.Module) -> dict[str, tuple[str, str, int]]:
    found: dict[str, tuple[str, str, int]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for a in node.names:
                whole = a.name if a.asname else a.name.partition(".")[0]
                found[a.asname or whole] = whole, "", 0
        elif isinstance(node, ast.ImportFrom):
            for a in node.names:
                found[a.asname or a.name] = node.module or "", a.name, node.level
    return found


def given_in(body: list[ast.stmt]) -> dict[str, list[Given]]:
    """What names are given there, by name; `self.x` by that."""
    found: dict[str, list[Given]] = defaultdict(list)
    for node in statements_in(body):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                _taken(found, target, node.value, node.lineno)
        elif isinstance(node, ast.AnnAssign):
            if name := dotted(node.target):
                found[name].append(Given(node.lineno, node.value, None, node.annotation))
        elif isinstance(node, ast.AugAssign | ast.For | ast.AsyncFor):
            _unknown(found, node.target)
        elif isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                if item.optional_vars is not None:
                    _unknown(found, item.optional_vars)
        if isinstance(node, Defining):
            continue
        for inner in expressions_of(node):
            if isinstance(inner, ast.NamedExpr):
                _taken(found, inner.target, inner.value, node.lineno)
    return dict(found)


def _taken(found: dict[str, list[Given]], target: ast.expr, value: ast.expr, line: int) -> None:
    if isinstance(target, ast.Tuple):
        for part, name in enumerate(map(dotted, target.elts)):
            if name:
                found[name].append(Given(line, value, part))
    elif name := dotted(target):
        found[name].append(Given(line, value))


def _unknown(found: dict[str, list[Given]], target: ast.expr) -> None:
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            found[node.id].append(Given(node.lineno, None))


def dotted(node: ast.AST | None) -> str:
    """`a.b.c` as written; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def last_name(node: ast.AST | None) -> str:
    """The last name of `a.b().name` or `name`; "" for what has none."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
