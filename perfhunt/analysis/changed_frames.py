"""Which frames of a profile belong to edited functions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from perfhunt.model.change import Atom, Kind
from perfhunt.model.profile import Frame, Profile, Stack
from perfhunt.model.units import Share


def simple_name(atom: Atom) -> str:
    """The last part of a qualified name: `find` of `Store.find`."""
    return atom.name.rpartition(".")[2]


def is_frame_of(frame: Frame, atom: Atom) -> bool:
    """Whether a frame runs the function an atom names: same function name, and one path ends with the other.

    Profilers give the bare name (`find`), the qualified one (`Store.find`, `main.(*Store).Find`), a full path or a short one.
    """
    if atom.kind != Kind.CODE or not atom.name or _last_part(frame.function) != simple_name(atom):
        return False
    if not frame.file:
        return True
    ours, theirs = PurePosixPath(atom.file).parts, PurePosixPath(frame.file).parts
    shorter = min(len(ours), len(theirs))
    return ours[-shorter:] == theirs[-shorter:]


def _last_part(function: str) -> str:
    bare = function.partition("(")[0] if function.endswith(")") else function
    return bare.rpartition(".")[2]


def holds(stack: Stack, atom: Atom) -> bool:
    """Whether the function is anywhere on the stack."""
    return any(is_frame_of(frame, atom) for frame in stack)


def share_of(profile: Profile, atoms: Sequence[Atom]) -> Share:
    """The share of weight in stacks that hold at least one of the functions; 0 for an empty profile."""
    if not profile.total:
        return 0.0
    return sum(w for stack, w in profile.stacks.items() if any(holds(stack, a) for a in atoms)) / profile.total


def share_together(profile: Profile, one: Atom, other: Atom) -> Share:
    """The share of weight in stacks that hold both functions; 0 for an empty profile."""
    if not profile.total:
        return 0.0
    return sum(w for stack, w in profile.stacks.items() if holds(stack, one) and holds(stack, other)) / profile.total
