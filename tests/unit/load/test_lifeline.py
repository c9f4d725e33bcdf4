"""The lifeline beats only while somebody listens for stops, and the sentinel at its other end ends
the load without it: in a process of its own, since it may end that.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from perfhunt.load.lifeline import ALIVE, BEAT, ENDED_ITSELF, SILENCE, STOP, Lifeline
from perfhunt.model.units import Seconds

# The promise: within a second of the last beat there is no load.
PROMISED: Seconds = 1.0
PATIENCE: Seconds = 10.0  # of a test, with what must happen at all


@contextmanager
def lifeline() -> Iterator[tuple[Lifeline, int]]:
    """A lifeline that has begun, and a descriptor to hear it by."""
    line = Lifeline()
    far = os.dup(line.far_end)
    line.start()
    try:
        yield line, far
    finally:
        line.close()
        os.close(far)


def heard(far: int, seconds: Seconds) -> bytes:
    """All that is said within a time."""
    said, until = b"", time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if select.select([far], [], [], left)[0]:
            said += os.read(far, 100)
    return said


def test_it_beats_while_there_is_no_reason_to_stop_and_says_stop_once() -> None:
    reasons = [""]
    with lifeline() as (line, far):
        line.listen(lambda: reasons[0])
        assert heard(far, 5 * BEAT).count(ALIVE) >= 3
        reasons[0] = "enough"
        assert heard(far, 3 * BEAT).endswith(STOP)
        assert line.reason == "enough"
        assert heard(far, 3 * BEAT) == b""  # silence after a stop: nothing is to go on
        line.listen(None)
        assert line.reason == ""
        assert set(heard(far, 3 * BEAT)) == set(ALIVE)


def test_the_same_reason_is_told_again_to_what_begins_in_spite_of_it() -> None:
    with lifeline() as (line, far):
        for _ in range(2):
            line.listen(lambda: "the killswitch")
            assert heard(far, 2 * BEAT).endswith(STOP)


def test_nothing_begins_before_the_stop_signal_was_asked() -> None:
    asked: list[str] = []
    with lifeline() as (line, _):
        line.listen(lambda: asked.append("once") or "")  # type: ignore[func-returns-value]
        assert asked


def test_a_stop_signal_that_hangs_is_silence() -> None:
    forever = threading.Event()
    with lifeline() as (line, far):
        line.listen(lambda: str(forever.wait(PATIENCE)))
        heard(far, BEAT)
        assert heard(far, SILENCE) == b""
        forever.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_stop_signal_that_fails_is_silence() -> None:
    def broken() -> str:
        raise OSError("nobody can tell")

    with lifeline() as (line, far):
        line.listen(broken)
        heard(far, BEAT)
        assert heard(far, SILENCE) == b""


def test_a_child_that_never_reads_holds_nobody_up() -> None:
    with lifeline() as (line, far):
        os.set_blocking(line._near_end, False)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(line._near_end, b"." * 4096)
        asked = threading.Event()
        line.listen(lambda: asked.set() or "stop")  # type: ignore[func-returns-value]
        assert asked.wait(PATIENCE)
        assert line.reason == "stop"
        assert far


CHILD = """
import sys, time
from perfhunt.load.child.bounds.lines import BeatLine
from perfhunt.load.child.bounds.sentinel import Sentinel
deaf, idle, unruly, switch, lifetime, lasts, above = sys.argv[1:]
sentinel = Sentinel(BeatLine(0), int(above))
sentinel.start()
if switch:
    time.sleep(1.0)  # as it takes to get ready: nobody looks for the killswitch meanwhile
ended = []
sentinel.open(
    lambda: ended.append(1), float(lifetime), switch, unruly=unruly == "unruly"
)
def load():
    while deaf == "deaf" or not ended:
        print(time.monotonic(), flush=True)
        time.sleep(0.005)
if idle != "idle":
    with sentinel.under_way(float(lasts)):
        load()
