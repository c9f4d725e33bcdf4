"""Python code in a normal form, so that code that does the same compares equal."""

from __future__ import annotations

import ast
import copy
import io
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Block = TypeVar("Block", Function, ast.ClassDef)

# Decorators that hand the function to nobody: it is still reached by its name alone.
_HANDS_NOTHING_OVER = (
    *("wraps", "staticmethod", "classmethod", "lru_cache", "cache"),
    *("contextmanager", "asynccontextmanager"),
)
_READS_ITS_NAMES = ("locals", "eval", "exec", "vars")
_LAYOUT = (*(tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),)


@dataclass(frozen=True, slots=True)
class Renames:
    """Names that are other names now, and keywords that are, by function and old keyword."""

    names: Mapping[str, str]
    keywords: Mapping[tuple[str, str], str]

    def __bool__(self) -> bool:
        return bool(self.names or self.keywords)


class WrittenAnew(ast.NodeTransformer):
    """Writes what was renamed the new way, so that a rename alone compares equal."""

    def __init__(self, renames: Renames) -> None:
        self._renames = renames

    def visit_Call(self, node: ast.Call) -> ast.AST:
        called = ast.unparse(node.func).rpartition(".")[2]
        for keyword in node.keywords:
            renamed = self._renames.keywords.get((called, keyword.arg or ""))
            keyword.arg = renamed or keyword.arg
        return self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for field in ("id", "attr", "name", "asname"):
            value = getattr(node, field, None)
            if isinstance(value, str) and value in self._renames.names:
                setattr(node, field, self._renames.names[value])
        return node


def normal_form(node: ast.stmt, annotations_matter: bool) -> ast.stmt:
    """A copy without docstrings and idle annotations, its locals numbered."""
    normal: ast.stmt = _Plain(annotations_matter).visit(copy.deepcopy(node))
    if isinstance(normal, Function):
        numbers = {name: f"local{i}" for i, name in enumerate(local_names(normal))}
        for child in ast.walk(normal):
            if isinstance(child, ast.Name):
                child.id = numbers.get(child.id, child.id)
    return normal


class _Plain(ast.NodeTransformer):
    """Takes out docstrings, and annotations that nothing reads when the program runs."""

    def __init__(self, annotations_matter: bool) -> None:
        self._annotations_matter = annotations_matter
        self._in_function = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._block(node, in_function=False)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        # PEP 526: annotations of locals are not evaluated, so `x: int = 1` runs as `x = 1`.
        if self._in_function and node.value is not None and isinstance(node.target, ast.Name):
            return ast.copy_location(ast.Assign([node.target], node.value), node)
        return node

    def _function(self, node: Function) -> ast.AST:
        if not self._annotations_matter and not hands_over(node.decorator_list):
            node.returns = None
            for argument in arguments_of(node):
                argument.annotation = None
        return self._block(node, in_function=True)

    def _block(self, node: Block, in_function: bool) -> ast.AST:
        node.body = without_docstring(node.body) or [ast.Pass()]
        outer, self._in_function = self._in_function, in_function
        self.generic_visit(node)
        self._in_function = outer
        return node


def without_docstring(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The statements of a block after its docstring."""
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return rest
    return list(body)


def hands_over(decorators: Sequence[ast.expr]) -> bool:
    """Whether decorators may hand the function on, so that it is reached without being named."""
    called = (d.func if isinstance(d, ast.Call) else d for d in decorators)
    return any(ast.unparse(c).rpartition(".")[2] not in _HANDS_NOTHING_OVER for c in called)


def arguments_of(node: ast.AST) -> list[ast.arg]:
    """The parameters of a function, and those of lambdas in their defaults."""
    inside = ast.walk(node.args) if isinstance(node, Function) else ()
    return [argument for argument in inside if isinstance(argument, ast.arg)]


def local_names(function: Function) -> list[str]:
    """Names that a function itself assigns, in order; none when it looks names up by text."""
    stored: dict[str, None] = {}
    declared = {argument.arg for argument in arguments_of(function)}
    pending: list[ast.AST] = list(reversed(function.body))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name) and node.id in _READS_ITS_NAMES:
            return []
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            stored[node.id] = None
        if isinstance(node, ast.Global | ast.Nonlocal):
            declared.update(node.names)
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            pending.extend(reversed(list(ast.iter_child_nodes(node))))
    return [name for name in stored if name not in declared]


def masked_tokens(normal: ast.stmt) -> list[str]:
    """The tokens of a normal form with locals, parameters and texts masked.

    Two sites of one mechanical edit look alike.
    """
    masked = copy.deepcopy(normal)
    parameters = {child.arg for child in ast.walk(masked) if isinstance(child, ast.arg)}
    for child in ast.walk(masked):
        if isinstance(child, ast.Name) and (child.id in parameters or child.id.startswith("local")):
            child.id = "N"
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            child.value = "S"
    tokens = tokenize.generate_tokens(io.StringIO(ast.unparse(masked)).readline)
    return [token.string for token in tokens if token.type not in _LAYOUT]
