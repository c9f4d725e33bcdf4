"""Exports in the released speedscope (npm) in a headless browser: it opens them, and counts in each
profile what the run holds.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from perfhunt.errors import UsageError
from perfhunt.jobs.ci.renderers import BROWSERS
from perfhunt.jobs.profiles.convert import ConvertRequest, convert_profile
from perfhunt.jobs.stored.viewer import viewer_page
from perfhunt.model.profiles.formats import PROFILE_FORMATS
from perfhunt.reports.format import FORMATS
from tests.live.browser import BROWSER, browser
from tests.sample_run import sample_run

pytestmark = [pytest.mark.live, pytest.mark.beside]
# Of the page's own clock, which stands still while it loads: the viewer has drawn by then.
VIRTUAL_MS = 10_000
# Its canvas is drawn by the processor, where there is no other.
DRAWN = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
# Shows the table of functions once the profile is loaded, and gives its rows.
ROWS = """new Promise(done => {
  const look = () => {
    if (!document.title.includes(" - ")) { setTimeout(look, 20); return; }
    window.dispatchEvent(new KeyboardEvent("keypress", { key: "3" }));
    requestAnimationFrame(() => requestAnimationFrame(() =>
      done([...document.querySelectorAll("tr")].map(row => row.innerText))));
  };
  look();
})"""
PATIENCE = 120.0  # seconds, for a browser's first start on a busy host


def test_the_viewer_opens_every_profile_with_all_of_its_weight(tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    export, run = tmp_path / "profile.speedscope.json", sample_run()
    export.write_text(FORMATS["speedscope"].render(run))
    try:
        address = viewer_page(export)
    except UsageError:
        pytest.skip("the viewer is not installed: npm install --global speedscope")
    flags = (
        *("--headless", "--disable-gpu", "--dump-dom", f"--user-data-dir={tmp_path / 'home'}"),
        *DRAWN,
        f"--virtual-time-budget={VIRTUAL_MS}",
        *(("--no-sandbox",) if os.geteuid() == 0 else ()),
    )
    shown = subprocess.run(
        [browser, *flags, address], capture_output=True, text=True, timeout=PATIENCE, check=True
    ).stdout
    assert f"<title>shop {run.id} - speedscope</title>" in shown
    rows = re.findall(r'<tr title="([^"]+)".*?<td class="[^"]*">([\d,]+)</td></tr>', shown)
    weights = {name.split()[0]: int(weight.replace(",", "")) for name, weight in rows}
    assert weights == {span: round(profile.total) for span, profile in run.profiles.items()}


@pytest.mark.long
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_the_viewers_own_importers_find_every_function_with_its_weight(tmp_path: Path) -> None:
    source = tmp_path / "shop.folded"
    source.write_text(
        "main (/srv/shop.py:9);render (/srv/shop.py:2) 75\nmain (/srv/shop.py:9) 25\n"
    )
    with browser(flags=DRAWN) as tab:
        for form in ("folded", "pprof", "cpuprofile", "perf-script", "trace-events"):
            written = tmp_path / f"shop{PROFILE_FORMATS[form].suffixes[0]}"
            convert_profile(ConvertRequest(str(source), str(written)))
            try:
                # Another page each time: where only the part behind # changes, nothing is loaded.
                address = viewer_page(written).replace("#", f"?{form}#")
            except UsageError:
                pytest.skip("the viewer is not installed: npm install --global speedscope")
            tab.call("Page.navigate", url=address)
            tab.wait_for("Page.loadEventFired")
            shares = {
                function: (float(total), float(own))
                for total, own, function in re.findall(
                    r"\(([\d.]+)%\)\s+\S+ \(([\d.]+)%\)\s+.*(render|main)",
                    "\n".join(tab.value(ROWS)),
                )
            }
            # What is drawn along time has a first or a last sample of no length.
            assert shares["render"] == pytest.approx((75, 75), abs=1), form
            assert shares["main"] == pytest.approx((100, 25), abs=1), form
