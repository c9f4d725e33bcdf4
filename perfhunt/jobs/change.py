"""What was edited: ruled to be one change or refused, and taken apart into patches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from perfhunt.analysis.change.one_change import decide, pieces_of
from perfhunt.change.git.repository import Repository, find_repository
from perfhunt.change.git.split import Patch, split
from perfhunt.change.read import read_change
from perfhunt.errors import ChangeRefused, UsageError
from perfhunt.jobs.stored.run import base_of, hot_stacks, last_investigation
from perfhunt.model.verdict.change import ChangeRefusal, OneChange
from perfhunt.store.files import make_directory, write_atomic


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """Between which revisions: `base` "" is what the last run measured, else HEAD; `head` "" is the
    working tree. `compound` is a reason to let several changes through.
    """

    base: str = ""
    head: str = ""
    compound: str = ""
    store: Path = Path(".perfhunt")
    trust_repository: bool = False


def rule_on_change(request: ChangeRequest) -> OneChange | ChangeRefusal:
    """Whether the edit is exactly one change, and why (not). Raises ChangeRefused outside git."""
    repository, run = _repository(request), last_investigation(request.store)
    change = read_change(repository, request.base or base_of(run), request.head)
    return decide(change, hot_stacks(run), request.compound)


def _repository(request: ChangeRequest) -> Repository:
    return find_repository(Path.cwd(), request.trust_repository, request.store)


def split_change(request: ChangeRequest, output: Path) -> tuple[Patch, ...]:
    """One patch per change, written to `output`, each of which applies to the base alone.

    Raises ChangeRefused when nothing that was edited could be measured, UsageError when `output`
    holds something already.
    """
    repository, run = _repository(request), last_investigation(request.store)
    change = read_change(repository, request.base or base_of(run), request.head)
    patches = split(repository, change, pieces_of(change.atoms, hot_stacks(run)))
    if not any(patch.pieces for patch in patches):
        raise ChangeRefused(
            "there is nothing to split: no edit that could be measured",
            "Edit something, then run it again.",
        )
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(
            f"{output} exists and is not an empty directory",
            "Name another one: perfhunt split --output DIR",
        )
    make_directory(output)
    for patch in patches:
        write_atomic(output / patch.name, patch.text)
    return tuple(patches)
