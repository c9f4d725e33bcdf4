"""The wheel as people get it: by pipx and by uvx, in a home where nothing was before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from perfhunt.version import __version__

pytestmark = [pytest.mark.live, pytest.mark.long]

ROOT = Path(__file__).resolve().parents[2]
INSTALL = 400.0  # seconds that an installation may take: everything is downloaded


def run(*words: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """A command in a home of its own, with nothing of this environment but the package index."""
    kept = ("PIP_", "UV_", "SSL_", "LANG", "HTTP", "http")
    clean = {name: value for name, value in os.environ.items() if name.startswith(kept)}
    if "PIP_INDEX_URL" in clean:
        clean["UV_DEFAULT_INDEX"] = clean["PIP_INDEX_URL"]
    home = cwd / "home"
    home.mkdir(exist_ok=True)
    clean |= {"HOME": str(home), "PATH": f"{home}/.local/bin:/usr/local/bin:/usr/bin:/bin", **env}
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=clean,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    place = tmp_path_factory.mktemp("wheel")
    done = run(
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", place, ROOT, cwd=place
    )
    if done.returncode and "No matching distribution" in done.stderr:
        pytest.skip("the build backend cannot be downloaded here")
    assert done.returncode == 0, done.stderr
    (built,) = place.glob("perfhunt-*.whl")
    return built


@pytest.fixture(scope="module")
def installers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of pipx and uv, in an environment of their own."""
    place = tmp_path_factory.mktemp("installers")
    assert run(sys.executable, "-m", "venv", place / "venv", cwd=place).returncode == 0
    programs = place / "venv" / "bin"
    done = run(programs / "python", "-m", "pip", "install", "-q", "pipx", "uv", cwd=place)
    if done.returncode:
        pytest.skip(f"pipx and uv cannot be installed here: {done.stderr.strip()[-200:]}")
    return programs


def test_the_wheel_has_every_file_of_the_package_and_the_man_page(wheel: Path) -> None:
    words = ["git", "ls-files", "perfhunt"]
    tracked = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = set(zipfile.ZipFile(wheel).namelist())
    assert len(tracked.split()) > 100
    assert not set(tracked.split()) - names
    assert any(name.endswith("/share/man/man1/perfhunt.1") for name in names)


def test_pipx_installs_a_command_that_works(wheel: Path, installers: Path, tmp_path: Path) -> None:
    done = run(installers / "pipx", "install", "--python", sys.executable, wheel, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    command = tmp_path / "home" / ".local" / "bin" / "perfhunt"
    assert run(command, "--version", cwd=tmp_path).stdout.startswith(f"perfhunt {__version__}\n")
    assert json.loads(run(command, "schema", cwd=tmp_path).stdout)["title"].startswith("perfhunt")
    # A command under a keeper, timed: the package starts modules of its own.
    timed = run(command, "bench", "-r", "2", "--json", "--", "true", cwd=tmp_path)
    assert timed.returncode == 0, timed.stderr
    assert list((tmp_path / "home").rglob("man1/perfhunt.1"))


def test_uvx_runs_it_without_an_installation(wheel: Path, installers: Path, tmp_path: Path) -> None:
    words = ("--python", sys.executable, "--from", wheel, "perfhunt")
    done = run(installers / "uvx", *words, "--version", cwd=tmp_path)
    assert done.stdout.startswith(f"perfhunt {__version__}\n"), done.stderr
    timed = run(
        installers / "uvx", *words, "bench", "-r", "2", "--json", "--", "true", cwd=tmp_path
    )
    assert timed.returncode == 0, timed.stderr
