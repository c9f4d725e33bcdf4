"""Whether an edit is exactly one change: pieces that can only be measured together, and the rule.

An effect can be told apart only when one edit could have caused it, and tangled commits are common
(Herzig, Just and Zeller 2016: 7 to 20 % of bug fixes). Lines and hunks are never counted. Atoms are
joined when one names the other, when both alter the same shared state, when they are one edit at
several sites, or when a profile of the baseline shows both on one hot path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import TypeAlias

from perfhunt.analysis.change.changed_frames import share_of, shares_together
from perfhunt.errors import ChangeRefused
from perfhunt.model.profile import Profile
from perfhunt.model.units import Share, format_share
from perfhunt.model.verdict.change import Atom, Change, ChangeRefusal, Edit, Kind, OneChange, Piece

# Of sampled stacks: enough to join two functions, and an edit with less cannot matter much.
HOT_PATH: Share = 0.01
_LISTED = 4  # pieces that a refusal's sentence names; all are listed below it

# Atoms by kind and by whether they are changes of what was there: see _related.
_Groups: TypeAlias = dict[tuple[Kind, bool], list[int]]
_BY_WEIGHT = ("connected", "hot-path", "repetition", "carried")  # a later one is the piece's code
_SPLIT = (
    "Measure them one by one: `perfhunt split` writes a patch for each. To measure them together:"
    ' --compound "reason"'
)


def require_one(change: Change, profile: Profile | None = None, compound: str = "") -> OneChange:
    """The change, ruled to be one, or compound for a person's reason. Raises ChangeRefused."""
    ruling = decide(change, profile, compound)
    if isinstance(ruling, ChangeRefusal):
        raise ChangeRefused("\n".join(ruling.lines()), ruling.next)
    return ruling


def decide(
    change: Change, profile: Profile | None = None, compound: str = ""
) -> OneChange | ChangeRefusal:
    """The ruling on a change, by the baseline's profile where there is one.

    `compound` is a person's reason to measure several at once.
    """
    pieces = pieces_of(change.atoms, profile)
    live = tuple(filter(_acts, pieces))
    idle = [atom for piece in pieces if not _acts(piece) for atom in piece.atoms]
    notes = (
        *change.notes,
        *_question_notes(change),
        *(
            f"{a.name} in {a.file} is {a.edit}, and nothing edited uses it: not counted"
            for a in idle
        ),
        *(_cold_notes(live, profile) if profile else ()),
    )
    if not live:
        return _nothing(change, idle, notes)
    if len(live) == 1:
        return OneChange(change, live, code=live[0].code, reason=live[0].why, notes=notes)
    code, reason = _several(live)
    if compound:
        return OneChange(change, live, "compound", reason, notes=notes, compound=compound)
    return ChangeRefusal(change, live, code, reason, next=_SPLIT, notes=notes)


def _acts(piece: Piece) -> bool:
    """Whether something of it can act by itself."""
    return any(atom.entry for atom in piece.atoms)


def pieces_of(atoms: Sequence[Atom], profile: Profile | None = None) -> tuple[Piece, ...]:
    """The atoms in pieces that can only be measured together, in the order of their first atom."""
    joined = _JoinedAtoms(atoms)
    for one, other in _related(atoms):
        join = _join(atoms[one], atoms[other])
        if join:
            joined.join(one, other, *join)
    _join_packages(joined)
    if profile is not None:
        _join_hot_path(profile, joined)
    return joined.pieces()


