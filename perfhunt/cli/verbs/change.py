"""`perfhunt change` and `perfhunt split`: what was edited, whether it is one change, and how to
take it apart.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, StoreOption
from perfhunt.errors import ChangeRefused, ExitCode, StoreError, UsageError

if TYPE_CHECKING:
    from perfhunt.model.profile import Profile
    from perfhunt.model.run import Run
    from perfhunt.model.verdict.change import OneChange

BaseOption = Annotated[
    str,
    typer.Option(
        "--base",
        help="The revision to compare with [default: what the last run measured, else HEAD].",
    ),
]
HeadOption = Annotated[str, typer.Option("--head", help="A revision, instead of the working tree.")]
CompoundOption = Annotated[
    str, typer.Option("--compound", help="Measure several changes at once, for this reason.")
]


def change(
    base: BaseOption = "",
    head: HeadOption = "",
    compound: CompoundOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    store: StoreOption = STORE,
) -> None:
    """Show what was edited, as atoms, and whether it is exactly one change. Exit code 92 when it is
    not.
    """
    from perfhunt.analysis.change.one_change import decide
    from perfhunt.change.git.repository import find_repository
    from perfhunt.change.read import read_change
    from perfhunt.model.document.plain import to_plain
    from perfhunt.model.verdict.change import ChangeRefusal

    repository, run = find_repository(Path.cwd()), last_investigation(store)
    ruling = decide(read_change(repository, base or base_of(run), head), hot_stacks(run), compound)
    refused = isinstance(ruling, ChangeRefusal)
    if as_json:
        console.out(json.dumps({"schema": 1, "one": not refused, **to_plain(ruling)}, indent=2))
        raise typer.Exit(int(ExitCode.CHANGE_REFUSED if refused else ExitCode.OK))
    if isinstance(ruling, ChangeRefusal):
        raise ChangeRefused("\n".join(ruling.lines()), ruling.next)
    for line in ruling_lines(ruling):
        console.out(console.clean(line))


def ruling_lines(ruling: OneChange) -> list[str]:
    """A change that may be measured, as text: why it is one, its atoms, and what to know about
    it.
    """
    head = f"COMPOUND, not attributable: {ruling.compound}" if ruling.compound else "ONE CHANGE"
    why = f" ({ruling.reason})" if ruling.reason and not ruling.compound else ""
    atoms = [f"  {atom}" for piece in ruling.pieces for atom in piece.atoms]
    return [head + why, *atoms, *(f"  note: {note}" for note in ruling.notes)]


def split(
    base: BaseOption = "",
    head: HeadOption = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the patches go.")] = Path(
        "perfhunt-patches"
    ),
    store: StoreOption = STORE,
) -> None:
    """Write one patch per change, each of which applies to the base alone; your files are not
    touched.
    """
    from perfhunt.analysis.change.one_change import pieces_of
    from perfhunt.change.git.repository import find_repository
    from perfhunt.change.git.split import split as patches_of
    from perfhunt.change.read import read_change
    from perfhunt.store.files import write_atomic

    repository, run = find_repository(Path.cwd()), last_investigation(store)
    found = read_change(repository, base or base_of(run), head)
    patches = patches_of(repository, found, pieces_of(found.atoms, hot_stacks(run)))
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
    output.mkdir(parents=True, exist_ok=True)
    for patch in patches:
        write_atomic(output / patch.name, patch.text)
        console.out(console.clean(f"{output / patch.name}  {patch.title}"))
    first = next(patch for patch in patches if patch.pieces)
    how = " ".join(["git apply", *first.options, str(output / first.name)])
    console.out(
        f"Measure one: git stash push -u -- :/ ':!{output}', then {how}, restart the service,"
        " perfhunt verify --pid NEW_PID"
    )


def last_investigation(store: Path) -> Run | None:
    """The newest investigation kept here; None when there is none that can be read."""
    from perfhunt.store import ledger
    from perfhunt.store.rundir import read_directory

    rows = ledger.history(store, kind="investigate", limit=1) if store.is_dir() else ()
    try:
        return read_directory(store / rows[0].path) if rows else None
    except StoreError:
        return None


def base_of(run: Run | None) -> str:
    """What an edit is compared with: the tree that a run measured, else HEAD."""
    return (
        (run.environment.git_snapshot or run.environment.git_revision or "HEAD")
        if run is not None
        else "HEAD"
    )


def hot_stacks(run: Run | None) -> Profile | None:
    """The profile at a run's knee, waits included where it has them, which may join edits on one
    hot path.
    """
    from perfhunt.model.profile import SpanName

    return (
        None
        if run is None
        else run.profiles.get(SpanName.KNEE_WAITS) or run.profiles.get(SpanName.KNEE)
    )
