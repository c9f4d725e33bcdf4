"""The same requests, through one process and through four workers, are the same trial: every number
of it, bit by bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import numpy as np
from numpy.typing import NDArray

from perfhunt.load.child.fleet.master import Fleet
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.messages import (
    ChildAnswer,
    ChildOrder,
    RunShare,
    SecondReport,
    StepDone,
    WorkerDone,
    WorkerOrder,
    WorkerSecond,
)
from perfhunt.load.running_step import RunningStep
from perfhunt.load.tally import ClosedTally, StepTally
from perfhunt.model.latency import SAMPLE, RequestOutcome
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Phase, Step, Trial, arrivals, mix
from perfhunt.model.units import Seconds
from tests.unit.load.test_fleet import ENOUGH, FakeWorker, fleet_of, honest

STEP = Step(Phase.FIXED, 200.0, 4.0, seed=3, settle=1.0)
CRITERIA = (Criterion("latency.p99", 0.1, 0.01), Criterion("errors", math.inf, 0.001))
WORKERS = 4
Samples = NDArray[Any]  # dtype SAMPLE


def requests(routes: int) -> Samples:
    """Of a step, in the order they were due: some late, some slow, some refused, some cut off."""
    chance = np.random.default_rng(8)
    due = arrivals(STEP.seed, STEP.rate, STEP.duration, STEP.arrivals)
    made = np.zeros(len(due), SAMPLE)
    made["due"], made["endpoint"] = due, mix(STEP.seed, len(due), (1.0,) * routes)
    made["lag"] = chance.exponential(0.0005, len(due))
    made["service"] = chance.exponential(0.03, len(due))
    made["bytes"] = chance.integers(1, 9999, len(due))
    made["outcome"] = chance.choice(
        [RequestOutcome.OK, RequestOutcome.STATUS, RequestOutcome.TIMEOUT],
        len(due),
        p=(0.97, 0.02, 0.01),
    )
    made["status"] = np.select([made["outcome"] == RequestOutcome.TIMEOUT], [0], 200)
    return made


def by_second(samples: Samples) -> list[Samples]:
    """In the order they ended, each with those of its second; the last are those after the step."""
    ended = samples["due"] + samples["lag"] + samples["service"]
    in_order = samples[np.argsort(ended, kind="stable")]
    second = np.minimum(np.sort(ended, kind="stable"), STEP.duration).astype(int)
    return [in_order[second == s] for s in range(int(STEP.duration) + 1)]


def reported(second: int, samples: list[Samples]) -> SecondReport:
    """What a process says that sent these: its looks saw as many as its share of the load is."""
    sent = sum(map(len, samples[: second + 1]))
    return SecondReport(
        second=second,
        at=second + 1.0,
        cpu=0.2,
        sent=sent,
        unanswered=len(samples[second]),
        ticks=30,
    )


Played = list[tuple[bytes, ChildAnswer]]  # each answer with what stood in the file when it came


def through_one(samples: Samples, directory: Path, routes: tuple[str, ...] | None) -> Played:
    """What a controller hears of one process that sent it all."""
    recorder, played = Recorder(str(directory / "one")), Played()
    parts = by_second(samples)
    for second, part in enumerate(parts[:-1]):
        recorder.add_bytes(part.tobytes())
        played.append(((directory / "one").read_bytes(), reported(second, parts)))
    recorder.add_bytes(parts[-1].tobytes())
    recorder.close()
    done = StepDone(
        seconds=STEP.duration, epoch=1.0, opened=8, routes=routes, users=8 if routes else 0
    )
    return [*played, ((directory / "one").read_bytes(), done)]


def through_four(
    shares: list[Samples], directory: Path, routes: list[tuple[str, ...]] | None
) -> Played:
    """What a controller hears of four workers, each of which sent a share. None is a second ahead
    of another, as clocks would have it.
    """
    played, path = Played(), directory / "four"

    def send(worker: FakeWorker, order: WorkerOrder) -> None:
        if not isinstance(order, RunShare):
            return honest(worker, order)
        gevent.spawn(play, worker, order.part)
        return None

    def wait_for(seconds: int) -> None:
        while len(played) < seconds:
            gevent.sleep(0)

    def play(worker: FakeWorker, part: int) -> None:
        parts, met = by_second(shares[part]), routes[part] if routes is not None else ()
        for second, samples in enumerate(parts[:-1]):
            wait_for(second)
            report = reported(second, parts)
            worker.say(WorkerSecond(report=report, samples=samples.tobytes(), met=met))
            met = ()
        wait_for(len(parts) - 1)
        done = StepDone(seconds=STEP.duration, epoch=77.0, opened=2, users=2 if routes else 0)
        worker.say(WorkerDone(done=done, samples=parts[-1].tobytes()))

    fleet = fleet_of(*[send] * WORKERS, users=routes is not None)[0]
    with gevent.Timeout(ENOUGH):
        done = ran_to(fleet, path, lambda report: played.append((path.read_bytes(), report)))
    return [*played, (path.read_bytes(), done)]


def ran_to(fleet: Fleet, path: Path, report: Callable[[SecondReport], None]) -> StepDone:
    recorder = Recorder(str(path))
    done = fleet.run(STEP, 1.0, recorder, report)
    recorder.close()
    return done


class PlayedPipe:
    """Plays to a controller what was heard, with the file as it was."""

    reason = ""

    def __init__(self, played: Played, path: Path) -> None:
        self.lifeline = self
        self._played, self._path = iter(played), path

    def listen(self, stop: object) -> None:
        """Nobody stops it."""

    def send(self, order: ChildOrder) -> None:
        """Everything is answered already."""

    def receive(self, timeout: Seconds) -> ChildAnswer:
        content, answer = next(self._played)
        self._path.write_bytes(content)
        return answer


def trial_of(played: Played, tally: StepTally, directory: Path) -> Trial:
    path = directory / "0001.samples"
    path.touch()
    pipe: Any = PlayedPipe(played, path)
    return RunningStep(pipe, STEP, tally, path, 1.0, None, None).follow()


def open_tally(samples: Samples) -> StepTally:
    return StepTally(samples["due"], samples["endpoint"], CRITERIA, ("a", "b"), 10.0)


def test_a_schedule_that_four_workers_share_is_the_trial_of_one_process(tmp_path: Path) -> None:
    samples = requests(routes=2)
    shares = [samples[part::WORKERS] for part in range(WORKERS)]
    one = trial_of(through_one(samples, tmp_path, None), open_tally(samples), tmp_path)
    four = trial_of(through_four(shares, tmp_path, None), open_tally(samples), tmp_path)
    assert one.n > 500
    assert one.outcomes.keys() == {"ok", "status", "timeout"}
    assert [row.second for row in one.rows] == [0, 1, 2, 3]
    assert one.generator.little_ratio is not None
    assert four.rows == one.rows
    assert four.generator == one.generator
    assert four == one


def closed_tally() -> StepTally:
    empty = np.zeros(0, SAMPLE)
    return ClosedTally(empty["due"], empty["endpoint"], CRITERIA, (), 10.0)


def test_users_that_four_workers_share_are_the_trial_of_one_process(tmp_path: Path) -> None:
    """Every worker has its own order of the routes, and one of them has met one only."""
    samples = requests(routes=3)
    names = ("GET /a", "GET /b", "GET /c")
    orders = [(0, 1, 2), (2, 0, 1), (1,), (2, 1, 0)]
    share_of = np.arange(len(samples)) % WORKERS
    share_of[(share_of == 2) & (samples["endpoint"] != 1)] = 0
    shares = []
    for part, order in enumerate(orders):
        share = samples[share_of == part].copy()
        own = {route: number for number, route in enumerate(order)}
        share["endpoint"] = [own[route] for route in share["endpoint"]]
        shares.append(share)
    met = [tuple(names[route] for route in order) for order in orders]
    one = trial_of(through_one(samples, tmp_path, names), closed_tally(), tmp_path)
    four = trial_of(through_four(shares, tmp_path, met), closed_tally(), tmp_path)
    assert one.routes.keys() == set(names)
    assert any(note.startswith("closed loop: 8 users") for note in one.generator.notes)
    assert four == one
