"""Paths that are printed work when they are pasted where the user stands."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from perfhunt.cli import console
from perfhunt.cli.view.results import show_run
from perfhunt.store.run_json import write_run
from tests.sample_run import sample_run

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("stand", ["", "below", "../elsewhere"])
def test_the_report_that_is_named_is_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stand: str,
) -> None:
    home, run = tmp_path / "home of it", sample_run()
    kept = home / ".perfhunt" / "runs" / run.id
    kept.mkdir(parents=True)
    write_run(kept, run)
    (kept / "report.html").write_text("<html>")
    here = home / stand
    here.mkdir(exist_ok=True)
    monkeypatch.chdir(here)
    show_run(run, home / ".perfhunt", as_json=False, quiet=False)
    (line,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("report: "))
    (path,) = shlex.split(line.removeprefix("report: "))
    assert Path(path).read_text() == "<html>"
    assert Path(path).is_absolute() is bool(stand)


def test_a_path_below_is_told_from_here_and_another_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert console.shown_path(tmp_path / "a" / "b") == "a/b"
    assert console.shown_path(Path("a b")) == "'a b'"
    assert console.shown_path(tmp_path.parent / "other") == str(tmp_path.parent / "other")


def test_scripts_demo_works_in_the_directory_it_was_called_from(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    program = venv / "bin" / "perfhunt"
    program.write_text('#!/bin/sh\necho "$PWD $*"\n')
    program.chmod(0o755)
    stamp = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()[:16]
    (venv / f".perfhunt-demo-{stamp}").touch()
    told = subprocess.run(
        (ROOT / "scripts" / "demo", "--quiet"),
        cwd=tmp_path,
        env=os.environ | {"PERFHUNT_VENV": str(venv)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert told.stdout.split("\n") == [f"{tmp_path} demo --quiet", ""]


def test_the_demo_names_a_perfhunt_that_starts_from_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from perfhunt.cli.verbs.demo import _perfhunt

    monkeypatch.setenv("PATH", str(tmp_path))  # no environment is active
    words = shlex.split(_perfhunt())
    assert Path(words[0]).is_absolute()
    env = os.environ | {"PYTHONPATH": str(ROOT), "PATH": os.defpath}
    done = subprocess.run([*words, "--version"], cwd=tmp_path, env=env, capture_output=True)
    assert done.stdout.startswith(b"perfhunt ")
