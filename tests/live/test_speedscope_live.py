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
from perfhunt.jobs.stored.viewer import viewer_page
from perfhunt.reports.format import FORMATS
from tests.sample_run import sample_run

pytestmark = [pytest.mark.live, pytest.mark.beside]
# Of the page's own clock, which stands still while it loads: the viewer has drawn by then.
VIRTUAL_MS = 10_000
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
        # Its canvas is drawn by the processor, where there is no other.
        *("--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
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
