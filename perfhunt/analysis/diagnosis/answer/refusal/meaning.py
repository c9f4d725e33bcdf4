"""What a name of the application's code stands for, where that can be told from the code alone: a
definition, an import, an assignment, an annotation, `self.x = Bucket()`.
"""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from perfhunt.analysis.diagnosis.answer.refusal.definitions import (
    FUNCTIONS,
    CodeDefinition,
    CodeDefinitions,
    Given,
    ParsedFile,
    dotted,
    given_in,
    last_name,
)
from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import python_tree

# Meanings that lead to names: longer ways are not followed.
_FARTHEST = 12
# A name, or the id of another expression; its file; the id of what it is read in.
_Asked: TypeAlias = tuple[str | int, str, int | None]


class MeaningKind(StrEnum):
    """What a name may stand for."""

    FUNCTION = "function"
    CLASS = "class"
    INSTANCE = "instance"
    MODULE = "module"


class Meaning(NamedTuple):
    """A definition of the application, or one of its files."""

    kind: MeaningKind
    of: CodeDefinition | ParsedFile


@dataclass(slots=True)
class Meanings:
    """Looks names up as the interpreter would. What is not of the application, or not settled by
    its code, stands for None.
    """

    code: CodeDefinitions
    _given: dict[int, dict[str, list[Given]]] = field(default_factory=dict)
    _bases: dict[int, list[CodeDefinition]] = field(default_factory=dict)
    _known: dict[_Asked, Meaning | None] = field(default_factory=dict)
    _quoted: dict[int, ast.expr | None] = field(default_factory=dict)
    _underway: set[_Asked] = field(default_factory=set)

    def meaning(
        self, node: ast.AST | None, file: str, scope: CodeDefinition | None
    ) -> Meaning | None:
        """What an expression stands for, read inside of a definition (None: at the top)."""
        if node is None or file not in self.code.files:
            return None
        within = None if scope is None else id(scope.node)
        asked = node.id if isinstance(node, ast.Name) else id(node), file, within
        if asked not in self._known:
            if asked in self._underway or len(self._underway) > _FARTHEST:
                return None
            self._underway.add(asked)
            self._known[asked] = self._worked_out(node, file, scope)
            self._underway.discard(asked)
        return self._known[asked]

    def _worked_out(self, node: ast.AST, file: str, scope: CodeDefinition | None) -> Meaning | None:
        if isinstance(node, ast.Await):
            return self.meaning(node.value, file, scope)
        if isinstance(node, ast.Name):
            return self._of_name(node.id, file, scope)
        if isinstance(node, ast.Attribute):
            return self._of_attribute(node, file, scope)
        if isinstance(node, ast.Call):
            return self._of_call(node, file, scope)
        if isinstance(node, ast.IfExp):
            sides = [Given(0, node.body), Given(0, node.orelse)]
            return self._of_given(sides, file, scope)
        if isinstance(node, ast.BoolOp):
            return self._of_given([Given(0, value) for value in node.values], file, scope)
        return None

    def called(
        self, call: ast.Call, file: str, scope: CodeDefinition | None
    ) -> CodeDefinition | None:
        """The function that a call runs. What nobody binds (a parameter, an attribute that is set
        elsewhere) may be told by its name, as `limiter.allow()` of the one class `Limiter`.
        """
        meaning = self.meaning(call.func, file, scope)
        if meaning is None and isinstance(call.func, ast.Attribute):
            return self._by_name_of_receiver(call.func, file, scope)
        if meaning is None or isinstance(meaning.of, ParsedFile):
            return None
        if meaning.kind is MeaningKind.INSTANCE:
            return self.method(meaning.of, "__call__")
        if meaning.kind is not MeaningKind.FUNCTION or self._is_replaced(meaning.of):
            return None
        return meaning.of

    def _is_replaced(self, function: CodeDefinition) -> bool:
        """Whether a class that derives from a method's own has another: which runs is open."""
        if function.owner is None:
            return False
        return any(self.code.member(c, function.node.name) for c in self.derived(function.owner))

    def bases(self, definition: CodeDefinition) -> list[CodeDefinition]:
        """The application's classes that one derives from, itself first."""
        if id(definition.node) in self._bases:
            return self._bases[id(definition.node)]
        found, todo = [definition], [definition]
        self._bases[id(definition.node)] = found  # for a class that is named in its own bases
        while todo:
            each = todo.pop(0)
            for base in each.node.bases if isinstance(each.node, ast.ClassDef) else ():
                meaning = self.meaning(base, each.file, each.outer)
                if meaning is not None and meaning.kind is MeaningKind.CLASS:
                    assert isinstance(meaning.of, CodeDefinition)
                    if meaning.of not in found:
                        found.append(meaning.of)
                        todo.append(meaning.of)
        return found

    def derived(self, definition: CodeDefinition) -> list[CodeDefinition]:
        """The application's classes that derive from one."""
        return [
            c for c in self.code.classes() if c is not definition and definition in self.bases(c)
        ]

    def method(self, owner: CodeDefinition, name: str) -> CodeDefinition | None:
        """The method that runs for an instance of a class: of one that is abstract, its only
        implementation.
        """
        candidates = (self.code.member(each, name) for each in self.bases(owner))
        found = next((m for m in candidates if m is not None), None)
        if found is None or found.is_class or not self._is_abstract(found):
            return found
        return _only(m for c in self._implementing(found) if (m := self.code.member(c, name)))

    def _implementing(self, method: CodeDefinition) -> list[CodeDefinition]:
        owner = method.owner
        if owner is None:
            return []
        if _is_protocol(owner):
            return [c for c in self.code.classes() if not _is_protocol(c)]
        return self.derived(owner)

    def _is_abstract(self, method: CodeDefinition) -> bool:
        owner = method.owner
        raised = [s.exc for s in method.statements if isinstance(s, ast.Raise)]
        named = {last_name(e.func if isinstance(e, ast.Call) else e) for e in raised}
        marks = {last_name(d) for d in method.node.decorator_list}
        if "abstractmethod" in marks or "NotImplementedError" in named:
            return True
        if owner is None or not method.is_blank:
            return False
        return _is_protocol(owner) or bool(self.derived(owner))

    def _by_name_of_receiver(
        self, func: ast.Attribute, file: str, scope: CodeDefinition | None
    ) -> CodeDefinition | None:
        if not self._is_open(func.value, file, scope):
            return None
        word = _letters(last_name(func.value))
        named = [c for c in self.code.classes() if word and _letters(c.node.name) == word]
        return _only(m for c in named if (m := self.method(c, func.attr)))

    def _is_open(self, node: ast.AST, file: str, scope: CodeDefinition | None) -> bool:
        """Whether the code leaves open what it stands for."""
        if isinstance(node, ast.Attribute):
            given = self._attribute_given(node, scope)
            return all(
                g.value is None or self._is_open(g.value, file, within) for within, g in given
            )
        if not isinstance(node, ast.Name):
            return False
        if scope is not None and node.id in {p.arg for p in scope.parameters}:
            return True
        module = self.code.files[file]
        local = scope is not None and node.id in self._given_within(scope)
        return not (local or node.id in {*module.imports, *module.given, *module.top})

    def _of_name(self, name: str, file: str, scope: CodeDefinition | None) -> Meaning | None:
        within = scope
        while within is not None:
            if not within.is_class:
                inner = self.code.member(within, name)
                if inner is not None:
                    return _of_definition(inner)
                annotated = next((p for p in within.parameters if p.arg == name), None)
                if annotated is not None:
                    return self._instance(annotated.annotation, file, within.outer)
                if given := self._given_within(within).get(name):
                    return self._of_given(given, file, within)
            within = within.outer
        module = self.code.files[file]
        if name in module.top:
            return _of_definition(module.top[name])
        if name in module.given:
            return self._of_given(module.given[name], file, None)
        return self._of_import(module, name) if name in module.imports else None

    def _of_import(self, module: ParsedFile, name: str) -> Meaning | None:
        whole, inner, dots = module.imports[name]
        if inner:
            path = f"{whole}.{inner}" if whole else inner
            if found := self._file(path, dots, module.file):
                return Meaning(MeaningKind.MODULE, found)
            source = self._file(whole, dots, module.file)
            return self._in_file(source, inner) if source else None
        found = self._file(whole, dots, module.file)
        return Meaning(MeaningKind.MODULE, found) if found else None

    def _in_file(self, source: ParsedFile, name: str) -> Meaning | None:
        return self.meaning(ast.Name(name), source.file, None)

    def _file(self, module: str, dots: int, importer: str) -> ParsedFile | None:
        """The file of a module, the nearest to the one that imports it where several could be."""
        base = posixpath.dirname(importer)
        for _ in range(dots - 1):
            base = posixpath.dirname(base)
        inside = module.replace(".", "/")
        ends = [f"{inside}.py", f"{inside}/__init__.py"] if inside else ["__init__.py"]
        if dots:
            return next((f for e in ends if (f := self.code.files.get(f"{base}/{e}"))), None)
        fitting = [f for f in self.code.files if any(f.endswith(f"/{e}") for e in ends)]
        near = max(
            fitting, key=lambda f: (len(posixpath.commonprefix([f, importer])), -len(f)), default=""
        )
        return self.code.files.get(near)

    def _of_attribute(
        self, node: ast.Attribute, file: str, scope: CodeDefinition | None
    ) -> Meaning | None:
        owner = self.meaning(node.value, file, scope)
        if owner is None and isinstance(node.value, ast.Name) and scope is not None:
            owner = _self_of(node.value.id, scope)
        if owner is None:
            return self._dotted_module(node, file)
        if isinstance(owner.of, ParsedFile):
            return self._in_file(owner.of, node.attr)
        method = self.method(owner.of, node.attr) if owner.of.is_class else None
        if method is not None:
            return _of_definition(method)
        values = self._set_on(owner.of, node.attr)
        meanings = {self._of_given([g], w.file, w) for w, g in values if _says(g)}
        return meanings.pop() if len(meanings) == 1 else None

    def _dotted_module(self, node: ast.Attribute, file: str) -> Meaning | None:
        """`import shop.limits`, used as `shop.limits`."""
        path = dotted(node)
        first = path.partition(".")[0]
        if not path or self.code.files[file].imports.get(first) != (first, "", 0):
            return None
        found = self._file(path, 0, file)
        return Meaning(MeaningKind.MODULE, found) if found else None

    def _of_call(self, node: ast.Call, file: str, scope: CodeDefinition | None) -> Meaning | None:
        made = self.meaning(node.func, file, scope)
        if made is None or not isinstance(made.of, CodeDefinition):
            return None
        if made.kind is MeaningKind.CLASS:
            return Meaning(MeaningKind.INSTANCE, made.of)
        function = made.of.node
        if made.kind is MeaningKind.FUNCTION and isinstance(function, FUNCTIONS):
            return self._instance(function.returns, made.of.file, made.of.outer)
        return None

    def _instance(
        self, annotation: ast.AST | None, file: str, scope: CodeDefinition | None
    ) -> Meaning | None:
        """What an annotation promises: `Bucket`, `"Bucket"`, `Bucket | None`."""
        if isinstance(annotation, ast.BinOp):
            left = self._instance(annotation.left, file, scope)
            right = self._instance(annotation.right, file, scope)
            return left if right is None else right if left is None else None
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            annotation = self._written_out(annotation)
            if annotation is None:
                return None
            return self._instance(annotation, file, scope)
        meaning = self.meaning(annotation, file, scope)
        if meaning is None or meaning.kind is not MeaningKind.CLASS:
            return None
        return Meaning(MeaningKind.INSTANCE, meaning.of)

    def _written_out(self, quoted: ast.Constant) -> ast.expr | None:
        """The expression that an annotation in quotes holds."""
        if id(quoted) not in self._quoted:
            try:
                body = python_tree(str(quoted.value), "an annotation").body
            except Unreadable:
                body = []
            first = body[0] if len(body) == 1 else None
            self._quoted[id(quoted)] = first.value if isinstance(first, ast.Expr) else None
        return self._quoted[id(quoted)]

    def _of_given(
        self, given: Iterable[Given], file: str, scope: CodeDefinition | None
    ) -> Meaning | None:
        """What all that a name was given stands for alike; None where it does not."""
        found: set[Meaning | None] = set()
        for each in filter(_says, given):
            if each.annotation is not None:
                found.add(self._instance(each.annotation, file, scope))
            else:
                whole = each.value if each.part is None else None
                found.add(self.meaning(whole, file, scope))
        return found.pop() if len(found) == 1 else None

    def _set_on(self, owner: CodeDefinition, name: str) -> list[tuple[CodeDefinition, Given]]:
        """What an attribute of a class's instances is set to: in its body, and by its methods."""
        found: list[tuple[CodeDefinition, Given]] = []
        for each in self.bases(owner):
            found += ((each, g) for g in self._given_within(each).get(name, ()))
            methods = (d for d in self.code.every if d.owner is each and not d.is_class)
            for method in methods:
                itself = method.parameters[0].arg if method.parameters else ""
                found += (
                    (method, g) for g in self._given_within(method).get(f"{itself}.{name}", ())
                )
        return found

    def _attribute_given(
        self, node: ast.Attribute, scope: CodeDefinition | None
    ) -> list[tuple[CodeDefinition, Given]]:
        owner = None
        if isinstance(node.value, ast.Name) and scope is not None:
            owner = _self_of(node.value.id, scope)
        if owner is None or not isinstance(owner.of, CodeDefinition):
            return []
        return self._set_on(owner.of, node.attr)

    def given_to(self, name: str, scope: CodeDefinition | None) -> list[Given]:
        """What a function gives a name of its own."""
        return [] if scope is None else self._given_within(scope).get(name, [])

    def _given_within(self, definition: CodeDefinition) -> dict[str, list[Given]]:
        node = definition.node
        if id(node) not in self._given:
            self._given[id(node)] = given_in(node.body)
        return self._given[id(node)]


