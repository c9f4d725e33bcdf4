"""Disturbs runs of perfhunt, each once, and checks what is left: see `scripts/torture`."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import torture_checks as checks
from torture_bench import Bench
from torture_kinds import KINDS, PROFILER, Disturbance, NotThere, environment

from tests.live.running import until

# Phase boundaries, by the sentence that a stage begins with; the first and the last are perfhunt's
# own beginning, before there is a run, and its end, when the run is closed.
BOUNDARIES = {
    "start": "",
    "baseline": "the floor at",
    "baseline profile": "what runs at the floor",
    "climb": "looking for the knee",
    "hold": "holding ",
    "judge": "the SLO at",
    "diagnose": "reading the profiles",
    "closed": "closed",
}
PROFILED = ("baseline profile", "hold")  # where there are profilers
PROFILE = 3.0  # seconds, the shortest time that one is at work
LASTS = 45.0  # seconds, a run that is left alone; random moments are within
COMES_WITHIN = 120.0  # a boundary, else the run ended or hangs
THERE_WITHIN = 20.0  # seconds, for a process to be there that is to be disturbed
GOES_ON = 2.0  # seconds between a disturbance and the order to stop
WATCHED = 2.2  # seconds after load had to end
ENDS_WITHIN = 30.0  # seconds, after an order to stop: profiles are read and reports written


@dataclass(frozen=True)
class Point:
    """What is done, and when: so many seconds after a boundary (by name), or after the start."""

    number: int
    kind: str
    boundary: str
    after: float


@dataclass
class Outcome:
    """What came of a point. `wrong`: reasons; `left_out`: why it was not tried."""

    point: Point
    wrong: list[str] = field(default_factory=list)
    left_out: str = ""
    code: int | None = None
    seconds: float = 0.0


def plan(points: int, seed: int, kinds: Sequence[Disturbance]) -> Iterator[Point]:
    """As many points; every second one at a boundary, the others at random moments. Each kind comes
    as often, and each of its boundaries before any of them again.
    """
    chance = random.Random(seed)
    first = {kind.name: chance.randrange(len(BOUNDARIES)) for kind in kinds}
    for number in range(points):
        turn, at = divmod(number, len(kinds))
        kind = kinds[at]
        names = PROFILED if kind.needs == PROFILER else tuple(BOUNDARIES)
        boundary, after = names[(first[kind.name] + 3 * (turn // 2)) % len(names)], 0.0
        if (turn + at) % 2:  # a random moment
            after = round(chance.uniform(0.0, LASTS), 2)
            boundary, after = (boundary, after % PROFILE) if names is PROFILED else ("", after)
        yield Point(number, kind.name, boundary, after)


def wait_for_moment(bench: Bench, point: Point, kind: Disturbance) -> None:
    """Returns at the point's moment, or when the run has ended before."""
    wanted = BOUNDARIES.get(point.boundary, "")

    def come() -> bool:
        if bench.ended():
            return True
        stages = bench.stages()
        if not point.boundary:
            return time.monotonic() - bench.started >= point.after
        return not wanted or any(stage.startswith(wanted) for stage in stages)

    if not until(come, within=COMES_WITHIN):
        bench.wrong.append(f"{point.boundary or point.after} did not come in {COMES_WITHIN:g} s")
    if kind.needs:
        until(lambda: bench.ended() or bench.member(kind.needs) is not None, within=THERE_WITHIN)
    if point.boundary:
        until(bench.ended, within=point.after)
    bench.stages()


def tried(point: Point, kind: Disturbance, directory: Path) -> Outcome:
    """One run, disturbed at its moment, and checked."""
    outcome, began = Outcome(point), time.monotonic()
    bench = Bench(directory, kind.prefix)
    try:
        kind.prepare(bench)
        bench.keep_earlier_runs()
        before = bench.earlier()
        bench.start(environment(bench, kind), kind.on_terminal)
        wait_for_moment(bench, point, kind)
        try:
            if bench.ended():
                raise NotThere
            moment = kind.strike(bench)
        except NotThere:
            outcome.left_out = "there was nothing to disturb any more"
            return outcome
        see_to_the_end(bench, moment)
        kind.undo(bench)
        checks.check_target(bench)
        checks.check_processes(bench)
        checks.check_end(bench, kind)
        checks.check_store(bench, before)
        outcome.code = bench.process.returncode
    finally:
        kind.undo(bench)
        bench.close()
        outcome.wrong, outcome.seconds = bench.wrong, round(time.monotonic() - began, 1)
    return outcome


