"""`perfhunt change` and `perfhunt split`: what was edited, whether it is one change, and how to
take it apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import (
    STORE,
    BaseOption,
    CompoundOption,
    HeadOption,
    OneObjectOption,
    StoreOption,
    TrustOption,
)
from perfhunt.cli.view.results import show_lines, show_plain
from perfhunt.errors import ChangeRefused, ExitCode

if TYPE_CHECKING:
    from perfhunt.model.verdict.change import OneChange


def change(
    base: BaseOption = "",
    head: HeadOption = "",
    trust_repository: TrustOption = False,
    compound: CompoundOption = "",
    as_json: OneObjectOption = False,
    store: StoreOption = STORE,
) -> None:
    """Show what was edited, as atoms, and whether it is exactly one change. Exit code 92 when it is
    not.
    """
    from perfhunt.jobs.change import ChangeRequest, rule_on_change
    from perfhunt.model.document.plain import to_plain
    from perfhunt.model.verdict.change import ChangeRefusal

    ruling = rule_on_change(ChangeRequest(base, head, compound, store, trust_repository))
    refused = isinstance(ruling, ChangeRefusal)
    if as_json:
        show_plain({"schema": 1, "one": not refused, **to_plain(ruling)})
        raise typer.Exit(int(ExitCode.CHANGE_REFUSED if refused else ExitCode.OK))
    if isinstance(ruling, ChangeRefusal):
        raise ChangeRefused("\n".join(ruling.lines()), ruling.next)
    show_lines(ruling_lines(ruling))


def ruling_lines(ruling: OneChange) -> list[str]:
    """A change that may be measured, as text: why it is one, its atoms, what to know about it."""
    head = f"COMPOUND, not attributable: {ruling.compound}" if ruling.compound else "ONE CHANGE"
    why = f" ({ruling.reason})" if ruling.reason and not ruling.compound else ""
    atoms = [f"  {atom}" for piece in ruling.pieces for atom in piece.atoms]
    return [head + why, *atoms, *(f"  note: {note}" for note in ruling.notes)]


def split(
    base: BaseOption = "",
    head: HeadOption = "",
    trust_repository: TrustOption = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the patches go.")] = Path(
        "perfhunt-patches"
    ),
    store: StoreOption = STORE,
) -> None:
    """Write one patch per change, each of which applies to the base alone; your files are not
    touched.
    """
    from perfhunt.jobs.change import ChangeRequest, split_change

    patches = split_change(
        ChangeRequest(base, head, store=store, trust_repository=trust_repository), output
    )
    show_lines(f"{console.shown_path(output / patch.name)}  {patch.title}" for patch in patches)
    first = next(patch for patch in patches if patch.pieces)
    how = " ".join(["git apply", *first.options, console.shown_path(output / first.name)])
    console.out(
        f"Measure one: git stash push -u -- :/ ':!{output}', then {how}, restart the service,"
        " perfhunt verify --pid NEW_PID"
    )
