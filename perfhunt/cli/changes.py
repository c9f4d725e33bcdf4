"""`perfhunt change` and `perfhunt split`: what was edited, whether it is one change, and how to take it apart."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, Store
from perfhunt.errors import ChangeRefused, ExitCode, UsageError

if TYPE_CHECKING:
    from perfhunt.model.profile import Profile

Base = Annotated[str, typer.Option("--base", help="The revision to compare with [default: the last run's, else HEAD].")]
Head = Annotated[str, typer.Option("--head", help="A revision, instead of the working tree.")]


def change(
    base: Base = "",
    head: Head = "",
    compound: Annotated[str, typer.Option("--compound", help="Measure several changes at once, for this reason.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    store: Store = STORE,
) -> None:
    """Show what was edited, as atoms, and whether it is exactly one change. Exit code 92 when it is not."""
    from perfhunt.analysis.one_change import decide
    from perfhunt.change.git import find_repository
    from perfhunt.change.read import read_change
    from perfhunt.model.change import ChangeRefusal

    found = read_change(find_repository(Path.cwd()), base or base_revision(store), head)
    ruling = decide(found, baseline_profile(store), compound)
    if as_json:
        console.out(json.dumps(asdict(ruling), indent=2, default=str))
    elif not isinstance(ruling, ChangeRefusal):
        console.out(f"ONE CHANGE: {ruling.reason or ruling.code}" if ruling.attributable else f"COMPOUND: {ruling.label}")
        for piece in ruling.pieces:
            for atom in piece.atoms:
                console.out(console.clean(f"  {atom}"))
        for note in ruling.notes:
            console.out(console.clean(f"  note: {note}"))
    if isinstance(ruling, ChangeRefusal):
        if as_json:
            raise typer.Exit(int(ExitCode.CHANGE_REFUSED))
        raise ChangeRefused("\n".join(ruling.lines()), ruling.next)


def split(
    base: Base = "",
    head: Head = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the patches go.")] = Path("perfhunt-patches"),
    store: Store = STORE,
) -> None:
    """Write one patch per change, each of which applies to the base alone; your files are not touched."""
    from perfhunt.analysis.one_change import pieces_of
    from perfhunt.change.git import find_repository
    from perfhunt.change.read import read_change
    from perfhunt.change.split import split as patches_of
    from perfhunt.store.files import write_atomic

    repository = find_repository(Path.cwd())
    found = read_change(repository, base or base_revision(store), head)
    patches = patches_of(repository, found, pieces_of(found.atoms, baseline_profile(store)))
    if not patches:
        raise ChangeRefused("there is nothing to split: no edit that could be measured", "Edit something, then run it again.")
    if output.exists() and any(output.iterdir()):
        raise UsageError(f"{output} is not empty", "Name another directory: perfhunt split --output DIR")
    output.mkdir(parents=True, exist_ok=True)
    for number, patch in enumerate(patches, 1):
        path = output / f"{number:02d}.patch"
        write_atomic(path, patch.text)
        console.out(console.clean(f"{path}  {patch.title}"))
    console.out(f"Measure one: git stash -u && git apply {output}/01.patch, restart the service, perfhunt verify --pid PID")


def base_revision(store: Path) -> str:
    """The revision of the last investigation here; HEAD when there is none that knows one."""
    from perfhunt.store import ledger

    rows = ledger.history(store, kind="investigate", limit=1) if store.is_dir() else ()
    return rows[0].git_revision if rows and rows[0].git_revision else "HEAD"


def baseline_profile(store: Path) -> Profile | None:
    """The profile at the knee of the last investigation, which may join edits on one hot path; None when there is none."""
    from perfhunt.store import ledger
    from perfhunt.store.rundir import read_directory

    rows = ledger.history(store, kind="investigate", limit=1) if store.is_dir() else ()
    if not rows:
        return None
    profiles = read_directory(store / rows[0].path).profiles
    return profiles.get("knee-waits") or profiles.get("knee")
