"""The rest of a target's application: the files that those met on its stacks import or name, and
what its command serves.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import python_tree
from perfhunt.model.run import Process, TargetProcess
from perfhunt.target.code.sources import text_of
from perfhunt.target.proc.namespaces import seen_from_here

# Files of one application that are read: parsing them takes a second or two.
MOST = 400
# `shop.middleware.RateLimit`, as settings name what is imported later, and `shop.wsgi:app`.
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*(?::[\w.]+(?:\(.*\))?)?")
_SHORTEST_NAME = 2  # parts of a dotted name in a text: one may be any word
_LONGEST_NAME = 200  # characters of one


def imported(
    target: TargetProcess, known: Mapping[str, str], ours: Callable[[str], bool]
) -> dict[str, str | None]:
    """Path -> text of the files that make up the application beside those that are `known`; None
    for what is there and could not be read, was written to since the process began, or is beyond
    MOST.
    `ours` says of a path whether it is of the application.
    """
    lead = next((p for p in target.processes if p.pid in target.workers), None)
    if lead is None:
        return {}
    roots = {lead.cwd, *(_root_of(lead, file) for file in known)}
    found: dict[str, str | None] = {}
    # A title that a program gave itself is one word: `gunicorn: worker [shop.wsgi:app]`.
    words = [word for each in lead.cmdline for word in re.split(r"[\s\[\]=]+", each)]
    served = {path for word in words for path in _served(lead, word, roots) if ours(path)}
    todo = [*known, *sorted(served - {*known})]
    queued = {*todo}
    for file in todo:
        if file not in known:
            found[file] = text_of(lead, file) if len(found) < MOST else None
        text = known.get(file) or found.get(file) or ""
        for path in _named_in(lead, file, text, roots):
            if path not in queued and ours(path):
                queued.add(path)
                todo.append(path)
    return found


def _root_of(process: Process, file: str) -> str:
    """The directory that a file's outermost package lies in."""
    directory = os.path.dirname(file)
    while directory != "/" and _is_file(process, f"{directory}/__init__.py"):
        directory = os.path.dirname(directory)
    return directory


def _served(process: Process, word: str, roots: Iterable[str]) -> Iterator[str]:
    """The files that a word of the command names."""
    if word.endswith(".py"):
        path = os.path.normpath(os.path.join(process.cwd, word))
        if _is_file(process, path):
            yield path
    elif _MODULE.fullmatch(word):
        module = word.partition(":")[0]
        yield from (path for root in sorted(roots) for path in _files(process, root, module))


def _named_in(process: Process, file: str, text: str, roots: Iterable[str]) -> Iterator[str]:
    """The files that a text imports, or names as settings do."""
    try:
        nodes = list(ast.walk(python_tree(text, file)))
    except (Unreadable, RecursionError):
        return
    for node in nodes:
        for base, module in _modules(node, file, roots):
            yield from _files(process, base, module)


def _modules(node: ast.AST, file: str, roots: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(the directory that it is looked for in, its dotted name) of each module that is named."""
    match node:
        case ast.Import(names=names):
            yield from ((root, name.name) for root in roots for name in names)
        case ast.ImportFrom(level=0, module=str() as module, names=names):
            for root in roots:
                yield from ((root, f"{module}.{name.name}") for name in names)
        case ast.ImportFrom(level=level, module=module, names=names):
            base = file
            for _ in range(level):
                base = os.path.dirname(base)
            before = f"{module}." if module else ""
            yield from ((base, f"{before}{name.name}") for name in names)
        case ast.Constant(value=str() as text):
            dotted = text.count(".") + 1 >= _SHORTEST_NAME
            if dotted and len(text) < _LONGEST_NAME and _MODULE.fullmatch(text):
                yield from ((root, text.partition(":")[0]) for root in roots)


def _files(process: Process, base: str, module: str) -> Iterator[str]:
    """The files that run when a module is imported: its packages', and its own; the last parts of a
    name may be of something within a file.
    """
    path = base
    for part in module.split("."):
        path = f"{path.rstrip('/')}/{part}"
        if _is_file(process, f"{path}.py"):
            yield f"{path}.py"
            return
        if _is_file(process, f"{path}/__init__.py"):
            yield f"{path}/__init__.py"


def _is_file(process: Process, path: str) -> bool:
    try:
        return seen_from_here(process.pid, path).is_file()
    except (OSError, ValueError):
        return False
