"""Which frames of a profile belong to edited functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

from perfhunt.model.profile import Frame, Profile
from perfhunt.model.units import Share
from perfhunt.model.verdict.change import Atom, Kind


def simple_name(atom: Atom) -> str:
    """The last part of a qualified name: `find` of `Store.find`."""
    return atom.name.rpartition(".")[2]


def is_frame_of(frame: Frame, atom: Atom) -> bool:
    """Whether a frame runs the function an atom names: one name, and one path ends the other.

    Profilers give the bare name (`find`), the qualified one (`Store.find`, `main.(*Store).Find`), a
    full path or a short one.
    """
    if atom.kind != Kind.CODE or not atom.name or _last_part(frame.function) != simple_name(atom):
        return False
    if not frame.file:
        return True
    paths = (atom.file, frame.file)
    ours, theirs = ([p for p in path.split("/") if p not in ("", ".")] for path in paths)
    shorter = min(len(ours), len(theirs))
    return ours[-shorter:] == theirs[-shorter:]


def _last_part(function: str) -> str:
    bare = function.partition("(")[0] if function.endswith(")") else function
    return bare.rpartition(".")[2]


def share_of(profile: Profile, atoms: Sequence[Atom]) -> Share:
    """The share of weight in stacks that hold at least one of the functions; 0 for no profile."""
    held = sum(weight for weight, _ in _held(profile, atoms))
    return held / profile.total if profile.total else 0.0


def shares_together(profile: Profile, atoms: Sequence[Atom]) -> dict[tuple[int, int], Share]:
    """The share of weight in stacks that hold both, for each two functions on one, by index."""
    weights: defaultdict[tuple[int, int], float] = defaultdict(float)
    for weight, indices in _held(profile, atoms):
        for pair in combinations(sorted(indices), 2):
            weights[pair] += weight
    return {pair: weight / profile.total for pair, weight in weights.items()}


def _held(profile: Profile, atoms: Sequence[Atom]) -> Iterator[tuple[float, set[int]]]:
    """Each stack's weight with the indices of the atoms on it; stacks without any are left out."""
    owners: dict[Frame, set[int]] = {}
    for stack, weight in profile.stacks.items():
        indices: set[int] = set()
        for frame in stack:
            if frame not in owners:
                owners[frame] = {i for i, atom in enumerate(atoms) if is_frame_of(frame, atom)}
            indices |= owners[frame]
        if indices:
            yield weight, indices
