"""A tangled edit as one patch per piece.

Each patch applies to the base alone, and all of them together make the whole edit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from perfhunt.change.git.patches import Hunk, file_patch, hunks_of, lines_of, needs_no_context
from perfhunt.change.git.repository import Content, Repository
from perfhunt.change.git.working_tree import working_tree
from perfhunt.model.verdict.change import Atom, Change, Edit, LineRange, Piece

REST = -1  # the piece of what belongs to none: layout, comments, tests, shared imports
_NO_CONTEXT = "--unidiff-zero"
_LONGEST_SLUG = 60  # characters of a patch's name, which must be a file name
_IMPORT_WORDS = {b"import", b"from", b"as"}


@dataclass(frozen=True, slots=True)
class Patch:
    """One piece as `git apply` takes it, with `options` that must be given to it.

    `pieces` is empty for what measures nothing. `note` says why pieces share a patch.
    """

    name: str
    text: bytes
    pieces: tuple[Piece, ...]
    options: tuple[str, ...] = ()
    note: str = ""

    @property
    def title(self) -> str:
        """For a list: its pieces, what git apply must be told, why pieces share it."""
        nothing = "layout, tests, documents: nothing to measure; apply it first"
        what = "; ".join(piece.title() for piece in self.pieces) or nothing
        how = f" [git apply {' '.join(self.options)}]" if self.options else ""
        return f"{what}{how}" + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True, slots=True)
class _Part:
    """One file's share of a piece; `touching` when its hunks touch those of another piece."""

    piece: int
    text: bytes
    touching: bool = False


def split(repository: Repository, change: Change, pieces: Sequence[Piece]) -> tuple[Patch, ...]:
    """One patch per piece, in their order, after one with what belongs to no piece.

    Pieces whose edits cannot be told apart line by line share a patch, with a note. Raises
    ChangeRefused when git fails.
    """
    standing = None if change.head else working_tree(repository, for_patches=True)
    head = standing.tree if standing else repository.tree(change.head)
    groups = _PatchGroups(len(pieces))
    parts: list[_Part] = []
    for content in repository.contents(change.base, head):
        hunks = _hunks(content, pieces, groups)
        if isinstance(hunks, int):
            paths = sorted({content.edit.old_path, content.path})
            parts.append(_Part(hunks, repository.patch(change.base, head, *paths)))
        else:
            parts += _file_parts(content, hunks)
    patches = _patches(parts, pieces, groups)
    if len(patches) > 1 and not _composes(repository, change.base, head, patches):
        note = "the edits share lines and could not be taken apart"
        whole = repository.patch(change.base, head)
        return (Patch("01-whole.patch", whole, tuple(pieces), note=note),)
    return patches


class _PatchGroups:
    """Pieces by index that had to be put into one patch, and why."""

    def __init__(self, count: int) -> None:
        self._into = list(range(count))
        self.why: dict[int, str] = {}

    def of(self, piece: int) -> int:
        while piece != REST and self._into[piece] != piece:
            piece = self._into[piece]
        return piece

    def join(self, pieces: set[int], why: str) -> int:
        first = min(self.of(piece) for piece in pieces)
        for piece in pieces:
            self._into[self.of(piece)] = first
        if len(pieces) > 1:
            self.why[first] = why
        return first


def _hunks(
    content: Content, pieces: Sequence[Piece], groups: _PatchGroups
) -> int | list[tuple[int, Hunk]]:
    """A file's hunks, each with its piece; a piece alone when all of the file goes to it."""
    atoms = {i: [a for a in p.atoms if a.file == content.path] for i, p in enumerate(pieces)}
    owners = {piece: mine for piece, mine in atoms.items() if mine}
    if not owners:
        return REST
    placed = all(atom.before or atom.after for mine in owners.values() for atom in mine)
    if placed and content.edit.edit == Edit.CHANGED and not content.binary:
        hunks = list(_assigned(content, owners, groups))
        if len({groups.of(piece) for piece, _ in hunks}) > 1:
            return hunks
    return groups.join(set(owners), f"{content.path} holds both and cannot be cut")


def _assigned(
    content: Content, owners: Mapping[int, list[Atom]], groups: _PatchGroups
) -> Iterator[tuple[int, Hunk]]:
    """Every hunk of a file with its piece, cut where one hunk holds several."""
    old, new = lines_of(content.before or b""), lines_of(content.after or b"")
    placed = [(piece, atom) for piece, atoms in owners.items() for atom in atoms]
    old_of = _labels(len(old), [(piece, atom.before) for piece, atom in placed])
    new_of = _labels(len(new), [(piece, atom.after) for piece, atom in placed])
    lines = [*zip(old, old_of, strict=True), *zip(new, new_of, strict=True)]
    words = {piece: _words(line for line, of in lines if of == piece) for piece in owners}
    for hunk in hunks_of(old, new):
        labels = {*old_of[hunk.old_start : hunk.old_end], *new_of[hunk.new_start : hunk.new_end]}
        here = labels - {REST}
        cut = _cut(hunk, old_of, new_of) if len(here) > 1 else None
        if cut:
            yield from cut
        elif here:
            yield groups.join(here, f"their edits share lines of {content.path}"), hunk
        else:
            gone, fresh = old[hunk.old_start : hunk.old_end], new[hunk.new_start : hunk.new_end]
            yield _user_of(_words(gone) ^ _words(fresh), words), hunk


