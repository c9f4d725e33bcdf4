"""Which names a piece of Python code reads and writes, resolved as far as its module tells."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Mapping, Sequence


class Names(ast.NodeVisitor):
    """Counts the names a piece of code reads, as symbols, and what it does with lasting state.

    A name of the same module is `path::name`, an imported one its dotted origin, one through self
    `path::Class.name`, an attribute of who knows what `.name`, a package `import:package`, a text
    that may name a setting `text:NAME`.
    """

    def __init__(
        self,
        path: str,
        imports: Mapping[str, str],
        instances: Mapping[str, str],
        owner: str,
        bases: Sequence[str],
    ) -> None:
        self.names: Counter[str] = Counter()
        self.state: Counter[str] = Counter()
        self.writes: Counter[str] = Counter()
        self._path, self._owner, self._bases = path, owner, bases
        self._imports, self._instances = imports, instances

    def forget(self, local: Collection[str]) -> None:
        """Drop what a function's locals and parameters were counted as: no call leaves them."""
        symbols = {self._here(name) for name in local}
        for counter in (self.names, self.state, self.writes):
            for key in [key for key in counter if key.partition("\t")[0] in symbols]:
                del counter[key]

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        self._write(node.targets, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.generic_visit(node)
        self._write([node.target], node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        self._write([node.target] if node.value else [], node.value)

    def visit_Name(self, node: ast.Name) -> None:
        self.names[self._here(node.id)] += 1
        self.state[f"{self._here(node.id)}\t"] += 1
        self._text(node.id)
        if node.id in self._imports:
            origin = self._imports[node.id]
            self.names[origin] += 1
            self.names[f"import:{origin.partition('.')[0]}"] += 1

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        self.names[f".{node.attr}"] += 1
        self._text(node.attr)
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "super":
            self._inherited(node.attr)
        root, *rest = _chain(node) or [""]
        if not root:
            return
        if root in ("self", "cls") and self._owner:
            own = self._here(self._owner, rest[0])
            self.names[own] += 1
            self.state[f"{own}\t{'.'.join(rest)}"] += 1
            self._inherited(rest[0])
        if root in self._instances:
            maker = self._instances[root]
            self.names[self._here(maker, rest[0])] += 1
            self.names[f"{self._imports.get(maker, '')}.{rest[0]}"] += 1
        if root in self._imports:
            self.names[".".join([self._imports[root], *rest])] += 1
        self.names[self._here(root, rest[0])] += 1

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and node.value.isidentifier():
            self._text(node.value)

    def _here(self, *names: str) -> str:
        """The symbol of a name of this module."""
        return f"{self._path}::{'.'.join(names)}"

    def _text(self, name: str) -> None:
        if name.isupper():
            self.names[f"text:{name}"] += 1

    def _write(self, targets: Sequence[ast.expr], value: ast.expr | None) -> None:
        for target in targets:
            while isinstance(target, ast.Subscript):
                target = target.value
            match _chain(target):
                case ["self", field, *_] if self._owner:
                    written = self._here(self._owner, field)
                case [name]:
                    written = self._here(name)
                case _:
                    continue
            self.writes[f"{written}\t{ast.dump(value) if value else ''}"] += 1

    def _inherited(self, attribute: str) -> None:
        """A method may be a base class's: of this module, or of the one it is imported from."""
        for base in self._bases:
            head, _, tail = base.partition(".")
            origin = ".".join(filter(None, (self._imports.get(head, ""), tail)))
            self.names[self._here(base, attribute)] += 1
            self.names[f"{origin}.{attribute}"] += 1


def _chain(node: ast.expr) -> list[str]:
    """`a.b.c` as its parts; empty when it does not start at a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []
