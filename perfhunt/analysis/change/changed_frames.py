"""Which frames of a profile belong to edited functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from perfhunt.model.profile import Frame, Profile, Stack
from perfhunt.model.units import Share
from perfhunt.model.verdict.change import Atom, Kind


def simple_name(atom: Atom) -> str:
    """The last part of a qualified name: `find` of `Store.find`."""
    return atom.name.rpartition(".")[2]


def is_frame_of(frame: Frame, atom: Atom) -> bool:
    """Whether a frame runs the function an atom names: same function name, and one path ends with
    the other.

    Profilers give the bare name (`find`), the qualified one (`Store.find`, `main.(*Store).Find`), a
    full path or a short one.
    """
    if atom.kind != Kind.CODE or not atom.name or _last_part(frame.function) != simple_name(atom):
        return False
    if not frame.file:
        return True
    ours, theirs = (
        [part for part in path.split("/") if part not in ("", ".")]
        for path in (atom.file, frame.file)
    )
    shorter = min(len(ours), len(theirs))
    return ours[-shorter:] == theirs[-shorter:]


def _last_part(function: str) -> str:
    bare = function.partition("(")[0] if function.endswith(")") else function
    return bare.rpartition(".")[2]


def holds(stack: Stack, atom: Atom) -> bool:
    """Whether the function is anywhere on the stack."""
    return any(is_frame_of(frame, atom) for frame in stack)


def held(profile: Profile, atoms: Sequence[Atom]) -> Iterator[tuple[float, frozenset[int]]]:
    """Each stack's weight with the indices of the atoms that are on it; stacks that hold none are
    left out.
    """
    known: dict[Frame, frozenset[int]] = {}
    for stack, weight in profile.stacks.items():
        found: frozenset[int] = frozenset()
        for frame in stack:
            if frame not in known:
                known[frame] = frozenset(
                    i for i, atom in enumerate(atoms) if is_frame_of(frame, atom)
                )
            found |= known[frame]
        if found:
            yield weight, found


def share_of(profile: Profile, atoms: Sequence[Atom]) -> Share:
    """The share of weight in stacks that hold at least one of the functions; 0 for an empty
    profile.
    """
    return (
        sum(weight for weight, _ in held(profile, atoms)) / profile.total if profile.total else 0.0
    )


def shares_together(profile: Profile, atoms: Sequence[Atom]) -> dict[tuple[int, int], Share]:
    """For each two functions seen together, by index, the share of weight in stacks that hold
    both.
    """
    weights: dict[tuple[int, int], float] = {}
    for weight, found in held(profile, atoms):
        for pair in combinations(sorted(found), 2):
            weights[pair] = weights.get(pair, 0.0) + weight
    return {pair: weight / profile.total for pair, weight in weights.items()}
