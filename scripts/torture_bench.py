"""One run of perfhunt against a service of its own, and what can be seen of both from outside."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pty
import secrets
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from perfhunt.model.document.bounded import json_value
from tests.live.running import until
from tests.sample_run import keep, sample_run

ROOT = Path(__file__).resolve().parents[1]
SERVICE = Path(__file__).with_name("torture_targets") / "service.py"
TOKEN = "PERFHUNT_TORTURE_POINT"  # in the environment of all that a run starts
EARLIER = ("20260101T000000Z-aaaaaa", "20260102T000000Z-bbbbbb")  # runs that are there before
LISTENS = 0.05  # seconds between two looks of the reader at whether it shall go on
_SMALL_PIPE = 4096  # bytes: a page, which a few events fill
_F_SETPIPE_SZ = 1031  # fcntl(2)
# Short, and every phase in it: the search has a few seconds, the SLO names a load to judge at.
QUESTION = """schema = 1
[target]
url = "http://127.0.0.1:{port}"
process = {{ port = {port} }}
[slo]
latency = {{ p99 = "<= 200ms" }}
throughput = {{ sustained = ">= 25/s for 3s" }}
[ramp]
start = "20/s"
max = "60/s"
baseline = "3s"
budget = "6s"
hold = "4s"
"""


class Server:
    """A service, with the file in which it notes when each request came."""

    def __init__(self, directory: Path, name: str, port: int, prefix: Sequence[str]) -> None:
        self.file = directory / f"{name}.arrivals"
        command = [*prefix, sys.executable, str(SERVICE), str(port), str(self.file), name]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        word = self.process.stdout.readline().split()
        if word[:1] != ["ready"]:
            raise OSError(f"the {name} service did not start on port {port}")
        self.port = int(word[1])

    def last(self) -> float:
        """When the last request came, of time.monotonic; 0 when none did."""
        content = self.file.read_bytes()
        whole = len(content) - len(content) % 8
        return float(struct.unpack("d", content[whole - 8 : whole])[0]) if whole else 0.0

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Bench:
    """A point's service, its store with two earlier runs, and perfhunt once it was started."""

    def __init__(self, directory: Path, prefix: Sequence[str] = ()) -> None:
        """`prefix` is a command that both perfhunt and its target are started through."""
        self.directory, self._prefix = directory, tuple(prefix)
        self.store = directory / ".perfhunt"
        self.spare = directory / "tmp"
        self.spare.mkdir(parents=True)
        self.token = secrets.token_hex(8)
        self.wrong: list[str] = []
        self.run_id = ""  # of the run, once its directory was seen
        self.servers = [Server(directory, "target", 0, prefix)]
        self.target = self.servers[0]
        (directory / "perfhunt.toml").write_text(QUESTION.format(port=self.target.port))
        self.reading = threading.Event()  # whether somebody reads what perfhunt prints
        self.reading.set()
        self.log = directory / "stderr"
        self.out = directory / "stdout"
        self._hung_up = threading.Event()

    def keep_earlier_runs(self) -> None:
        """Two runs that were there before."""
        for name in EARLIER:
            keep(self.store, replace(sample_run(), id=name))

    def earlier(self) -> str:
        """A digest of all files of the earlier runs."""
        digest = hashlib.sha256()
        for name in EARLIER:
            for path in sorted((self.store / "runs" / name).rglob("*")):
                digest.update(str(path).encode() + (path.read_bytes() if path.is_file() else b""))
        return digest.hexdigest()

    def start(self, environment: Mapping[str, str], on_terminal: bool) -> None:
        """perfhunt at work, read by a thread for as long as `reading` is set."""
        words = [sys.executable, "-m", "perfhunt", "investigate"]
        words += ["--pid", str(self.target.process.pid), "--quick", "--allow-busy"]
        env = {**os.environ, "PYTHONPATH": str(ROOT), TOKEN: self.token, **environment}
        env |= {"TMPDIR": str(self.spare), "TERM": "xterm"}
        if on_terminal:
            ours, theirs = pty.openpty()
            streams = (theirs, theirs)
        else:
            ours, theirs = os.pipe()
            fcntl.fcntl(theirs, _F_SETPIPE_SZ, _SMALL_PIPE)
            words.append("--json")
            streams = (theirs, os.open(self.log, os.O_WRONLY | os.O_CREAT))
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*(["setsid", "--ctty"] if on_terminal else []), *self._prefix, *words],
            cwd=self.directory,
            stdin=theirs if on_terminal else subprocess.DEVNULL,
            stdout=streams[0],
            stderr=streams[1],
            env=env,
        )
        for descriptor in set(streams):
            os.close(descriptor)
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()

    def _read(self, source: int) -> None:
        """Whoever reads it closes it: another thread's file may have its number the next moment."""
        with contextlib.suppress(OSError), self.out.open("wb") as file:
            while not self._hung_up.is_set():
                if not self.reading.is_set():
                    time.sleep(LISTENS)
                elif select.select([source], [], [], LISTENS)[0]:
                    if not (content := os.read(source, 4096)):
                        break
                    file.write(content)
                    file.flush()
        os.close(source)

    def hang_up(self) -> None:
        """The other end of what perfhunt prints is gone. Idempotent."""
        self._hung_up.set()
        self._reader.join()

    def partial(self) -> Path | None:
        """The directory of the run while it is open."""
        found = [p for p in self.store.glob("runs/*.partial") if not p.name.startswith(".")]
        if found:
            self.run_id = found[0].name.removesuffix(".partial")
        return found[0] if found else None

    def stages(self) -> list[str]:
        """The stages that began so far, by the run's own log; `closed` when the run is."""
        partial, stages = self.partial(), []
        final = self.store / "runs" / self.run_id
        place = partial or final
        with contextlib.suppress(OSError):
            for line in (place / "events.jsonl").read_text().splitlines():
                event = json_value(line, "events") if line.endswith("}") else {}
                if event.get("event") == "began":
                    stages.append(str(event["sentence"]))
        return [*stages, *(["closed"] if self.run_id and partial is None else [])]

    def ended(self) -> bool:
        return self.process.poll() is not None

    def since(self, moment: float) -> float:
        """Seconds from a moment to the last request, at whichever server; negative: before it."""
        return max(server.last() for server in self.servers) - moment

    def family(self) -> list[psutil.Process]:
        """All processes of the run that live, by what they have in their environment."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(TOKEN) == self.token:
                    found.append(process)
        return found

    def member(self, word: str) -> psutil.Process | None:
        """A process of the run with a word in its command line: the load child, a profiler; the
        controller for "". None when it is not there.
        """
        if not word:
            return None if self.ended() else psutil.Process(self.process.pid)
        for process in self.family():
            with contextlib.suppress(psutil.Error):
                if any(word in part for part in process.cmdline()):
                    return process
        return None

    def close(self) -> None:
        """End everything that is left."""
        self.reading.set()
        if hasattr(self, "process"):
            for process in self.family():
                with contextlib.suppress(psutil.Error):
                    process.kill()
            with contextlib.suppress(OSError):
                self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            until(lambda: not self.family(), within=2.0)
            self.hang_up()
        for server in self.servers:
            server.close()
