"""Whole paired experiments on the simulated services, many at a time, judged by the code that
judges real ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from verdict_simulation import Array, Service, Slice, Traffic, drift, length, run_slice

from perfhunt.analysis.verdict.endpoints import BuildReading, Elasticities, speeds
from perfhunt.analysis.verdict.pairs import Round
from perfhunt.analysis.verdict.rounds import AnalysisPlan, judge_rounds
from perfhunt.analysis.verdict.sequential import LOOKS, NoisePrior
from perfhunt.model.verdict.verdict import Word


@dataclass(frozen=True)
class Host:
    """The noise of a host: standard deviations of a restart and of the drift, as shares of
    speed.
    """

    name: str
    restart: float
    drift: float


QUIET = Host("quiet (restart 1 %, drift 2 %)", 0.01, 0.02)
NOISY = Host("noisy (restart 3 %, drift 3 %)", 0.03, 0.03)


@dataclass(frozen=True)
class Shape:
    """Seconds of one round. Both lives start at once; what is in flight after the last burst dies
    with its process.
    """

    start: float = 5.0
    warmup: float = 2.0
    fixed: float = 6.0
    burst: float = 8.0
    settle: float = 1.0
    gap: float = 0.5
    drain: float = 2.5
    rate: float = 0.95
    saturating: float = 1.35

    @property
    def seconds(self) -> float:
        return self.start + 2 * (self.warmup + self.fixed + self.burst + self.gap) + self.drain


@dataclass
class Tally:
    """What became of the experiments of one cell."""

    words: Counter[str] = field(default_factory=Counter)
    minutes: list[float] = field(default_factory=list)
    within: dict[float, int] = field(default_factory=dict)

    def add(self, word: str, minutes: float, hit: bool) -> None:
        self.words[word] += 1
        self.minutes.append(minutes)
        for cap in (5.0, 10.0):
            self.within[cap] = self.within.get(cap, 0) + (hit and minutes <= cap)

    def share(self, *words: str) -> float:
        return sum(self.words[w] for w in words) / max(1, sum(self.words.values()))


@dataclass(frozen=True)
class Cell:
    """One service on one host with a change of `effect` (0.1: 10 % faster). `blind`: the change
    does not touch CPU time.
    """

    service: Service
    host: Host
    effect: float
    blind: bool = False
    calibrated: int = 0  # pairs of identical builds measured beforehand


def _values(a: Slice, burst: Slice, cpu: bool) -> tuple[dict[str, Array], dict[str, Array]]:
    exceed = (a.exceed + 0.5) / (a.n + 1.0)
    logs = {
        "knee": np.log(exceed),
        "median": np.log(a.median),
        "capacity": np.log(np.maximum(burst.completed, 0.1)),
    }
    values = {
        "knee": a.exceed / np.maximum(a.n, 1),
        "median": a.median,
        "capacity": burst.completed,
    }
    if cpu:
        total = a.n + burst.n
        cost = (a.cpu * a.n + burst.cpu * burst.n) / total
        logs["cpu"], values["cpu"] = np.log(cost), cost
    return logs, values


def rounds_of(
    cell: Cell, shape: Shape, rounds: int, experiments: int, random: np.random.Generator
) -> Iterator[list[Round]]:
    """Each experiment's rounds, effect and noise applied; slopes known to within 15 %, as a
    baseline would give them.
    """
    logs = _measure(cell, shape, rounds, experiments, random)
    service = cell.service
    off = np.exp(0.15 * random.standard_normal((2, experiments)))
    for e in range(experiments):
        slopes = Elasticities(service.sharpness * off[0, e], service.median_slope * off[1, e])
        found = []
        for k in range(rounds):
            i = e * rounds + k
            base, head = (
                BuildReading(
                    {n: float(v[i]) for n, v in side[0].items()},
                    {n: float(v[i]) for n, v in side[1].items()},
                )
                for side in logs
            )
            found.append(Round(k, base, head, speeds(base, head, slopes), shape.seconds))
        yield found


def _measure(
    cell: Cell, shape: Shape, rounds: int, experiments: int, random: np.random.Generator
) -> list[tuple[dict[str, Array], dict[str, Array]]]:
    """Logs and values of base and head; each array has one entry per (experiment, round)."""
    service, host, runs = cell.service, cell.host, rounds * experiments
    # Middles of the slices, base first: B warm, H warm, H fixed, B fixed, B burst, H burst; the
    # other way each second round.
    w, f, b, g = shape.warmup, shape.fixed, shape.burst, shape.gap
    at = (
        shape.start
        + 2 * w
        + np.array([f / 2, f * 1.5 + g, 2 * (f + g) + b / 2, 2 * (f + g) + b * 1.5 + shape.drain])
    )
    wander = _wander(host, at, shape.seconds, rounds, experiments, random)
    sent = {
        "fixed": Traffic.drawn(random, length(service.knee * shape.rate, f), runs),
        "burst": Traffic.drawn(random, length(service.capacity * shape.saturating, b), runs),
    }
    odd = np.arange(runs) % rounds % 2 == 1
    sides = []
    for head in (False, True):
        life = host.restart * random.standard_normal(runs) + (
            np.log1p(cell.effect) if head else 0.0
        )
        first_fixed = (
            odd if not head else ~odd
        )  # mirrored: who went second in the warm-up goes first here
        fixed_at = np.where(first_fixed, wander[0], wander[1])
        burst_at = np.where(first_fixed, wander[3], wander[2])
        fixed = run_slice(
            service,
            sent["fixed"],
            service.knee * shape.rate,
            f,
            shape.settle,
            np.exp(life + fixed_at),
            random,
        )
        rate = service.capacity * shape.saturating
        burst = run_slice(
            service, sent["burst"], rate, b, shape.settle, np.exp(life + burst_at), random
        )
        sides.append(_values(fixed, burst, not cell.blind))
    return sides


def _wander(
    host: Host, at: Array, each: float, rounds: int, experiments: int, random: np.random.Generator
) -> Array:
    """The drift at each of the slices of every round; shape (slices, experiments * rounds),
    experiment by experiment.
    """
    times = np.concatenate([k * each + at for k in range(rounds)])
    path = drift(random, times, host.drift, experiments).reshape(rounds, len(at), experiments)
    return path.transpose(1, 2, 0).reshape(len(at), experiments * rounds)


def run_cell(
    cell: Cell, experiments: int, seed: int, shape: Shape = Shape(), batch: int = 50
) -> Tally:
    """Judge so many experiments, each until a word other than INCONCLUSIVE or the last look."""
    random = np.random.default_rng(seed)
    tally, left = Tally(), experiments
    wanted = Word.KEEP if cell.effect > 0 else Word.REVERT
    while left > 0:
        count = min(batch, left)
        priors = (
            [_calibrate(cell, shape, random) for _ in range(count)]
            if cell.calibrated
            else [AnalysisPlan()] * count
        )
        for analysis, rounds in zip(
            priors, rounds_of(cell, shape, LOOKS[-1], count, random), strict=True
        ):
            word, done = decide(rounds, analysis)
            tally.add(str(word), done * shape.seconds / 60, word is wanted)
        left -= count
    return tally


def decide(rounds: Sequence[Round], analysis: AnalysisPlan) -> tuple[Word, int]:
    """The word at the first look that gives one, and the rounds it took."""
    for look in LOOKS:
        verdict = judge_rounds(rounds[:look], analysis, final=look == LOOKS[-1])
        if verdict.word is not Word.INCONCLUSIVE:
            return verdict.word, look
    return Word.INCONCLUSIVE, LOOKS[-1]


def _calibrate(cell: Cell, shape: Shape, random: np.random.Generator) -> AnalysisPlan:
    same = Cell(cell.service, cell.host, 0.0, cell.blind)
    (rounds,) = rounds_of(same, shape, cell.calibrated, 1, random)
    names = rounds[0].speed
    sds = {n: float(np.std([r.speed[n] for r in rounds], ddof=1)) for n in names}
    return AnalysisPlan({n: NoisePrior(sd, len(rounds) - 1) for n, sd in sds.items()})
