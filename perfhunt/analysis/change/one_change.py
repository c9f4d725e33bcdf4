"""Whether an edit is exactly one change: pieces that can only be measured together, and the ruling
on them.

The rule leans on this: an effect can be told apart only when one edit could have caused it, and
tangled commits are common (Herzig, Just and Zeller 2016: 7 to 20 % of bug fixes). Lines and hunks
are never counted. Atoms are joined when one names the other, when both alter the same shared state,
when they are one edit at several sites, or when a profile of the baseline shows both on one hot
path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perfhunt.analysis.change.changed_frames import share_of, shares_together
from perfhunt.errors import ChangeRefused
from perfhunt.model.profile import Profile
from perfhunt.model.units import Share, format_share
from perfhunt.model.verdict.change import Atom, Change, ChangeRefusal, Edit, Kind, OneChange, Piece

HOT_PATH: Share = (
    0.01  # of sampled stacks: enough to join two functions; an edit with less cannot matter much
)
_WEIGHT = (
    "connected",
    "hot-path",
    "repetition",
    "carried",
)  # a later one decides the code of a piece
_SPLIT = (
    "Measure them one by one: `perfhunt split` writes a patch for each. To measure them together:"
    ' --compound "reason"'
)


def decide(
    change: Change, profile: Profile | None = None, compound: str = ""
) -> OneChange | ChangeRefusal:
    """The ruling on a change. `profile` is the baseline's; `compound` is a person's reason to
    measure several at once.
    """
    pieces = pieces_of(change.atoms, profile)
    live = tuple(p for p in pieces if any(a.entry for a in p.atoms))
    idle = tuple(a for p in pieces if p not in live for a in p.atoms)
    notes = (
        *change.notes,
        *_question_notes(change),
        *_idle_notes(idle),
        *_cold_notes(live, profile),
    )
    if not live:
        return _nothing(change, idle, notes)
    if len(live) == 1:
        return OneChange(change, live, live[0].code, live[0].why, notes)
    code, reason = _several(live)
    if compound:
        return OneChange(change, live, "compound", reason, notes, compound)
    return ChangeRefusal(change, live, code, reason, _SPLIT, notes)


def require_one(change: Change, profile: Profile | None = None, compound: str = "") -> OneChange:
    """The change, ruled to be one (or compound, with a person's reason); else raises ChangeRefused."""
    ruling = decide(change, profile, compound)
    if isinstance(ruling, ChangeRefusal):
        raise ChangeRefused("\n".join(ruling.lines()), ruling.next)
    return ruling


def pieces_of(atoms: Sequence[Atom], profile: Profile | None = None) -> tuple[Piece, ...]:
    """The atoms in pieces that can only be measured together, in the order of their first atom."""
    groups = _JoinedPieces(len(atoms))
    for one, other in _related(atoms):
        join = _join(atoms[one], atoms[other])
        if join:
            groups.join(one, other, *join)
    _join_packages(atoms, groups)
    if profile is not None:
        _join_hot_path(atoms, profile, groups)
    return tuple(groups.piece(members, atoms) for members in groups.members())


class _JoinedPieces:
    """Indices joined pair by pair (union-find), with the code and the sentence of each join."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))
        self._joins: list[tuple[int, str, str]] = []

    def find(self, index: int) -> int:
        while self._parent[index] != index:
            index = self._parent[index]
        return index

    def join(self, one: int, other: int, code: str, why: str) -> None:
        a, b = self.find(one), self.find(other)
        if a != b:
            self._parent[max(a, b)] = min(a, b)
            self._joins.append((one, code, why))

    def members(self) -> list[list[int]]:
        found: dict[int, list[int]] = {}
        for index in range(len(self._parent)):
            found.setdefault(self.find(index), []).append(index)
        return list(found.values())

    def piece(self, members: Sequence[int], atoms: Sequence[Atom]) -> Piece:
        """The piece of one group; its code is the most telling join in it."""
        inside = [(code, why) for index, code, why in self._joins if index in members]
        code = max((c for c, _ in inside), key=_WEIGHT.index, default="one-atom")
        return Piece(
            tuple(atoms[i] for i in members),
            "; ".join(dict.fromkeys(why for _, why in inside)),
            code,
        )


def _related(atoms: Sequence[Atom]) -> Iterator[tuple[int, int]]:
    """Pairs of atoms that have a symbol in common, by index, each once and in order: all that could
    be joined.
    """
    having: dict[str, list[int]] = {}
    for index, atom in enumerate(atoms):
        links = atom.links
        shared = (
            *links.defines,
            *(f"touches {t}" for t in links.touches),
            *([f"shape {links.shape}"] if links.shape else []),
        )
        for symbol in shared:
            having.setdefault(symbol, []).append(index)
    found: set[tuple[int, int]] = set()
    for index, atom in enumerate(atoms):
        links = atom.links
        mine = (
            *links.uses,
            *(f"touches {t}" for t in links.touches),
            *([f"shape {links.shape}"] if links.shape else []),
        )
        found.update(
            (min(index, o), max(index, o))
            for symbol in mine
            for o in having.get(symbol, ())
            if o != index
        )
    yield from sorted(found)


def _join(one: Atom, other: Atom) -> tuple[str, str] | None:
    """How two atoms belong together: the code and the sentence; None when they do not."""
    if one.kind == other.kind == Kind.DEPENDENCY:
        return None  # by the dependency graph, not by pairs: see _join_packages
    a, b = one.links, other.links
    named = (set(a.uses) & set(b.defines)) or (set(b.uses) & set(a.defines))
    if one.kind != other.kind:
        return _carried(one, other) if named else None
    if named:
        user, used = (one, other) if set(a.uses) & set(b.defines) else (other, one)
        return "connected", f"{user.name} uses {used.name}"
    shared = set(a.touches) & set(b.touches)
    if shared:
        return (
            "connected",
            f"{one.name} and {other.name} both alter {min(shared).rpartition(':')[2]}",
        )
    if a.shape and a.shape == b.shape:
        return "repetition", "the same edit at several sites"
    return None


def _carried(one: Atom, other: Atom) -> tuple[str, str] | None:
    """A new or dropped package or setting acts only through the code that names it, so it is
    carried by that edit.
    """
    code, carried = (one, other) if one.kind == Kind.CODE else (other, one)
    if code.kind != Kind.CODE or carried.edit == Edit.CHANGED:
        return None
    return "carried", f"{carried.name} is {carried.edit} for {code.name} alone"


def _join_packages(atoms: Sequence[Atom], groups: _JoinedPieces) -> None:
    """Join each package with those it forces to move; one that two packages need goes to the first.

    Two direct bumps that share a transitive one stay two changes, which joining by pairs would
    miss.
    """
    packages = [i for i, a in enumerate(atoms) if a.kind == Kind.DEPENDENCY]
    needs = {
        i: [
            j for j in packages if j != i and set(atoms[i].links.uses) & set(atoms[j].links.defines)
        ]
        for i in packages
    }
    needed = {j for found in needs.values() for j in found}
    taken: set[int] = set()
    for root in sorted(packages, key=lambda i: (i in needed, i)):
        if root in taken:
            continue
        taken.add(root)
        reach = [root]
        for package in reach:
            fresh = [j for j in needs[package] if j not in taken]
            taken.update(fresh)
            reach.extend(fresh)
        for forced in reach[1:]:
            groups.join(
                root, forced, "connected", f"{atoms[forced].name} moved with {atoms[root].name}"
            )


def _join_hot_path(atoms: Sequence[Atom], profile: Profile, groups: _JoinedPieces) -> None:
    for (one, other), share in sorted(shares_together(profile, atoms).items()):
        if share >= HOT_PATH and groups.find(one) != groups.find(other):
            why = (
                f"{atoms[one].name} and {atoms[other].name} are on the stack together in"
                f" {format_share(share)} of samples"
            )
            groups.join(one, other, "hot-path", why)


def _several(pieces: Sequence[Piece]) -> tuple[str, str]:
    """The code and the sentence for more than one piece."""
    kinds = [k for k in Kind if any(k in p.kinds for p in pieces)]
    names = "; ".join(p.title() for p in pieces[:4]) + ("; ..." if len(pieces) > 4 else "")
    if len(kinds) > 1:
        return (
            "two-kinds",
            f"{len(pieces)} changes of {len(kinds)} kinds ({', '.join(kinds)}): {names}",
        )
    if kinds == [Kind.DEPENDENCY]:
        return (
            "two-packages",
            f"{len(pieces)} packages changed, and none of them needs another: {names}",
        )
    return (
        "two-components",
        f"{len(pieces)} {kinds[0]} changes that have nothing to do with each other: {names}",
    )


def _nothing(change: Change, idle: Sequence[Atom], notes: tuple[str, ...]) -> ChangeRefusal:
    what = (
        "There is no edit"
        if not change.files
        else "Nothing to measure: the edit changes nothing that runs"
    )
    if change.question and not change.ignored and not idle:
        what = (
            "Nothing to measure: only the test file was edited, which changes the question, not the"
            " service"
        )
    since = f" since {change.base[:12]}" if change.base else ""
    reason = f"{what}{since}"
    if change.ignored:
        reason += f" ({', '.join(sorted({a.detail or a.edit for a in change.ignored}))})"
    return ChangeRefusal(
        change,
        (),
        "nothing",
        reason,
        "Make the one edit you want to measure, then run this again.",
        notes,
    )


def _question_notes(change: Change) -> tuple[str, ...]:
    files = sorted({a.file for a in change.question})
    if not files:
        return ()
    return (
        (
            f"{', '.join(files)} was edited too: that changes the question; runs compare only when"
            " their questions are equal"
        ),
    )


def _idle_notes(idle: Sequence[Atom]) -> tuple[str, ...]:
    return tuple(
        f"{a.name} in {a.file} is {a.edit}, and nothing edited uses it: not counted" for a in idle
    )


def _cold_notes(pieces: Sequence[Piece], profile: Profile | None) -> tuple[str, ...]:
    """A warning for each piece of code the baseline's profile hardly ever saw."""
    notes: list[str] = []
    for piece in pieces:
        if (
            profile is None
            or piece.kinds != (Kind.CODE,)
            or any(a.edit == Edit.ADDED for a in piece.atoms)
        ):
            continue
        share = share_of(profile, piece.atoms)
        if share < HOT_PATH:
            notes.append(
                f"{piece.title()} had {format_share(share)} of the baseline's samples: an edit"
                " there can hardly matter"
            )
    return tuple(notes)
