"""A Python module cut into what an edit can be pinned to.

That is each function, method and class body, each constant, import and other statement of the
module. Two definitions are equal when their code does the same.
"""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

from perfhunt.change.readers.python.names import Names
from perfhunt.change.readers.python.normal import (
    Block,
    Function,
    Renames,
    WrittenAnew,
    arguments_of,
    hands_over,
    local_names,
    normal_form,
    without_docstring,
)
from perfhunt.model.document.bounded import python_tree

STATEMENTS = "module-level statements"  # the name of those that have none

# Libraries that read annotations when the program runs; whole words, for `hasattr` is none.
_READS_ANNOTATIONS = re.compile(
    r"\b(fastapi|pydantic|typer|inject\w*|litestar|attrs?|msgspec|dataclass\w*|get_type_hints)\b"
)
_IDLE_CONSTANTS = ("__all__", "__version__", "__author__")
_OPTIONS_OF_CLASSES = ("Meta", "Config")  # inner classes that are a class's own options


class DefinitionSort(StrEnum):
    """What a definition is. STATEMENT is one of the module that has no name."""

    FUNCTION = "function"
    CLASS = "class"
    CONSTANT = "constant"
    STATEMENT = "statement"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class Definition:
    """One piece of a module.

    `code` is its normal form (equal code, equal text), of the tree `normal`. `names` counts every
    name it reads, resolved as far as the module tells; `binds` are the names it makes. `state`
    counts the mentions (symbol, tab, how) and `writes` the assignments (symbol, tab, value) of
    names that may outlive a call. `handed_over` is True when a decorator may give it to somebody.
    """

    name: str
    sort: DefinitionSort
    code: str
    normal: ast.stmt
    names: Counter[str]
    binds: tuple[str, ...]
    state: Counter[str]
    writes: Counter[str]
    first: int
    last: int
    handed_over: bool = False
    bases: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()

    @property
    def own_name(self) -> str:
        """Its name without what it is in, and without its number among others of that name."""
        return self.name.partition("#")[0].rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Module:
    """A parsed file: its definitions in order, what each imported name stands for (dotted), and
    the names of instances with the name that made them, which may be a class.
    """

    definitions: tuple[Definition, ...]
    imports: Mapping[str, str]
    instances: Mapping[str, str]


def parse_module(path: str, text: str, renames: Renames | None = None, beside: str = "") -> Module:
    """The definitions of a module, what was renamed written the new way. Raises Unreadable.

    `beside` is the other side of the edit: annotations matter on both sides or on neither, else
    they would seem edited.
    """
    tree = python_tree(text, path)
    if renames:
        tree = WrittenAnew(renames).visit(tree)
    imports, instances = _imports(tree, path), _instances(tree)
    annotations_matter = bool(_READS_ANNOTATIONS.search(f"{text}\n{beside}"))
    reader = _Reader(path, imports, instances, annotations_matter)
    return Module(tuple(reader.definitions(tree)), imports, instances)


def _imports(tree: ast.Module, path: str) -> dict[str, str]:
    """What each name bound by an import stands for, relative imports made whole."""
    package = path.removesuffix(".py").split("/")[:-1]
    origins: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = _bound(alias)
                origins[name] = alias.name if alias.asname else name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            origins.update({_bound(alias): f"{source}.{alias.name}" for alias in node.names})
    return origins


def _bound(alias: ast.alias) -> str:
    """The name that an import binds."""
    return alias.asname or alias.name.partition(".")[0]


def _instances(node: ast.AST) -> dict[str, str]:
    """Names assigned from a call of a plain name (`cache = Cache()`), with that name."""
    made: dict[str, str] = {}
    for child in ast.walk(node):
        match child:
            case ast.Assign(value=ast.Call(func=ast.Name(id=maker))):
                made.update({t.id: maker for t in child.targets if isinstance(t, ast.Name)})
    return made


def _annotated(node: ast.stmt) -> dict[str, str]:
    """Parameters by the class their annotation names: the last one, as in `Optional[Store]`."""
    classes: dict[str, str] = {}
    for argument in arguments_of(node):
        inside = ast.walk(argument.annotation) if argument.annotation else ()
        named = [n.id for n in inside if isinstance(n, ast.Name) and n.id != "Optional"]
        if named:
            classes[argument.arg] = named[-1]
    return classes


