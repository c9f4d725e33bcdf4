"""Numbers that make no sense are refused by name, before anything is made or read."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfhunt.cli import app as cli
from perfhunt.load.trust.grant import MOST_WORKERS


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """What is said of a command line that is refused."""
    monkeypatch.setattr("sys.argv", ["perfhunt", *args])
    with pytest.raises(SystemExit) as ended:
        cli.run()
    told = capsys.readouterr()
    assert ended.value.code == 2 and "Traceback" not in told.err
    return " ".join((told.out + told.err).split())


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (("history", "-n", "0"), "-n"),
        (("history", "-n", "-1"), "-n"),
        (("history", "-n", "9" * 30), "-n"),
        (("investigate", "--pid", "1", "--seed", "-1"), "--seed"),
        (("investigate", "--pid", "1", "--seed", str(2**32)), "--seed"),
        (("investigate", "--pid", "1", "--workers", str(MOST_WORKERS + 1)), "--workers"),
    ],
)
def test_a_number_out_of_bounds_is_refused_by_its_options_name(
    args: tuple[str, ...],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert name in said(monkeypatch, capsys, *args)
    assert not any(tmp_path.iterdir())
