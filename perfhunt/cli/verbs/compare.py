"""`perfhunt compare`: the verdict on two stored runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, QuietOption, StoreOption
from perfhunt.errors import UsageError


def compare(
    before: Annotated[
        str,
        typer.Argument(
            metavar="A", help="The run before: its id, the beginning of one, or a directory."
        ),
    ],
    after: Annotated[str, typer.Argument(metavar="B", help="The run after.")] = "last",
    flamegraph: Annotated[
        Path | None,
        typer.Option("--flamegraph", help="Write a differential flame graph (SVG) here."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    quiet: QuietOption = False,
    store: StoreOption = STORE,
) -> None:
    """Compare two stored runs; measures nothing. Two runs that were asked different questions are
    refused (exit code 2).

    Exit code 0: not worse; 90: worse; 91: cannot be told. What else than the code differed is not
    checked: `verify` does that.
    """
    from perfhunt.analysis.verdict.rerun import compare as judge
    from perfhunt.cli.verbs.calibrate import load_calibration
    from perfhunt.jobs.verify.attribution import difference_picture, sides_of
    from perfhunt.model.document.writing import verdict_document
    from perfhunt.reports.verdict_text import verdict_lines
    from perfhunt.store.files import write_atomic
    from perfhunt.store.listing import find
    from perfhunt.store.rundir import read_directory

    a, b = (read_directory(find(store, name)) for name in (before, after))
    calibration, note = load_calibration(store)
    if note and not quiet:
        console.note(note)
    verdict = judge(a, b, calibration)
    if isinstance(verdict, tuple):
        unlike = "\n".join(f"  {difference}" for difference in verdict)
        raise UsageError(
            f"{a.id} and {b.id} were asked different questions:\n{unlike}",
            "Ask one of them again: perfhunt investigate",
        )
    if flamegraph is not None:
        picture = difference_picture(sides_of(a), sides_of(b), f"{a.id} to {b.id}")
        if not picture:
            raise UsageError(
                "the two runs have no profile of the same kind", "Leave --flamegraph out."
            )
        write_atomic(flamegraph, picture)
    if as_json:
        plain = {
            "schema": 1,
            "event": "verdict",
            "before": a.id,
            "after": b.id,
            "word": str(verdict.word),
        }
        console.out(
            json.dumps(
                {**plain, "exit_code": int(verdict.exit_code), "verdict": verdict_document(verdict)}
            )
        )
    elif quiet:
        console.out(console.clean(f"{verdict.word}: {verdict.reason}"))
    else:
        console.out(f"{a.id} -> {b.id}\n")
        for line in verdict_lines(verdict):
            console.out(console.clean(line))
    raise typer.Exit(int(verdict.exit_code))
