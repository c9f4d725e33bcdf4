"""A repository that tries to start a program when it is read, and does not get to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from perfhunt.analysis.change.one_change import decide, pieces_of
from perfhunt.change.git.bisect import commits_between
from perfhunt.change.git.kept import code_state
from perfhunt.change.git.repository import find_repository
from perfhunt.change.git.split import split
from perfhunt.change.git.worktree import checkout
from perfhunt.change.read import read_change
from perfhunt.errors import ChangeRefused
from perfhunt.jobs.verify.edit_patch import edit_patch
from perfhunt.model.verdict.change import OneChange
from tests.git.repositories import IDENTITY
from tests.git.traps import BEFORE, TRAPS, Trap, trapped


def everything(root: Path, store: Path) -> None:
    """All that perfhunt does with a repository."""
    repository = find_repository(root)
    change = read_change(repository, "HEAD")
    ruled = decide(change)
    assert isinstance(ruled, OneChange), ruled
    assert [(atom.file, atom.name) for atom in change.atoms] == [("app.py", "price")]
    assert code_state(str(root), store).snapshot
    split(repository, change, pieces_of(change.atoms))
    commits_between(repository, "HEAD~1", "HEAD")
    with checkout(repository) as place:
        assert (place / "app.py").read_text() == (root / "app.py").read_text()
    with checkout(repository, "HEAD~1") as place:
        assert (place / "app.py").read_text() == BEFORE
    edit_patch(repository, change).take_out()
    assert (root / "app.py").read_text() == BEFORE


@pytest.mark.parametrize("name", [name for name in TRAPS if name != "promised"])
def test_nothing_that_a_repository_names_is_started(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = trapped(tmp_path / "shop", TRAPS[name])
    monkeypatch.chdir(tmp_path / "shop")
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}:")
    everything(tmp_path / "shop", tmp_path / "store")
    assert not mark.exists()


def test_what_a_remote_promised_is_not_fetched_and_said_to_be_missing(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    mark = trapped(root, TRAPS["promised"])
    repository = find_repository(root)
    assert [atom.name for atom in read_change(repository, "HEAD").atoms] == ["price"]
    with (
        pytest.raises(ChangeRefused, match="part of its history") as refused,
        checkout(repository, "HEAD"),
    ):
        pass
    assert "git fetch" in refused.value.hint
    assert not mark.exists()


PLAIN = {name: trap for name, trap in TRAPS.items() if trap.plain}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_git_falls_for_the_trap(name: str, tmp_path: Path) -> None:
    """So the traps are traps."""
    trap: Trap = PLAIN[name]
    mark = trapped(tmp_path / "shop", trap)
    subprocess.run(
        ["git", *trap.plain], cwd=tmp_path / "shop", env=IDENTITY, capture_output=True, check=False
    )
    assert mark.exists()


@pytest.mark.parametrize("verb", [("change",), ("split",)])
def test_the_command_line_starts_nothing_either(verb: tuple[str, ...], tmp_path: Path) -> None:
    mark = trapped(tmp_path / "shop", TRAPS["named like lfs"])
    done = subprocess.run(
        [sys.executable, "-m", "perfhunt", *verb],
        cwd=tmp_path / "shop",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, mark.exists()) == (0, False), done.stderr


def test_every_git_is_started_with_a_directory_and_a_configuration_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the two questions that start nothing: where a repository lies, what it is set to."""
    log, real = tmp_path / "log", subprocess.check_output(["which", "git"], text=True).strip()
    spy = tmp_path / "bin" / "git"
    spy.parent.mkdir()
    spy.write_text(
        f'#!/bin/sh\necho "$GIT_CONFIG_NOSYSTEM $GIT_CONFIG_GLOBAL $GIT_DIR | $*" >> {log}\n'
        f'exec {real} "$@"\n'
    )
    spy.chmod(0o755)
    trapped(tmp_path / "shop", TRAPS["clean"])
    monkeypatch.setenv("PATH", f"{spy.parent}:{os.environ['PATH']}")
    everything(tmp_path / "shop", tmp_path / "store")
    lines = log.read_text().splitlines()
    users = [line for line in lines if not line.startswith("1 /dev/null ")]
    assert len(lines) > 20
    assert {line.split("--literal-pathspecs ")[1] for line in users} == {
        "rev-parse --absolute-git-dir",
        "config --list -z",
    }
    ours = {line.split()[2] for line in lines if line not in users}
    assert not any(place.startswith(str(tmp_path / "shop")) for place in ours)
