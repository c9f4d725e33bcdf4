"""Looking at a growing experiment more than once, at several endpoints, without calling the same
build different.

A paired t-test per endpoint on log differences, weighted Holm over endpoints (Holm 1979, section
4), and a level per look that grows as the square root of the rounds done. The constant was found by
simulation so that identical builds are called different in at most 1.8 % of experiments for four
independent endpoints, which is the worst case: real ones are positively correlated
(`tests/property/test_verdict_family_error.py` repeats it).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from scipy.special import nctdtrinc, stdtr, stdtrit

from perfhunt.model.interval import Interval
from perfhunt.model.units import Share

# Rounds after which a verdict may be given: the first early enough for large effects, and so few
# that each has a fair part of the error rate.
LOOKS = (4, 6, 8, 11, 15, 20)
ALPHA: Share = 0.02  # promised: identical builds called different, over all looks and endpoints
LAST_LEVEL: Share = 0.0053  # of the last look, found by simulation (see above)
POWER: Share = 0.90  # with which the smallest change is said to be seen
KNOWN_DF = 1e6  # degrees of freedom that stand for "the noise is known"
NEARLY_NORMAL_DF = 200.0  # beyond which Student's t is normal, and its noncentral form a shift
# Differences whose variance is beyond so many times the prior's no longer fit it: a bound on the
# 99 % points of F that needs no table.
UNLIKE_PRIOR = 3.0
BEYOND_WORDS = 50.0  # log speed changes above which the number says nothing more
MOST_ROUNDS, ROUNDS_STEP = 2000, 5  # how far and how finely a plan looks past the last look


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean log speed change with its standard error; `sd` is of one paired difference, `df` of
    the noise estimate.
    """

    mean: float
    error: float
    df: float
    n: int
    sd: float

    @property
    def p(self) -> float:
        """Two-sided p-value of no change, by Student's t."""
        if self.error <= 0.0:
            return 0.0 if self.mean else 1.0
        return float(2.0 * stdtr(self.df, -abs(self.mean) / self.error))

    def interval(self, confidence: Share = 0.95) -> Interval:
        """The speed change as a share (0.1 = 10 % faster), two-sided."""
        reach = t_quantile((1.0 + confidence) / 2.0, self.df) * self.error
        low, high = self.mean - reach, self.mean + reach
        return Interval(
            math.expm1(self.mean), speed_share(low), speed_share(high), self.n, confidence
        )


def speed_share(log_change: float) -> Share:
    """A log speed change as a share (0.1 = 10 % faster)."""
    return math.expm1(min(log_change, BEYOND_WORDS))


@dataclass(frozen=True, slots=True)
class NoisePrior:
    """Noise already known from identical builds: the sd of one paired log difference, from `df`
    degrees of freedom.
    """

    sd: float
    df: float


def estimate(differences: Sequence[float], prior: NoisePrior | None = None) -> Estimate:
    """Mean and standard error of paired log differences; at least two, else ValueError.

    With a prior its variance is pooled, weighted by degrees of freedom, unless the differences
    scatter so much more that it no longer describes this host.
    """
    n = len(differences)
    if n < 2:
        raise ValueError("a paired comparison needs at least two rounds")
    mean, df = fmean(differences), n - 1.0
    scatter = variance(differences, mean)
    if prior is not None and prior.df > 0 and scatter <= UNLIKE_PRIOR * prior.sd**2:
        scatter = (df * scatter + prior.df * prior.sd**2) / (df + prior.df)
        df += prior.df
    return Estimate(mean, math.sqrt(scatter / n), df, n, math.sqrt(scatter))


def known(mean: float, error: float) -> Estimate:
    """An estimate whose standard error is taken as known (normal)."""
    return Estimate(mean, error, KNOWN_DF, 1, error)


def t_quantile(share: Share, df: float) -> float:
    """The point below which `share` of Student's t lies."""
    return float(stdtrit(min(df, KNOWN_DF), share))


def reach(critical: float, df: float) -> float:
    """How many standard errors an effect must be to pass `critical` with 90 % power: the
    noncentrality of Student's t.
    """
    if df > NEARLY_NORMAL_DF:
        return critical + t_quantile(POWER, KNOWN_DF)
    return float(nctdtrinc(df, 1.0 - POWER, critical))


def level(rounds: int) -> Share:
    """The family-wise level of the look after so many rounds; past the last look it stays at its
    largest.
    """
    return LAST_LEVEL * math.sqrt(min(rounds, LOOKS[-1]) / LOOKS[-1])


def spent(rounds: int) -> Share:
    """How much of `ALPHA` the looks up to this many rounds can have used (an upper bound, by adding
    them up).
    """
    used = sum(level(look) for look in LOOKS if look <= rounds)
    return ALPHA * min(1.0, used / sum(level(look) for look in LOOKS))


def holm(p: Mapping[str, float], weights: Mapping[str, float], alpha: Share) -> frozenset[str]:
    """Which endpoints moved, at family-wise level `alpha`: Holm's step-down with weights fixed in
    advance.
    """
    left = {name: weights[name] for name in p}
    moved: set[str] = set()
    for name in sorted(p, key=lambda each: p[each] / weights[each]):
        if p[name] > alpha * left[name] / sum(left.values()):
            break
        moved.add(name)
        del left[name]
    return frozenset(moved)


def smallest_seen(sd: float, rounds: int, weight: float, df: float | None = None) -> Share:
    """The smallest speed change (a share) seen with 90 % power after so many rounds, for one
    endpoint of that weight.
    """
    freedom = rounds - 1.0 if df is None else df
    critical = t_quantile(1.0 - level(rounds) * weight / 2.0, freedom)
    return speed_share(reach(critical, freedom) * sd / math.sqrt(rounds))


def rounds_to_see(change: Share, sd: float, weight: float, extra_df: float = 0.0) -> int:
    """The first look at which a speed change (a share) is seen with 90 % power; past the last look,
    as many as it takes.
    """
    later = range(LOOKS[-1] + ROUNDS_STEP, MOST_ROUNDS, ROUNDS_STEP)
    return next(
        (
            rounds
            for rounds in (*LOOKS, *later)
            if smallest_seen(sd, rounds, weight, rounds - 1.0 + extra_df) <= change
        ),
        MOST_ROUNDS,
    )


def next_look(rounds: int) -> int | None:
    """The first look after more than `rounds` rounds; None when all have been taken."""
    return next((look for look in LOOKS if look > rounds), None)