print("ended", sentinel.why, flush=True)
print("paused", sentinel.paused(0.0), flush=True)
print("since", sentinel.paused(time.monotonic()), flush=True)
time.sleep(60)
"""


class Sending:
    """A process that prints the time as long as it "sends"."""

    def __init__(
        self,
        *,
        deaf: bool = False,
        idle: bool = False,
        unruly: bool = False,
        switch: Path | None = None,
        lifetime: Seconds = 60.0,
        lasts: Seconds = 60.0,
        above: int = 0,
    ) -> None:
        words = [
            *("deaf" if deaf else "", "idle" if idle else "", "unruly" if unruly else ""),
            *(str(switch or ""), str(lifetime), str(lasts), str(above)),
        ]
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.lines: list[bytes] = []
        self._closing = threading.Event()
        self._beating = threading.Event()
        self._beating.set()
        threading.Thread(target=self._beat, daemon=True).start()
        assert self.process.stdout is not None
        self.lines.append(self.process.stdout.readline())
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _beat(self) -> None:
        assert self.process.stdin is not None
        while not self._closing.wait(BEAT):
            if self._beating.is_set():
                self.say(ALIVE)

    def say(self, word: bytes) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError, ValueError):  # it has ended, or its line was closed
            os.write(self.process.stdin.fileno(), word)

    def fall_silent(self) -> Seconds:
        """No more beats; returns when the last one was, at the latest."""
        self._beating.clear()
        return time.monotonic()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.lines[-3:]
            time.sleep(0.005)

    @property
    def last_sent(self) -> Seconds:
        return max(float(line) for line in self.lines if line.strip()[:1].isdigit())

    @property
    def why(self) -> str:
        return self.said("ended")

    def said(self, word: str) -> str:
        """What it said in the line that begins with a word; "" before it did."""
        told = [line.decode() for line in self.lines if line.startswith(word.encode())]
        return told[0].removeprefix(word).strip() if told else ""

    def close(self) -> None:
        self._closing.set()
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


@contextmanager
def sending(**how: object) -> Iterator[Sending]:
    made = Sending(**how)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()


def test_load_that_obeys_ends_within_a_second_of_the_last_beat_and_says_why() -> None:
    with sending() as it:
        silent = it.fall_silent()
        it.until(lambda: bool(it.why))
        assert it.last_sent - silent < PROMISED
        assert "nothing was heard" in it.why
        assert it.process.poll() is None


def test_load_that_does_not_obey_ends_with_its_process_within_a_second() -> None:
    with sending(deaf=True) as it:
        silent = it.fall_silent()
        it.process.wait(PATIENCE)
        assert it.process.returncode == ENDED_ITSELF
        assert it.process.stderr is not None
        assert b"nothing was heard" in it.process.stderr.read()
        it._reader.join()
        assert it.last_sent - silent < PROMISED


@pytest.mark.parametrize("deaf", [False, True])
def test_a_word_ends_the_load_at_once(deaf: bool) -> None:
    with sending(deaf=deaf) as it:
        told = time.monotonic()
        it.say(STOP)
        it.until(lambda: it.process.poll() is not None or any(b"ended" in x for x in it.lines))
        assert it.last_sent - told < PROMISED / 2
        assert it.process.poll() == (ENDED_ITSELF if deaf else None)


def test_the_end_of_the_line_ends_the_process() -> None:
    with sending(deaf=True) as it:
        it._closing.set()
        assert it.process.stdin is not None
        it.process.stdin.close()
        assert it.process.wait(PATIENCE) == 0


def test_it_has_an_eye_of_its_own_on_the_killswitch_file(tmp_path: Path) -> None:
    with sending(switch=tmp_path / "stop") as it:
        it.until(lambda: len(it.lines) > 50)
        assert it.why == ""
        pulled = time.monotonic()
        (tmp_path / "stop").symlink_to("nowhere")
        it.until(lambda: bool(it.why))
        assert it.last_sent - pulled < PROMISED / 2
        assert it.why.endswith("stop appeared")


def test_a_killswitch_file_that_cannot_be_looked_at_is_pulled(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with sending(switch=loop / "stop") as it:
        it.until(lambda: bool(it.why))
        assert "cannot be looked at" in it.why


@pytest.mark.parametrize(("limit", "why"), [("lifetime", "max_duration"), ("lasts", "had to")])
def test_it_has_deadlines_of_its_own(limit: str, why: str) -> None:
    with sending(**{limit: 0.3}) as it:
        it.until(lambda: bool(it.why))
        assert why in it.why


def test_a_users_own_code_does_not_go_on_when_nothing_is_under_way() -> None:
    """Greenlets that a locustfile started are known to nobody."""
    with sending(idle=True, unruly=True) as it:
        silent = it.fall_silent()
        assert it.process.wait(PATIENCE) == ENDED_ITSELF
        assert time.monotonic() - silent < PROMISED + 0.2  # with the time that its end takes


def test_a_child_that_was_suspended_itself_has_not_missed_what_it_could_not_hear() -> None:
    with sending() as it:
        os.kill(it.process.pid, 19)
        time.sleep(2 * SILENCE)  # the time that is asked about
        os.kill(it.process.pid, 18)
        before = len(it.lines)
        it.until(lambda: len(it.lines) > before + 50)
        assert it.why == ""
        it.say(STOP)
        it.until(lambda: any(line.startswith(b"since") for line in it.lines))
        # It knows that it was, and that it was not since.
        assert "suspended or got no CPU for 1." in it.said("paused")
        assert it.said("since") == ""
