"""Other work on the host of a simulated service: on and off at random, in virtual time."""

from __future__ import annotations

import numpy as np

from perfhunt.model.trial import Interference, Neighbour
from perfhunt.model.units import Cores, Seconds
from perfhunt.testing.laws import Times

HOST: Cores = 2.0
NAME = "neighbour"
_MORE = 64  # switches drawn at a time
_STREAM = 11  # of random numbers, beside those of the queue


class OtherWork:
    """While it is on, work takes `factor` times as long. It begins off; both spells are exponential
    with means `on` and `off`, and a pure function of the seed. A factor of 1 is a quiet host.
    """

    def __init__(self, factor: float, on: Seconds, off: Seconds, seed: int) -> None:
        self._factor, self._means = factor, (off, on)
        self._random = np.random.Generator(np.random.PCG64([seed, _STREAM]))
        # Where it is switched, and how much work is done by then; off from the even ones on.
        self._at, self._done = np.zeros(1), np.zeros(1)

    def left(self, at: Times) -> Times:
        """The work that one worker could have done by each time."""
        if self._factor == 1.0 or not len(at):
            return at
        self._reach(float(at.max()))
        return np.interp(at, self._at, self._done)

    def clock(self, worked: Times) -> Times:
        """The time at which so much work can have been done: `left` undone."""
        if self._factor == 1.0 or not worked.size:
            return worked
        self._reach(float(worked.max()) * self._factor)
        return np.interp(worked, self._done, self._at)

    def seen(self, at: Seconds, seconds: Seconds, worked: Seconds) -> Interference:
        """What a live monitor would have read of a span in which workers did so much."""
        ends = np.array([at, at + seconds])
        done = float(np.diff(self.left(ends))[0])
        lost = max(0.0, 1.0 - done / seconds) if seconds else 0.0
        # A spell in which work takes f times as long loses 1 - 1/f of it.
        share = lost / (1.0 - 1.0 / self._factor) if self._factor > 1.0 else 0.0
        ran = worked / seconds if seconds else 0.0
        return Interference(
            seconds=seconds,
            cores=HOST,
            target_ran=ran,
            target_waited=ran * lost / (1.0 - lost) if lost < 1.0 else None,
            generator_ran=0.0,
            generator_waited=0.0,
            others=share,
            busiest=(Neighbour(NAME, share),) if share else (),
            steal=0.0,
        )

    def _reach(self, time: Seconds) -> None:
        """Enough spells for a time."""
        while self._at[-1] <= time:
            spells = self._random.standard_exponential(2 * _MORE)
            spells[0::2] *= self._means[0]
            spells[1::2] *= self._means[1]
            done = spells.copy()
            done[1::2] /= self._factor
            self._at = np.concatenate([self._at, self._at[-1] + np.cumsum(spells)])
            self._done = np.concatenate([self._done, self._done[-1] + np.cumsum(done)])
