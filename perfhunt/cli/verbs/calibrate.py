"""`perfhunt calibrate`: this host's own noise, measured, kept, and used by later verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfhunt.cli.options import (
    STORE,
    JsonOption,
    PrepareOption,
    QuietOption,
    StoreOption,
    TestFileOption,
)
from perfhunt.errors import ExitCode

if TYPE_CHECKING:
    from perfhunt.analysis.verdict.calibration import Calibration


def calibrate(
    context: typer.Context,
    file: TestFileOption = None,
    prepare: PrepareOption = "",
    rounds: Annotated[
        int, typer.Option("--rounds", min=4, help="Pairs of identical builds to measure.")
    ] = 8,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    store: StoreOption = STORE,
) -> None:
    """Measure how much two starts of the same build differ on this host, and how long comparisons
    will take here.

    Later verdicts use it: `verify` needs fewer rounds, and is refused on a host whose identical
    builds already differ (exit code 91).
    """
    from perfhunt.cli.view.watchers import watching
    from perfhunt.jobs.calibrate import CalibrateRequest, run_calibration
    from perfhunt.jobs.request import words_of

    request = CalibrateRequest(
        command=tuple(context.obj or ()),
        file=file,
        prepare=words_of("--prepare", prepare),
        rounds=rounds,
        store=store,
    )
    with watching(as_json=as_json, quiet=quiet) as watch:
        calibration = run_calibration(request, watch)
    show(calibration, store, as_json=as_json, quiet=quiet)
    raise typer.Exit(int(ExitCode.INCONCLUSIVE if calibration.refused else ExitCode.OK))


def show(calibration: Calibration, store: Path, *, as_json: bool, quiet: bool) -> None:
    """Print the noise, and where it is kept."""
    from perfhunt.cli.view.results import show_json, show_lines
    from perfhunt.model.document.plain import to_plain
    from perfhunt.store.calibration import CALIBRATION_FILE, load_calibration

    if as_json:
        show_json("calibration", {"calibration": to_plain(calibration)})
    elif quiet:
        show_lines([calibration.refused or calibration.sentence()])
    else:
        file = store / CALIBRATION_FILE
        stored = ["", f"stored: {file}"] if load_calibration(store)[0] == calibration else []
        show_lines([*calibration_lines(calibration), *stored])


def calibration_lines(calibration: Calibration) -> list[str]:
    """The noise per endpoint, and the minutes that comparisons will take."""
    from perfhunt.analysis.verdict.calibration import plan
    from perfhunt.analysis.verdict.endpoints import ENDPOINTS

    noise = _noise_lines(calibration)
    advice = [f"  {each}" for each in calibration.advice]
    if calibration.refused:
        return [*noise, "", f"REFUSED: {calibration.refused}", *advice]
    plans = [
        f"  {f'±{each.wanted:.0%}':<22} {each.rounds:6d}   {each.minutes:7.1f}"
        f"   {ENDPOINTS[each.endpoint].title}"
        for each in plan(calibration)
    ]
    return [*noise, "", "  to see a change of     rounds   minutes   by", *plans, *advice]


def _noise_lines(calibration: Calibration) -> list[str]:
    from perfhunt.analysis.verdict.endpoints import ENDPOINTS

    lines = [
        f"NOISE of this host, from {calibration.rounds} pairs of identical builds"
        f" in {calibration.seconds / 60:.1f} minutes",
        "  endpoint                              sd of a paired difference (95 %)"
        "     mean difference (95 %)",
    ]
    for noise in calibration.noises:
        sd, mean = noise.sd, noise.mean
        lines.append(
            f"  {ENDPOINTS[noise.endpoint].title:<36}"
            f"  {sd.value:6.1%} ({sd.low:.1%} to {sd.high:.1%}){'':<8}"
            f"{mean.value:+6.1%} ({mean.low:+.1%} to {mean.high:+.1%})"
        )
    return lines
