"""What `perfhunt` alone says: the three commands that come next in this directory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from perfhunt.cli.app import split_command
from perfhunt.cli.options import STORE
from perfhunt.cli.verbs.table import VERBS
from perfhunt.cli.view.next_commands import next_lines
from perfhunt.jobs.stored.standing import standing
from perfhunt.store.run_json import write_run
from tests.sample_run import sample_run

ENDED = 1_800_000_000  # seconds since 1970, when the run of a test was closed


def keep_run(directory: Path) -> None:
    """The sample run, closed at ENDED."""
    kept = directory / STORE / "runs" / sample_run().id
    kept.mkdir(parents=True)
    write_run(kept, sample_run())
    os.utime(kept / "run.json", (ENDED, ENDED))


def written(path: Path, after: int) -> None:
    """A file that was last written so many seconds after the run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x = 1\n")
    os.utime(path, (ENDED + after, ENDED + after))


def commands(directory: Path, store: Path = STORE) -> list[str]:
    lines = next_lines(standing(directory, directory / STORE), store)
    found = [line.strip() for line in lines if line.startswith("  perfhunt ")]
    assert len(found) == 3
    return [re.split(" {2,}", line)[0] for line in found]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()  # the search for a test file ends here
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_place_on_the_way_has_its_own_commands(here: Path) -> None:
    assert "perfhunt init --pid PID" in commands(here)
    (here / "perfhunt.toml").write_text("schema = 1\n")
    assert commands(here)[1] == "perfhunt investigate --pid PID"
    keep_run(here)
    assert commands(here)[0] == "perfhunt report"
    written(here / "shop" / "app.py", 5)
    assert commands(here)[:2] == ["perfhunt change", "perfhunt verify --pid PID"]


def test_every_command_is_one_of_ours_and_goes_to_the_store_that_was_asked_about(
    here: Path,
) -> None:
    keep_run(here)
    for command in commands(here, Path("/else where")):
        words, _ = split_command(command.split()[1:])
        assert words[0] in VERBS
        assert command.endswith("--store '/else where'")


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "tests/test_app.py",
        "perfhunt.toml",
        "node_modules/left/pad.js",
        ".venv/lib/x.py",
        "env/lib/x.py",
        "data/rows.csv",
    ],
)
def test_what_is_no_edit_of_the_service_is_none(here: Path, path: str) -> None:
    keep_run(here)
    (here / "env").mkdir()
    (here / "env" / "pyvenv.cfg").write_text("")
    os.utime(here / "env" / "pyvenv.cfg", (ENDED - 9, ENDED - 9))
    written(here / path, 5)
    written(here / "app.py", -5)
    assert standing(here, here / STORE).edited is None
    written(here / "app.py", 5)
    assert standing(here, here / STORE).edited == Path("app.py")


def test_the_edit_that_is_named_is_the_last_one(here: Path) -> None:
    keep_run(here)
    for n, name in enumerate(("a.py", "c.py", "b.py")):
        written(here / name, n + 1)
    assert standing(here, here / STORE).edited == Path("b.py")


def test_without_arguments_perfhunt_says_so_with_exit_code_0_and_imports_nothing_heavy(
    here: Path,
) -> None:
    keep_run(here)
    heavy = "('numpy', 'msgspec', 'rich', 'gevent', 'pydantic')"
    code = (
        "import atexit, sys; sys.argv = ['perfhunt'];"
        f" atexit.register(lambda: print([m for m in {heavy} if m in sys.modules]));"
        "from perfhunt.cli import main; main()"
    )
    kept = {name: value for name, value in os.environ.items() if name != "PERFHUNT_STORE"}
    done = subprocess.run(
        (sys.executable, "-c", code), capture_output=True, text=True, timeout=60, env=kept
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sample_run().id in done.stdout
    assert done.stdout.endswith("[]\n")
