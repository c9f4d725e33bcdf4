"""How the application spells a status, and where it gives one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

from perfhunt.analysis.diagnosis.answer.refusal.definitions import (
    CodeDefinitions,
    ParsedFile,
    dotted,
    last_name,
    statements_in,
)

# `BUSY`; `Code.BUSY` for that of a class or module; `CODES['busy']` for that of a table.
ConstantNames: TypeAlias = frozenset[str]
# What a status is given as: the name of an argument, a key, or a variable.
_STATUS = re.compile(
    r"(?:.*\.)?_?(?:(?:http|response|resp|reply|error|err)_?)?(?:status|code|status_?code)",
    re.IGNORECASE,
)
# Calls that answer, or make an answer: a number among their arguments is its status.
_ANSWERING = re.compile(
    r"abort|answer|den(?:y|ied)|error|exception|fail|http|problem|refus|reject|reply|respon[ds]"
    r"|status|^response",
    re.IGNORECASE,
)
# Calls that report, compare or try again what somebody else answered.
_NO_ANSWER = re.compile(
    r"assert|expect|^log|print|warn|metric|statsd|isinstance|issubclass|retr(?:y|ies)|backoff",
    re.IGNORECASE,
)
_REPORTING = re.compile(r"log|metric|stats", re.IGNORECASE)  # of what a method is called
_ENUMS = frozenset({"Enum", "IntEnum", "StrEnum"})
_CONSTANT = re.compile(r"[A-Z][A-Z0-9_]*|(?=.*[a-z])[A-Z]\w*")  # of a module, or a class


@dataclass(frozen=True, slots=True)
class Spelling:
    """How one file may spell a status: the number, its words, and constants of its own."""

    status: int
    constants: ConstantNames = frozenset()

    def written(self, node: ast.AST, parameters: Parameters) -> Iterator[ast.AST]:
        """Where in a statement or an expression it is given as a status: not where it is compared
        with another.
        """
        if isinstance(node, ast.Compare | ast.match_case | ast.Lambda) or _is_no_answer(node):
            return
        if self._says_in_words(node):
            yield node
            return
        given = [v for each in _given(node, parameters) for v in _either(each)]
        given = [value for value in given if self.is_status(value)]
        yield from given
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt | ast.ExceptHandler) or child in given:
                continue
            if isinstance(node, ast.Call) and child is node.func and not _is_class(child):
                child = child.value if isinstance(child, ast.Attribute) else ast.Pass()
            yield from self.written(child, parameters)

    def is_constant(self, node: ast.AST) -> bool:
        """Whether a name that is given such a value is a constant for the status."""
        return _is(node, self.status) or self._says_in_words(node)

    def is_status(self, node: ast.AST) -> bool:
        """Whether what is given as a status is it."""
        if _is(node, self.status) or {dotted(node), _entry(node)} & self.constants:
            return True
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            return re.match(rf"{self.status}(?: [A-Z]|$)", _text(node.value)) is not None
        return (
            isinstance(node, ast.JoinedStr) and bool(node.values) and self.is_status(node.values[0])
        )

    def _says_in_words(self, node: ast.AST) -> bool:
        """Whether it can be nothing but the status: a status line, or a name made of its words."""
        words = HTTPStatus(self.status).phrase
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            line = rf"(?:HTTP/\d(?:\.\d)? {self.status}\b.*|{self.status} {words}\s*)"
            return re.fullmatch(line, _text(node.value), re.IGNORECASE | re.DOTALL) is not None
        name = last_name(node)
        if not _CONSTANT.fullmatch(name):
            return False
        letters = name.replace("_", "").lower()
        return words.replace(" ", "").lower() in letters or f"http{self.status}" in letters


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of the application's functions, by last name: the places of parameters that take a status."""

    taking: dict[str, frozenset[int]]

    @staticmethod
    def of(code: CodeDefinitions) -> Parameters:
        """Those of all functions and constructors."""
        taking: dict[str, frozenset[int]] = {}
        for definition in code.every:
            of_class = definition.node.name == "__init__" and definition.owner
            name = of_class.node.name if of_class else definition.node.name
            names = [p.arg for p in definition.parameters]
            if definition.owner is not None:
                names = names[1:]
            places = {n for n, parameter in enumerate(names) if is_status_name(parameter)}
            taking[name] = frozenset(places) | taking.get(name, frozenset())
        return Parameters(taking)


