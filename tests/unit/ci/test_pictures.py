"""Pictures that stand alone: whole XML, in colour without a page around them, and as PNG."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from perfhunt.jobs.ci import renderers
from perfhunt.jobs.ci.renderers import as_png, renderer
from perfhunt.reports.ci.pictures import size, still
from perfhunt.reports.format import FORMATS
from tests.sample_run import aborted_run, sample_run

RUNS = {"whole": sample_run(), "aborted": aborted_run()}
DRAWN = ("knee", "waterfall", "flamegraph")


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("form", DRAWN)
def test_a_picture_is_a_file_of_its_own(form: str, run: str) -> None:
    root = ET.fromstring(FORMATS[form].render(RUNS[run]))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not [value for each in root.iter() for value in each.attrib.values() if "//" in value]


def test_a_chart_that_there_is_none_of_says_so_in_words() -> None:
    run = replace(RUNS["aborted"], trials=(), baseline=None)
    text = "".join(ET.fromstring(FORMATS["knee"].render(run)).itertext())
    assert "No trial counted requests over a limit." in text


@pytest.mark.parametrize("form", DRAWN)
def test_a_still_picture_has_no_script_and_no_variable_left(form: str) -> None:
    picture = still(FORMATS[form].render(RUNS["whole"]))
    assert ET.fromstring(picture) is not None
    assert not re.search(r"<script|foreignObject|var\(|@media", picture)


@pytest.mark.parametrize("form", DRAWN)
def test_a_png_is_as_large_as_its_picture(form: str) -> None:
    if renderer() is None:
        pytest.skip("no renderer is installed: rsvg-convert, CairoSVG or Chromium")
    picture = FORMATS[form].render(RUNS["whole"])
    made, refused = as_png({f"{form}.svg": picture})
    assert refused == {}
    (png,) = made.values()
    assert list(made) == [f"{form}.png"]
    assert struct.unpack(">II", png[16:24]) == size(picture)


def test_without_a_renderer_there_is_no_png_and_nothing_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(renderers, "renderer", lambda: None)
    assert as_png({"knee.svg": "<svg/>"}) == ({}, {})


def test_a_renderer_that_fails_costs_its_picture_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in = tmp_path / "rsvg-convert"
    stand_in.write_text("#!/bin/sh\ncat >/dev/null\necho none\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    made, refused = as_png({"knee.svg": "<svg/>"})
    assert made == {}
    assert refused == {"knee.png": "knee.png could not be made (the renderer made no PNG)"}
