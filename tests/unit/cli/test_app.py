"""The one place where what ends a verb becomes an exit code."""

import pytest

from perfhunt.cli import app as cli


def test_an_interrupt_anywhere_in_a_verb_exits_as_stopped_and_not_as_an_internal_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", lambda **_: cli._interruptible(interrupted)())
    monkeypatch.setattr("sys.argv", ["perfhunt", "history"])
    with pytest.raises(SystemExit) as ended:
        cli.run()
    assert ended.value.code == 105
    assert "interrupted by Ctrl-C" in capsys.readouterr().err