def _labels(length: int, places: Iterable[tuple[int, LineRange | None]]) -> list[int]:
    """The piece of each line; an inner place (a handler in a factory) wins over its outer one."""
    labels = [REST] * length
    ranges = [(piece, lines) for piece, lines in places if lines]
    for piece, (first, last) in sorted(ranges, key=lambda r: r[1][0] - r[1][1]):
        labels[first - 1 : last] = [piece] * len(labels[first - 1 : last])
    return labels


def _stretches(labels: Sequence[int], start: int, end: int) -> list[tuple[int, int]]:
    """Stretches of one piece, as (piece, end); lines of none go with a neighbour."""
    stretches: list[tuple[int, int]] = []
    for index in range(start, end):
        piece, last = labels[index], stretches[-1][0] if stretches else None
        if last is not None and piece in (REST, last):
            stretches[-1] = (last, index + 1)
        elif last == REST:
            stretches[-1] = (piece, index + 1)
        else:
            stretches.append((piece, index + 1))
    return stretches


def _cut(hunk: Hunk, old_of: Sequence[int], new_of: Sequence[int]) -> list[tuple[int, Hunk]] | None:
    """The hunk cut by piece; None when the pieces are woven into each other."""
    old = _stretches(old_of, hunk.old_start, hunk.old_end)
    new = _stretches(new_of, hunk.new_start, hunk.new_end)
    old_ends, new_ends = dict(old), dict(new)
    order = [piece for piece, _ in (new if len(new) >= len(old) else old)]
    if len(set(order)) < len(order) or set(order) != (old_ends.keys() | new_ends.keys()) - {REST}:
        return None
    for side, ends in ((old, old_ends), (new, new_ends)):
        if [piece for piece, _ in side] != [piece for piece in order if piece in ends]:
            return None
    old_at, new_at, cut = hunk.old_start, hunk.new_start, []
    for piece in order:
        old_end, new_end = old_ends.get(piece, old_at), new_ends.get(piece, new_at)
        cut.append((piece, Hunk(old_at, old_end, new_at, new_end)))
        old_at, new_at = old_end, new_end
    return cut


def _words(lines: Iterable[bytes]) -> set[bytes]:
    return set(re.findall(rb"[A-Za-z_]\w*", b"".join(lines)))


def _user_of(changed: set[bytes], words: Mapping[int, set[bytes]]) -> int:
    """The one piece that uses the words a stray hunk (an import, mostly) brings or takes.

    REST when none or several do.
    """
    users = [piece for piece, used in words.items() if (changed - _IMPORT_WORDS) & used]
    return users[0] if len(users) == 1 else REST


def _file_parts(content: Content, assigned: Sequence[tuple[int, Hunk]]) -> Iterator[_Part]:
    """One part for each piece that has hunks in a file."""
    old, new = lines_of(content.before or b""), lines_of(content.after or b"")
    hunks = [hunk for _, hunk in assigned]
    for piece in dict.fromkeys(piece for piece, _ in assigned):
        chosen = {index for index, (owner, _) in enumerate(assigned) if owner == piece}
        touching = needs_no_context(hunks, chosen, len(old))
        yield _Part(piece, file_patch(content.path, old, new, hunks, chosen), touching)


def _patches(
    parts: Sequence[_Part], pieces: Sequence[Piece], groups: _PatchGroups
) -> tuple[Patch, ...]:
    patches: list[Patch] = []
    order = sorted({groups.of(part.piece) for part in parts})
    for number, group in enumerate(order, 0 if REST in order else 1):
        mine = [part for part in parts if groups.of(part.piece) == group]
        members = tuple(piece for i, piece in enumerate(pieces) if groups.of(i) == group)
        patch = Patch(
            name=f"{number:02d}-{_slug(members)}.patch",
            text=b"".join(part.text for part in mine),
            pieces=members,
            options=(_NO_CONTEXT,) if any(part.touching for part in mine) else (),
            note=groups.why.get(group, ""),
        )
        patches.append(patch)
    return tuple(patches)


def _slug(pieces: Sequence[Piece]) -> str:
    if not pieces:
        return "not-measured"
    words = f"{pieces[0].kinds[0]}-{pieces[0].atoms[0].name or pieces[0].atoms[0].file}"
    return re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-.")[:_LONGEST_SLUG]


def _composes(repository: Repository, base: str, head: str, patches: Sequence[Patch]) -> bool:
    """Whether each patch applies to the base alone, and all in order give the edited tree."""
    with repository.temporary_index(base) as extra:

        def applies(patch: Patch, *how: str) -> bool:
            options = ("--cached", *how, *patch.options, "-")
            return not repository.attempt(
                "apply", *options, stdin=patch.text, extra=extra
            ).returncode

        alone = all(applies(patch, "--check") for patch in patches)
        if not alone or not all(applies(patch) for patch in patches):
            return False
        return repository.line("write-tree", extra=extra) == head
