"""The report as a browser shows it: light, dark, on a phone, on paper, beside an earlier run."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from perfhunt.analysis.verdict.rerun import compare
from perfhunt.model.run import Run
from perfhunt.reports.format import FORMATS, page_of_change
from perfhunt.reports.html.compared import BeforeAfter
from perfhunt.store.rundir import read_directory
from tests.live.browser import Tab, browser
from tests.sample_run import moved, sample_run

INTO = Path(__file__).resolve().parent.parent / "docs" / "pictures"
LAPTOP, PHONE, PAPER = 1280, 390, 794  # CSS pixels; paper is A4 at 96 to the inch
SCREEN = 1080  # CSS pixels of height: the first screen of a laptop
TALL = 2000  # of a phone: two swipes
MOST = 300_000  # bytes of a picture that a repository holds
FASTER = 1.4  # the sample run after a change


def main(arguments: Sequence[str]) -> int:
    """Writes the pictures; 1 where one is larger than a repository ought to hold."""
    parser = argparse.ArgumentParser(prog="scripts/screenshots")
    parser.add_argument("--run", type=Path, help="the directory of a stored run")
    parser.add_argument("--before", type=Path, help="the directory of the run before it")
    parser.add_argument("--into", type=Path, default=INTO)
    asked = parser.parse_args(arguments)
    run = read_directory(asked.run) if asked.run else sample_run()
    before, after = (read_directory(asked.before), run) if asked.before else (run, _after(run))
    asked.into.mkdir(parents=True, exist_ok=True)
    large = False
    with tempfile.TemporaryDirectory() as place, browser() as tab:
        for name, picture in _pictures(tab, Path(place), run, (before, after)).items():
            path = asked.into / f"report-{name}.png"
            path.write_bytes(picture)
            large |= len(picture) > MOST
            print(f"{path}  {len(picture):,} bytes")
    return int(large)


def _after(run: Run) -> Run:
    return moved(run, FASTER, id=f"{run.id[:-1]}0")


def _pictures(tab: Tab, place: Path, run: Run, compared: tuple[Run, Run]) -> dict[str, bytes]:
    page = place / "report.html"
    page.write_text(FORMATS["html"].render(run), encoding="utf-8")
    taken = {}
    tab.open(page, width=LAPTOP, height=SCREEN)
    taken["light"] = tab.picture()
    tab.open(page, width=LAPTOP, height=SCREEN, dark=True)
    taken["dark"] = tab.picture()
    tab.open(page, width=PHONE, height=TALL)
    taken["phone"] = tab.picture()
    tab.open(page, width=PAPER, height=SCREEN)
    tab.call("Emulation.setEmulatedMedia", media="print")
    taken["print"] = tab.picture()
    before, after = compared
    verdict = compare(before, after, None)
    if not isinstance(verdict, tuple):
        page.write_text(page_of_change(after, BeforeAfter(before, verdict)), encoding="utf-8")
        tab.open(page, width=LAPTOP, height=SCREEN)
        taken["compare"] = tab.picture()
    return taken
