"""Which frames of a profile belong to an installed package, and how its files are named whatever
environment they lie in.
"""

from __future__ import annotations

import re

from perfhunt.analysis.change.changed_frames import is_frame_of
from perfhunt.model.profile import Frame, Stack
from perfhunt.model.verdict.change import Atom, Kind

# Below these directories lie installed packages: Python's, Node's, Go's.
_INSTALLED = re.compile(r"(?:^|/)(?:(?:site|dist)-packages|node_modules|pkg/mod)/(?P<file>.+)")
_VERSION = re.compile(r"(?<=[^/])@[^/]+")  # of a Go module, in its directory's name
_STDLIB = re.compile(r"(?:^|/)lib/python3\.\d+t?/(?P<file>.+)")
_IMPORTED = "import:"  # a symbol of an atom that names a module


def belongs(frame: Frame, atom: Atom) -> bool:
    """Whether a frame runs what an atom names: an edited function, or code of a package."""
    if atom.kind != Kind.DEPENDENCY:
        return is_frame_of(frame, atom)
    file = installed(frame.file)
    return any(
        file == module or file.startswith((f"{module}/", f"{module}."))
        for module in modules_of(atom)
        if file
    )


def holds(stack: Stack, atom: Atom) -> bool:
    """Whether what an atom names is anywhere on the stack."""
    return any(belongs(frame, atom) for frame in stack)


def modules_of(atom: Atom) -> tuple[str, ...]:
    """The modules of a package, as paths below where packages are installed: `yaml`,
    `google/protobuf`, `@scope/name`.
    """
    symbols = (symbol for symbol in atom.links.defines if symbol.startswith(_IMPORTED))
    return tuple(dict.fromkeys(symbol.removeprefix(_IMPORTED) for symbol in symbols))


def module_symbol(module: str) -> str:
    """The symbol by which an atom's links name a module."""
    return f"{_IMPORTED}{module}"


def installed(file: str) -> str:
    """A file's path below where packages are installed, without a version in it; "" when it lies
    elsewhere.
    """
    match = _last(_INSTALLED, file)
    return _VERSION.sub("", match["file"]) if match else ""


def lasting(file: str) -> str:
    """A file's name that is the same in two environments and under two interpreters."""
    if inside := installed(file):
        return inside
    match = _last(_STDLIB, file)
    return match["file"] if match else file


def _last(pattern: re.Pattern[str], file: str) -> re.Match[str] | None:
    """The innermost match: `node_modules` may lie in one another."""
    found = None
    at = pattern.search(file)
    while at is not None:
        found = at
        at = pattern.search(file, at.start("file") - 1)
    return found
