"""Which names a piece of Python code reads and writes, resolved as far as its module tells."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping, Sequence


class Names(ast.NodeVisitor):
    """Counts the names a piece of code reads, as symbols.

    `path::name` for a name of the same module, a dotted origin for an imported one,
    `path::Class.name` through self, `.name` for an attribute of who knows what, `import:package`
    for a package, `text:NAME` for strings that may name a setting.
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
        self._path, self._imports, self._instances, self._owner, self._bases = (
            path,
            imports,
            instances,
            owner,
            bases,
        )

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        self._write(node.targets, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.generic_visit(node)
        self._write([node.target], node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        if node.value is not None:
            self._write([node.target], node.value)

    def _write(self, targets: Sequence[ast.expr], value: ast.expr) -> None:
        for target in targets:
            while isinstance(target, ast.Subscript):
                target = target.value
            chain = _chain(target)
            if chain[:1] == ["self"] and self._owner and len(chain) > 1:
                self.writes[f"{self._path}::{self._owner}.{chain[1]}\t{ast.dump(value)}"] += 1
            elif len(chain) == 1:
                self.writes[f"{self._path}::{chain[0]}\t{ast.dump(value)}"] += 1

    def forget(self, path: str, local: set[str]) -> None:
        """Drop what a function's own locals and parameters were counted as: they do not outlive a
        call.
        """
        for name in (f"{path}::{n}" for n in local):
            self.names.pop(name, None)
            for counter in (self.state, self.writes):
                for key in [k for k in counter if k.partition("\t")[0] == name]:
                    del counter[key]

    def visit_Name(self, node: ast.Name) -> None:
        self.names[f"{self._path}::{node.id}"] += 1
        self.state[f"{self._path}::{node.id}\t"] += 1
        if node.id.isupper():
            self.names[f"text:{node.id}"] += 1
        if node.id in self._imports:
            origin = self._imports[node.id]
            self.names[origin] += 1
            self.names[f"import:{origin.partition('.')[0]}"] += 1

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        self.names[f".{node.attr}"] += 1
        if node.attr.isupper():
            self.names[f"text:{node.attr}"] += 1
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "super":
            self._inherited(node.attr)
        chain = _chain(node)
        if not chain:
            return
        root, *rest = chain
        if root in ("self", "cls") and self._owner:
            self.names[f"{self._path}::{self._owner}.{rest[0]}"] += 1
            self.state[f"{self._path}::{self._owner}.{rest[0]}\t{'.'.join(rest)}"] += 1
            self._inherited(rest[0])
        if root in self._instances:
            made_by = self._instances[root]
            self.names[f"{self._path}::{made_by}.{rest[0]}"] += 1
            self.names[f"{self._imports.get(made_by, '')}.{rest[0]}"] += 1
        if root in self._imports:
            self.names[".".join([self._imports[root], *rest])] += 1
        self.names[f"{self._path}::{root}.{rest[0]}"] += 1

    def _inherited(self, attribute: str) -> None:
        """A method that may be a base class's: of this module, or of the one it is imported
        from.
        """
        for base in self._bases:
            head, _, tail = base.partition(".")
            origin = ".".join(filter(None, (self._imports.get(head, ""), tail)))
            self.names[f"{self._path}::{base}.{attribute}"] += 1
            self.names[f"{origin}.{attribute}"] += 1

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and node.value.isidentifier() and node.value.isupper():
            self.names[f"text:{node.value}"] += 1


def _chain(node: ast.expr) -> list[str]:
    """`a.b.c` as its parts; empty when it does not start at a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []
