"""The GitHub Action with the real perfhunt on a real service, by a stand-in for the runner."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from perfhunt.reports.format import FOR_CI, FORMATS
from tests.architecture.source import ROOT
from tests.live.running import question, service
from tests.unit.ci.runner import ActionRun, run_action

pytestmark = [pytest.mark.live, pytest.mark.beside]
PUSH = {"event_name": "push", "repository": "o/r", "token": ""}


def smoked(tmp_path: Path, slo: str) -> tuple[ActionRun, Path]:
    """What the Action came to on a service that answers in 5 ms, and what it left."""
    work, programs = tmp_path / "work", tmp_path / "bin"
    work.mkdir()
    programs.mkdir()
    (programs / "perfhunt").write_text(f'#!/bin/sh\nexec {sys.executable} -m perfhunt "$@"\n')
    (programs / "perfhunt").chmod(0o755)
    environ = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_RUN_ID": "7",
    }
    with service("prices") as (process, port):
        question(work, port, slo=slo)
        file = work / "perfhunt.toml"
        file.write_text(f'{file.read_text()}\n[smoke]\nrate = "20/s"\nduration = "8s"\n')
        given = {"pid": str(process.pid), "install": "none", "arguments": "--quiet\n--profile\noff"}
        return run_action(
            ROOT / ".github" / "actions" / "perfhunt", given, PUSH, work, environ
        ), work / "artifacts"


def test_a_service_that_meets_its_slo_passes_and_leaves_everything(tmp_path: Path) -> None:
    run, left = smoked(tmp_path, 'latency = { p50 = "<= 2s" }')
    assert run.outputs["exit-code"] == "0", run.printed
    assert not run.failed
    names = {FORMATS[form].file_name for form in (*FOR_CI, "html", "junit")}
    assert names <= {path.name for path in left.iterdir()}
    assert "## SLO MET" in run.summary
    comment = (left / "comment.md").read_text()
    assert "https://github.com/o/r/actions/runs/7#artifacts" in comment
    assert ET.parse(left / "junit.xml").getroot().get("failures") == "0"
    checks = json.loads((left / "load-performance.json").read_text())["metrics"]["checks"]
    assert checks == {"passes": 1, "fails": 0, "value": 1.0}


# What is shown by exit code: the title's words, and what JUnit counts. 91: other work on this host.
SHOWN = {"99": ("SLO MISSED", "failures"), "91": ("SLO UNKNOWN", "errors")}


def test_a_service_that_misses_it_fails_the_job_and_is_told_of(tmp_path: Path) -> None:
    run, left = smoked(tmp_path, 'latency = { p50 = "<= 1us" }')
    assert run.failed
    words, counted = SHOWN[run.outputs["exit-code"]]
    assert run.used, "what was measured is kept although the job fails"
    assert words in (left / "comment.md").read_text().splitlines()[1]
    assert ET.parse(left / "junit.xml").getroot().get(counted) == "1"
    checks = json.loads((left / "load-performance.json").read_text())["metrics"]["checks"]
    assert checks["passes"] == 0
