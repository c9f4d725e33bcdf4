"""This host's own noise, from rounds of one build against itself, and the minutes a comparison will
need.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perfhunt.analysis.verdict import sequential
from perfhunt.analysis.verdict.endpoints import ENDPOINTS
from perfhunt.analysis.verdict.pairs import Round, differences, usable
from perfhunt.analysis.verdict.rounds import weights_of
from perfhunt.analysis.verdict.sequential import Prior
from perfhunt.model.interval import Interval
from perfhunt.model.units import Seconds, Share

DEFAULT_RESTART_SD: Share = (
    0.03  # per run and endpoint, when nothing was calibrated: the noisy end of what is usual
)
_ALPHA: Share = 0.01  # an identical build "moved" at this level: the host is not fit for verdicts
_MINIMUM = 4


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

    def priors(self) -> dict[str, Prior]:
        """The noise as the sequential test pools it; nothing when the host was refused."""
        return (
            {}
            if self.refused
            else {n.endpoint: Prior(n.sd.value, self.rounds - 1.0) for n in self.noises}
        )

    def sentence(self) -> str:
        """`host noise, from 8 pairs of identical builds: cpu 1.2 %, median 3.1 %`."""
        parts = ", ".join(f"{n.endpoint} {n.sd.value:.1%}" for n in self.noises)
        return (
            f"host noise (sd of a paired difference), from {self.rounds} pairs of identical builds:"
            f" {parts}"
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
    counted = usable(rounds)
    if len(counted) < _MINIMUM:
        raise ValueError(
            f"calibration needs at least {_MINIMUM} usable rounds; there are {len(counted)}"
        )
    found = differences(rounds)
    estimates = {name: sequential.estimate(values) for name, values in found.items()}
    moved = sequential.holm(
        {n: e.p for n, e in estimates.items()}, weights_of(list(estimates)), _ALPHA
    )
    noises = tuple(
        Noise(name, _sd_interval(e.sd, len(counted)), e.interval(), e.p, lag1(found[name]))
        for name, e in estimates.items()
    )
    refused = ""
    if moved:
        what = " and ".join(ENDPOINTS[name].title for name in sorted(moved))
        refused = (
            f"two identical builds differed in {what}: something other than the code decides what"
            " is measured here"
        )
    elif drifting := [n for n in noises if _drifts(n.lag1, len(counted))]:
        what = " and ".join(ENDPOINTS[n.endpoint].title for n in drifting)
        refused = (
            f"{what} drifts from round to round (lag-1 correlation"
            f" {max(n.lag1 for n in drifting):.2f})"
        )
    seconds = math.fsum(r.seconds for r in rounds)
    return Calibration(len(counted), seconds, noises, refused, _advice(noises))


def plan(
    calibration: Calibration, wanted: Sequence[Share] = (0.03, 0.05, 0.10, 0.30), warm: bool = True
) -> tuple[DetectionPlan, ...]:
    """The minutes each change needs. `warm` counts on this calibration being pooled, as `verify`
    does when it is there.
    """
    each = calibration.seconds / max(1, calibration.rounds)
    weights = weights_of([n.endpoint for n in calibration.noises])
    extra = calibration.rounds - 1.0 if warm and not calibration.refused else 0.0
    plans = []
    for change in wanted:
        needs = {
            n.endpoint: sequential.rounds_to_see(change, n.sd.value, weights[n.endpoint], extra)
            for n in calibration.noises
        }
        best = min(needs, key=lambda name: (needs[name], -weights[name]))
        plans.append(DetectionPlan(change, best, needs[best], needs[best] * each))
    return tuple(plans)


def restart_noise(
    calibration: Calibration | None, endpoints: Sequence[str]
) -> tuple[Mapping[str, Share], str]:
    """The sd of one run per endpoint, and a sentence on where it came from: calibrated, or the
    stated default of 3 %.
    """
    if calibration is None or calibration.refused:
        why = "assumed" if calibration is None else "assumed, as the calibration was refused"
        said = (
            f"noise between two starts of the same build: {DEFAULT_RESTART_SD:.0%} per run, {why}"
        )
        return (
            dict.fromkeys(endpoints, DEFAULT_RESTART_SD),
            f"{said} (perfhunt calibrate measures it)",
        )
    # A paired difference holds two runs; the upper end of its interval, because few pairs say
    # little about a variance.
    per_run = {n.endpoint: n.sd.high / math.sqrt(2.0) for n in calibration.noises}
    return {
        name: per_run.get(name, DEFAULT_RESTART_SD) for name in endpoints
    }, calibration.sentence()


def lag1(values: Sequence[float]) -> float:
    """Correlation of neighbouring values; 0 when they do not vary."""
    mean = math.fsum(values) / len(values)
    scatter = math.fsum((v - mean) ** 2 for v in values)
    together = math.fsum((a - mean) * (b - mean) for a, b in itertools.pairwise(values))
    return together / scatter if scatter > 0 else 0.0


def _drifts(correlation: float, n: int) -> bool:
    # Bartlett's bound at 99 %, two-sided; the mean of lag-1 under independence is -1/n.
    return n >= 8 and correlation + 1.0 / n > 2.576 / math.sqrt(n)


def _sd_interval(sd: float, n: int) -> Interval:
    """A standard deviation with its 95 % chi-square interval (Wilson-Hilferty approximation, within
    2 % for n >= 4).
    """
    df = n - 1.0

    def chi2(z: float) -> float:
        return float(df * (1.0 - 2.0 / (9.0 * df) + z * math.sqrt(2.0 / (9.0 * df))) ** 3)

    return Interval(sd, sd * math.sqrt(df / chi2(1.96)), sd * math.sqrt(df / chi2(-1.96)), n)


def _advice(noises: Sequence[Noise]) -> tuple[str, ...]:
    loud = [n for n in noises if n.endpoint != "knee" and n.sd.value > 0.08]
    return tuple(
        f"{ENDPOINTS[n.endpoint].title} scatters by {n.sd.value:.1%} between identical builds: stop"
        " what else runs on this host"
        for n in loud
    )
