"""One reviewed diff: a project, an edit of it, and what a strict reviewer says about measuring it
as one change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Replacement = tuple[str, str]  # old text, which must be there exactly once, and new text


@dataclass(frozen=True)
class Case:
    """`expect` is pass, or the reason to stop: nothing, two-kinds, two-components, two-packages.
    Written before any run.

    The edit is made of replacements in files, whole files written, files removed and files renamed.
    `stacks` are the baseline's sampled stacks, as ("function@file > function@file", weight), when
    the case has a profile.
    """

    name: str
    expect: str
    why: str
    project: Mapping[str, str]
    edits: Mapping[str, Sequence[Replacement]] = field(default_factory=dict)
    writes: Mapping[str, str] = field(default_factory=dict)
    removes: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    stacks: tuple[tuple[str, float], ...] = ()

    @property
    def passes(self) -> bool:
        return self.expect == "pass"

    def after(self) -> dict[str, str]:
        """Every file of the edited project."""
        files = {
            self.renames.get(path, path): text
            for path, text in self.project.items()
            if path not in self.removes
        }
        for path, replacements in self.edits.items():
            for old, new in replacements:
                if files[path].count(old) != 1:
                    raise AssertionError(
                        f"{self.name}: {path} holds {old!r} {files[path].count(old)} times, not"
                        " once"
                    )
                files[path] = files[path].replace(old, new)
        return {**files, **self.writes}
