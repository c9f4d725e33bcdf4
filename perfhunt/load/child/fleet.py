"""Several load processes as one: Locust's master here, its workers beside it or on other hosts, and
perfhunt's messages between.

Each worker takes every n-th arrival of the same seeded schedule, so together they send exactly what
one would. Their raw samples come up every second and go into one file; a worker that falls silent
ends the trial.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import Event
from locust.env import Environment

from perfhunt.errors import LoadFailed
from perfhunt.load.child.pacer import Report
from perfhunt.load.child.recorder import Recorder
from perfhunt.model.document.plain import to_plain
from perfhunt.model.trial import Step
from perfhunt.model.units import Seconds

BEAT: Seconds = 0.2
LOST_AFTER: Seconds = 1.5  # of silence; with the beat it makes less than two seconds
JOIN_WITHIN: Seconds = 25.0
REMOTE_JOIN_WITHIN: Seconds = 120.0
LEAD: Seconds = (
    0.4  # from the order to the first arrival, so that every worker has its schedule by then
)
PINGS = 9
_SUMS = ("sent", "in_flight", "opened", "resent", "stray", "queued", "orphans")


@dataclass(slots=True)
class Member:
    """A worker as the master knows it. `offset` is its clock minus ours, `doubt` half the round
    trip it was measured by.
    """

    node: str
    index: int
    about: dict[str, Any]
    offset: Seconds = 0.0
    doubt: Seconds = float("inf")
    heard: Seconds = 0.0
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    done: dict[str, Any] | None = None
    lost: bool = False


class Fleet:
    """Commands the workers as if they were one source."""

    def __init__(self, order: dict[str, Any], environment: Environment) -> None:
        """Starts or awaits the workers, opens the question on each, and measures their clocks.
        Raises LoadFailed.
        """
        host, _, port = (order["bind"] or "127.0.0.1:0").rpartition(":")
        self._wanted: int = order["workers"]
        self._runner: Any = environment.create_master_runner(host, int(port))
        self._members: dict[str, Member] = {}
        self._failed = ""
        self._changed = Event()
        self._running = False
        self._recorder = Recorder("")
        for name in (
            "joined",
            "opened",
            "failed",
            "clock",
            "row",
            "done",
            "beat",
            "probed",
            "flooded",
        ):
            self._runner.register_message(f"perfhunt_{name}", getattr(self, f"_on_{name}"))
        self._order = {
            **order,
            "in_flight": max(1, order["in_flight"] // self._wanted),
            "pin": False,
        }
        self._processes = (
            [] if order["bind"] else [_start(self._runner.server.port) for _ in range(self._wanted)]
        )
        self._await(
            lambda: len(self._members) >= self._wanted,
            JOIN_WITHIN if self._processes else REMOTE_JOIN_WITHIN,
        )
        gevent.spawn(self._beat)
        self._open()
        self._measure_clocks()

    # before the load

    def _await(self, ready: Any, within: Seconds) -> None:
        deadline = time.monotonic() + within
        while not ready():
            if self._failed:
                raise LoadFailed(self._failed)
            if any(p.poll() is not None for p in self._processes):
                raise LoadFailed(
                    "a load worker ended before it was ready",
                    "Its log is load-child.log in the run directory.",
                )
            if time.monotonic() > deadline:
                raise LoadFailed(
                    f"{len(self._members)} of {self._wanted} load workers joined within"
                    f" {within:g} s"
                )
            self._changed.clear()
            self._changed.wait(BEAT)

    def _open(self) -> None:
        for member in self._members.values():
            self._send(member, "open", self._order)
        self._await(lambda: all(m.about for m in self._members.values()), JOIN_WITHIN)

    def _measure_clocks(self) -> None:
        """By the quickest of several round trips (Cristian 1989): the offset is known within half
        of that.
        """
        for _ in range(PINGS):
            for member in self._members.values():
                self._send(member, "clock", {"at": time.monotonic()})
            gevent.sleep(0.02)
        self._await(lambda: all(m.doubt < 1e9 for m in self._members.values()), LOST_AFTER)

    def about(self) -> dict[str, Any]:
        """What the first worker says of itself, and who they all are."""
        members = self._ordered()
        workers = [
            {"host": m.about["host"], "pid": m.about["pid"], "offset": m.offset, "doubt": m.doubt}
            for m in members
        ]
        return {**members[0].about, "workers": workers}

    def _ordered(self) -> list[Member]:
        return sorted(self._members.values(), key=lambda m: m.index)

    def _send(self, member: Member, name: str, message: dict[str, Any]) -> None:
        self._runner.send_message(f"perfhunt_{name}", message, member.node)

    def _beat(self) -> None:
        while True:
            for member in self._members.values():
                self._send(member, "beat", {})
            gevent.sleep(BEAT)

    # under load

    def run(self, step: Step, grace: Seconds, recorder: Recorder, report: Report) -> dict[str, Any]:
        """As Source.run, by all workers together. A lost one is told of in "invalid"."""
        members, now = self._ordered(), time.monotonic()
        self._recorder, epoch = recorder, now + LEAD
        for member in members:
            member.rows, member.last, member.done, member.heard = {}, {}, None, now
            start = {
                "step": to_plain(step),
                "grace": grace,
                "epoch": epoch + member.offset,
                "part": member.index,
            }
            self._send(member, "run", {**start, "of": len(members)})
        self._running, second, lost = True, 0, ""
        while any(m.done is None and not m.lost for m in members):
            self._changed.clear()
            self._changed.wait(BEAT)
            lost = lost or self._lost(members)
            while all(second in m.rows or m.lost or m.done for m in members) and any(
                second in m.rows for m in members
            ):
                recorder.flush()
                report(_merged([m.rows.pop(second, m.last) for m in members], second, recorder))
                second += 1
        self._running = False
        return self._done(members, recorder, lost)

    def _lost(self, members: list[Member]) -> str:
        """Looks for a worker that has fallen silent; its loss stops the others."""
        now = time.monotonic()
        for member in members:
            if member.done is None and not member.lost and now - member.heard > LOST_AFTER:
                member.lost = True
                self.stop(hard=True)
                return (
                    f"load worker {member.index} on {member.about['host']} was lost: its share of"
                    " the requests is missing"
                )
        return ""

    def _done(self, members: list[Member], recorder: Recorder, lost: str) -> dict[str, Any]:
        ended = [m.done for m in members if m.done is not None]
        merged = _merged(ended, 0, recorder)
        merged["seconds"] = min((d["seconds"] for d in ended), default=0.0)
        merged["gc_pause"] = max((d["gc_pause"] for d in ended), default=0.0)
        for share in ("fds_share", "ports_share"):
            merged[share] = max((d[share] for d in ended if d.get(share) is not None), default=None)
        merged["workers"] = len(members)
        merged["invalid"] = lost or next((d["invalid"] for d in ended if d.get("invalid")), "")
        return merged

    def stop(self, hard: bool) -> None:
        """Takes the load off, everywhere."""
        for member in self._members.values():
            if not member.lost:
                self._send(member, "stop", {"hard": hard})

    def probe(self, endpoint: int, timeout: Seconds) -> dict[str, Any]:
        """One request, from the first worker that is left; nothing may be unanswered at any."""
        return self._asked("probe", {"endpoint": endpoint, "timeout": timeout}, timeout, 1)[0]

    def flood(self, connections: int, seconds: Seconds) -> dict[str, Any]:
        """All workers at full speed; the connections are shared among them."""
        order = {"connections": max(1, connections // self._wanted), "seconds": seconds}
        found = self._asked("flood", order, 2 * seconds, self._wanted)
        rate = sum(f["rate"] for f in found)
        return {
            "rate": rate,
            "cpu": sum(f["cpu"] * f["rate"] for f in found) / max(rate, 1e-9),
            "errors": found[0]["errors"],
        }

    def _asked(
        self, name: str, order: dict[str, Any], seconds: Seconds, count: int
    ) -> list[dict[str, Any]]:
        self._answers: list[dict[str, Any]] = []
        asked = [m for m in self._ordered() if not m.lost][:count]
        for member in asked:
            self._send(member, name, order)
        if not asked:
            raise LoadFailed("no load worker is left")
        self._await(lambda: len(self._answers) == len(asked), seconds + JOIN_WITHIN)
        return self._answers

    # what workers say

    def _on_joined(self, environment: Any, msg: Any, **more: Any) -> None:
        if msg.node_id not in self._members and len(self._members) < self._wanted:
            self._members[msg.node_id] = Member(msg.node_id, len(self._members), {})
        self._changed.set()

    def _on_opened(self, environment: Any, msg: Any, **more: Any) -> None:
        self._heard(msg).about = msg.data
        self._changed.set()

    def _on_failed(self, environment: Any, msg: Any, **more: Any) -> None:
        self._failed = msg.data["failed"]
        self._changed.set()
        if self._running:
            self._members[msg.node_id].lost = True

    def _on_clock(self, environment: Any, msg: Any, **more: Any) -> None:
        now, member = time.monotonic(), self._heard(msg)
        doubt = (now - msg.data["at"]) / 2
        if doubt < member.doubt:
            member.doubt, member.offset = doubt, msg.data["theirs"] - (now + msg.data["at"]) / 2

    def _on_beat(self, environment: Any, msg: Any, **more: Any) -> None:
        self._heard(msg)

    def _on_row(self, environment: Any, msg: Any, **more: Any) -> None:
        member = self._heard(msg)
        self._recorder.add_bytes(msg.data.pop("bytes"))
        member.rows[msg.data["second"]] = member.last = msg.data
        self._changed.set()

    def _on_done(self, environment: Any, msg: Any, **more: Any) -> None:
        member = self._heard(msg)
        self._recorder.add_bytes(msg.data.pop("bytes"))
        member.done = msg.data
        self._changed.set()

    def _on_probed(self, environment: Any, msg: Any, **more: Any) -> None:
        self._heard(msg)
        self._answers.append(msg.data)
        self._changed.set()

    _on_flooded = _on_probed

    def _heard(self, msg: Any) -> Member:
        member = self._members[msg.node_id]
        member.heard = time.monotonic()
        return member


def _start(port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "perfhunt.load.child", "worker", f"127.0.0.1:{port}"]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=dict(os.environ)
    )


def _merged(said: list[dict[str, Any]], second: int, recorder: Recorder) -> dict[str, Any]:
    """One row from several: counts add, the busiest worker stands for the CPU."""
    said = [row for row in said if row]
    merged: dict[str, Any] = {key: sum(row.get(key, 0) for row in said) for key in _SUMS}
    errors: dict[str, int] = {}
    for row in said:
        for error, count in row.get("errors", {}).items():
            errors[error] = errors.get(error, 0) + count
    merged["errors"] = errors
    merged["second"], merged["samples"] = second, recorder.written
    merged["cpu"] = max((row.get("cpu", 0.0) for row in said), default=0.0)
    merged["at"] = min((row.get("at", second + 1.0) for row in said), default=second + 1.0)
    merged["seen"] = sum(row.get("seen", 0) for row in said)
    # Each worker looks at its own share at its own ticks; the mean is over the ticks of one.
    merged["ticks"] = max((row.get("ticks", 0) for row in said), default=0)
    return merged
