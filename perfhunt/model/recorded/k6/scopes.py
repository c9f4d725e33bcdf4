"""Which expression a name of a script stands for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from perfhunt.model.recorded.k6.syntax import FUNCTIONS, Node, arguments_of, source, walked

_DECLARATIONS = ("lexical_declaration", "variable_declaration")
_BLOCKS = frozenset({"program", "statement_block"})
# Scopes whose own names are unknown to us, by the fields that hold them.
_FILLED = {
    **dict.fromkeys(FUNCTIONS, ("parameters", "parameter")),
    "for_statement": ("initializer",),
    "for_in_statement": ("left",),
    "catch_clause": ("parameter",),
}
# Methods that change what they are called on.
_CHANGING = frozenset(
    {
        *("push", "unshift", "pop", "shift", "splice", "sort", "reverse", "fill", "copyWithin"),
        *("set", "append", "delete", "clear", "add"),
    }
)
_NAMED = ("identifier", "member_expression", "subscript_expression")
_SCOPES = 100  # of one place: nobody nests blocks deeper


@dataclass(slots=True)
class Scopes:
    """The names of a script by the scope that they are declared in, looked up when asked for."""

    root: Node
    _names: dict[int, dict[str, Node | None]] = field(default_factory=dict)
    _changes: dict[str, list[int]] | None = None  # where a name gets another value, by name

    def declared(self, node: Node) -> Node | None:
        """The expression that a name was given where it was declared, if it never gets another;
        None for a parameter, an import and the like.
        """
        name, scope = source(node), node.parent
        for _ in range(_SCOPES):
            if scope is None:
                break
            if scope.type in _BLOCKS or scope.type in _FILLED:
                names = self._names.get(scope.id)
                if names is None:
                    names = self._names[scope.id] = _names(scope)
                if name in names:
                    return None if self._changes_in(scope, name) else names[name]
            scope = scope.parent
        return None

    def _changes_in(self, scope: Node, name: str) -> bool:
        if self._changes is None:
            self._changes = _changes(self.root)
        return any(scope.start_byte <= at < scope.end_byte for at in self._changes.get(name, ()))


def _names(scope: Node) -> dict[str, Node | None]:
    """The names of a scope, with the expression of those that are given one, once."""
    names: dict[str, Node | None] = {}
    for field_name in _FILLED.get(scope.type, ()):
        names |= dict.fromkeys(map(source, _inside(scope.child_by_field_name(field_name))))
    for child in scope.named_children if scope.type in _BLOCKS else ():
        if child.type == "export_statement":
            child = child.child_by_field_name("declaration") or child
        if child.type == "import_statement":
            names |= dict.fromkeys(map(source, _inside(child)))
        elif child.type in FUNCTIONS or child.type == "class_declaration":
            names |= dict.fromkeys(map(source, _inside(child.child_by_field_name("name"))))
        for declared in child.named_children if child.type in _DECLARATIONS else ():
            pattern, value = (declared.child_by_field_name(f) for f in ("name", "value"))
            plain = pattern is not None and pattern.type == "identifier"
            for name in map(source, _inside(pattern)):
                names[name] = value if plain and name not in names else None
    return names


def _inside(node: Node | None) -> Iterator[Node]:
    """The names in a pattern, a list of parameters or an import."""
    for each in walked(node) if node is not None else ():
        if each.type in ("identifier", "shorthand_property_identifier_pattern"):
            yield each


def _changes(root: Node) -> dict[str, list[int]]:
    """Where names get another value than they were declared with, or a part of it changes."""
    changes: dict[str, list[int]] = {}
    for node in walked(root):
        if node.type in ("assignment_expression", "augmented_assignment_expression"):
            target = node.child_by_field_name("left")
        elif node.type == "update_expression" or _deletes(node):
            target = node.child_by_field_name("argument")
        elif node.type == "call_expression":
            target = _changed_by(node)
        else:
            continue
        while target is not None and target.type in ("member_expression", "subscript_expression"):
            target = target.child_by_field_name("object")  # `a.b = c` changes what a stands for
        for each in _inside(target):
            changes.setdefault(source(each), []).append(node.start_byte)
    return changes


def _deletes(node: Node) -> bool:
    operator = node.child_by_field_name("operator") if node.type == "unary_expression" else None
    return operator is not None and source(operator) == "delete"


def _changed_by(call: Node) -> Node | None:
    """What a call changes, of those that are known: `list.push(x)`, `Object.assign(a, b)`."""
    function, given = call.child_by_field_name("function"), arguments_of(call)
    if function is None or function.type != "member_expression":
        return None
    changed: Node | None = None
    if source(function) == "Object.assign":
        changed = given[0] if given else None
    elif source(function.child_by_field_name("property")) in _CHANGING:
        changed = function.child_by_field_name("object")
    return changed if changed is not None and changed.type in _NAMED else None
