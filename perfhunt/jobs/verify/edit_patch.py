"""The way back from a change: the patch that holds it, the git command that takes it out, and doing
so when asked.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from perfhunt.change.git.repository import Repository
from perfhunt.change.git.working_tree import working_tree
from perfhunt.errors import UsageError
from perfhunt.model.verdict.change import Change

# A patch that git can apply in reverse on any machine, whatever the user's configuration.
_DIFF_OPTIONS = (
    "-r",
    "-p",
    "--binary",
    "--full-index",
    "--no-renames",
    "--no-ext-diff",
    "--no-textconv",
)
# Characters of a commit's id that a person reads.
_SHORT = 12


@dataclass(frozen=True, slots=True)
class EditPatch:
    """A measured edit as a patch. `left` are edited files that are no part of it (tests, documents,
    the test file).

    `revision` is the head when that was a revision: such a change is history, and is taken back by
    another commit.
    """

    repository: Repository
    patch: bytes
    left: tuple[str, ...] = ()
    base: str = ""
    revision: str = ""

    def command(self, stored: Path) -> str:
        """The git command that takes the edit out, once the patch is stored there."""
        if self.revision:
            return f"git revert --no-commit {self.base[:_SHORT]}..{self.revision[:_SHORT]}"
        inside = Path.cwd().resolve() == self.repository.root.resolve()
        path = shlex.quote(os.path.relpath(stored) if inside else str(stored.resolve()))
        git = "git" if inside else f"git -C {shlex.quote(str(self.repository.root))}"
        return f"{git} apply -R {path}"

    def take_out(self) -> str:
        """Take the edit out of the working tree; what was done, as a sentence. Raises ChangeRefused
        when it was edited since.
        """
        self.repository.git("apply", "-R", "--whitespace=nowarn", "-", stdin=self.patch)
        rest = f"; left as they are: {', '.join(self.left)}" if self.left else ""
        return (
            f"the edit was taken out of the working tree{rest}."
            " Restart the service: it still runs it"
        )


def edit_patch(repository: Repository, change: Change) -> EditPatch:
    """The patch of a change, as far as the measured atoms go."""
    standing = None if change.head else working_tree(repository)
    head_tree = standing.tree if standing else repository.tree(change.head)
    behind = standing.behind if standing else {}
    measured = {atom.file for atom in change.atoms} - set(behind)
    edits = [edit for edit in change.files if {edit.path, edit.old_path} & measured]
    paths = sorted({path for edit in edits for path in (edit.path, edit.old_path) if path})
    patch = (
        repository.git("diff-tree", *_DIFF_OPTIONS, change.base, head_tree, "--", *paths)
        if paths
        else b""
    )
    return EditPatch(
        repository=repository,
        patch=patch,
        left=tuple(edit.path for edit in change.files if edit not in edits),
        base=change.base,
        revision=change.head,
    )


def refuse_to_rewrite(revert: bool, head: str) -> None:
    """Raises UsageError when --revert is asked for an edit that is not in the working tree."""
    if revert and head:
        raise UsageError(
            "--revert takes edits out of the working tree, and --head names a revision",
            f"Measure without --revert; then, if it says REVERT: git revert {head}",
        )
