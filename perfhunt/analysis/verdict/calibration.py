"""This host's own noise, from rounds of one build against itself, and the minutes a comparison will
need.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scipy.special import chdtri

from perfhunt.analysis.verdict import sequential
from perfhunt.analysis.verdict.endpoints import ENDPOINTS, KNEE, weights_of
from perfhunt.analysis.verdict.pairs import Round, differences, usable
from perfhunt.analysis.verdict.sequential import NoisePrior
from perfhunt.model.interval import Interval
from perfhunt.model.units import Seconds, Share

# Per run and endpoint, when nothing was calibrated: the noisy end of what is usual.
DEFAULT_RESTART_SD: Share = 0.03
# An identical build "moved" at this level: the host is not fit for verdicts.
REFUSED_LEVEL: Share = 0.01
FEWEST_ROUNDS = 4
# Neighbouring rounds are correlated beyond this many standard errors (99 %, two-sided), judged only
# with so many rounds: fewer make no correlation.
DRIFT_SIGMAS, DRIFT_ROUNDS = 2.576, 8
LOUD: Share = 0.08  # sd of an endpoint above which a person should quieten the host
PLANNED: tuple[Share, ...] = (0.03, 0.05, 0.10, 0.30)  # changes whose minutes are told


@dataclass(frozen=True, slots=True)
class Noise:
    """One endpoint's noise: the sd of a paired log difference with its 95 % interval, as shares of
    speed.
    """

    endpoint: str
    sd: Interval
    mean: Interval
    p: float
    lag1: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What identical builds read on this host. `refused` says why verdicts cannot be trusted here;
    empty when they can.
    """

    rounds: int
    seconds: Seconds
    noises: tuple[Noise, ...]
    refused: str = ""
    advice: tuple[str, ...] = field(default=())

    def priors(self) -> dict[str, NoisePrior]:
        """The noise as the sequential test pools it; nothing when the host was refused."""
        return (
            {}
            if self.refused
            else {n.endpoint: NoisePrior(n.sd.value, self.rounds - 1.0) for n in self.noises}
        )

    def sentence(self) -> str:
        """`host noise, from 8 pairs of identical builds: cpu 1.2 %, median 3.1 %`."""
        parts = ", ".join(f"{n.endpoint} {n.sd.value:.1%}" for n in self.noises)
        return (
            "host noise (sd of a paired difference),"
            f" from {self.rounds} pairs of identical builds: {parts}"
        )


@dataclass(frozen=True, slots=True)
class DetectionPlan:
    """How long a change of `wanted` takes to see with 90 % power, by the best endpoint."""

    wanted: Share
    endpoint: str
    rounds: int
    seconds: Seconds

    @property
    def minutes(self) -> float:
        return self.seconds / 60.0


def calibrate(rounds: Sequence[Round]) -> Calibration:
    """The noise per endpoint; raises ValueError below four usable rounds.

    Refused when an identical build moved at level 0.01 over all endpoints (weighted Holm), or when
    the differences of neighbouring rounds are correlated beyond chance: then rounds are not the
    independent repeats the test takes them for.
    """
    n = len(usable(rounds))
    if n < FEWEST_ROUNDS:
        raise ValueError(f"calibration needs at least {FEWEST_ROUNDS} usable rounds; there are {n}")
    noises = tuple(_noise(name, values) for name, values in differences(rounds).items())
    return Calibration(
        rounds=n,
        seconds=math.fsum(r.seconds for r in rounds),
        noises=noises,
        refused=_refusal(noises, n),
        advice=_advice(noises),
    )


def _noise(name: str, values: Sequence[float]) -> Noise:
    estimate = sequential.estimate(values)
    return Noise(
        endpoint=name,
        sd=_sd_interval(estimate.sd, len(values)),
        mean=estimate.interval(),
        p=estimate.p,
        lag1=_lag1(values),
    )


