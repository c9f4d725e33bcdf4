"""Whether one trial has clearly failed or clearly held a criterion: a test of its count of requests
over the limit, with their bursts estimated from that very trial.

Requests are late in bursts, so a count varies more than a binomial one. How much more is read off
the trial itself: blocks of seconds, long enough for a burst to end, are compared with each other
(batch means; Law & Kelton, Simulation Modeling and Analysis, section 9.5). A part of the traffic
that is always late comes without bursts, and a handful of seconds prove it; one stall is a single
burst and proves nothing, however many requests it made late.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Trial
from perfhunt.model.units import Seconds, Share

# What is believed of the dispersion before any block: that of a short queue, worth two blocks.
DISPERSION, DISPERSION_DF = 4.0, 2.0
BLOCK_LIMITS = 2.0  # times the latency limit that a block lasts: a burst is over by then
LEAST_BLOCK: Seconds = 1.0  # rows are of whole seconds
FEWEST_BLOCKS = 3  # from which the blocks say anything of each other
MOST_ALIKE = (
    0.8  # correlation of neighbouring blocks: more would make a trial worth no block at all
)
EVIDENCE = 3  # requests over the limit, at least: one or two are chance
CLEAR: Share = 1e-3  # chance of calling a trial failed or held that is on the line
LIKELY: Share = 0.05
SUSPECT: Share = 0.2  # worth a second look


class Standing(StrEnum):
    """What a trial says of a criterion."""

    FAILED = "failed"
    HELD = "held"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Excess:
    """How far a trial's count lies above what a criterion allows: in standard errors, with the
    degrees of freedom behind them, and the dispersion over binomial that they were made with.
    """

    errors: float
    df: float
    dispersion: float

    @property
    def failing(self) -> Share:
        """The chance of at least this excess on the line."""
        return float(stats.t.sf(self.errors, self.df))

    @property
    def holding(self) -> Share:
        """The chance of at most this excess on the line."""
        return float(stats.t.cdf(self.errors, self.df))


def standing(trial: Trial, criterion: Criterion, level: Share = CLEAR) -> Standing:
    """Whether a trial is over or under a criterion by more than chance and its own bursts explain.

    `level` is the chance of saying so on the line. An overload has failed. One or two requests over
    the limit prove nothing.
    """
    if trial.overload:
        return Standing.FAILED
    count = trial.counts.get(criterion.name)
    if count is None or not count.n:
        return Standing.OPEN
    excess = excess_of(trial, criterion)
    if count.exceed >= EVIDENCE and excess.failing < level:
        return Standing.FAILED
    return Standing.HELD if excess.holding < level else Standing.OPEN


def excess_of(trial: Trial, criterion: Criterion) -> Excess:
    """The excess of a trial that counted requests for the criterion."""
    count = trial.counts[criterion.name]
    chi_square, df = _between_blocks(trial, criterion)
    dispersion = max(1.0, (DISPERSION_DF * DISPERSION + chi_square) / (DISPERSION_DF + df))
    # On the line the allowed share is the true one, and its variance is what the count must beat.
    variance = max(criterion.share * (1 - criterion.share) * count.n, 1e-9) * dispersion
    expected = criterion.share * count.n
    return Excess((count.exceed - expected) / math.sqrt(variance), DISPERSION_DF + df, dispersion)


def _between_blocks(trial: Trial, criterion: Criterion) -> tuple[float, float]:
    """(chi-square, degrees of freedom) of the counts of blocks around their common share, made
    larger where neighbours resemble each other; (0, 0) without enough blocks.
    """
    exceeded, due = _blocks(trial, criterion)
    if len(due) < FEWEST_BLOCKS:
        return 0.0, 0.0
    share = float(exceeded.sum() / due.sum())
    if not 0 < share < 1:
        return 0.0, 0.0
    deviates = (exceeded - due * share) / np.sqrt(due * share * (1 - share))
    squares = float((deviates**2).sum())
    alike = float((deviates[1:] * deviates[:-1]).sum()) / max(squares, 1e-9)
    alike = min(max(alike, 0.0), MOST_ALIKE)
    return squares * (1 + alike) / (1 - alike), len(due) - 1.0


def _blocks(trial: Trial, criterion: Criterion) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Requests over the limit and requests due, per block of the counted seconds; shape (blocks,).

    The last block may be longer than the others by less than one.
    """
    limit = criterion.limit if math.isfinite(criterion.limit) else 0.0
    length = math.ceil(max(LEAST_BLOCK, BLOCK_LIMITS * limit))
    column = list(trial.counts).index(criterion.name)
    rows = [row for row in trial.rows if row.second >= trial.step.settle and row.due]
    blocks = np.array_split(np.arange(len(rows)), max(1, len(rows) // length))
    exceeded = [sum(rows[i].exceed[column] for i in block) for block in blocks]
    due = [sum(rows[i].due for i in block) for block in blocks]
    keep = np.array(due) > 0
    return np.array(exceeded, dtype=float)[keep], np.array(due, dtype=float)[keep]