def spellings(code: CodeDefinitions, status: int) -> dict[str, Spelling]:
    """By file; a constant is known where it is defined or imported."""
    bare = Spelling(status)
    own = {file.file: frozenset(_constants(file, bare)) for file in code.files.values()}
    every = frozenset().union(*own.values())
    found = {}
    for file in code.files.values():
        shared = {
            name + constant.removeprefix(inner)
            for name, (_, inner, _) in file.imports.items()
            for constant in every
            if constant == inner or constant.startswith(f"{inner}[")
        }
        inside = {c for c in every if "." in c}
        for name, (module, inner, _) in file.imports.items():
            of = (inner or module).rpartition(".")[2]
            inside |= {f"{name}.{c}" for f, cs in own.items() if _stem(f) == of for c in cs}
        found[file.file] = Spelling(status, own[file.file] | shared | inside)
    return found


def _constants(file: ParsedFile, bare: Spelling) -> Iterator[str]:
    for name, values in file.given.items():
        if any(g.value is not None and bare.is_constant(g.value) for g in values):
            yield name
        for table in (g.value for g in values if isinstance(g.value, ast.Dict)):
            keys = [k for k, v in zip(table.keys, table.values, strict=True) if bare.is_constant(v)]
            yield from (f"{name}[{ast.unparse(k)}]" for k in keys if isinstance(k, ast.Constant))
            yield from ({f"{name}[]"} if keys else ())
    for node in statements_in(file.tree.body):
        if isinstance(node, ast.ClassDef):
            for name in _of_class(node, bare):
                yield from (f"{node.name}.{name}", f"self.{name}", f"cls.{name}")


def _entry(node: ast.AST) -> str:
    """`CODES['busy']` of a table; `CODES[]` where the key is not known."""
    if isinstance(node, ast.Subscript):
        key = ast.unparse(node.slice) if isinstance(node.slice, ast.Constant) else ""
        return f"{dotted(node.value)}[{key}]"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return f"{dotted(node.func.value)}[]" if node.func.attr == "get" else ""
    return ""


def _of_class(node: ast.ClassDef, bare: Spelling) -> Iterator[str]:
    """A class that has but a status of its own is not a constant: it is the answer."""
    enum = any(last_name(base) in _ENUMS for base in node.bases)
    for statement in node.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for name in map(last_name, targets):
                if bare.is_constant(statement.value) and (enum or not is_status_name(name)):
                    yield name


def is_status_name(name: str) -> bool:
    """Whether a parameter or a variable of that name takes a status."""
    return _STATUS.fullmatch(name) is not None


def _given(node: ast.AST, parameters: Parameters) -> Iterable[ast.AST]:
    """What a node gives as a status."""
    match node:
        case ast.Call():
            named = [k.value for k in node.keywords if k.arg and _STATUS.fullmatch(k.arg)]
            return (*_positional(node, parameters), *named)
        case ast.Return(value=ast.Tuple() as several):
            return several.elts
        case ast.Return(value=ast.IfExp() as value):
            return (value,)
        case ast.Dict():
            pairs = zip(node.keys, node.values, strict=True)
            return [v for k, v in pairs if isinstance(k, ast.Constant) and _says(k.value)]
        case ast.Assign():
            return (node.value,) if any(_says(last_name(t)) for t in node.targets) else ()
        case ast.AnnAssign(value=ast.expr() as value):
            return (value,) if _says(last_name(node.target)) else ()
        case ast.Raise(exc=ast.Call() as call):
            return call.args
    return ()


def _positional(call: ast.Call, parameters: Parameters) -> list[ast.expr]:
    name = last_name(call.func)
    if name != "__init__" and (places := parameters.taking.get(name)):
        return [arg for n, arg in enumerate(call.args) if n in places]
    of_base = isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call)
    made = of_base and name == "__init__"  # `super().__init__(503)`
    return list(call.args) if made or _ANSWERING.search(name) else []


def _is_no_answer(node: ast.AST) -> bool:
    """Whether it is a docstring, or a call that answers nobody."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if not isinstance(node, ast.Call):
        return False
    receiver = dotted(node.func).rpartition(".")[0]
    return bool(_NO_ANSWER.search(last_name(node.func)) or _REPORTING.search(receiver))


def _either(node: ast.AST) -> Iterator[ast.AST]:
    """What an expression may give: both sides of a condition."""
    if isinstance(node, ast.IfExp):
        yield from (value for side in (node.body, node.orelse) for value in _either(side))
    else:
        yield node


def _is(node: ast.AST, status: int) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value == status


def _says(name: object) -> bool:
    return isinstance(name, str) and is_status_name(name)


def _is_class(node: ast.AST) -> bool:
    return last_name(node)[:1].isupper()


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _stem(file: str) -> str:
    return file.rpartition("/")[2].removesuffix(".py")