def _refusal(noises: Sequence[Noise], rounds: int) -> str:
    weights = weights_of([noise.endpoint for noise in noises])
    moved = sequential.holm({n.endpoint: n.p for n in noises}, weights, REFUSED_LEVEL)
    if moved:
        return (
            f"two identical builds differed in {_titles(sorted(moved))}:"
            " something other than the code decides what is measured here"
        )
    drifting = [noise for noise in noises if _drifts(noise.lag1, rounds)]
    if drifting:
        largest = max(noise.lag1 for noise in drifting)
        titles = _titles([noise.endpoint for noise in drifting])
        return f"{titles} drifts from round to round (lag-1 correlation {largest:.2f})"
    return ""


def _titles(names: Sequence[str]) -> str:
    return " and ".join(ENDPOINTS[name].title for name in names)


def plan(calibration: Calibration, wanted: Sequence[Share] = PLANNED) -> tuple[DetectionPlan, ...]:
    """The minutes each change needs, with this calibration pooled, as `verify` does when it is
    there.
    """
    each = calibration.seconds / max(1, calibration.rounds)
    weights = weights_of([n.endpoint for n in calibration.noises])
    extra = calibration.rounds - 1.0 if not calibration.refused else 0.0
    plans = []
    for change in wanted:
        needs = {
            n.endpoint: sequential.rounds_to_see(change, n.sd.value, weights[n.endpoint], extra)
            for n in calibration.noises
        }
        best = min(needs, key=lambda name: (needs[name], -weights[name]))
        plans.append(
            DetectionPlan(
                wanted=change, endpoint=best, rounds=needs[best], seconds=needs[best] * each
            )
        )
    return tuple(plans)


def restart_noise(
    calibration: Calibration | None, endpoints: Sequence[str]
) -> tuple[Mapping[str, Share], str]:
    """The sd of one run per endpoint, and a sentence on where it came from: calibrated, or the
    stated default of 3 %.
    """
    if calibration is None or calibration.refused:
        why = "assumed" if calibration is None else "assumed, as the calibration was refused"
        sentence = (
            f"noise between two starts of the same build: {DEFAULT_RESTART_SD:.0%} per run,"
            f" {why} (perfhunt calibrate measures it)"
        )
        return dict.fromkeys(endpoints, DEFAULT_RESTART_SD), sentence
    # A paired difference holds two runs; the upper end of its interval, because few pairs say
    # little about a variance.
    per_run = {n.endpoint: n.sd.high / math.sqrt(2.0) for n in calibration.noises}
    noise = {name: per_run.get(name, DEFAULT_RESTART_SD) for name in endpoints}
    return noise, calibration.sentence()


def _lag1(values: Sequence[float]) -> float:
    """Correlation of neighbouring values; 0 when they do not vary."""
    mean = math.fsum(values) / len(values)
    scatter = math.fsum((v - mean) ** 2 for v in values)
    together = math.fsum((a - mean) * (b - mean) for a, b in itertools.pairwise(values))
    return together / scatter if scatter > 0 else 0.0


def _drifts(correlation: float, n: int) -> bool:
    # Bartlett's bound; the mean of lag-1 under independence is -1/n.
    return n >= DRIFT_ROUNDS and correlation + 1.0 / n > DRIFT_SIGMAS / math.sqrt(n)


def _sd_interval(sd: float, n: int) -> Interval:
    """A standard deviation of n values with its 95 % chi-square interval."""
    df = n - 1.0
    low, high = (sd * math.sqrt(df / float(chdtri(df, tail))) for tail in (0.025, 0.975))
    return Interval(sd, low, high, n)


def _advice(noises: Sequence[Noise]) -> tuple[str, ...]:
    loud = [n for n in noises if n.endpoint != KNEE.name and n.sd.value > LOUD]
    return tuple(
        f"{ENDPOINTS[n.endpoint].title} scatters by {n.sd.value:.1%} between identical builds: stop"
        " what else runs on this host"
        for n in loud
    )