class _JoinedAtoms:
    """Atoms joined pair by pair (union-find), with the code and the sentence of each join."""

    def __init__(self, atoms: Sequence[Atom]) -> None:
        self.atoms = atoms
        self._parent = list(range(len(atoms)))
        self._joins: list[tuple[int, str, str]] = []

    def root(self, index: int) -> int:
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]  # shorter for the next one
            index = self._parent[index]
        return index

    def join(self, one: int, other: int, code: str, why: str) -> None:
        first, last = sorted((self.root(one), self.root(other)))
        if first != last:
            self._parent[last] = first
            self._joins.append((one, code, why))

    def pieces(self) -> tuple[Piece, ...]:
        """One piece for each group; its code is the most telling join in it."""
        members: dict[int, list[Atom]] = {}
        for index, atom in enumerate(self.atoms):
            members.setdefault(self.root(index), []).append(atom)
        joins: dict[int, list[tuple[str, str]]] = {root: [] for root in members}
        for index, code, why in self._joins:
            joins[self.root(index)].append((code, why))
        return tuple(_piece(joins[root], atoms) for root, atoms in members.items())


def _piece(joins: Sequence[tuple[str, str]], atoms: Sequence[Atom]) -> Piece:
    code = max((code for code, _ in joins), key=_BY_WEIGHT.index, default="one-atom")
    return Piece(tuple(atoms), "; ".join(dict.fromkeys(why for _, why in joins)), code)


def _related(atoms: Sequence[Atom]) -> list[tuple[int, int]]:
    """Pairs of atoms that have a symbol in common, by index: enough of them to join all that could
    be.

    Atoms of one kind that came about alike are joined to others alike. So of those that own a
    symbol and those that use it, the first of each such group pairs with all of the other groups:
    as many pairs as atoms, and not the square of that.
    """
    owners: dict[str, _Groups] = {}
    users: dict[str, _Groups] = {}
    for index, atom in enumerate(atoms):
        group = (atom.kind, atom.edit == Edit.CHANGED)
        for symbol in {*atom.links.defines, *_shared(atom)}:
            owners.setdefault(symbol, {}).setdefault(group, []).append(index)
        for symbol in {*atom.links.uses, *_shared(atom)}:
            users.setdefault(symbol, {}).setdefault(group, []).append(index)
    pairs = {
        (min(pair), max(pair))
        for symbol in owners.keys() & users.keys()
        for some, others in product(owners[symbol].values(), users[symbol].values())
        for pair in _enough_pairs(some, others)
    }
    return sorted(pairs)


