"""Which modules a changed package really installs, by its own record beside the profiled code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath

from perfhunt.analysis.change.packages import module_symbol
from perfhunt.model.profile import Profile
from perfhunt.model.verdict.change import Atom, Change, Kind

_PLACE = re.compile(r"(.*/(?:site|dist)-packages)/")


def with_modules(change: Change, profiles: Sequence[Profile]) -> Change:
    """The change with the modules of its packages, as installed where the profiled code lies; a
    package that is not found there keeps the names it is usually imported by.
    """
    files = {frame.file for each in profiles for stack in each.stacks for frame in stack}
    places = {match[1] for file in files if (match := _PLACE.match(file))}
    paths = sorted(str(Path(change.root, place)) for place in places)
    if not paths or all(atom.kind != Kind.DEPENDENCY for atom in change.atoms):
        return change
    return replace(change, atoms=tuple(_with_modules(atom, paths) for atom in change.atoms))


def _with_modules(atom: Atom, paths: Sequence[str]) -> Atom:
    if atom.kind != Kind.DEPENDENCY or not atom.name:
        return atom
    found = list(distributions(name=atom.name, path=list(paths)))
    modules = dict.fromkeys(module for each in found for module in _modules(each))
    symbols = dict.fromkeys((*atom.links.defines, *map(module_symbol, modules)))
    return replace(atom, links=replace(atom.links, defines=tuple(symbols)))


def _modules(distribution: Distribution) -> Iterator[str]:
    """What a distribution installs at the top: `yaml`, `six`; of a namespace that it shares with
    others, the part that is its own: `google/protobuf`.
    """
    files = [PurePosixPath(str(file)) for file in distribution.files or ()]
    packages = {file.parts[0] for file in files if file.parts[1:] == ("__init__.py",)}
    for file in files:
        top = file.parts[0]
        if top == ".." or top.endswith((".dist-info", ".egg-info")) or top == "__pycache__":
            continue
        if len(file.parts) == 1:
            yield top.partition(".")[0]
        else:
            yield top if top in packages else "/".join(file.parts[:2])
