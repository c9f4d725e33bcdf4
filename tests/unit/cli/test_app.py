"""The one place where what ends a verb becomes an exit code."""

import errno
import os
import signal

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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_would_end_a_verb_at_once_lets_it_put_away_what_it_has(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_away: list[str] = []

    def stopped(*_: object, **__: object) -> None:
        try:
            signal.raise_signal(number)
        finally:
            put_away.append("all")

    monkeypatch.setattr(cli, "app", lambda **_: cli._interruptible(stopped)())
    monkeypatch.setattr("sys.argv", ["perfhunt", "doctor"])
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit) as ended:
            cli.run()
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert (ended.value.code, put_away) == (105, ["all"])
    assert f"interrupted by {number.name}" in capsys.readouterr().err


def test_what_the_system_refuses_is_a_message_with_its_place_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(**_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(cli, "app", refused)
    monkeypatch.setattr("sys.argv", ["perfhunt", "history"])
    with pytest.raises(SystemExit) as ended:
        cli.run()
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert "Too many open files" in said and "in refused" in said and "Traceback" not in said
