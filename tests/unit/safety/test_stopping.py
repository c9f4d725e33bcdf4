"""What stops load, and what is loaded already: killswitch, watchdog, foreign load."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from perfhunt.errors import TargetBusy
from perfhunt.model.question import Killswitch
from perfhunt.safety.killswitch import KillswitchWatch
from perfhunt.safety.lock import foreign_load, refuse_foreign
from perfhunt.safety.watchdog import Watchdog
from perfhunt.target.resources.prior_activity import PriorActivity


def test_the_killswitch_file_stops_load_and_a_removed_one_does_not_resume_it(
    tmp_path: Path,
) -> None:
    with KillswitchWatch(Killswitch("stop"), tmp_path) as watch:
        assert watch.tripped() == ""
        (tmp_path / "stop").touch()
        assert "stop appeared" in watch.tripped()
        (tmp_path / "stop").unlink()
        assert watch.tripped()


def test_a_dangling_link_is_a_killswitch_file_too(tmp_path: Path) -> None:
    (tmp_path / "stop").symlink_to("nowhere")
    assert KillswitchWatch(Killswitch("stop"), tmp_path).tripped()


def test_the_killswitch_is_pulled_for_real_when_tested(tmp_path: Path) -> None:
    watch = KillswitchWatch(Killswitch("deep/stop"), tmp_path)
    assert watch.test() == ""
    assert not (tmp_path / "deep" / "stop").exists()
    assert watch.tripped() == ""


def test_a_killswitch_that_is_already_pulled_fails_its_test(tmp_path: Path) -> None:
    (tmp_path / "stop").touch()
    assert "already there" in KillswitchWatch(Killswitch("stop"), tmp_path).test()


def test_a_killswitch_file_that_cannot_be_made_fails_its_test(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be made" in KillswitchWatch(Killswitch("file/stop"), tmp_path).test()


def test_a_killswitch_url_that_nobody_answers_fails_its_test(tmp_path: Path) -> None:
    assert (
        "no answer"
        in KillswitchWatch(Killswitch("", "http://127.0.0.1:1/ok?token=s3cret"), tmp_path).test()
    )


def test_the_token_of_a_killswitch_url_is_not_repeated(tmp_path: Path) -> None:
    assert (
        "s3cret"
        not in KillswitchWatch(
            Killswitch("", "http://127.0.0.1:1/ok?token=s3cret"), tmp_path
        ).test()
    )


def test_the_first_reason_to_stop_stays() -> None:
    reasons = iter(["", "the file appeared", "something else"])
    watchdog = Watchdog(lambda: next(reasons))
    assert [watchdog.stop() for _ in range(3)] == ["", "the file appeared", "the file appeared"]


def test_the_time_allowed_is_counted_from_the_start() -> None:
    now = [100.0]
    watchdog = Watchdog(max_duration=60.0, clock=lambda: now[0])
    now[0] = 159.9
    assert watchdog.stop() == ""
    now[0] = 160.0
    assert "max_duration" in watchdog.stop()


def test_one_ctrl_c_asks_for_an_orderly_stop_and_a_second_one_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Watchdog() as watchdog:
        signal.raise_signal(signal.SIGINT)
        assert "Ctrl-C" in watchdog.stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_repeated_sigterm_stays_an_orderly_stop() -> None:
    with Watchdog() as watchdog:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert "SIGTERM" in watchdog.stop()


def test_a_terminal_that_is_closed_stops_nothing_that_nohup_started() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Watchdog() as watchdog:
            signal.raise_signal(signal.SIGHUP)
            assert watchdog.stop() == ""
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_is_heard_although_the_main_thread_cannot_take_it() -> None:
    """As when it is held up in a system call: here in a digest that lasts seconds, and looks at no
    signal.
    """
    heard: list[float] = []
    over = threading.Event()

    def listen(watchdog: Watchdog) -> None:
        while not watchdog.stop() and not over.is_set():
            time.sleep(0.01)
        heard.append(time.monotonic())

    with Watchdog() as watchdog:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        listener = threading.Thread(target=listen, args=(watchdog,))
        listener.start()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 1_500_000)
        digested = time.monotonic()
        over.set()
        listener.join()
        assert "SIGTERM" in watchdog.stop()
    assert heard[0] < digested


def test_a_killswitch_file_that_cannot_be_looked_at_stops_load(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "cannot be looked at" in KillswitchWatch(Killswitch("loop/stop"), tmp_path).tripped()


@pytest.mark.parametrize(
    ("cpu", "connections", "busy"),
    [(0.0, 0, False), (0.02, 40, False), (0.1, 0, False), (0.1, 3, True), (0.9, 0, True)],
)
def test_foreign_load_is_clients_that_make_it_work_or_much_work(
    cpu: float, connections: int, busy: bool
) -> None:
    before = PriorActivity(cpu, connections)
    assert bool(foreign_load(before)) is busy
    if busy:
        with pytest.raises(TargetBusy):
            refuse_foreign(before)