def see_to_the_end(bench: Bench, moment: float | None) -> None:
    """Stops a run that goes on, and waits for its end, which it must come to by itself."""
    if moment is None:
        until(bench.ended, within=GOES_ON)
        bench.stages()
        moment = time.monotonic()
        if not bench.ended():
            bench.process.send_signal(signal.SIGTERM)
    time.sleep(max(0.0, moment + WATCHED - time.monotonic()))
    checks.check_load(bench, moment)
    shim = bench.directory / "shim"
    if shim.exists():  # whatever is slow has been long enough
        shim.write_bytes(bytes(16))
    if not until(bench.ended, within=ENDS_WITHIN):
        bench.wrong.append(f"it did not end within {ENDS_WITHIN:g} s of being told to")
        bench.process.kill()
    bench.process.wait()
    bench.stages()


class Diary:
    """Outcomes as they come, a JSON object a line; what is in there already is not made again."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._lock = path, Lock()
        lines = path.read_text().splitlines() if path is not None and path.exists() else []
        raw = [json.loads(line) for line in lines]
        self.known = [Outcome(**{**each, "point": Point(**each["point"])}) for each in raw]

    def note(self, outcome: Outcome) -> None:
        with self._lock:
            if self._path is not None:
                with self._path.open("a") as file:
                    file.write(json.dumps(asdict(outcome)) + "\n")
            point = outcome.point
            when = f"{point.boundary or 'start'} + {point.after:g} s"
            said = "; ".join(outcome.wrong) or outcome.left_out or "clean"
            line = f"{point.number:3} {point.kind}, {when}: exit {outcome.code}, {said}"
            print(f"{line} ({outcome.seconds:g} s)", flush=True)


def main(argv: Sequence[str], mounts: bool = False) -> int:
    """Runs the points; the last line printed is one JSON object. 1 when any was not clean."""
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="kinds whose names hold this")
    parser.add_argument("--boundary", choices=BOUNDARIES, help="all points at this boundary")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--diary", type=Path, help="go on from here, and note what comes")
    parser.add_argument("--keep", action="store_true", help="leave what is not clean to look at")
    asked = parser.parse_args(argv)
    kinds = [kind for kind in KINDS if asked.only in kind.name]
    left_out = {kind.name: why for kind in kinds if (why := kind.missing(mounts))}
    able = [kind for kind in kinds if kind.name not in left_out]
    for name, why in left_out.items():
        print(f"{name}: left out, {why}", flush=True)
    diary = Diary(asked.diary)
    points = [
        Point(p.number, p.kind, asked.boundary or p.boundary, 0.0 if asked.boundary else p.after)
        for p in (plan(asked.points, asked.seed, able) if able else ())
    ]
    known = {outcome.point for outcome in diary.known}
    by_name = {kind.name: kind for kind in able}
    with tempfile.TemporaryDirectory(prefix="torture-") as scratch:

        def make(point: Point) -> Outcome:
            directory = Path(scratch, str(point.number))
            outcome = tried(point, by_name[point.kind], directory)
            diary.note(outcome)
            if outcome.wrong and asked.keep:
                shutil.copytree(directory, Path(f"{scratch}-{point.number}"), symlinks=True)
            subprocess.run(["umount", "-l", directory / ".perfhunt"], capture_output=True)
            shutil.rmtree(directory, ignore_errors=True)
            return outcome

        with ThreadPoolExecutor(asked.jobs) as pool:
            made = list(pool.map(make, (point for point in points if point not in known)))
    wanted = set(points)
    result = summary([*(o for o in diary.known if o.point in wanted), *made], left_out)
    print(table(result))
    print(json.dumps(result))
    return int(bool(result["wrong"]))


def summary(outcomes: Sequence[Outcome], left_out: dict[str, str]) -> dict[str, Any]:
    """Counts by kind and in all; the reasons of what was not clean, and of what was not tried."""
    tried = [outcome for outcome in outcomes if not outcome.left_out]

    def counts(of: Sequence[Outcome]) -> dict[str, int]:
        return {"tried": len(of), "clean": sum(not outcome.wrong for outcome in of)}

    names = dict.fromkeys(kind.name for kind in KINDS)
    by_kind = {name: [o for o in tried if o.point.kind == name] for name in names}
    return {
        "points": {name: counts(of) for name, of in by_kind.items() if of},
        "total": counts(tried),
        "wrong": [
            {**asdict(outcome.point), "code": outcome.code, "why": outcome.wrong}
            for outcome in tried
            if outcome.wrong
        ],
        "left_out": {
            **left_out,
            **{f"{o.point.kind} ({o.point.number})": o.left_out for o in outcomes if o.left_out},
        },
    }


def table(result: dict[str, Any]) -> str:
    """The counts as a Markdown table."""
    rows = [*result["points"].items(), ("all", result["total"])]
    lines = [f"| {name} | {counts['tried']} | {counts['clean']} |" for name, counts in rows]
    return "\n".join(["", "| disturbance | tried | clean |", "|---|---|---|", *lines, ""])
