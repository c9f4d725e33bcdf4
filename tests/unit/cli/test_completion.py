"""What a shell is told when somebody presses Tab, and what --version says."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from perfhunt.cli import app as cli
from perfhunt.version import __version__

AS_INSTALLED = "import sys; sys.argv[0] = 'perfhunt'; from perfhunt.cli import main; main()"


def perfhunt(*words: str, **env: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", AS_INSTALLED, *words],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [("perfhunt inv", {"investigate"}), ("perfhunt history --pl", {"--plot"})],
)
def test_a_shell_completes_verbs_and_options(line: str, offered: set[str]) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    assert set(perfhunt(_PERFHUNT_COMPLETE="complete_bash", **words).split()) == offered


def test_the_version_stands_first_and_the_tools_it_rests_on_below() -> None:
    first, tools = perfhunt("--version").splitlines()
    assert first == f"perfhunt {__version__}"
    assert f"locust {version('locust')}, " in tools
    assert f"py-spy {version('py-spy')}, " in tools


def test_a_tool_that_is_not_there_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "TOOLS", ("no-such-distribution",))
    assert dict(cli.tool_versions())["no-such-distribution"] == "not installed"
