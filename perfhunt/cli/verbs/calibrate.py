"""`perfhunt calibrate`: this host's own noise, measured, kept, and used by later verdicts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, JsonOption, QuietOption, StoreOption, TestFileOption
from perfhunt.cli.verbs.verify import Prepare
from perfhunt.errors import ExitCode, StoreError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from perfhunt.analysis.verdict.calibration import Calibration

FILE = "calibration.json"
GOOD_FOR_DAYS = 30


def calibrate(
    context: typer.Context,
    file: TestFileOption = None,
    prepare: Prepare = "",
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
    import shlex

    from perfhunt.jobs.calibrate import measure

    if not context.obj:
        raise UsageError(
            "calibrate starts the service itself",
            "perfhunt calibrate -- COMMAND, which must listen on $PORT",
        )
    found = measure(
        tuple(context.obj),
        file,
        tuple(shlex.split(prepare)),
        rounds,
        store,
        as_json=as_json,
        quiet=quiet,
    )
    if as_json:
        from perfhunt.model.document.plain import to_plain

        console.out(
            json.dumps({"schema": 1, "event": "calibration", "calibration": to_plain(found)})
        )
    elif quiet:
        console.out(console.clean(found.refused or found.sentence()))
    else:
        for line in calibration_lines(found):
            console.out(console.clean(line))
        console.out(f"\nstored: {store / FILE}")
    raise typer.Exit(int(ExitCode.INCONCLUSIVE if found.refused else ExitCode.OK))


def calibration_lines(found: Calibration) -> list[str]:
    """The noise per endpoint, and the minutes that comparisons will take."""
    from perfhunt.analysis.verdict.calibration import plan
    from perfhunt.analysis.verdict.endpoints import ENDPOINTS

    lines = [
        (
            f"NOISE of this host, from {found.rounds} pairs of identical builds in"
            f" {found.seconds / 60:.1f} minutes"
        ),
        (
            "  endpoint                              sd of a paired difference (95 %)     mean"
            " difference (95 %)"
        ),
    ]
    for noise in found.noises:
        sd, mean = noise.sd, noise.mean
        lines.append(
            f"  {ENDPOINTS[noise.endpoint].title:<36}  {sd.value:6.1%} ({sd.low:.1%} to"
            f" {sd.high:.1%}){'':<8}{mean.value:+6.1%} ({mean.low:+.1%} to {mean.high:+.1%})"
        )
    if found.refused:
        return [
            *lines,
            "",
            f"REFUSED: {found.refused}",
            *(f"  {advice}" for advice in found.advice),
        ]
    lines += ["", "  to see a change of     rounds   minutes   by"]
    lines += [
        f"  {f'±{each.wanted:.0%}':<22} {each.rounds:6d}   {each.minutes:7.1f}  "
        f" {ENDPOINTS[each.endpoint].title}"
        for each in plan(found)
    ]
    return [*lines, *(f"  {advice}" for advice in found.advice)]


@dataclass(frozen=True, slots=True)
class Kept:
    """A calibration on disk, with where and when it holds. `made` is ISO 8601, UTC."""

    schema: int
    made: str
    host: str
    kernel: str
    command: tuple[str, ...]
    calibration: Calibration


def save_calibration(
    store: Path, found: Calibration, command: tuple[str, ...], now: datetime
) -> None:
    """Keep a calibration as `calibration.json`, command line without secrets. Raises StoreError."""
    import platform

    from perfhunt.model import redact
    from perfhunt.model.document.plain import to_plain
    from perfhunt.store.files import write_atomic

    store.mkdir(parents=True, exist_ok=True)
    stamp = now.isoformat(timespec="seconds")
    kept = Kept(1, stamp, platform.node(), platform.release(), redact.command(command), found)
    write_atomic(store / FILE, json.dumps(to_plain(kept), indent=2) + "\n")


def load_calibration(store: Path, now: datetime | None = None) -> tuple[Calibration | None, str]:
    """The calibration that holds on this host today, and a sentence on why one that is there does
    not; ("" otherwise).
    """
    import platform
    from datetime import UTC, datetime

    from perfhunt.model.document.plain import PlainError
    from perfhunt.store.files import read_text

    path = store / FILE
    if not path.exists():
        return None, ""
    try:
        kept = _read(read_text(path))
        age = ((now or datetime.now(UTC)) - datetime.fromisoformat(kept.made)).days
    except (PlainError, ValueError, TypeError, StoreError) as error:
        return None, f"{path} cannot be read ({error}): measure again with perfhunt calibrate"
    again = "it is not used; measure again with: perfhunt calibrate -- COMMAND"
    if age > GOOD_FOR_DAYS:
        return None, f"the calibration in {path} is {age} days old: {again}"
    for what, then, today in (
        ("host", kept.host, platform.node()),
        ("kernel", kept.kernel, platform.release()),
    ):
        if then != today:
            return None, f"the calibration in {path} is of another {what} ({then}): {again}"
    return kept.calibration, ""


def _read(text: str) -> Kept:
    from perfhunt.analysis.verdict.calibration import Calibration
    from perfhunt.model.document.plain import PlainError, from_plain

    plain = json.loads(text)
    if not isinstance(plain, dict) or plain.get("schema") != 1:
        raise PlainError("not a calibration of schema 1")
    calibration: Calibration = from_plain(Calibration, plain.get("calibration"), "calibration")
    words = [str(plain.get(key, "")) for key in ("made", "host", "kernel")]
    return Kept(1, words[0], words[1], words[2], tuple(plain.get("command", ())), calibration)
