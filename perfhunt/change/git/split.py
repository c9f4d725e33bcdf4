"""A tangled edit as one patch per piece: each applies to the base alone, and all together make the
whole edit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from perfhunt.change.git.patches import Hunk, file_patch, hunks_of, lines_of, needs_no_context
from perfhunt.change.git.repository import Content, Repository, temporary_index
from perfhunt.model.verdict.change import Atom, Change, Edit, LineRange, Piece

_NO_CONTEXT = "--unidiff-zero"
REST = -1  # the piece of what belongs to none: layout, comments, tests, shared imports


@dataclass(frozen=True, slots=True)
class Patch:
    """One piece as `git apply` takes it. `options` must be given to git apply; `pieces` is empty
    for what measures nothing.

    `note` says why pieces share a patch, when they do.
    """

    name: str
    text: bytes
    pieces: tuple[Piece, ...]
    options: tuple[str, ...] = ()
    note: str = ""

    @property
    def title(self) -> str:
        """What is in it, for a list: its pieces, what git apply must be told, why pieces share
        it.
        """
        what = (
            "; ".join(p.title() for p in self.pieces)
            or "layout, tests, documents: nothing to measure; apply it first"
        )
        how = f" [git apply {' '.join(self.options)}]" if self.options else ""
        return f"{what}{how}" + (f" ({self.note})" if self.note else "")


@dataclass(slots=True)
class _Part:
    """One file's share of a piece."""

    piece: int
    text: bytes
    touching: bool = False


def split(repository: Repository, change: Change, pieces: Sequence[Piece]) -> tuple[Patch, ...]:
    """One patch per piece, in their order, after one with what belongs to no piece (when there is
    any of that).

    Pieces whose edits cannot be told apart line by line share a patch, with a note. Raises
    ChangeRefused when git fails.
    """
    head = repository.tree(change.head) if change.head else repository.worktree_tree()
    contents = repository.contents(change.base, head)
    groups = _PatchGroups(len(pieces))
    plans = [_plan(content, pieces, groups) for content in contents]
    parts = [
        part
        for content, plan in zip(contents, plans, strict=True)
        for part in _parts(repository, change, head, content, plan)
    ]
    patches = _patches(parts, pieces, groups)
    if len(patches) > 1 and not _composes(repository, change.base, head, patches):
        whole = repository.patch(change.base, head)
        return (
            Patch(
                "01-whole.patch",
                whole,
                tuple(pieces),
                (),
                "the edits share lines and could not be taken apart",
            ),
        )
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
        first = min(self.of(p) for p in pieces)
        for piece in pieces:
            self._into[self.of(piece)] = first
        if len(pieces) > 1:
            self.why[first] = why
        return first


@dataclass(slots=True)
class _Plan:
    """What to do with a file: all of it to one piece, or hunk by hunk."""

    whole: int | None
    hunks: tuple[tuple[int, Hunk], ...] = ()


def _plan(content: Content, pieces: Sequence[Piece], groups: _PatchGroups) -> _Plan:
    owners = {i: [a for a in p.atoms if a.file == content.path] for i, p in enumerate(pieces)}
    owners = {i: atoms for i, atoms in owners.items() if atoms}
    spanned = all(a.before or a.after for atoms in owners.values() for a in atoms)
    textual = (
        content.edit.edit == Edit.CHANGED
        and not content.binary
        and content.before is not None
        and content.after is not None
    )
    if not owners:
        return _Plan(REST)
    if textual and spanned and content.before is not None and content.after is not None:
        hunks = tuple(_assigned(content.before, content.after, owners, groups, content.path))
        if len({groups.of(p) for p, _ in hunks}) > 1:
            return _Plan(None, hunks)
    return _Plan(groups.join(set(owners), f"{content.path} holds both and cannot be cut"))


def _assigned(
    before: bytes, after: bytes, owners: dict[int, list[Atom]], groups: _PatchGroups, path: str
) -> list[tuple[int, Hunk]]:
    """Every hunk of a file with its piece, cut where one hunk holds several."""
    old, new = lines_of(before), lines_of(after)
    old_of = _labels(len(old), [(p, a.before) for p, atoms in owners.items() for a in atoms])
    new_of = _labels(len(new), [(p, a.after) for p, atoms in owners.items() for a in atoms])
    words = {
        p: _words(
            [
                line
                for side, of in ((old, old_of), (new, new_of))
                for line, q in zip(side, of, strict=True)
                if q == p
            ]
        )
        for p in owners
    }
    found: list[tuple[int, Hunk]] = []
    for hunk in hunks_of(old, new):
        cut = _cut(hunk, old_of, new_of)
        if cut is None:
            both = {
                p
                for p in (
                    *old_of[hunk.old_start : hunk.old_end],
                    *new_of[hunk.new_start : hunk.new_end],
                )
                if p != REST
            }
            cut = [(groups.join(both, f"their edits share lines of {path}"), hunk)]
        if [p for p, _ in cut] == [REST]:
            cut = [(_wanted_by(hunk, old, new, words), hunk)]
        found += cut
    return found


def _labels(length: int, spans: Sequence[tuple[int, LineRange | None]]) -> list[int]:
    """The piece of each line; an inner span (a handler in a factory) wins over the one around
    it.
    """
    found = [REST] * length
    for piece, span in sorted(((p, s) for p, s in spans if s), key=lambda x: x[1][0] - x[1][1]):
        found[span[0] - 1 : span[1]] = [piece] * len(found[span[0] - 1 : span[1]])
    return found