def _enough_pairs(some: Sequence[int], others: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs that join all of both: the first of each with those of the other."""
    for pair in (*((some[0], other) for other in others), *((one, others[0]) for one in some)):
        if pair[0] != pair[1]:
            yield pair


def _shared(atom: Atom) -> Iterator[str]:
    """The symbols that join two atoms when both have them."""
    yield from (f"touches {symbol}" for symbol in atom.links.touches)
    if atom.links.shape:
        yield f"shape {atom.links.shape}"


def _meet(some: Iterable[str], others: Iterable[str]) -> bool:
    return not set(some).isdisjoint(others)


def _join(one: Atom, other: Atom) -> tuple[str, str] | None:
    """How two atoms belong together: the code and the sentence; None when they do not."""
    if one.kind == other.kind == Kind.DEPENDENCY:
        return None  # by the dependency graph, not by pairs: see _join_packages
    a, b = one.links, other.links
    forth, back = _meet(a.uses, b.defines), _meet(b.uses, a.defines)
    if one.kind != other.kind:
        return _carried(one, other) if forth or back else None
    if forth or back:
        user, used = (one, other) if forth else (other, one)
        return "connected", f"{user.name} uses {used.name}"
    shared = set(a.touches) & set(b.touches)
    if shared:
        state = min(shared).rpartition(":")[2]
        return "connected", f"{one.name} and {other.name} both alter {state}"
    same_shape = a.shape and a.shape == b.shape
    return ("repetition", "the same edit at several sites") if same_shape else None


def _carried(one: Atom, other: Atom) -> tuple[str, str] | None:
    """A new or dropped package or setting acts only through the code that names it."""
    code, carried = (one, other) if one.kind == Kind.CODE else (other, one)
    if code.kind != Kind.CODE or carried.edit == Edit.CHANGED:
        return None
    return "carried", f"{carried.name} is {carried.edit} for {code.name} alone"


def _join_packages(joined: _JoinedAtoms) -> None:
    """Join each package with those it forces to move; one that two need goes to the first.

    Two direct bumps that share a transitive one stay two changes: joining by pairs would miss it.
    """
    atoms = joined.atoms
    packages = [i for i, atom in enumerate(atoms) if atom.kind == Kind.DEPENDENCY]
    owners: dict[str, list[int]] = {}
    for i in packages:
        for symbol in atoms[i].links.defines:
            owners.setdefault(symbol, []).append(i)
    needs = {
        i: sorted({j for symbol in atoms[i].links.uses for j in owners.get(symbol, ()) if j != i})
        for i in packages
    }
    needed = {forced for all_forced in needs.values() for forced in all_forced}
    taken: set[int] = set()
    for root in sorted(packages, key=lambda i: (i in needed, i)):
        reach = [] if root in taken else [root]
        taken.add(root)
        for package in reach:  # which grows as it is walked
            fresh = [forced for forced in needs[package] if forced not in taken]
            taken.update(fresh)
            reach.extend(fresh)
        for forced in reach[1:]:
            why = f"{atoms[forced].name} moved with {atoms[root].name}"
            joined.join(root, forced, "connected", why)


def _join_hot_path(profile: Profile, joined: _JoinedAtoms) -> None:
    atoms = joined.atoms
    for (one, other), share in sorted(shares_together(profile, atoms).items()):
        if share >= HOT_PATH:
            both = f"{atoms[one].name} and {atoms[other].name}"
            why = f"{both} are on the stack together in {format_share(share)} of samples"
            joined.join(one, other, "hot-path", why)


def _several(pieces: Sequence[Piece]) -> tuple[str, str]:
    """The code and the sentence for more than one piece."""
    kinds = [kind for kind in Kind if any(kind in piece.kinds for piece in pieces)]
    names = "; ".join(piece.title() for piece in pieces[:_LISTED])
    names += "; ..." if len(pieces) > _LISTED else ""
    count = len(pieces)
    if len(kinds) > 1:
        listed = ", ".join(kinds)
        return "two-kinds", f"{count} changes of {len(kinds)} kinds ({listed}): {names}"
    if kinds == [Kind.DEPENDENCY]:
        return "two-packages", f"{count} packages changed, and none of them needs another: {names}"
    apart = "changes that have nothing to do with each other"
    return "two-components", f"{count} {kinds[0]} {apart}: {names}"


def _nothing(change: Change, idle: Sequence[Atom], notes: tuple[str, ...]) -> ChangeRefusal:
    what = "Nothing to measure: the edit changes nothing that runs"
    if not change.files:
        what = "There is no edit"
    if change.question and not change.ignored and not idle:
        what = "Nothing to measure: only the test file was edited, which changes the question,"
        what += " not the service"
    since = f" since {change.base[:12]}" if change.base else ""
    ignored = ", ".join(sorted({atom.detail or atom.edit for atom in change.ignored}))
    return ChangeRefusal(
        change=change,
        pieces=(),
        code="nothing",
        reason=f"{what}{since} ({ignored})" if ignored else f"{what}{since}",
        next="Make the one edit you want to measure, then run this again.",
        notes=notes,
    )


def _question_notes(change: Change) -> Iterator[str]:
    files = ", ".join(sorted({atom.file for atom in change.question}))
    if files:
        rule = "runs compare only when their questions are equal"
        yield f"{files} was edited too: that changes the question; {rule}"


def _cold_notes(pieces: Sequence[Piece], profile: Profile) -> Iterator[str]:
    """A warning for each piece of code the baseline's profile hardly ever saw."""
    for piece in pieces:
        if piece.kinds == (Kind.CODE,) and all(atom.edit != Edit.ADDED for atom in piece.atoms):
            share = share_of(profile, piece.atoms)
            if share < HOT_PATH:
                had = f"{piece.title()} had {format_share(share)} of the baseline's samples"
                yield f"{had}: an edit there can hardly matter"
