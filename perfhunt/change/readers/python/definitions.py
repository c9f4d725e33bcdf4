"""A Python module as units that an edit can be pinned to: functions, methods, class bodies,
constants, statements, imports.

Two units are equal when their code does the same: comments, layout, docstrings, the names of locals
and annotations that nothing reads are taken out first.
"""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from perfhunt.change.readers.python.names import Names

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
STATEMENTS = "module-level statements"
_READS_ANNOTATIONS = re.compile(
    # words: `hasattr` is none
    r"\b(fastapi|pydantic|typer|inject\w*|litestar|attrs?|msgspec|dataclass\w*|get_type_hints)\b"
)
_REGISTERS_NOTHING = frozenset(
    {
        "wraps",
        "contextmanager",
        "asynccontextmanager",
        "lru_cache",
        "cache",
        "staticmethod",
        "classmethod",
    }
)


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of a module. `sort` is function, class, constant, statement or import.

    `code` is its normal form (equal code, equal text), of the tree `plain`. `names` counts every
    name it reads, resolved as far as the module tells; `binds` are the names it makes; `state`
    counts the mentions (symbol, tab, how) and `writes` the assignments (symbol, tab, value) of
    names that may outlive a call.
    """

    name: str
    sort: str
    code: str
    plain: ast.stmt
    names: Counter[str]
    binds: tuple[str, ...]
    state: Counter[str]
    writes: Counter[str]
    first: int
    last: int
    decorated: bool = False
    bases: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Renames:
    """Names that are other names now, and keywords that are: (function, old keyword) -> new
    keyword.
    """

    names: Mapping[str, str]
    keywords: Mapping[tuple[str, str], str]

    def __bool__(self) -> bool:
        return bool(self.names or self.keywords)


@dataclass(frozen=True, slots=True)
class Module:
    """A parsed file: its units in order, what its imports bind (name -> dotted origin), and names
    that stand for instances.
    """

    path: str
    units: tuple[Unit, ...]
    imports: Mapping[str, str]
    instances: Mapping[str, str]


def parse_module(path: str, text: str, renames: Renames | None = None, beside: str = "") -> Module:
    """The units of a module, with what was renamed written the new way. Raises SyntaxError.

    `beside` is the other side of the edit: annotations matter on both sides or on neither, else
    they would seem edited.
    """
    tree = ast.parse(text)
    if renames:
        tree = _Renamed(renames).visit(tree)
    imports = _imports(tree, path)
    instances = _instances(tree)
    reader = _Reader(
        path, imports, instances, _READS_ANNOTATIONS.search(text + "\n" + beside) is not None
    )
    return Module(path, tuple(reader.units(tree)), imports, instances)


class _Renamed(ast.NodeTransformer):
    """The same tree with what was renamed written the new way, so that a rename alone compares
    equal.
    """

    def __init__(self, renames: Renames) -> None:
        self._to = renames.names
        self._keywords = renames.keywords

    def visit_Call(self, node: ast.Call) -> ast.AST:
        called = ast.unparse(node.func).rpartition(".")[2]
        for keyword in node.keywords:
            keyword.arg = self._keywords.get((called, keyword.arg or ""), keyword.arg)
        return self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for field in ("id", "attr", "name", "asname"):
            value = getattr(node, field, None)
            if isinstance(value, str) and value in self._to:
                setattr(node, field, self._to[value])
        return node


def _imports(tree: ast.Module, path: str) -> dict[str, str]:
    """What each name bound by an import (anywhere in the module) stands for, relative ones made
    whole.
    """
    package = path.removesuffix(".py").split("/")[:-1]
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                found[alias.asname or alias.name] = f"{source}.{alias.name}"
    return found


def _instances(tree: ast.Module) -> dict[str, str]:
    """Names assigned from a call of a plain name (`cache = Cache()`): name -> that name, which may
    be a class.
    """
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Name)
        ):
            found.update(
                {t.id: node.value.func.id for t in node.targets if isinstance(t, ast.Name)}
            )
    return found


class _Reader:
    """Cuts one module into units."""

    def __init__(
        self,
        path: str,
        imports: Mapping[str, str],
        instances: Mapping[str, str],
        annotations_matter: bool,
    ) -> None:
        self._path = path
        self._imports = imports
        self._instances = instances
        self._annotations_matter = annotations_matter
        self._seen: Counter[str] = Counter()
        self._bases: dict[str, list[str]] = {}

    def units(self, tree: ast.Module) -> Iterator[Unit]:
        classes = [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
        self._bases = {c.name: [ast.unparse(b) for b in c.bases] for c in classes}
        for node in _without_docstring(tree.body):
            if isinstance(node, ast.ClassDef):
                yield from self._class(node, "")
            elif isinstance(node, Function):
                yield from self._function(node, "")
            elif isinstance(node, ast.Import | ast.ImportFrom):
                yield self._unit(node, "import " + ast.unparse(node), "import", "")
            elif not _is_inert(node):
                yield self._unit(node, *_named_statement(node), owner="")

    def _class(self, node: ast.ClassDef, prefix: str) -> Iterator[Unit]:
        name = f"{prefix}{node.name}"
        body: list[ast.stmt] = []
        for child in _without_docstring(node.body):
            if isinstance(child, Function):
                yield from self._function(child, f"{name}.", owner=name)
            elif isinstance(child, ast.ClassDef) and child.name not in ("Meta", "Config"):
                yield from self._class(child, f"{name}.")
            elif not isinstance(child, ast.Pass):
                body.append(child)
        shell = copy.copy(node)
        shell.body = body or [ast.Pass()]
        unit = self._unit(shell, name, "class", name)
        yield unit

    def _function(self, node: Function, prefix: str, owner: str = "") -> Iterator[Unit]:
        name = f"{prefix}{node.name}"
        kept: list[ast.stmt] = []
        for child in _without_docstring(node.body):
            # Handlers made inside a factory (create_app) are functions in their own right.
            if isinstance(child, Function) and _registers(child.decorator_list):
                yield from self._function(child, f"{name}.", owner)
            else:
                kept.append(child)
        shell = copy.copy(node)
        shell.body = kept or [ast.Pass()]
        yield self._unit(shell, name, "function", owner)

    def _unit(self, node: ast.stmt, name: str, sort: str, owner: str) -> Unit:
        self._seen[name] += 1
        if self._seen[name] > 1 and sort != "import":
            name = f"{name}#{self._seen[name]}"
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        plain = _plain(node, self._annotations_matter)
        instances = {**self._instances, **_instances(ast.Module([node], [])), **_annotated(node)}
        resolver = Names(self._path, self._imports, instances, owner, self._bases.get(owner, []))
        resolver.visit(node)
        decorators = getattr(node, "decorator_list", [])
        if isinstance(node, Function) and not any(
            isinstance(c, Function) and _registers(c.decorator_list) for c in node.body
        ):
            resolver.forget(
                self._path,
                {*_locals(node), *(a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg))},
            )
        bases = tuple(ast.unparse(b) for b in node.bases) if isinstance(node, ast.ClassDef) else ()
        return Unit(
            name,
            sort,
            ast.dump(plain),
            plain,
            resolver.names,
            _binds(node),
            resolver.state,
            resolver.writes,
            first,
            node.end_lineno or node.lineno,
            _registers(decorators),
            bases,
            _parameters(node),
        )


def _annotated(node: ast.stmt) -> dict[str, str]:
    """Parameters with an annotation, by the class it names (the last one, for `Store | None` and
    `Optional[Store]`).
    """
    found: dict[str, str] = {}
    for argument in ast.walk(node.args) if isinstance(node, Function) else ():
        if isinstance(argument, ast.arg) and argument.annotation is not None:
            named = [
                n.id
                for n in ast.walk(argument.annotation)
                if isinstance(n, ast.Name) and n.id not in ("Optional", "None")
            ]
            if named:
                found[argument.arg] = named[-1]
    return found


def _named_statement(node: ast.stmt) -> tuple[str, str]:
    """The name and sort of a module-level statement: a constant by its target, else one of the
    unnamed statements.
    """
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign | ast.AugAssign)
        else []
    )
    if targets:
        return ", ".join(ast.unparse(t) for t in targets), "constant"
    return STATEMENTS, "statement"


def _is_inert(node: ast.stmt) -> bool:
    """Module-level statements that change nothing at run time: `__all__`, `__version__`, a bare
    string, TYPE_CHECKING blocks.
    """
    if isinstance(node, ast.Assign):
        return all(
            isinstance(t, ast.Name) and t.id in ("__all__", "__version__", "__author__")
            for t in node.targets
        )
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, ast.Pass) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _without_docstring(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    head = body[0] if body else None
    is_text = (
        isinstance(head, ast.Expr)
        and isinstance(head.value, ast.Constant)
        and isinstance(head.value.value, str)
    )
    return list(body[1:] if is_text else body)


def _registers(decorators: Sequence[ast.expr]) -> bool:
    """Whether decorators may hand the function to somebody else, so that it is reached without
    being named.
    """
    plain = [
        ast.unparse(d.func if isinstance(d, ast.Call) else d).rpartition(".")[2] for d in decorators
    ]
    return any(name not in _REGISTERS_NOTHING for name in plain)


def _parameters(node: ast.stmt) -> tuple[str, ...]:
    if not isinstance(node, Function):
        return ()
    return tuple(a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs))


def _binds(node: ast.stmt) -> tuple[str, ...]:
    if isinstance(node, Function):
        return (node.name,)
    if isinstance(node, ast.ClassDef):
        fields = [
            n.id
            for s in node.body
            for n in ast.walk(s)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        ]
        return (node.name, *(f"{node.name}.{field}" for field in dict.fromkeys(fields)))
    bound = [
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    ]
    bound += [n.name for n in ast.walk(node) if isinstance(n, Function | ast.ClassDef)]
    bound += [
        a.asname or a.name.partition(".")[0]
        for n in ast.walk(node)
        if isinstance(n, ast.Import | ast.ImportFrom)
        for a in n.names
    ]
    return tuple(dict.fromkeys(bound))


def _plain(node: ast.stmt, annotations_matter: bool) -> ast.stmt:
    """A copy of the code without docstrings, with its locals numbered, and without annotations that
    nothing reads.
    """
    plain = copy.deepcopy(node)
    for child in ast.walk(plain):
        if isinstance(child, Function | ast.ClassDef):
            child.body = _without_docstring(child.body) or [ast.Pass()]
        if (
            isinstance(child, Function)
            and not annotations_matter
            and not _registers(child.decorator_list)
        ):
            child.returns = None
            for argument in ast.walk(child.args):
                if isinstance(argument, ast.arg):
                    argument.annotation = None
    if isinstance(plain, Function):
        _strip_local_annotations(plain)
        names = {name: f"local{i}" for i, name in enumerate(_locals(plain))}
        for child in ast.walk(plain):
            if isinstance(child, ast.Name) and child.id in names:
                child.id = names[child.id]
    return plain


def _strip_local_annotations(function: Function) -> None:
    """`x: int = 1` inside a function runs as `x = 1` (PEP 526: annotations of locals are not
    evaluated).
    """
    for parent in ast.walk(function):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(parent, field, None)
            if isinstance(block, list) and not isinstance(parent, ast.ClassDef):
                setattr(parent, field, [_bare_assignment(s) for s in block])


def _bare_assignment(statement: ast.stmt) -> ast.stmt:
    if (
        isinstance(statement, ast.AnnAssign)
        and statement.value is not None
        and isinstance(statement.target, ast.Name)
    ):
        return ast.copy_location(ast.Assign([statement.target], statement.value), statement)
    return statement


def _locals(function: Function) -> list[str]:
    """Names the function itself assigns, in order of first use; none when it looks its own names up
    by text.
    """
    stored: dict[str, None] = {}
    declared: set[str] = {a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg)}
    pending: list[ast.AST] = list(reversed(function.body))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name):
            if node.id in ("locals", "eval", "exec", "vars"):
                return []
            if isinstance(node.ctx, ast.Store):
                stored[node.id] = None
        if isinstance(node, ast.Global | ast.Nonlocal):
            declared.update(node.names)
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            pending.extend(reversed(list(ast.iter_child_nodes(node))))
    return [name for name in stored if name not in declared]


def masked_text(unit: Unit) -> str:
    """The unit's code with locals, parameters and texts masked: two sites of one mechanical edit
    look alike.
    """
    masked = copy.deepcopy(unit.plain)
    parameters = {a.arg for a in ast.walk(masked) if isinstance(a, ast.arg)}
    for child in ast.walk(masked):
        if isinstance(child, ast.Name) and (child.id in parameters or child.id.startswith("local")):
            child.id = "N"
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            child.value = "S"
    return ast.unparse(masked)