def _runs(labels: Sequence[int], start: int) -> list[tuple[int, int, int]]:
    """Stretches of one piece as (piece, start, end); lines of none go with the stretch before them,
    or the first one.
    """
    runs: list[tuple[int, int, int]] = []
    for index, piece in enumerate(labels, start):
        if runs and piece in (REST, runs[-1][0]):
            runs[-1] = (runs[-1][0], runs[-1][1], index + 1)
        elif runs and runs[-1][0] == REST:
            runs[-1] = (piece, runs[-1][1], index + 1)
        else:
            runs.append((piece, index, index + 1))
    return runs


def _cut(hunk: Hunk, old_of: Sequence[int], new_of: Sequence[int]) -> list[tuple[int, Hunk]] | None:
    """The hunk cut by piece; None when the pieces are woven into each other."""
    old = _runs(old_of[hunk.old_start : hunk.old_end], hunk.old_start)
    new = _runs(new_of[hunk.new_start : hunk.new_end], hunk.new_start)
    pieces = {p for p, _, _ in (*old, *new) if p != REST}
    if len(pieces) <= 1:
        return [(next(iter(pieces), REST), hunk)]
    order = [p for p, _, _ in (new if len(new) >= len(old) else old)]
    if len(set(order)) != len(order) or set(order) != pieces:
        return None
    for side in (old, new):
        if [p for p, _, _ in side] != [p for p in order if p in {q for q, _, _ in side}]:
            return None
    old_at, new_at, found = hunk.old_start, hunk.new_start, []
    for piece in order:
        old_end = next((end for p, _, end in old if p == piece), old_at)
        new_end = next((end for p, _, end in new if p == piece), new_at)
        found.append((piece, Hunk(old_at, old_end, new_at, new_end)))
        old_at, new_at = old_end, new_end
    return found


def _words(lines: Sequence[bytes]) -> set[bytes]:
    return set(re.findall(rb"[A-Za-z_]\w*", b"".join(lines)))


def _wanted_by(
    hunk: Hunk, old: Sequence[bytes], new: Sequence[bytes], words: dict[int, set[bytes]]
) -> int:
    """The one piece that uses the names a stray hunk (an import, mostly) brings or takes; REST when
    none or several do.
    """
    changed = _words(old[hunk.old_start : hunk.old_end]) ^ _words(
        new[hunk.new_start : hunk.new_end]
    )
    users = [p for p, used in words.items() if (changed - {b"import", b"from", b"as"}) & used]
    return users[0] if len(users) == 1 else REST


def _parts(
    repository: Repository, change: Change, head: str, content: Content, plan: _Plan
) -> list[_Part]:
    if plan.whole is not None:
        paths = sorted({content.edit.old_path, content.path})
        wanted = ("--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv")
        text = repository.git("diff-tree", "-r", "-p", *wanted, change.base, head, "--", *paths)
        return [_Part(plan.whole, text.partition(b"\n")[2] if text[:1] != b"d" else text)]
    old, new = lines_of(content.before or b""), lines_of(content.after or b"")
    hunks = [h for _, h in plan.hunks]
    parts = []
    for piece in dict.fromkeys(p for p, _ in plan.hunks):
        chosen = {i for i, (p, _) in enumerate(plan.hunks) if p == piece}
        touching = needs_no_context(hunks, chosen, len(old))
        parts.append(_Part(piece, file_patch(content.path, old, new, hunks, chosen), touching))
    return parts


def _patches(
    parts: Sequence[_Part], pieces: Sequence[Piece], groups: _PatchGroups
) -> tuple[Patch, ...]:
    found: list[Patch] = []
    order = sorted({groups.of(p.piece) for p in parts})
    for number, group in enumerate(order, 0 if REST in order else 1):
        mine = [p for p in parts if groups.of(p.piece) == group]
        members = tuple(piece for i, piece in enumerate(pieces) if groups.of(i) == group)
        options = (_NO_CONTEXT,) if any(p.touching for p in mine) else ()
        text = b"".join(p.text for p in mine)
        found.append(
            Patch(
                f"{number:02d}-{_slug(members)}.patch",
                text,
                members,
                options,
                groups.why.get(group, ""),
            )
        )
    return tuple(found)


def _slug(pieces: Sequence[Piece]) -> str:
    if not pieces:
        return "not-measured"
    words = f"{pieces[0].kinds[0]}-{pieces[0].atoms[0].name or pieces[0].atoms[0].file}"
    return re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-.")[:60]


def _composes(repository: Repository, base: str, head: str, patches: Sequence[Patch]) -> bool:
    """Whether each patch applies to the base alone, and all of them in order give the edited
    tree.
    """
    with temporary_index(base, repository) as extra:
        for patch in patches:
            alone = repository.attempt(
                "apply", "--cached", "--check", *patch.options, "-", stdin=patch.text, extra=extra
            )
            if alone.returncode:
                return False
        for patch in patches:
            if repository.attempt(
                "apply", "--cached", *patch.options, "-", stdin=patch.text, extra=extra
            ).returncode:
                return False
        return repository.git("write-tree", extra=extra).decode().strip() == head