class _Reader:
    """Cuts one module into definitions."""

    def __init__(
        self,
        path: str,
        imports: Mapping[str, str],
        instances: Mapping[str, str],
        annotations_matter: bool,
    ) -> None:
        self._path, self._imports, self._instances = path, imports, instances
        self._annotations_matter = annotations_matter
        self._count: Counter[str] = Counter()
        self._bases: dict[str, list[str]] = {}

    def definitions(self, tree: ast.Module) -> Iterator[Definition]:
        classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
        self._bases = {c.name: [ast.unparse(base) for base in c.bases] for c in classes}
        for node in without_docstring(tree.body):
            if isinstance(node, ast.ClassDef):
                yield from self._class(node, "")
            elif isinstance(node, Function):
                yield from self._function(node, "")
            elif isinstance(node, ast.Import | ast.ImportFrom):
                yield self._definition(node, f"import {ast.unparse(node)}", DefinitionSort.IMPORT)
            elif not _is_idle(node):
                targets = ", ".join(ast.unparse(target) for target in _targets(node))
                sort = DefinitionSort.CONSTANT if targets else DefinitionSort.STATEMENT
                yield self._definition(node, targets or STATEMENTS, sort)

    def _class(self, node: ast.ClassDef, prefix: str) -> Iterator[Definition]:
        """The methods and inner classes one by one, then what is left of the class."""
        name = f"{prefix}{node.name}"
        kept: list[ast.stmt] = []
        for child in without_docstring(node.body):
            if isinstance(child, Function):
                yield from self._function(child, f"{name}.", owner=name)
            elif isinstance(child, ast.ClassDef) and child.name not in _OPTIONS_OF_CLASSES:
                yield from self._class(child, f"{name}.")
            elif not isinstance(child, ast.Pass):
                kept.append(child)
        yield self._definition(_with_body(node, kept), name, DefinitionSort.CLASS, name)

    def _function(self, node: Function, prefix: str, owner: str = "") -> Iterator[Definition]:
        """Handlers made inside a factory (create_app) one by one, then the rest of it."""
        name = f"{prefix}{node.name}"
        kept: list[ast.stmt] = []
        for child in without_docstring(node.body):
            if _is_handler(child):
                yield from self._function(child, f"{name}.", owner)
            else:
                kept.append(child)
        yield self._definition(_with_body(node, kept), name, DefinitionSort.FUNCTION, owner)

    def _definition(
        self, node: ast.stmt, name: str, sort: DefinitionSort, owner: str = ""
    ) -> Definition:
        self._count[name] += 1
        if self._count[name] > 1 and sort != DefinitionSort.IMPORT:
            name = f"{name}#{self._count[name]}"
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        normal = normal_form(node, self._annotations_matter)
        names = self._names(node, owner)
        return Definition(
            name=name,
            sort=sort,
            code=ast.dump(normal),
            normal=normal,
            names=names.names,
            binds=_binds(node),
            state=names.state,
            writes=names.writes,
            first=min([node.lineno, *(decorator.lineno for decorator in decorators)]),
            last=node.end_lineno or node.lineno,
            handed_over=hands_over(decorators),
            bases=tuple(map(ast.unparse, node.bases)) if isinstance(node, ast.ClassDef) else (),
            parameters=_parameters(node),
        )

    def _names(self, node: ast.stmt, owner: str) -> Names:
        instances = {**self._instances, **_instances(node), **_annotated(node)}
        names = Names(self._path, self._imports, instances, owner, self._bases.get(owner, []))
        names.visit(node)
        if isinstance(node, Function) and not any(_is_handler(child) for child in node.body):
            names.forget({*local_names(node), *(argument.arg for argument in arguments_of(node))})
        return names


def _is_handler(node: ast.stmt) -> TypeGuard[Function]:
    return isinstance(node, Function) and hands_over(node.decorator_list)


def _with_body(node: Block, body: list[ast.stmt]) -> Block:
    shell = copy.copy(node)
    shell.body = body or [ast.Pass()]
    return shell


def _targets(node: ast.stmt) -> Iterable[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return (node.target,) if isinstance(node, ast.AnnAssign | ast.AugAssign) else ()


def _is_idle(node: ast.stmt) -> bool:
    """Statements of a module that change nothing when it runs."""
    match node:
        case ast.Assign():
            return all(isinstance(t, ast.Name) and t.id in _IDLE_CONSTANTS for t in node.targets)
        case ast.If():
            return "TYPE_CHECKING" in ast.unparse(node.test)
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
    return False


def _parameters(node: ast.stmt) -> tuple[str, ...]:
    if not isinstance(node, Function):
        return ()
    return tuple(a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs))


def _binds(node: ast.stmt) -> tuple[str, ...]:
    """The names that a statement makes; of a class, its own and those of its body."""
    if isinstance(node, Function):
        return (node.name,)
    names: dict[str, None] = {}
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            names[child.id] = None
        elif isinstance(child, Function | ast.ClassDef) and not isinstance(node, ast.ClassDef):
            names[child.name] = None
        elif isinstance(child, ast.Import | ast.ImportFrom):
            names.update(dict.fromkeys(_bound(alias) for alias in child.names))
    if isinstance(node, ast.ClassDef):
        return (node.name, *(f"{node.name}.{name}" for name in names))
    return tuple(names)