def _says(given: Given) -> bool:
    """Whether it says what a name stands for: None is but its absence."""
    nothing = isinstance(given.value, ast.Constant) and given.value.value is None
    return given.annotation is not None or not nothing


def _self_of(name: str, scope: CodeDefinition) -> Meaning | None:
    """The instance that the first parameter of a method is, for functions within it, too."""
    within: CodeDefinition | None = scope
    while within is not None:
        if within.owner is not None and within.parameters and within.parameters[0].arg == name:
            return Meaning(MeaningKind.INSTANCE, within.owner)
        within = within.outer
    return None


def _of_definition(definition: CodeDefinition) -> Meaning:
    kind = MeaningKind.CLASS if definition.is_class else MeaningKind.FUNCTION
    return Meaning(kind, definition)


def _is_protocol(definition: CodeDefinition) -> bool:
    node = definition.node
    bases = node.bases if isinstance(node, ast.ClassDef) else []
    return any(
        last_name(b.value if isinstance(b, ast.Subscript) else b) == "Protocol" for b in bases
    )


def _only(found: Iterable[CodeDefinition]) -> CodeDefinition | None:
    every = list(dict.fromkeys(found))
    return every[0] if len(every) == 1 else None


def _letters(name: str) -> str:
    return name.replace("_", "").lower()
